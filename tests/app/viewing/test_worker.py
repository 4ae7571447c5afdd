"""The worker role as a process: trial decodes, first pictures and thumbnails; hurt frames and kill -9."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from app.rendering.decode_pool import DecodePool
from app.viewing import worker
from dicomnet.embedded_postgres import EmbeddedPostgres
from tests.support.hostile_decoders import CRASH, SLEEP
from tests.support.house import House, Role, fresh_settings, running_house
from tests.support.series import JPEG_LS, ct_series

PLUGINS = "tests.support.hostile_decoders:decoders"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[House]:
    """With decoders that hang and crash, and half a second's patience."""
    async with (
        fresh_settings(postgres, template, decoder_plugins=PLUGINS, decode_timeout_s=1.0) as settings,
        running_house(settings) as house,
    ):
        yield house


@asynccontextmanager
async def working(house: House) -> AsyncIterator[Role]:
    role = Role(house.settings, "worker")
    await role.start()
    try:
        yield role
    finally:
        await role.stop()


async def _trials(house: House, series_key: int) -> list[str]:
    rows = await house.services.database.fetch(
        house.institution,
        "select frame_trial from archive.instance where series_key = $1 order by instance_key",
        series_key,
    )
    return [row["frame_trial"] for row in rows]


async def _kinds(house: House, series_key: int) -> list[tuple[str, int]]:
    rows = await house.services.database.fetch(
        house.institution,
        "select kind, series_version from viewing.prepared_picture where series_key = $1 order by kind",
        series_key,
    )
    return [(row["kind"], row["series_version"]) for row in rows]


@asynccontextmanager
async def changed(house: House, study_key: int) -> AsyncIterator[Any]:
    """Yields a wait for the worker's word that the study was prepared."""
    async with house.services.bus.subscribe(f"study:{study_key}:changed") as queue:
        yield lambda: asyncio.wait_for(queue.get(), 60)


@pytest.mark.asyncio(loop_scope="module")
async def test_what_arrived_is_tried_and_prepared(house: House) -> None:
    files = ct_series(6, 64, syntax=JPEG_LS)
    study, series = await house.store(*files[:3])
    async with working(house), changed(house, study) as prepared:
        for data in files[3:]:
            await house.store(data)
        await prepared()
        assert await _trials(house, series) == ["passed"] * 6
        kinds = await _kinds(house, series)
        assert {kind for kind, _ in kinds} >= {"base", "thumbnail"}
        assert len({version for _, version in kinds}) == 1
        left = await house.services.database.fetchval(
            house.institution, "select count(*) from queue.job where state = 'dead'"
        )
        assert left == 0


@pytest.mark.asyncio(loop_scope="module")
async def test_hurt_frames_are_noted_and_others_prepared_meanwhile(house: House) -> None:
    async with working(house):
        bad_study, bad = await house.store(*ct_series(4, frames={0: SLEEP, 1: CRASH, 2: b"no frame at all"}))
        good_study, good = await house.store(*ct_series(2, 64))
        async with changed(house, bad_study) as hurt, changed(house, good_study) as prepared:
            await prepared()
            assert await _trials(house, good) == ["passed"] * 2
            await hurt()
        assert await _trials(house, bad) == ["failed", "failed", "failed", "passed"]
        rows = await house.services.database.fetch(
            house.institution,
            "select frame_faults from archive.instance where series_key = $1 order by instance_key",
            bad,
        )
        assert [row["frame_faults"] for row in rows] == [{"0": "codec.timeout"}, {"0": "codec.crashed"}, {}, {}]
        assert {kind for kind, _ in await _kinds(house, bad)} >= {"base", "thumbnail"}


@pytest.mark.asyncio(loop_scope="module")
async def test_killed_in_the_middle_another_goes_on(house: House) -> None:
    study, series = await house.store(*ct_series(40, 512, syntax=JPEG_LS))
    async with changed(house, study) as prepared:
        role = Role(house.settings, "worker")
        await role.start()
        while (await _state(house, series)) != "running":
            await asyncio.sleep(0.01)
        await role.kill()
        assert "pending" in await _trials(house, series)
        async with working(house):
            await prepared()
            assert await _trials(house, series) == ["passed"] * 40
            assert {kind for kind, _ in await _kinds(house, series)} >= {"base", "thumbnail"}


async def _state(house: House, series_key: int) -> str | None:
    return await house.services.database.fetchval(
        house.institution,
        "select state from queue.job where single_flight_key = $1 order by job_id desc limit 1",
        str(series_key),
    )


@pytest.mark.asyncio(loop_scope="module")
async def test_a_trial_out_of_time_goes_on_behind_the_others(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _, series = await house.store(*ct_series(3, 64, syntax=JPEG_LS))
    pool = DecodePool(2, 5.0, 2048, "")
    try:
        monkeypatch.setattr(worker, "_TRIAL_S", -1.0)
        assert not await worker.try_frames(house.services, pool, house.institution, series)
        assert await _trials(house, series) == ["failed", "pending", "pending"]
        monkeypatch.setattr(worker, "_TRIAL_S", 30.0)
        assert await worker.try_frames(house.services, pool, house.institution, series)
        assert await _trials(house, series) == ["failed", "passed", "passed"]
        assert await worker.try_frames(house.services, pool, house.institution, series)
    finally:
        await pool.close()
