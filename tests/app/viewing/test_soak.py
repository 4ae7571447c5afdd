"""Fifty sockets at once: every view is answered, and memory stays where it is.

`make soak` asks 100,000 times; a share of it runs with every test.
"""

from __future__ import annotations

import asyncio
import os

import numpy as np
import psutil
import pytest

from tests.support.house import House
from tests.support.series import ct_series
from tests.support.soak import Soak

pytestmark = pytest.mark.asyncio(loop_scope="module")
FULL = 100_000
REQUESTS = int(os.environ.get("CLOUDFILM_SOAK_REQUESTS", "4000"))


async def test_fifty_sockets_of_mixed_requests(house: House) -> None:
    small_study, small = await house.store(*ct_series(24, 128))
    broken_study, broken = await house.store(*ct_series(6, 64, frames={3: b"no frame at all"}))
    values = np.add.outer(np.arange(1600), np.arange(1600)).astype(np.uint16)
    large_study, large = await house.store(*ct_series(1, Rows=1600, Columns=1600, PixelData=values.tobytes()))
    render = house.render.process
    assert render is not None
    soak = Soak(
        house,
        await house.staff(),
        [(small_study, small, 24, False), (broken_study, broken, 6, False), (large_study, large, 1, True)],
        REQUESTS,
        [psutil.Process(), psutil.Process(render.pid)],
    )
    await soak.run(50)
    print(f"soak: {soak.asked} asked, {soak.pictures} pictures, {soak.errors} errors, {soak.lines} lines")
    assert soak.asked >= REQUESTS
    assert soak.pictures > REQUESTS // 8
    assert soak.errors > 0
    health = await house.services.render.health()
    for _ in range(500):  # sockets that were dropped leave nothing behind
        if health["waiting"] == 0:
            break
        await asyncio.sleep(0.01)
        health = await house.services.render.health()
    assert health["waiting"] == 0
    growths: list[float] = []
    for number, name in enumerate(("web and clients", "render")):
        growths.append(soak.growth_mb(number))
        print(f"soak: {name} grows {growths[-1]:.2f} MB per 10,000 requests, {soak.memory_mb[-1][1][number]:.0f} MB")
    for number, growth in enumerate(growths):
        if REQUESTS >= FULL:
            assert growth < 1.0
        else:  # caches still fill: a leak of a picture per request would be seen
            assert soak.memory_mb[-1][1][number] - soak.memory_mb[len(soak.memory_mb) // 3][1][number] < 40
