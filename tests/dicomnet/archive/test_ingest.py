"""The door of the archive: what is stored, what is refused, and that nothing is lost or half-written."""

from __future__ import annotations

import asyncio
import io
import os
import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import generate_uid

from dicomnet.archive import ingest as ingest_module
from dicomnet.archive.errors import (
    ArchiveUnavailableError,
    DiskFullError,
    IngestError,
    MissingUidError,
    NotDicomError,
    PixelDataShortError,
    SopClassMismatchError,
    SopClassUnknownError,
    TooComplexError,
    TooLargeError,
    TruncatedError,
    UidInvalidError,
)
from dicomnet.archive.index_writer import IndexWriter
from dicomnet.archive.ingest import Ingest
from dicomnet.archive.objects import LocalObjects
from dicomnet.archive.open_record import load_instance, load_series, read_frame_bytes
from dicomnet.database import Database
from dicomnet.keyring import Keyring
from dicomnet.sop_classes import storage_classes
from tests.support.dicom_files import as_bytes, make_ct, packaged_files


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.load_or_create(tmp_path / "master.key")


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "blobs")


@pytest.fixture
def ingest(database: Database, objects: LocalObjects, keyring: Keyring) -> Iterator[Ingest]:
    door = Ingest(database, objects, keyring, min_free_bytes=0)
    yield door
    door.close()


def stored_files(objects: LocalObjects) -> list[str]:
    return [key for key, _, _ in objects.listing()]


def nothing_kept(objects: LocalObjects) -> bool:
    return not stored_files(objects) and not list(objects.incoming.iterdir())


async def rows(database: Database, institution: int, table: str) -> list[Any]:
    return await database.fetch(institution, f"select * from archive.{table} order by 1")


async def test_an_object_is_stored_as_it_came_and_indexed_once(
    database: Database, institution: int, ingest: Ingest, objects: LocalObjects, keyring: Keyring
) -> None:
    data = as_bytes(make_ct())
    stored = await ingest.store(data, institution_id=institution, source="test")
    assert stored.outcome == "new"
    assert objects.read(stored.object_key) == data
    (patient,) = await rows(database, institution, "patient")
    assert patient["patient_id"] == "P001"
    assert "王".encode() not in patient["patient_name_sealed"]
    (study,) = await rows(database, institution, "study")
    assert study["study_at"].isoformat() == "2024-02-29T06:30:05.250000+00:00"  # Asia/Shanghai
    assert (study["study_description"], study["instance_count"], study["series_count"]) == ("胸部平扫", 1, 1)
    assert study["modalities"] == ["CT"]
    (series,) = await rows(database, institution, "series")
    assert (series["instance_count"], series["frame_count"], series["version"]) == (1, 1, 1)
    (event,) = await rows(database, institution, "event")
    assert event["kind"] == "instance_stored"
    assert event["payload"]["instance_key"] == stored.instance_key
    assert list(objects.incoming.iterdir()) == []


async def test_the_same_bytes_again_are_success_and_nothing_new(
    database: Database, institution: int, ingest: Ingest, objects: LocalObjects
) -> None:
    data = as_bytes(make_ct())
    first = await ingest.store(data, institution_id=institution, source="test")
    again = await ingest.store(data, institution_id=institution, source="test")
    assert again.outcome == "duplicate"
    assert again.instance_key == first.instance_key
    assert stored_files(objects) == [first.object_key]
    (series,) = await rows(database, institution, "series")
    assert series["version"] == 1
    assert len(await rows(database, institution, "event")) == 1


async def test_the_same_data_set_behind_another_meta_header_is_a_duplicate(
    institution: int, ingest: Ingest, objects: LocalObjects
) -> None:
    ds = make_ct()
    first = await ingest.store(as_bytes(ds), institution_id=institution, source="test")
    ds.file_meta.ImplementationVersionName = "OTHER"
    again = await ingest.store(as_bytes(ds), institution_id=institution, source="test")
    assert again.outcome == "duplicate"
    assert stored_files(objects) == [first.object_key]


async def test_the_same_uid_with_other_bytes_is_kept_aside(
    database: Database, institution: int, ingest: Ingest, objects: LocalObjects
) -> None:
    ds = make_ct()
    original = as_bytes(ds)
    first = await ingest.store(original, institution_id=institution, source="test")
    ds.PixelData = bytes(128)
    ds.StudyInstanceUID = generate_uid()
    other = as_bytes(ds)
    for _ in range(2):
        second = await ingest.store(other, institution_id=institution, source="test")
        assert second.outcome == "conflict"
    assert objects.read(first.object_key) == original
    (conflict,) = await rows(database, institution, "conflict")
    assert objects.read(conflict["object_key"]) == other
    assert conflict["instance_key"] == first.instance_key
    assert len(await rows(database, institution, "study")) == 1
    (instance,) = await rows(database, institution, "instance")
    assert instance["object_key"] == first.object_key


