"""Open data access by a foreign client: what is sent by STOW or DIMSE comes back over DICOMweb to the byte."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset

from tests.support.dicom_files import as_bytes, make_ct, packaged_files
from tests.support.multipart import body, parts
from tests.support.server import Server

_WANTED = ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "SC_rgb_rle.dcm")


def _samples() -> list[Path]:
    """Files of pydicom's wheel with pixels and complete UIDs."""
    return [path for path in packaged_files() if path.name in _WANTED]


def _client(server: Server) -> DICOMwebClient:
    token = server.token("dicomweb-write")
    return DICOMwebClient(server.http + "/dicom-web", headers={"Authorization": f"Bearer {token}"})


def _complete(ds: Dataset) -> bool:
    return all(ds.get(name) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))


def test_a_foreign_client_gets_back_what_it_sent(server: Server) -> None:
    client = _client(server)
    sent = [pydicom.dcmread(path) for path in _samples()]
    sent = [ds for ds in sent if _complete(ds)]
    assert len(sent) == len(_WANTED)
    for ds in sent:
        client.store_instances([ds])
        where: dict[str, Any] = {
            "study_instance_uid": ds.StudyInstanceUID,
            "series_instance_uid": ds.SeriesInstanceUID,
            "sop_instance_uid": ds.SOPInstanceUID,
        }
        got = client.retrieve_instance(**where)
        assert got == ds
        assert got.PixelData == ds.PixelData
        assert got.file_meta.TransferSyntaxUID == ds.file_meta.TransferSyntaxUID
        described = Dataset.from_json(client.retrieve_instance_metadata(**where))
        assert {e.tag for e in described} >= {e.tag for e in ds if e.tag.element and e.tag <= 0x7FE00010}
        found = client.search_for_instances(ds.StudyInstanceUID, ds.SeriesInstanceUID)
        assert ds.SOPInstanceUID in [row["00080018"]["Value"][0] for row in found]
        studies = client.search_for_studies(search_filters={"StudyInstanceUID": ds.StudyInstanceUID})
        assert len(studies) == 1
        first = client.retrieve_instance_frames(**where, frame_numbers=[1])[0]
        if not ds.file_meta.TransferSyntaxUID.is_encapsulated:
            assert first == ds.PixelData[: len(first)]
        else:
            assert first in ds.PixelData


def test_every_file_of_the_wheel_comes_back_to_the_byte_or_is_refused_with_a_reason(server: Server) -> None:
    token = server.token("dicomweb-write")
    kept = 0
    with server.client(headers={"Authorization": f"Bearer {token}"}) as client:
        for path in packaged_files():
            if path.suffix != ".dcm" or path.stat().st_size > 4 << 20:
                continue
            data = path.read_bytes()
            content, headers = body([data])
            answer = client.post("/dicom-web/studies", content=content, headers=headers)
            assert answer.status_code in {200, 202, 409}, path.name
            reply = answer.json()
            if "00081199" not in reply:
                assert reply["00081198"]["Value"][0]["00081197"]["Value"][0] >= 0x0110, path.name
                continue
            if "00081196" in reply["00081199"]["Value"][0]:
                continue  # the wheel holds several files under one UID: kept aside, said so
            url = reply["00081199"]["Value"][0]["00081190"]["Value"][0]
            got = client.get(url, headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'})
            assert got.status_code == 200, path.name
            ((_, stored),) = parts(got)
            assert stored == data or stored.endswith(data), path.name  # a bare data set gets its Part 10 header
            described = client.get(url + "/metadata")
            assert described.status_code == 200, path.name
            read = pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=True)
            tags = {f"{int(tag):08X}" for tag in read.keys()}  # noqa: SIM118
            assert {tag for tag in tags if tag[4:] != "0000" and tag < "7FE00000"} <= set(described.json()[0]), (
                path.name
            )
            kept += 1
    assert kept >= 40


@pytest.mark.req("2.22")
def test_one_exam_joins_resends_and_several_studies(server: Server) -> None:
    """Received twice it is there once; other bytes under its UID are kept and shown; one accession is one exam."""
    uid = "1.2.826.0.1.222"
    first = make_ct(SOPInstanceUID=uid + ".1.1.1", StudyInstanceUID=uid + ".1", SeriesInstanceUID=uid + ".1.1")
    other = make_ct(
        SOPInstanceUID=uid + ".1.1.1",
        StudyInstanceUID=uid + ".1",
        SeriesInstanceUID=uid + ".1.1",
        ImageComments="sent again after a change",
    )
    second = make_ct(SOPInstanceUID=uid + ".2.1.1", StudyInstanceUID=uid + ".2", SeriesInstanceUID=uid + ".2.1")
    for ds in (first, other, second):
        ds.AccessionNumber, ds.PatientID = "EXAM-222", "P-222"
    token = server.token("dicomweb-write")
    with server.client(headers={"Authorization": f"Bearer {token}"}) as client:
        for ds, status in ((first, 200), (first, 200), (other, 202), (second, 200)):
            content, headers = body([as_bytes(ds)])
            assert client.post("/dicom-web/studies", content=content, headers=headers).status_code == status
        found = client.get("/dicom-web/studies?AccessionNumber=EXAM-222").json()
        assert sorted(row["0020000D"]["Value"][0] for row in found) == [uid + ".1", uid + ".2"]
        assert [row["00201208"]["Value"] for row in found] == [[1], [1]]
        path = f"/dicom-web/studies/{uid}.1/series/{uid}.1.1/instances/{uid}.1.1.1"
        assert client.get(path, headers={"Accept": "application/dicom"}).content == as_bytes(first)
    with server.admin() as admin:
        rows = admin.get("/api/studies", params={"accession_number": "EXAM-222"}).json()["studies"]
        conflicts = {row["study_key"]: row["conflict_count"] for row in rows}
        assert sorted(conflicts.values()) == [0, 1]
        assert len({row["exam_key"] for row in rows}) == 1
