"""The archive from outside: where objects lie, and one index of exams. Sent by C-STORE, read over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.dataset import FileDataset
from pynetdicom.dsutils import encode

from tests.support.dicom_files import make_ct
from tests.support.scp_process import send
from tests.support.server import Server, wait_until

MULTIPART = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}


@pytest.fixture
def archive(own_server: Server) -> Iterator[Server]:
    yield own_server.start()


def code_of(server: Server) -> str:
    return str(server.cli_json("institution", "list")["code"])


def stored_files(server: Server) -> dict[str, bytes]:
    """Path below the institution's folder -> content."""
    root = server.home / "blobs" / "objects"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.dcm")}


def retrieve(server: Server, token: str, ds: FileDataset) -> pydicom.Dataset:
    """One instance over WADO-RS."""
    address = f"/dicom-web/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"
    with server.client(headers={"Authorization": f"Bearer {token}", **MULTIPART}) as client:
        answer = client.get(address)
    answer.raise_for_status()
    body = answer.content
    return pydicom.dcmread(BytesIO(body[body.index(b"DICM") - 128 :]), force=True)


def data_set(ds: FileDataset) -> bytes:
    encoded = encode(ds, False, True)
    assert encoded
    return encoded


@pytest.mark.req("2.21")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_path_rule_is_checked_safe_and_changes_without_moving_old_data(archive: Server) -> None:
    code, token = code_of(archive), archive.token("dicomweb-read")
    before = make_ct()
    assert send(archive.dicom.port, [before])[0].Status == 0
    (old_path,) = stored_files(archive)
    assert f"/20240229/{before.StudyInstanceUID}/{before.SeriesInstanceUID}/{before.SOPInstanceUID}." in old_path

    for bad in ("../{SOPInstanceUID}", "{PatientName}/{SOPInstanceUID}", "{StudyDate}", "/etc/{SOPInstanceUID}"):
        refused = archive.cli("institution", "path-rule", code, bad, check=False)
        assert refused.returncode != 0
        assert "layout.rule_invalid" in refused.stderr + refused.stdout
    archive.cli("institution", "path-rule", code, "{Modality}/{AccessionNumber}-{StationName}/{SOPInstanceUID}")

    def new_rule_holds() -> FileDataset | None:
        hostile = make_ct(AccessionNumber="../../../..", StationName="/etc/passwd")
        assert send(archive.dicom.port, [hostile])[0].Status == 0
        return hostile if any("/CT/" in path for path in stored_files(archive)) else None

    after: FileDataset = wait_until(new_rule_holds, 60, "the new rule")
    files = stored_files(archive)
    assert files[old_path].endswith(data_set(before)), "old data stays where it is"
    (new_path,) = [path for path in files if "/CT/" in path]
    institution = old_path.partition("/")[0]
    assert new_path.startswith(f"{institution}/CT/none-etc_passwd/{after.SOPInstanceUID}.")
    for ds in (before, after):
        assert retrieve(archive, token, ds).PixelData == ds.PixelData
    archive.cli("verify")


def studies(client: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    answer = client.get("/api/studies", params=query)
    answer.raise_for_status()
    return list(answer.json()["studies"])


@pytest.mark.req("2.22")
def test_one_exam_joins_studies_and_re_sends_and_conflicts_are_kept_and_shown(archive: Server) -> None:
    archive.cli("institution", "create", "second", "--ae-title", "SECOND")
    first, second = make_ct(AccessionNumber="EX1"), make_ct(AccessionNumber="EX1")
    stranger = make_ct(AccessionNumber="EX1", PatientID="P002", PatientName="李^雷")
    for ds in (first, second, stranger, first):
        assert send(archive.dicom.port, [ds])[0].Status == 0
    original = data_set(first)
    first.PixelData = bytes(128)
    for title in ("CLOUDFILM", "CLOUDFILM", "SECOND"):
        assert send(archive.dicom.port, [first], title)[0].Status == 0
    first.PixelData = make_ct().PixelData

    with archive.admin() as client:
        listed = studies(client, accession_number="EX1")
    own = [row for row in listed if row["patient_id"] == "P001"]
    other = [row for row in listed if row["patient_id"] == "P002"]
    assert len(own) == 2
    assert len({row["exam_key"] for row in own}) == 1, "one accession number of one patient is one exam"
    assert other[0]["exam_key"] != own[0]["exam_key"], "and never joins two patients"
    assert sorted(row["instance_count"] for row in own) == [1, 1], "a re-send is nothing new"
    assert sorted(row["conflict_count"] for row in own) == [0, 1]
    assert retrieve(archive, archive.token("dicomweb-read"), first).PixelData == first.PixelData, (
        "the first stays the first"
    )

    by_folder: dict[str, list[bytes]] = {}
    for path, content in stored_files(archive).items():
        if first.SOPInstanceUID in path:
            by_folder.setdefault(path.partition("/")[0], []).append(content)
    assert sorted(len(contents) for contents in by_folder.values()) == [1, 2], "kept aside; each institution its own"
    assert any(content.endswith(original) for contents in by_folder.values() for content in contents)
    archive.cli("verify")
