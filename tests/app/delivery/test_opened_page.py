"""The opened page: one response, the picture in its first flight, nothing about a person where that is hidden."""

from __future__ import annotations

import base64
import io
import re
import zlib
from typing import Any

import httpx
import numpy as np
from PIL import Image

from app.demo.body_ct import body_slice
from tests.support.dicom_files import as_bytes, make_ct
from tests.support.web_app import Web

# The first flight of a TCP connection: 10 segments of 1,460 bytes (RFC 6928), less TLS records.
FIRST_FLIGHT_BYTES = 14_600 - 200
FORM_BYTES = 6_000


def ct_slice(u: float = 0.45, number: int = 1, **changes: Any) -> bytes:
    """A CT slice with so much noise that its base picture takes the bytes it may and is not good enough alone."""
    noise = np.random.default_rng(number).normal(0, 35, (512, 512))
    pixels = (body_slice(u, 512) + noise).astype("<i2")
    return as_bytes(
        make_ct(
            **{
                "StudyInstanceUID": "1.2.99",
                "SeriesInstanceUID": "1.2.99.1",
                "InstanceNumber": number,
                "ImagePositionPatient": [0, 0, number],
                "Rows": 512,
                "Columns": 512,
                "BitsStored": 16,
                "HighBit": 15,
                "PixelRepresentation": 1,
                "RescaleIntercept": 0,
                "WindowCenter": 40,
                "WindowWidth": 300,
                "BodyPartExamined": "CHEST",
                "InstitutionName": "市第一医院",
                "PixelData": pixels.tobytes(),
                **changes,
            }
        )
    )


async def _wire(client: httpx.AsyncClient, method: str, url: str, **options: Any) -> tuple[httpx.Response, bytes]:
    """(response, body bytes as they came, still compressed)."""
    request = client.build_request(method, url, headers={"Accept-Encoding": "gzip", "Accept": "text/html"}, **options)
    response = await client.send(request, stream=True)
    try:
        return response, b"".join([chunk async for chunk in response.aiter_raw()])
    finally:
        await response.aclose()


def bytes_until(packed: bytes, mark: str) -> int:
    """How many compressed bytes must have come before ``mark`` can be read."""
    engine = zlib.decompressobj(31)
    text = b""
    for position in range(0, len(packed), 64):
        text += engine.decompress(packed[position : position + 64])
        if mark.encode() in text:
            return position + 64
    raise AssertionError(f"{mark} never comes")


def _header_bytes(response: httpx.Response) -> int:
    return sum(len(name) + len(value) + 4 for name, value in response.headers.raw) + 20


