"""What is retrieved over DICOMweb is what was sent, to the byte; nobody gets what is not theirs."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import asyncpg
import httpx
import numpy as np
import pydicom
from dicomweb_client.api import DICOMwebClient
from pydicom.uid import ExplicitVRBigEndian

from dicomnet.archive.ingest import Stored
from tests.conftest import Urls
from tests.support.dicom_files import as_bytes, make_ct
from tests.support.multipart import parts
from tests.support.web_app import Web

MULTIPART = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}


def instance_path(stored: Stored) -> str:
    return (
        f"/dicom-web/studies/{stored.study_instance_uid}/series/{stored.series_instance_uid}"
        f"/instances/{stored.sop_instance_uid}"
    )


async def test_retrieve_gives_the_stored_bytes_in_parts_and_alone(web: Web, institution: int) -> None:
    sent = as_bytes(make_ct())
    stored = await web.store(institution, sent)
    async with await web.client(institution, "dicomweb-read") as client:
        answer = await client.get(instance_path(stored), headers=MULTIPART)
        assert answer.status_code == 200
        assert parts(answer) == [("application/dicom; transfer-syntax=1.2.840.10008.1.2.1", sent)]
        alone = await client.get(instance_path(stored), headers={"Accept": "application/dicom"})
        assert alone.content == sent
        again = await client.get(
            instance_path(stored), headers={"Accept": "application/dicom", "If-None-Match": alone.headers["etag"]}
        )
        assert again.status_code == 304
        assert not again.content


async def test_a_whole_study_comes_in_series_and_instance_order(web: Web, institution: int) -> None:
    sent = [
        as_bytes(make_ct(StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.4", InstanceNumber=n)) for n in (3, 1, 2)
    ]
    for data in sent:
        await web.store(institution, data)
    async with await web.client(institution) as client:
        answer = await client.get("/dicom-web/studies/1.2.3", headers=MULTIPART)
    assert [part for _, part in parts(answer)] == [sent[1], sent[2], sent[0]]


async def test_another_transfer_syntax_is_refused_with_what_is_offered(web: Web, institution: int) -> None:
    stored = await web.store(institution, as_bytes(make_ct()))
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90'
    async with await web.client(institution) as client:
        answer = await client.get(instance_path(stored), headers={"Accept": accept})
    assert answer.status_code == 406
    assert answer.json()["code"] == "dicomweb.not_acceptable"
    assert answer.json()["data"]["transfer_syntaxes"] == ["1.2.840.10008.1.2.1"]


async def test_frames_of_native_pixels_are_octets_in_little_endian(web: Web, institution: int) -> None:
    values = np.arange(128, dtype=np.uint16)
    big = make_ct(NumberOfFrames=2)
    big.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    big.PixelData = values.astype(">u2").tobytes()
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, big, little_endian=False, implicit_vr=False, enforce_file_format=True)
    stored = await web.store(institution, buffer.getvalue())
    async with await web.client(institution) as client:
        answer = await client.get(instance_path(stored) + "/frames/2,1")
        found = parts(answer)
        assert [kind for kind, _ in found] == ["application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"] * 2
        assert found[0][1] == values[64:].astype("<u2").tobytes()
        assert found[1][1] == values[:64].astype("<u2").tobytes()
        for wrong, status in (("0", 404), ("3", 404), ("1,x", 400), ("-1", 400)):
            assert (await client.get(instance_path(stored) + "/frames/" + wrong)).status_code == status


async def test_bulk_data_uris_of_the_metadata_lead_to_the_pixels(web: Web, institution: int) -> None:
    sent = make_ct()
    stored = await web.store(institution, as_bytes(sent))
    async with await web.client(institution) as client:
        described = (await client.get(instance_path(stored) + "/metadata")).json()[0]
        assert described["7FE00010"]["vr"] == "OW"
        answer = await client.get(described["7FE00010"]["BulkDataURI"])
    assert [data for _, data in parts(answer)] == [sent.PixelData]


async def test_metadata_says_every_tag_in_unicode(web: Web, institution: int) -> None:
    sent = make_ct()
    stored = await web.store(institution, as_bytes(sent))
    async with await web.client(institution) as client:
        answer = await client.get(instance_path(stored) + "/metadata")
    assert answer.headers["content-type"] == "application/dicom+json"
    described = answer.json()[0]
    assert described["00100010"]["Value"] == [{"Alphabetic": "王^小明"}]
    assert described["00081030"]["Value"] == ["胸部平扫"]
    assert described["00080005"]["Value"] == ["ISO_IR 192"]
    assert set(described) == {f"{int(tag):08X}" for tag in sent.keys()}  # noqa: SIM118
    assert described["00281052"]["Value"] == [-1024.0]


async def test_a_value_that_the_library_cannot_read_is_kept_as_its_bytes(web: Web, institution: int) -> None:
    data = as_bytes(make_ct(RescaleSlope="1.5"))
    broken = data.replace(b"DS\x04\x001.5 ", b"DS\x04\x00abc ")
    assert broken != data
    stored = await web.store(institution, broken)
    async with await web.client(institution) as client:
        described = (await client.get(instance_path(stored) + "/metadata")).json()[0]
    assert described["00281053"] == {"vr": "UN", "InlineBinary": "YWJjIA=="}
    assert described["00280010"]["Value"] == [8]


async def test_another_institution_finds_nothing_of_the_same_uid(
    web: Web, institution: int, second_institution: int
) -> None:
    mine = make_ct(StudyInstanceUID="1.2.5", SeriesInstanceUID="1.2.5.1", SOPInstanceUID="1.2.5.1.1")
    theirs = make_ct(
        StudyInstanceUID="1.2.5", SeriesInstanceUID="1.2.5.1", SOPInstanceUID="1.2.5.1.1", PatientName="李^四"
    )
    stored = await web.store(institution, as_bytes(mine))
    async with await web.client(second_institution) as client:
        for suffix in ("", "/metadata", "/frames/1", "/rendered", "/bulkdata/7FE00010"):
            answer = await client.get(instance_path(stored) + suffix)
            assert answer.status_code == 404, suffix
            assert answer.json()["code"] == "dicomweb.not_found"
    await web.store(second_institution, as_bytes(theirs))
    for owner, sent in ((institution, mine), (second_institution, theirs)):
        async with await web.client(owner) as client:
            answer = await client.get(instance_path(stored), headers={"Accept": "application/dicom"})
            assert answer.content == as_bytes(sent)


async def test_nobody_and_nobody_permitted_get_no_byte(web: Web, institution: int) -> None:
    stored = await web.store(institution, as_bytes(make_ct()))
    async with web.anonymous() as client:
        assert (await client.get(instance_path(stored))).status_code == 401
    async with await web.client(institution, "viewer") as client:
        answer = await client.get(instance_path(stored))
        assert answer.status_code == 403
        assert answer.json()["code"] == "identity.forbidden"


async def test_every_retrieval_is_in_the_audit_trail(web: Web, institution: int) -> None:
    stored = await web.store(institution, as_bytes(make_ct()))
    async with await web.client(institution) as client:
        for suffix in ("", "/metadata", "/frames/1"):
            assert (await client.get(instance_path(stored) + suffix)).status_code == 200
    rows = await web.database.fetch(institution, "select action, study_key, actor from audit.entry order by entry_id")
    assert [row["action"] for row in rows] == ["dicomweb.retrieve", "dicomweb.metadata", "dicomweb.frames"]
    assert {row["study_key"] for row in rows} == {stored.study_key}
    assert {row["actor"] for row in rows} == {"token:dicomweb-write"}


async def test_no_byte_leaves_when_the_audit_entry_cannot_be_written(web: Web, institution: int, urls: Urls) -> None:
    stored = await web.store(institution, as_bytes(make_ct()))
    async with await web.client(institution) as client:
        connection: Any = await asyncpg.connect(urls.owner)
        try:
            await connection.execute("revoke insert on audit.entry from cloudfilm_runtime")
            answer = await client.get(instance_path(stored), headers=MULTIPART)
        finally:
            await connection.execute("grant insert on audit.entry to cloudfilm_runtime")
            await connection.close()
    assert answer.status_code == 500
    assert b"DICM" not in answer.content
    assert answer.json()["code"] == "app.internal"


async def test_a_foreign_client_reads_what_it_sent(web: Web, institution: int) -> None:
    sent = [make_ct(StudyInstanceUID="1.2.7", SeriesInstanceUID="1.2.7.1", InstanceNumber=n) for n in (1, 2)]
    token = await web.token(institution)

    def use() -> tuple[list[Any], list[Any], list[Any]]:
        client = DICOMwebClient(web.url + "/dicom-web", headers={"Authorization": f"Bearer {token}"})
        reply = client.store_instances(list(sent))
        assert len(reply.ReferencedSOPSequence) == 2
        return (
            client.retrieve_study("1.2.7"),
            client.retrieve_study_metadata("1.2.7"),
            client.retrieve_instance_frames("1.2.7", "1.2.7.1", sent[0].SOPInstanceUID, [1]),
        )

    objects, described, frames = await asyncio.to_thread(use)
    assert [ds.SOPInstanceUID for ds in objects] == [ds.SOPInstanceUID for ds in sent]
    assert all(got == want for got, want in zip(objects, sent, strict=True))
    assert len(described) == 2
    assert frames == [sent[0].PixelData]


def test_the_helper_reads_parts() -> None:
    body = b"\r\n--b\r\nContent-Type: a/b\r\n\r\nxx\r\n--b--\r\n"
    answer = httpx.Response(200, headers={"content-type": "multipart/related; boundary=b"}, content=body)
    assert parts(answer) == [("a/b", b"xx")]