async def test_two_institutions_hold_the_same_uid_and_do_not_see_each_other(
    database: Database, institution: int, second_institution: int, ingest: Ingest
) -> None:
    ds = make_ct()
    first = await ingest.store(as_bytes(ds), institution_id=institution, source="test")
    ds.PatientName = "李^雷"
    second = await ingest.store(as_bytes(ds), institution_id=second_institution, source="test")
    assert (first.outcome, second.outcome) == ("new", "new")
    assert await load_series(database, second_institution, first.series_key) == []
    assert await load_series(database, institution, second.series_key) == []
    assert [row["instance_key"] for row in await rows(database, institution, "instance")] == [first.instance_key]
    assert not first.object_key.startswith(f"i{second_institution}/")


async def test_studies_without_patient_id_are_never_joined(
    database: Database, institution: int, ingest: Ingest
) -> None:
    for _ in range(2):
        await ingest.store(
            as_bytes(make_ct(PatientID=None, AccessionNumber=None)), institution_id=institution, source="test"
        )
    assert len(await rows(database, institution, "patient")) == 2


async def test_one_accession_number_of_two_patients_makes_two_exams(
    database: Database, institution: int, ingest: Ingest
) -> None:
    await ingest.store(as_bytes(make_ct(PatientID="1")), institution_id=institution, source="test")
    await ingest.store(as_bytes(make_ct(PatientID="2")), institution_id=institution, source="test")
    await ingest.store(as_bytes(make_ct(PatientID="1")), institution_id=institution, source="test")
    exams = {row["exam_key"]: row["patient_key"] for row in await rows(database, institution, "exam")}
    studies = await rows(database, institution, "study")
    assert len(exams) == 2
    assert len(studies) == 3
    assert all(exams[study["exam_key"]] == study["patient_key"] for study in studies)


async def test_missing_uids_are_derived_the_same_way_each_time(institution: int, ingest: Ingest) -> None:
    data = as_bytes(make_ct(StudyInstanceUID=None, SeriesInstanceUID=None))
    first = await ingest.store(data, institution_id=institution, source="test")
    again = await ingest.store(data, institution_id=institution, source="test")
    assert first.study_instance_uid.startswith("2.25.")
    assert again.outcome == "duplicate"
    assert again.study_instance_uid == first.study_instance_uid


@pytest.mark.parametrize("with_meta", [True, False])
async def test_files_without_preamble_are_stored_as_part_10(
    database: Database, institution: int, ingest: Ingest, objects: LocalObjects, with_meta: bool
) -> None:
    data = as_bytes(make_ct())
    dataset_offset = 144 + struct.unpack_from("<I", data, 140)[0]
    bare = data[132:] if with_meta else data[dataset_offset:]
    stored = await ingest.store(bare, institution_id=institution, source="test")
    kept = objects.read(stored.object_key)
    assert kept[128:132] == b"DICM"
    assert kept.endswith(data[dataset_offset:])
    assert pydicom.dcmread(io.BytesIO(kept)).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert await database.fetchval(institution, "select object_size from archive.instance") == len(kept)


def claim(data: bytes, length: int) -> bytes:
    """The pixel data element says ``length``."""
    position = data.index(b"\xe0\x7f\x10\x00OW")
    return data[: position + 8] + struct.pack("<I", length) + data[position + 12 :]


def nested(depth: int) -> bytes:
    """A data set whose first private sequence is ``depth`` sequences deep."""
    ds = make_ct()
    data = as_bytes(ds)
    element = b"\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    position = data.index(b"\x10\x00\x10\x00PN")
    end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    return data[:position] + element * depth + end * depth + data[position:]


REFUSED: list[tuple[str, Any, type[IngestError]]] = [
    ("empty", lambda: b"", NotDicomError),
    ("text", lambda: b"GET / HTTP/1.1\r\n\r\n" * 40, NotDicomError),
    ("preamble only", lambda: bytes(128) + b"DICM", NotDicomError),
    ("cut in pixel data", lambda: as_bytes(make_ct())[:-20], TruncatedError),
    ("cut in header", lambda: as_bytes(make_ct())[:420], TruncatedError),
    ("claims 4 GB", lambda: claim(as_bytes(make_ct()), 0xFFFFFFFE), TruncatedError),
    ("short pixel data", lambda: as_bytes(make_ct(PixelData=bytes(100))), PixelDataShortError),
    ("more frames than data", lambda: as_bytes(make_ct(NumberOfFrames=70000)), PixelDataShortError),
    ("too many frames", lambda: as_bytes(make_ct(NumberOfFrames=2_000_000_000)), TooComplexError),
    ("nested", lambda: nested(2000), TooComplexError),
    ("no class", lambda: without_class(), MissingUidError),
    ("traversal", lambda: as_bytes(make_ct(StudyInstanceUID="../../../../etc/passwd")), UidInvalidError),
    ("separator", lambda: as_bytes(make_ct(SOPInstanceUID="1.2/3")), UidInvalidError),
    ("long uid", lambda: as_bytes(make_ct(SeriesInstanceUID="1." + "2" * 70)), UidInvalidError),
]


