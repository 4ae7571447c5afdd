from __future__ import annotations

from pathlib import Path

from dicomnet.archive.ingest import Ingest
from dicomnet.archive.objects import LocalObjects
from dicomnet.archive.verify import Finding, verify
from dicomnet.database import Database
from dicomnet.keyring import Keyring
from tests.support.dicom_files import as_bytes, make_ct


async def test_missing_changed_and_left_over_objects_are_reported(
    database: Database, institution: int, second_institution: int, tmp_path: Path
) -> None:
    objects = LocalObjects(tmp_path / "blobs")
    ingest = Ingest(database, objects, Keyring.load_or_create(tmp_path / "key"), min_free_bytes=0)
    datasets = [make_ct() for _ in range(4)]
    stored = [await ingest.store(as_bytes(ds), institution_id=institution, source="test") for ds in datasets]
    datasets[0].PixelData = bytes(128)
    aside = await ingest.store(as_bytes(datasets[0]), institution_id=institution, source="test")
    await ingest.store(as_bytes(make_ct()), institution_id=second_institution, source="test")
    ingest.close()
    institutions = [institution, second_institution]
    clean = await verify(database, objects, institutions, orphan_age_s=0)
    assert clean.ok
    assert (clean.checked, clean.findings) == (6, [])

    objects.path(stored[0].object_key).unlink()
    path = objects.path(stored[1].object_key)
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    objects.put_bytes(f"i{institution}/left/over.dcm", b"x")
    report = await verify(database, objects, institutions, orphan_age_s=0)
    assert not report.ok
    assert report.findings == [
        Finding("missing", stored[0].object_key, institution, stored[0].instance_key),
        Finding("changed", stored[1].object_key, institution, stored[1].instance_key),
        Finding("orphan", f"i{institution}/left/over.dcm", institution),
    ]
    assert aside.outcome == "conflict"
    assert (await verify(database, objects, institutions)).findings == report.findings[:2]  # too young for an orphan

    removed = await verify(database, objects, institutions, orphan_age_s=0, remove_orphans=True)
    assert len(removed.findings) == 3
    assert not objects.exists(f"i{institution}/left/over.dcm")
    assert objects.exists(aside.object_key)
