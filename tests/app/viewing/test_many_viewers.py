"""Three hundred viewers over more pixels than fit: all get pictures, the memory budgets hold, nobody is passed over."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from dicomnet.embedded_postgres import EmbeddedPostgres
from tests.support.house import House, Viewer, fresh_settings, house_of_processes
from tests.support.series import ct_series

pytestmark = pytest.mark.asyncio(loop_scope="module")
VIEWERS, SERIES, SLICES, SIDE, AT_ONCE = 300, 10, 8, 192, 20
_BUDGETS_MB = {"render_memory_mb": 2, "volume_memory_mb": 2}


async def test_the_budgets_hold_under_three_hundred_viewers(postgres: EmbeddedPostgres, template: str) -> None:
    async with (
        fresh_settings(postgres, template, **_BUDGETS_MB) as settings,
        house_of_processes(settings) as (house, _),
    ):
        series = [await house.store(*ct_series(SLICES, SIDE)) for _ in range(SERIES)]
        cookie = await house.staff()
        done = asyncio.Event()
        watching = asyncio.create_task(_most_used(house, done))
        async with AsyncExitStack() as stack:
            viewers = await _opened(house, cookie, series, stack)
            pictures = await asyncio.gather(
                *(_look(viewer, series[number % SERIES][1], number) for number, viewer in enumerate(viewers))
            )
            done.set()
            frames, volumes = await watching
        health = await house.services.render.health(30.0)
    assert all(found == [True, True, True] for found in pictures), "every viewer has every picture"
    assert 0 < frames <= _BUDGETS_MB["render_memory_mb"] << 20 == health["budget_bytes"]
    assert 0 < volumes <= _BUDGETS_MB["volume_memory_mb"] << 20 == health["volume_budget_bytes"]
    assert health["evicted"] > 0 and health["volume_evicted"] > 0, "there was more than the budgets hold"


async def _opened(house: House, cookie: str, series: list[tuple[int, int]], stack: AsyncExitStack) -> list[Viewer]:
    """Each viewer with its study open, twenty at a time."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> Viewer:
        async with slots:
            viewer = Viewer(await stack.enter_async_context(house.dial(cookie, open_timeout=60)))
            await viewer.hello()
            await viewer.open(series[number % SERIES][0])
            return viewer

    return await asyncio.gather(*(one(number) for number in range(VIEWERS)))


async def _look(viewer: Viewer, series_key: int, number: int) -> list[bool]:
    """Two frames and a plane of the volume, one after the other; whether each was the picture asked for."""
    wishes: list[dict[str, Any]] = [
        {"frame": number % SLICES},
        {"frame": (number // SERIES + 3) % SLICES},
        {"kind": "slab", "plane": "coronal"},
    ]
    found: list[bool] = []
    for generation, wish in enumerate(wishes, 1):
        await viewer.view(series_key, generation, answer="preview", **wish)
        header, data = await viewer.picture(60.0)
        found.append(header["generation"] == generation and header["series"] == series_key and len(data) > 0)
    return found


async def _most_used(house: House, done: asyncio.Event) -> tuple[int, int]:
    """The most bytes of frames and of volumes that were kept at any look."""
    frames = volumes = 0
    while not done.is_set():
        health = await house.services.render.health(60.0)
        frames, volumes = max(frames, health["used_bytes"]), max(volumes, health["volume_used_bytes"])
        await asyncio.sleep(0.02)
    return frames, volumes