def without_class() -> bytes:
    data = as_bytes(make_ct(SOPClassUID=None))
    return data.replace(b"\x02\x00\x02\x00UI", b"\x02\x00\x99\x00UI", 1)


@pytest.mark.parametrize(("make", "error"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
@pytest.mark.filterwarnings("ignore")
async def test_what_cannot_be_understood_is_refused_and_leaves_nothing(
    database: Database, institution: int, ingest: Ingest, objects: LocalObjects, make: Any, error: type[IngestError]
) -> None:
    with pytest.raises(error) as caught:
        await ingest.store(make(), institution_id=institution, source="test")
    assert set(caught.value.message) == {"zh", "en"}
    assert nothing_kept(objects)
    for table in ("patient", "study", "series", "instance", "event"):
        assert await rows(database, institution, table) == []


async def test_a_hostile_value_stays_inside_the_institutions_folder(
    database: Database, institution: int, ingest: Ingest, objects: LocalObjects
) -> None:
    await database.execute(
        institution, "update archive.institution set path_rule = '{AccessionNumber}/{StationName}-{SOPInstanceUID}'"
    )
    data = as_bytes(make_ct(AccessionNumber="../../../x", StationName="/etc"))
    stored = await ingest.store(data, institution_id=institution, source="test")
    path = objects.path(stored.object_key).resolve()
    assert path.is_relative_to(objects.root / f"i{institution}")
    assert path.read_bytes() == data


async def test_the_path_rule_changes_without_moving_old_objects(
    database: Database, institution: int, objects: LocalObjects, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_module, "_RULE_REFRESH_S", 0.0)
    door = Ingest(database, objects, keyring, min_free_bytes=0)
    ds = make_ct()
    first = await door.store(as_bytes(ds), institution_id=institution, source="test")
    await database.execute(institution, "update archive.institution set path_rule = '{Modality}/{SOPInstanceUID}'")
    again = await door.store(as_bytes(ds), institution_id=institution, source="test")
    second = await door.store(as_bytes(make_ct()), institution_id=institution, source="test")
    door.close()
    assert again.outcome == "duplicate"
    assert second.object_key.startswith(f"i{institution}/CT/")
    assert sorted(stored_files(objects)) == sorted([first.object_key, second.object_key])


async def test_a_full_disk_refuses_before_anything_is_written(
    database: Database, institution: int, objects: LocalObjects, keyring: Keyring
) -> None:
    door = Ingest(database, objects, keyring, min_free_bytes=1 << 62)
    with pytest.raises(DiskFullError) as caught:
        await door.store(as_bytes(make_ct()), institution_id=institution, source="test")
    with pytest.raises(DiskFullError):
        door.temporary()
    door.close()
    assert caught.value.retryable
    assert nothing_kept(objects)


async def test_space_that_runs_out_while_writing_is_a_full_disk(
    institution: int, ingest: Ingest, objects: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(key: str, temporary: Path, *, synced: bool = False) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(objects, "put_file", full)
    with pytest.raises(DiskFullError):
        await ingest.store(as_bytes(make_ct()), institution_id=institution, source="test")
    assert nothing_kept(objects)


async def test_an_object_larger_than_allowed_is_refused(
    database: Database, institution: int, objects: LocalObjects, keyring: Keyring
) -> None:
    door = Ingest(database, objects, keyring, min_free_bytes=0, max_object_bytes=1000)
    with pytest.raises(TooLargeError):
        await door.store(as_bytes(make_ct(PixelData=bytes(2000))), institution_id=institution, source="test")
    door.close()
    assert nothing_kept(objects)


async def test_only_known_storage_classes_are_kept(
    database: Database, institution: int, objects: LocalObjects, keyring: Keyring
) -> None:
    door = Ingest(database, objects, keyring, min_free_bytes=0, is_storage_class=storage_classes().__contains__)
    with pytest.raises(SopClassUnknownError):
        await door.store(as_bytes(make_ct(SOPClassUID="1.2.3.4")), institution_id=institution, source="test")
    with pytest.raises(SopClassMismatchError):
        await door.store(
            as_bytes(make_ct()),
            institution_id=institution,
            source="test",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
            sop_class_checked=True,
        )
    door.close()
    assert nothing_kept(objects)


async def test_a_database_that_is_away_loses_nothing(
    institution: int, ingest: Ingest, objects: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = as_bytes(make_ct())
    real = IndexWriter.write

    async def away(*args: Any, **kwargs: Any) -> Any:
        raise ConnectionRefusedError

    monkeypatch.setattr(ingest_module, "_RETRY_DELAYS_S", (0.0,))
    monkeypatch.setattr(IndexWriter, "write", away)
    with pytest.raises(ArchiveUnavailableError) as caught:
        await ingest.store(data, institution_id=institution, source="test")
    assert caught.value.retryable
    monkeypatch.setattr(IndexWriter, "write", real)
    stored = await ingest.store(data, institution_id=institution, source="test")
    assert stored.outcome == "new"
    assert stored_files(objects) == [stored.object_key]


async def test_a_file_is_taken_over_whatever_happens(
    institution: int, ingest: Ingest, objects: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> Any:
        raise ConnectionRefusedError

    monkeypatch.setattr(ingest_module.Database, "fetchrow", away)
    descriptor, path = ingest.temporary()
    with os.fdopen(descriptor, "wb") as file:
        file.write(as_bytes(make_ct()))
    with pytest.raises(ArchiveUnavailableError):
        await ingest.store(path, institution_id=institution, source="test")
    assert nothing_kept(objects)


async def test_eight_writers_of_one_series_neither_deadlock_nor_miscount(
    database: Database, institution: int, ingest: Ingest
) -> None:
    study, series = generate_uid(), generate_uid()
    data = [
        as_bytes(make_ct(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=number))
        for number in range(64)
    ]
    pending = iter(data)

    async def write() -> None:
        for item in pending:
            assert (await ingest.store(item, institution_id=institution, source="test")).outcome == "new"

    await asyncio.gather(*(write() for _ in range(8)))
    (row,) = await rows(database, institution, "study")
    assert (row["instance_count"], row["series_count"]) == (64, 1)
    (row,) = await rows(database, institution, "series")
    assert (row["instance_count"], row["frame_count"], row["version"]) == (64, 64, 64)
    assert len(await rows(database, institution, "patient")) == 1


async def test_one_uid_sent_at_the_same_time_with_different_bytes_keeps_both(
    database: Database, institution: int, ingest: Ingest, objects: LocalObjects
) -> None:
    uid = generate_uid()
    data = [as_bytes(make_ct(SOPInstanceUID=uid, PixelData=bytes([number]) * 128)) for number in range(6)]
    stored = await asyncio.gather(*(ingest.store(item, institution_id=institution, source="test") for item in data))
    assert sorted(item.outcome for item in stored) == ["conflict"] * 5 + ["new"]
    assert len(await rows(database, institution, "conflict")) == 5
    assert sorted(objects.read(item.object_key) for item in stored) == sorted(data)


@pytest.mark.filterwarnings("ignore")
async def test_every_packaged_file_is_stored_or_refused_with_a_code(institution: int, ingest: Ingest) -> None:
    stored = 0
    for path in packaged_files():
        try:
            await ingest.store(path.read_bytes(), institution_id=institution, source="test")
            stored += 1
        except IngestError as error:
            assert error.code.startswith("ingest."), path.name
    assert stored > 30


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(600)
async def test_every_real_file_that_can_be_decoded_is_stored_and_its_frames_are_the_senders(
    database: Database, institution: int, ingest: Ingest, objects: LocalObjects, test_data: Path
) -> None:
    import csv

    from pydicom.encaps import get_frame

    checked = 0
    by_series: defaultdict[int, set[int]] = defaultdict(set)
    with (test_data / "index.csv").open(encoding="utf-8") as file:
        listed = [row["path"] for row in csv.DictReader(file) if row["decode_check"].startswith("decoded")]
    for name in listed:
        data = (test_data / name).read_bytes()
        stored = await ingest.store(data, institution_id=institution, source="test")
        if stored.outcome != "new":
            continue
        by_series[stored.series_key].add(stored.instance_key)
        record = await load_instance(database, institution, stored.instance_key)
        assert record is not None
        ds = pydicom.dcmread(io.BytesIO(data), force=True)
        pixels = ds[record.pixel_element]
        for index in {0, record.number_of_frames // 2, record.number_of_frames - 1}:
            frame = read_frame_bytes(objects, record, index)
            if pixels.is_undefined_length:
                expected = get_frame(pixels.value, index, number_of_frames=record.number_of_frames)
            elif record.native_frame_bits % 8 == 0:
                size = record.native_frame_bits // 8
                expected = pixels.value[index * size : (index + 1) * size]
            else:
                continue
            assert frame == expected, (name, index)
        checked += 1
    assert checked > 500
    for series_key, instance_keys in by_series.items():
        records = await load_series(database, institution, series_key)
        assert {record.instance_key for record in records} == instance_keys
