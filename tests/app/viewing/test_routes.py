"""Manifests, single pictures and thumbnails over plain HTTP."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from PIL import Image

from tests.support.house import House
from tests.support.series import ct_series

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def browser(house: House, cookie: str = "") -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Cookie": cookie} if cookie else {}
    async with httpx.AsyncClient(base_url=house.http, headers=headers, timeout=30) as client:
        yield client


async def test_a_picture_has_an_etag_and_stays_private(house: House) -> None:
    study, series = await house.store(*ct_series(3))
    async with browser(house, await house.staff()) as client:
        address = f"/api/series/{series}/frames/1/picture?width=40&height=30"
        answer = await client.get(address, headers={"Accept": "image/webp"})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/webp"
        assert "private" in answer.headers["cache-control"]
        assert Image.open(io.BytesIO(answer.content)).size == (30, 30)
        again = await client.get(address, headers={"Accept": "image/webp", "If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        entries = await house.services.database.fetch(
            house.institution, "select quality, frame_count from audit.entry where study_key = $1", study
        )
        assert [(row["quality"], row["frame_count"]) for row in entries] == [("refined", 1)] * 2


async def test_pictures_need_a_right_and_say_nothing_about_others(house: House) -> None:
    mine, _ = await house.store(*ct_series(1))
    _, other = await house.store(*ct_series(1))
    cookie, _ = await house.share(mine)
    places = ("manifest", "thumbnail", "frames/0/picture?width=9&height=9")
    async with browser(house) as client:
        for place in places:
            assert (await client.get(f"/api/series/{other}/{place}")).status_code == 401
    async with browser(house, cookie) as client:
        for place in places:
            found = [(await client.get(f"/api/series/{key}/{place}")) for key in (other, 987_654)]
            assert [answer.status_code for answer in found] == [404, 404]
            assert found[0].json()["code"] == found[1].json()["code"] == "viewing.not_found"
        assert (await client.get(f"/api/studies/{mine}/series")).status_code == 200


async def test_bad_requests_are_told(house: House) -> None:
    _, series = await house.store(*ct_series(1))
    async with browser(house, await house.staff()) as client:
        for place in ("frames/0/picture", "frames/x/picture?width=9&height=9", "frames/0/picture?width=9999&height=9"):
            answer = await client.get(f"/api/series/{series}/{place}")
            assert answer.status_code in {400, 422}, place
            assert set(answer.json()["message"]) == {"zh", "en"}
        answer = await client.get(f"/api/series/{series}/frames/7/picture?width=9&height=9")
        assert (answer.status_code, answer.json()["code"]) == (404, "viewing.not_found")


async def test_thumbnails_are_small_and_kept(house: House) -> None:
    study, series = await house.store(*ct_series(3, 256))
    async with browser(house, await house.staff()) as client:
        for _ in range(2):
            answer = await client.get(f"/api/series/{series}/thumbnail")
            assert Image.open(io.BytesIO(answer.content)).size == (140, 140)
    rows = await house.services.database.fetch(
        house.institution, "select kind, frame_index from viewing.prepared_picture where series_key = $1", series
    )
    assert [(row["kind"], row["frame_index"]) for row in rows] == [("thumbnail", 1)]
    assert study
