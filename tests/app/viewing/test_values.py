"""Exact values over HTTP, made on demand and by the worker's job; who may have them and what is written down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

import httpx
import imagecodecs
import numpy as np
import pytest
from pydicom.uid import UID

from app.rendering.decode_pool import DecodePool
from app.viewing import values_job
from app.viewing.values_job import code_series, enqueue_values
from app.viewing.worker import run_job
from tests.support.house import House
from tests.support.series import JPEG_LS, ct_series, values_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

HTJ2K_LOSSLESS = UID("1.2.840.10008.1.2.4.201")


@asynccontextmanager
async def browser(house: House, cookie: str = "") -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Cookie": cookie} if cookie else {}
    async with httpx.AsyncClient(base_url=house.http, headers=headers, timeout=60) as client:
        yield client


@asynccontextmanager
async def decoders() -> AsyncIterator[DecodePool]:
    pool = DecodePool(2, 20.0, 2048, "")
    try:
        yield pool
    finally:
        await pool.close()


def hash_of(index: int, side: int) -> str:
    return sha256(values_of(index, side).tobytes()).hexdigest()


async def rows_of(house: House, series: int) -> list[dict[str, Any]]:
    rows = await house.services.database.fetch(
        house.institution,
        "select v.* from viewing.frame_values v join archive.instance using (instance_key) where series_key = $1"
        " order by instance_key",
        series,
    )
    return [dict(row) for row in rows]


async def test_values_come_raw_packed_and_coded_under_the_hash_of_the_manifest(house: House) -> None:
    study, series = await house.store(*ct_series(3, 64))
    async with browser(house, await house.staff()) as client:
        told = (await client.get(f"/api/series/{series}/values")).raise_for_status().json()
        assert [frame["sha256"] for frame in told["frames"]] == [hash_of(i, 64) for i in range(3)]
        first = told["frames"][0]
        assert (first["dtype"], first["shape"], first["fidelity"], first["unit"]) == ("u16", [64, 64], "stored", "HU")
        assert first["windows"] == [[176.0, 2400.0]]
        address = f"/api/series/{series}/frames/1/values"
        plain = await client.get(address, params={"coding": "raw", "packed": "0"})
        assert plain.content == values_of(1, 64).tobytes()
        assert "content-encoding" not in plain.headers
        zipped = await client.get(address, params={"coding": "raw"}, headers={"Accept-Encoding": "gzip"})
        assert zipped.content == plain.content
        assert zipped.headers["content-encoding"] == "gzip"
        coded = await client.get(address)
        assert coded.headers["content-type"] == "image/jphc"
        assert np.array_equal(imagecodecs.htj2k_decode(coded.content), values_of(1, 64))
        for answer in (plain, zipped, coded):
            assert answer.headers["x-values-sha256"] == hash_of(1, 64)
            assert "private" in answer.headers["cache-control"]
            assert answer.headers["x-series-version"] == str(told["version"])
        again = await client.get(address, headers={"If-None-Match": coded.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    entries = await house.services.database.fetch(
        house.institution, "select quality, frame_count from audit.entry where study_key = $1", study
    )
    assert [(row["quality"], row["frame_count"]) for row in entries] == [("diagnostic", 3)]


async def test_values_need_a_right_and_say_nothing_about_others(house: House) -> None:
    mine, own = await house.store(*ct_series(1))
    _, other = await house.store(*ct_series(1))
    cookie, _ = await house.share(mine)
    places = ("values", "frames/0/values", "frames/0/values?coding=raw")
    async with browser(house) as client:
        for place in places:
            assert (await client.get(f"/api/series/{own}/{place}")).status_code == 401
    async with browser(house, cookie) as client:
        for place in places:
            assert (await client.get(f"/api/series/{own}/{place}")).status_code == 200
            found = [(await client.get(f"/api/series/{key}/{place}")) for key in (other, 987_654)]
            assert [answer.status_code for answer in found] == [404, 404]
            assert found[0].json()["code"] == found[1].json()["code"] == "viewing.not_found"


async def test_bad_requests_are_told(house: House) -> None:
    _, series = await house.store(*ct_series(1))
    places = {
        "values?first=x": 400,
        "values?count=-1": 400,
        "values?first=1": 404,
        "frames/1/values": 404,
        "frames/0/values?coding=png": 400,
        "frames/x/values": 400,
    }
    async with browser(house, await house.staff()) as client:
        for place, status in places.items():
            answer = await client.get(f"/api/series/{series}/{place}")
            assert answer.status_code == status, place
            assert set(answer.json()["message"]) == {"zh", "en"}


async def test_a_broken_frame_costs_only_itself(house: House) -> None:
    _, series = await house.store(*ct_series(3, frames={1: b"no frame at all"}))
    async with browser(house, await house.staff()) as client:
        told = (await client.get(f"/api/series/{series}/values")).json()["frames"]
        assert [frame.get("sha256") for frame in told] == [hash_of(0, 32), None, hash_of(2, 32)]
        assert told[1]["problem"].startswith("codec.")
        answer = await client.get(f"/api/series/{series}/frames/1/values")
        assert answer.status_code == 422
        assert answer.json()["code"].startswith("codec.")
    async with decoders() as pool:
        assert await code_series(house.services, pool, house.institution, series)
    assert [row["frames"][0] and row["frames"][0][0] for row in await rows_of(house, series)] == [
        hash_of(0, 32),
        None,
        hash_of(2, 32),
    ]


async def test_the_job_codes_once_and_the_route_gives_what_it_made(house: House) -> None:
    _, series = await house.store(*ct_series(3, 64, syntax=JPEG_LS))
    async with decoders() as pool:
        await enqueue_values(house.services, house.institution, series)
        await enqueue_values(house.services, house.institution, series)  # one waits already
        job = await house.services.queue.claim([values_job.VALUES], "test", 30.0)
        assert job is not None
        assert await run_job(house.services, pool, job)
        assert await house.services.queue.complete(job)
        assert await house.services.queue.claim([values_job.VALUES], "test", 30.0) is None
    rows = await rows_of(house, series)
    assert [row["frames"][0][0] for row in rows] == [hash_of(i, 64) for i in range(3)]
    assert {(row["dtype"], tuple(row["shape"])) for row in rows} == {("u16", (64, 64))}
    _, offset, length, *ends = rows[1]["frames"][0]
    made = house.services.objects.read_range(rows[1]["object_key"], offset, length)
    assert len(ends) == 6
    async with browser(house, await house.staff()) as client:
        told = (await client.get(f"/api/series/{series}/values?first=1&count=1")).json()["frames"]
        assert (told[0]["bytes"], told[0]["ends"]) == (length, ends)
        assert (await client.get(f"/api/series/{series}/frames/1/values")).content == made
        house.services.objects.delete(rows[1]["object_key"])
        again = (await client.get(f"/api/series/{series}/frames/1/values")).content
        assert np.array_equal(imagecodecs.htj2k_decode(again), values_of(1, 64))


async def test_a_job_out_of_time_goes_on_behind_the_others(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _, series = await house.store(*ct_series(2, 16))
    async with decoders() as pool:
        monkeypatch.setattr(values_job, "_TURN_S", -1.0)
        await enqueue_values(house.services, house.institution, series)
        job = await house.services.queue.claim([values_job.VALUES], "test", 30.0)
        assert job is not None
        assert await run_job(house.services, pool, job)
        assert await rows_of(house, series) == []
        await house.services.queue.complete(job)
        monkeypatch.setattr(values_job, "_TURN_S", 30.0)
        following = await house.services.queue.claim([values_job.VALUES], "test", 30.0)
        assert following is not None
        assert await run_job(house.services, pool, following)
        await house.services.queue.complete(following)
    assert len(await rows_of(house, series)) == 2


async def test_what_is_stored_as_htj2k_is_passed_through(house: House) -> None:
    stored = bytes(imagecodecs.htj2k_encode(values_of(0, 64), reversible=True))
    _, series = await house.store(*ct_series(1, 64, syntax=HTJ2K_LOSSLESS, frames={0: stored}))
    async with decoders() as pool:
        assert await code_series(house.services, pool, house.institution, series)
    [row] = await rows_of(house, series)
    assert not row["object_key"].startswith("derived/")
    async with browser(house, await house.staff()) as client:
        assert (await client.get(f"/api/series/{series}/frames/0/values")).content == stored


async def test_floats_go_raw(house: House) -> None:
    values = np.linspace(-1, 1, 16 * 16, dtype=np.float32)
    floats: dict[str, Any] = {"PixelData": None, "FloatPixelData": values.tobytes(), "BitsAllocated": 32}
    files = ct_series(1, 16, **floats, BitsStored=None, HighBit=None, PixelRepresentation=None)
    _, series = await house.store(*files)
    async with browser(house, await house.staff()) as client:
        told = (await client.get(f"/api/series/{series}/values")).json()["frames"][0]
        assert (told["dtype"], told["htj2k"]) == ("f32", False)
        answer = await client.get(f"/api/series/{series}/frames/0/values")
        assert (answer.status_code, answer.json()["code"]) == (422, "values.not_codable")
        raw = await client.get(f"/api/series/{series}/frames/0/values?coding=raw")
        assert raw.content == values.tobytes()
        assert sha256(raw.content).hexdigest() == told["sha256"]
