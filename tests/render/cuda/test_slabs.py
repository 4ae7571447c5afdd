"""Slabs on a device: launches against the recording stand-in; their CUDA source, run here, equals the native one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from render.backend import DisplayTable
from render.cuda.device import Device
from render.cuda.slabs import CudaSlabs
from render.native.pool import CancelledPictureError
from render.native.slab import KINDS, NativeSlabs, SlabPlan
from render.request import SlabView
from render.slab import render_slab
from render.volume import Volume
from tests.support.cuda_host_build import execute
from tests.support.cuda_stand_in import StandInCupy

TABLE = DisplayTable((np.arange(4096) % 251).astype(np.uint8), -1024.0, 1.0)


def volume_of(dtype: Any, shape: tuple[int, int, int] = (19, 26, 33)) -> Volume:
    rng = np.random.default_rng(int(np.prod(shape)))
    low, high = (0, 4000) if dtype == np.uint16 else (-1024, 3000)
    values = rng.integers(low, high, shape).astype(dtype)
    if dtype == np.float32:
        values[0, 0, 0] = values[9, 9, 9] = np.nan
    return Volume(np.ascontiguousarray(values), np.eye(4))


def plan_of(kind: str = "maximum", samples: int = 30, cubic: bool = False, **more: Any) -> SlabPlan:
    turned, _ = np.linalg.qr(np.random.default_rng(8).normal(size=(3, 3)))
    across, down, through = (tuple(float(n) for n in axis * 0.9) for axis in turned)
    middle = np.array([16.0, 12.5, 9.0])
    begin = middle - 20 * np.array(across) - 18 * np.array(down) - samples / 2 * np.array(through)
    origin = (float(begin[0]), float(begin[1]), float(begin[2]))
    return SlabPlan(origin, across, down, through, 41, 37, samples, kind, cubic, **more)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("samples", "cubic"), [(1, False), (30, False), (3, True)])
def test_the_cuda_source_gives_the_native_picture(dtype: Any, kind: str, samples: int, cubic: bool) -> None:
    volume, plan = volume_of(dtype), plan_of(kind, samples, cubic)
    made = CudaSlabs(Device(StandInCupy(execute=execute))).slab(volume, plan, TABLE, outside=7, values=True)
    expected = NativeSlabs(1).slab(volume, plan, TABLE, outside=7, values=True)
    np.testing.assert_array_equal(made.values, expected.values)
    np.testing.assert_array_equal(made.picture, expected.picture)
    assert (made.backend, expected.backend) == ("cuda", "native")


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(17, 9, 8), (8, 16, 25), (1, 1, 1), (2, 30, 7)])
def test_cells_are_the_native_ones(dtype: Any, shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(3)
    values = np.ascontiguousarray(rng.integers(0, 3000, shape).astype(dtype))
    if dtype == np.float32:
        values[:1, :1, :1] = np.nan
    ours = CudaSlabs(Device(StandInCupy(execute=execute))).cells(Volume(values, np.eye(4)))
    expected = NativeSlabs(1).cells(Volume(values, np.eye(4)))
    np.testing.assert_array_equal(ours.low, expected.low)
    np.testing.assert_array_equal(ours.high, expected.high)


def test_one_launch_a_picture_and_one_upload_a_volume() -> None:
    cupy = StandInCupy()
    slabs, volume = CudaSlabs(Device(cupy)), volume_of(np.int16)
    for _ in range(3):
        slabs.slab(volume, plan_of(), TABLE)
    assert sum(copy.nbytes for copy in cupy.copies if copy.pinned) == volume.values.nbytes
    assert len(cupy.launched("cf_cell_bounds_i16")) == 1
    launches = cupy.launched("cf_slab_i16")
    assert [(launch.grid, launch.block) for launch in launches] == [((2, 5), (32, 8))] * 3
    assert cupy.launched("cf_cell_bounds_i16")[0].grid == (1, 1, 3)
    assert cupy.downloads == [41 * 37] * 3  # the picture alone


def test_planes_and_means_need_no_cells() -> None:
    cupy = StandInCupy()
    slabs, volume = CudaSlabs(Device(cupy)), volume_of(np.uint16)
    for plan in (plan_of("maximum", 1), plan_of("mean", 30), plan_of("maximum", 30, cubic=True)):
        slabs.slab(volume, plan, values=True)
    slabs.slab(volume, plan_of(), values=True, skip=False)
    assert not cupy.launched("cf_cell_bounds_u16")
    assert all(launch.arguments[2].tobytes() == bytes(32) for launch in cupy.launched("cf_slab_u16"))


def test_a_picture_that_nobody_wants_is_not_launched() -> None:
    cupy = StandInCupy()
    with pytest.raises(CancelledPictureError):
        CudaSlabs(Device(cupy)).slab(volume_of(np.int16), plan_of(), TABLE, cancelled=lambda: True)
    assert not cupy.launched("cf_slab_i16")


def test_a_view_is_the_same_picture_and_names_its_backend() -> None:
    volume = volume_of(np.int16)
    view = SlabView(50, 40, (0.8, 0.36, 0.48), (-0.6, 0.48, 0.64), None, 0.9, 25.0, "maximum")
    ours = render_slab(volume, view, CudaSlabs(Device(StandInCupy(execute=execute))))
    expected = render_slab(volume, view, NativeSlabs(1))
    np.testing.assert_array_equal(ours.pixels, expected.pixels)
    assert (ours.backend, expected.backend) == ("cuda", "native")