def _pictures(html: str) -> list[tuple[int, int]]:
    found = re.findall(r'<img id="(?:base|refined)"[^>]* src="data:image/webp;base64,([^"]+)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(data))).size for data in found]


async def test_the_code_is_answered_by_one_response_with_the_picture_in_its_first_flight(
    rendering_web: Web, institution: int
) -> None:
    web = rendering_web
    stored = await web.store(institution, ct_slice())
    share = await web.share(institution, stored.study_key)
    async with web.anonymous() as client:
        response, packed = await _wire(client, "POST", f"/s/{share.token}", data={"code": share.code})
        assert (response.status_code, response.headers["content-encoding"]) == (200, "gzip")
        html = zlib.decompress(packed, 31).decode()
        assert _pictures(html) == [(512, 512), (512, 512)]
        first = _header_bytes(response) + bytes_until(packed, '<img id="base"') + _base_length(packed)
        assert first <= FIRST_FLIGHT_BYTES
        assert html.index('id="refined"') < html.index("<script")
        assert len(packed) < 60_000
        assert len(packed) < len(html.encode()) * 0.8  # base64's third is taken back
        assert "img-src 'self' data:" in response.headers["content-security-policy"]
        cookie = response.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite" in cookie.replace("samesite", "SameSite")
        again, _ = await _wire(client, "GET", f"/s/{share.token}")
        assert again.headers["content-encoding"] == "gzip"
        other = await web.share(institution, stored.study_key)
        form, _ = await _wire(client, "GET", f"/s/{other.token}")
        assert "content-encoding" not in form.headers
    actions = [
        row["action"]
        for row in await web.database.fetch(institution, "select action from audit.entry order by entry_id")
    ]
    assert actions == ["share.create", "share.open", "series.view", "series.view", "share.create"]


def _base_length(packed: bytes) -> int:
    """Compressed bytes from the base picture's tag to its end (the head is flushed on its own)."""
    engine = zlib.decompressobj(31)
    text, start = b"", -1
    for position in range(0, len(packed), 64):
        text += engine.decompress(packed[position : position + 64])
        begun = text.find(b'<img id="base"')
        if begun >= 0 and start < 0:
            start = position + 64
        if begun >= 0 and text.find(b">", begun) > 0:
            return position + 64 - start
    raise AssertionError("the base picture never ends")


async def test_a_hiding_share_carries_no_name_number_date_or_uid(rendering_web: Web, institution: int) -> None:
    web = rendering_web
    stored = await web.store(institution, ct_slice(SeriesDescription="王小明 平扫"))
    share = await web.share(institution, stored.study_key)
    shown = await web.share(institution, stored.study_key, hide_identity=False)
    async with web.anonymous() as client:
        hidden = await client.post(f"/s/{share.token}", data={"code": share.code})
        for word in (
            "王",
            "小明",
            "P001",
            'A1"',
            "20240229",
            "2024",
            "1970",
            "胸部",
            "第一医院",
            "1.2.99",
            stored.sop_instance_uid,
        ):
            assert word not in hidden.text, word
        assert "手机显示仅供参考，诊断以医院正式报告为准" in hidden.text
        assert "CT CHEST" in hidden.text
    async with web.anonymous() as client:
        open_page = await client.post(f"/s/{shown.token}", data={"code": shown.code})
        assert "小明" in open_page.text


async def test_staff_get_the_picture_page_without_a_code(
    rendering_web: Web, institution: int, second_institution: int
) -> None:
    web = rendering_web
    stored = await web.store(institution, ct_slice())
    async with await web.client(institution, "doctor") as client:
        response, packed = await _wire(client, "GET", f"/viewer/{stored.study_key}")
        assert response.status_code == 200
        html = zlib.decompress(packed, 31).decode()
        assert _pictures(html) == [(512, 512), (512, 512)]
        assert "小明" in html
        assert (await client.get("/viewer/999999")).status_code == 404
    async with await web.client(second_institution, "doctor") as client:
        assert (await client.get(f"/viewer/{stored.study_key}")).status_code == 404
    async with web.anonymous() as client:
        assert (await client.get(f"/viewer/{stored.study_key}")).status_code == 401


async def test_a_share_opens_its_study_and_nothing_else(rendering_web: Web, institution: int) -> None:
    web = rendering_web
    stored = await web.store(institution, ct_slice())
    other = await web.store(institution, as_bytes(make_ct(PixelData=np.zeros(64, "<u2").tobytes())))
    share = await web.share(institution, stored.study_key)
    async with web.anonymous() as client:
        assert (await client.post(f"/s/{share.token}", data={"code": share.code})).status_code == 200
        assert (await client.get(f"/api/studies/{stored.study_key}/series")).status_code == 200
        assert (await client.get(f"/api/studies/{other.study_key}/series")).status_code == 404
        assert (await client.get(f"/viewer/{other.study_key}")).status_code == 404
        for path in ("/api/studies", "/dicom-web/studies", f"/api/studies/{stored.study_key}"):
            assert (await client.get(path)).status_code == 403, path


async def test_a_study_without_pictures_says_so_and_the_form_is_small(web: Web, institution: int) -> None:
    ds = make_ct(PixelData=None, Rows=None, Columns=None)
    stored = await web.store(institution, as_bytes(ds))
    share = await web.share(institution, stored.study_key)
    async with web.anonymous() as client:
        form = await client.get(f"/s/{share.token}")
        assert len(form.content) < FORM_BYTES
        english = await client.get(f"/s/{share.token}?lang=en")
        assert "Enter the 6-digit code" in english.text
        assert '<html lang="en"' in english.text
        answer = await client.post(f"/s/{share.token}", params={"lang": "zh"}, data={"code": share.code})
        assert "影像可能正在上传" in answer.text
