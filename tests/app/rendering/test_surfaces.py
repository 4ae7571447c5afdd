"""Surfaces are made by a child of bounded time, one at a time, a few waiting."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from app.rendering.errors import RemoteError, SurfaceBusyError, SurfaceTimeoutError
from app.rendering.surfaces import SurfaceMaker
from render.surface import SurfaceRequest
from render.surface_files import GLB, STL
from render.volume import Volume
from tests.support.surface_files import read_glb, read_stl


def box() -> Volume:
    """20 x 20 x 20 voxels of 2 mm, 10 of them inside each way: a cube of 20 mm but for its half voxels."""
    values = np.zeros((20, 20, 20), np.int16)
    values[5:15, 5:15, 5:15] = 1000
    return Volume(values, np.diag([2.0, 2.0, 2.0, 1.0]))


async def test_a_child_makes_both_files() -> None:
    maker = SurfaceMaker()
    told, stl = await maker.make(box(), SurfaceRequest(500.0), STL)
    assert told["volume_mm3"] == pytest.approx(8000, rel=0.06)  # its edges are cut
    assert told["triangles"] == len(read_stl(stl).triangles) and read_stl(stl).is_closed
    told, glb = await maker.make(box(), SurfaceRequest(500.0, 1000), GLB)
    mesh, document = read_glb(glb)
    assert told["triangles"] == len(mesh.triangles) <= 1000
    assert document["asset"]["extras"]["level"] == 500.0


async def test_errors_of_the_child_keep_their_code() -> None:
    with pytest.raises(RemoteError) as told:
        await SurfaceMaker().make(box(), SurfaceRequest(5000.0), STL)
    assert told.value.code == "surface.empty"


async def test_a_slow_surface_is_ended() -> None:
    with pytest.raises(SurfaceTimeoutError):
        await SurfaceMaker(timeout_s=0.01).make(box(), SurfaceRequest(500.0), STL)


async def test_few_may_wait() -> None:
    maker = SurfaceMaker(timeout_s=0.01)
    wishes = [asyncio.create_task(maker.make(box(), SurfaceRequest(500.0), STL)) for _ in range(6)]
    results = await asyncio.gather(*wishes, return_exceptions=True)
    assert [type(result) for result in results[:4]] == [SurfaceTimeoutError] * 4
    assert [type(result) for result in results[4:]] == [SurfaceBusyError] * 2
