"""Fifty sockets at once: every view is answered, and memory stays where it is.

`make soak` asks 100,000 times; a share of it, two minutes, runs with every test. Twenty series want more memory than the
small budgets hold. Web and render role are processes of their own, as on a real machine: what is measured is theirs, not
the clients'.
"""

from __future__ import annotations

import asyncio
import math
import os
from contextlib import suppress
from typing import Any

import numpy as np
import psutil
import pytest

from dicomnet.embedded_postgres import EmbeddedPostgres
from tests.support.house import House, fresh_settings, house_of_processes
from tests.support.series import ct_series
from tests.support.soak import Soak, SoakSeries

pytestmark = pytest.mark.asyncio(loop_scope="module")
FULL = 100_000
REQUESTS = int(os.environ.get("CLOUDFILM_SOAK_REQUESTS", "0"))
SHARE_S = 120.0
# Of the share alone: in two minutes a slow machine asks too little to tell a step of the C library from growth.
MOST_NOISE_MB = 2.0
_VOLUMES = 17
_BUDGETS_MB = {"render_memory_mb": 8, "volume_memory_mb": 2}


@pytest.mark.timeout(7200 if REQUESTS else 600)
async def test_fifty_sockets_of_mixed_requests_over_twenty_series(postgres: EmbeddedPostgres, template: str) -> None:
    async with (
        fresh_settings(postgres, template, **_BUDGETS_MB) as settings,
        house_of_processes(settings) as (house, web),
    ):
        processes = {"web": psutil.Process(web.pid), "render": psutil.Process(house.render.pid)}
        cookie, series = await house.staff(), await _stored(house)
        if REQUESTS:
            soak = Soak(house, cookie, series, REQUESTS, math.inf, max(1, REQUESTS // 40), processes)
        else:
            soak = Soak(house, cookie, series, math.inf, SHARE_S, 500, processes)
        watching = asyncio.create_task(_watch_budgets(house))
        try:
            await soak.run(50)
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        health = await _rested(house)
    _print(soak, health)
    assert soak.asked >= max(REQUESTS, 2000)
    assert soak.pictures > soak.asked // 8
    assert soak.volume_pictures > soak.asked // 50
    assert soak.errors > 0
    assert health["evicted"] > _VOLUMES and health["volume_evicted"] > _VOLUMES, "the budgets were never full"
    for name in processes:
        growth_mb, noise_mb = soak.growth_mb(name)
        assert growth_mb < 1.0 + (0.0 if REQUESTS >= FULL else min(noise_mb, MOST_NOISE_MB))


async def _stored(house: House) -> list[SoakSeries]:
    """Seventeen small volumes, a series with a broken frame, a large picture, and one that is opened by few."""
    mix: list[SoakSeries] = []
    for number in range(_VOLUMES):
        count, side = (24, 96) if number % 2 else (20, 64)
        mix.append(SoakSeries(*await house.store(*ct_series(count, side)), count, volume=True))
    broken = await house.store(*ct_series(6, 64, frames={3: b"no frame at all"}))
    values = np.add.outer(np.arange(1600), np.arange(1600)).astype(np.uint16)
    large = await house.store(*ct_series(1, Rows=1600, Columns=1600, PixelData=values.tobytes()))
    small = await house.store(*ct_series(2, 32))
    return [
        *mix,
        SoakSeries(*broken, 6, volume=True),
        SoakSeries(*large, 1, large=True),
        SoakSeries(*small, 2, volume=True),
    ]


async def _watch_budgets(house: House) -> None:
    """Until it is cancelled. Raises AssertionError when more is kept than the budgets allow."""
    while True:
        health = await house.services.render.health(30.0)
        assert health["used_bytes"] <= health["budget_bytes"] == _BUDGETS_MB["render_memory_mb"] << 20
        assert health["volume_used_bytes"] <= health["volume_budget_bytes"] == _BUDGETS_MB["volume_memory_mb"] << 20
        await asyncio.sleep(0.2)


async def _rested(house: House) -> dict[str, Any]:
    """Sockets that were dropped leave nothing behind: the queue is soon empty."""
    health = await house.services.render.health(30.0)
    for _ in range(3000):
        if health["waiting"] == 0:
            break
        await asyncio.sleep(0.01)
        health = await house.services.render.health(30.0)
    assert health["waiting"] == 0
    return health


def _print(soak: Soak, health: dict[str, Any]) -> None:
    print(
        f"soak: {soak.asked} asked, {soak.pictures} pictures ({soak.volume_pictures} of volumes), {soak.errors} errors, "
        f"{soak.lines} lines; {health['evicted']} frames and {health['volume_evicted']} volumes evicted"
    )
    for name in soak.processes:
        growth_mb, noise_mb = soak.growth_mb(name)
        print(f"soak: {name} grows {growth_mb:.2f} MB per 10,000 requests, noise bends this by {noise_mb:.2f} at most")
