"""Storing: durable, per object, nothing half-written, whatever the body is."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.archive_api.errors import MultipartError, PartTooLargeError, UnsupportedMediaTypeError
from app.archive_api.multipart import PartReader, parse_content_type
from tests.support.dicom_files import as_bytes, make_ct
from tests.support.multipart import BOUNDARY, body
from tests.support.web_app import Web


async def _pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for begin in range(0, len(data), size):
        yield data[begin : begin + size]


async def _read(data: bytes, size: int, most_parts: int = 10, most_bytes: int = 1 << 20) -> list[bytes]:
    reader = PartReader(_pieces(data, size), BOUNDARY.encode(), most_parts, most_bytes)
    return [b"".join([chunk async for chunk in chunks]) async for _, chunks in reader.parts()]


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
async def test_parts_are_the_same_however_the_body_is_cut(size: int) -> None:
    sent = [b"", b"a\r\n--test", bytes(range(256)) * 4, b"--" + BOUNDARY.encode()[:5]]
    content, _ = body(sent)
    assert await _read(b"preamble\r\n" + content + b"epilogue", size) == sent


async def test_a_cut_body_and_bounds_are_refused() -> None:
    content, _ = body([b"x" * 100, b"y"])
    for end in (5, 60, len(content) - 4):
        with pytest.raises(MultipartError):
            await _read(content[:end], 16)
    with pytest.raises(PartTooLargeError):
        await _read(content, 16, most_bytes=99)
    with pytest.raises(PartTooLargeError):
        await _read(content, 16, most_parts=1)


def test_other_media_types_are_refused() -> None:
    assert (
        parse_content_type('multipart/related; type="application/dicom"; boundary="a b"', "application/dicom") == b"a b"
    )
    for text in ("application/dicom", 'multipart/related; type="text/xml"; boundary=x', ""):
        with pytest.raises(UnsupportedMediaTypeError):
            parse_content_type(text, "application/dicom")
    with pytest.raises(MultipartError):
        parse_content_type("multipart/related", "application/dicom")


async def _files_left(web: Web) -> list[str]:
    return [path.name for path in web.services.objects.incoming.iterdir()]


async def test_stored_objects_come_back_to_the_byte(web: Web, institution: int) -> None:
    sent = [make_ct(StudyInstanceUID="1.4", SeriesInstanceUID="1.4.1", InstanceNumber=n) for n in (1, 2)]
    content, headers = body([as_bytes(ds) for ds in sent])
    async with await web.client(institution) as client:
        answer = await client.post("/dicom-web/studies", content=content, headers=headers)
        assert answer.status_code == 200
        reply = answer.json()
        assert reply["00081190"]["Value"] == [f"{web.url}/dicom-web/studies/1.4"]
        assert "00081198" not in reply
        for item, ds in zip(reply["00081199"]["Value"], sent, strict=True):
            assert item["00081155"]["Value"] == [ds.SOPInstanceUID]
            got = await client.get(item["00081190"]["Value"][0], headers={"Accept": "application/dicom"})
            assert got.content == as_bytes(ds)
        again = await client.post("/dicom-web/studies", content=content, headers=headers)
        assert again.status_code == 200
    count = await web.database.fetchval(institution, "select count(*) from archive.instance")
    assert count == 2
    assert await _files_left(web) == []


async def test_a_bad_object_among_good_ones_is_named(web: Web, institution: int) -> None:
    good, unknown = make_ct(), make_ct(SOPClassUID="1.2.3.4.5.6")
    truncated = as_bytes(make_ct())[:-20]
    content, headers = body([as_bytes(good), b"not DICOM at all", as_bytes(unknown), truncated])
    async with await web.client(institution) as client:
        answer = await client.post("/dicom-web/studies", content=content, headers=headers)
    assert answer.status_code == 202
    reply = answer.json()
    assert [item["00081155"]["Value"] for item in reply["00081199"]["Value"]] == [[good.SOPInstanceUID]]
    reasons = [item["00081197"]["Value"][0] for item in reply["00081198"]["Value"]]
    assert reasons == [0xC000, 0x0122, 0xC000]
    assert reply["00081198"]["Value"][1]["00081155"]["Value"] == [unknown.SOPInstanceUID]
    assert await _files_left(web) == []


async def test_another_study_than_the_path_is_a_mismatch(web: Web, institution: int) -> None:
    content, headers = body([as_bytes(make_ct(StudyInstanceUID="1.6"))])
    async with await web.client(institution) as client:
        answer = await client.post("/dicom-web/studies/1.5", content=content, headers=headers)
        assert answer.status_code == 409
        assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xA900]
        right = await client.post("/dicom-web/studies/1.6", content=content, headers=headers)
        assert right.status_code == 200


async def test_other_bytes_under_a_known_uid_are_kept_aside_and_said(web: Web, institution: int) -> None:
    first = make_ct(SOPInstanceUID="1.7.1.1", StudyInstanceUID="1.7", SeriesInstanceUID="1.7.1")
    second = make_ct(
        SOPInstanceUID="1.7.1.1", StudyInstanceUID="1.7", SeriesInstanceUID="1.7.1", StudyDescription="other"
    )
    await web.store(institution, as_bytes(first))
    content, headers = body([as_bytes(second)])
    async with await web.client(institution) as client:
        answer = await client.post("/dicom-web/studies", content=content, headers=headers)
        assert answer.status_code == 202
        assert answer.json()["00081199"]["Value"][0]["00081196"]["Value"] == [0xB000]
        got = await client.get(
            "/dicom-web/studies/1.7/series/1.7.1/instances/1.7.1.1", headers={"Accept": "application/dicom"}
        )
    assert got.content == as_bytes(first)
    assert await web.database.fetchval(institution, "select count(*) from archive.conflict") == 1


async def test_a_body_that_breaks_off_keeps_what_was_complete(web: Web, institution: int) -> None:
    whole = make_ct()
    content, headers = body([as_bytes(whole), as_bytes(make_ct())])
    async with await web.client(institution) as client:
        answer = await client.post("/dicom-web/studies", content=content[:-200], headers=headers)
        assert answer.status_code == 202
        assert len(answer.json()["00081199"]["Value"]) == 1
        assert len(answer.json()["00081198"]["Value"]) == 1
        nothing = await client.post("/dicom-web/studies", content=content[:300], headers=headers)
        assert (nothing.status_code, nothing.json()["code"]) == (400, "dicomweb.bad_multipart")
        wrong = await client.post("/dicom-web/studies", content=b"x", headers={"Content-Type": "application/dicom"})
        assert (wrong.status_code, wrong.json()["code"]) == (415, "dicomweb.unsupported_media_type")
    assert await _files_left(web) == []


async def test_reading_does_not_permit_storing(web: Web, institution: int) -> None:
    content, headers = body([as_bytes(make_ct())])
    async with await web.client(institution, "dicomweb-read") as client:
        assert (await client.post("/dicom-web/studies", content=content, headers=headers)).status_code == 403
    async with web.anonymous() as client:
        assert (await client.post("/dicom-web/studies", content=content, headers=headers)).status_code == 401
    assert await web.database.fetchval(institution, "select count(*) from archive.instance") == 0
