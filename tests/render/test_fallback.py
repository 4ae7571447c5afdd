"""Device first, CPU where it cannot: shortage, failure, what the log says."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from render.backend import DisplayTable, NativeBackend
from render.camera import facing
from render.cuda.device import CudaBackend, Device
from render.cuda.rays import CudaRays
from render.cuda.slabs import CudaSlabs
from render.errors import DeviceFailedError, DeviceMemoryError
from render.fallback import DeviceGuard, GuardedBackend, GuardedSlabs
from render.filters import make_taps
from render.native.pool import CancelledPictureError
from render.native.slab import NativeSlabs
from render.raycast import VolumeRenderer
from render.request import SlabView
from render.slab import render_slab
from render.transfer import preset
from render.volume import Volume
from render.volume_view import VolumeView
from tests.support.cuda_stand_in import CUDARuntimeError, OutOfMemoryError, StandInCupy


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def volume() -> Volume:
    values = np.zeros((20, 24, 28), np.int16)
    values[6:14, 8:16, 9:20] = 700
    return Volume(values, np.eye(4))


def raising(error: Exception) -> Any:
    def work() -> str:
        raise error

    return work


def test_a_shortage_lets_the_device_rest_and_a_failure_ends_its_use() -> None:
    clock = Clock()
    guard = DeviceGuard(clock, rest_s=10.0)
    assert guard.run(lambda: "device", lambda: "host") == "device"
    assert guard.run(raising(DeviceMemoryError(what="allocation")), lambda: "host") == "host"
    assert guard.run(lambda: "device", lambda: "host") == "host"
    clock.now += 10.0
    assert guard.run(lambda: "device", lambda: "host") == "device"
    assert guard.run(raising(DeviceFailedError(what="cudaError 700")), lambda: "host") == "host"
    clock.now += 1e6
    assert guard.failed and guard.run(lambda: "device", lambda: "host") == "host"


def test_a_volume_beyond_the_budget_costs_others_nothing() -> None:
    guard = DeviceGuard(Clock())
    assert guard.run(raising(DeviceMemoryError(what="budget")), lambda: "host") == "host"
    assert guard.run(lambda: "device", lambda: "host") == "device"


def test_other_errors_pass() -> None:
    guard = DeviceGuard(Clock())
    with pytest.raises(CancelledPictureError):
        guard.run(raising(CancelledPictureError()), lambda: "host")
    assert guard.run(lambda: "device", lambda: "host") == "device"


def test_the_log_names_each_trouble_once_by_its_code(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    guard = DeviceGuard(clock, rest_s=1.0)
    with caplog.at_level(logging.WARNING, "render.device"):
        for _ in range(3):
            guard.run(raising(DeviceMemoryError(what="allocation")), lambda: "host")
            clock.now += 1.0
        guard.run(lambda: "device", lambda: "host")
        guard.run(raising(DeviceMemoryError(what="allocation")), lambda: "host")
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["render.device_memory"] * 2


def test_a_failing_device_gives_the_native_slab_and_its_name() -> None:
    cupy, guard, seen = StandInCupy(), DeviceGuard(Clock()), volume()
    slabs = GuardedSlabs(CudaSlabs(Device(cupy)), NativeSlabs(1), guard)
    view = SlabView(40, 40, thickness_mm=30.0, kind="maximum")
    assert render_slab(seen, view, slabs).backend == "cuda"
    cupy.fail_launch["cf_slab_i16"] = CUDARuntimeError(700)
    picture = render_slab(seen, view, slabs)
    assert picture.backend == "native"
    np.testing.assert_array_equal(picture.pixels, render_slab(seen, view, NativeSlabs(1)).pixels)
    launches = len(cupy.launches)
    render_slab(seen, view, slabs)
    assert len(cupy.launches) == launches


def test_a_device_without_room_gives_the_native_rendering() -> None:
    cupy, guard, seen = StandInCupy(), DeviceGuard(Clock()), volume()
    renderer = VolumeRenderer(1, device=CudaRays(Device(cupy, budget_bytes=1000)), guard=guard)
    view = VolumeView(40, 40, facing("A", seen.center_lps_mm, 20.0), preset("bone"))
    picture = renderer.render(renderer.prepare(seen), view)
    assert picture.backend == "native" and picture.opacity.max() > 0.9
    plain = VolumeRenderer(1)
    np.testing.assert_array_equal(picture.pixels, plain.render(plain.prepare(seen), view).pixels)
    assert renderer.name == "cuda" and not guard.failed  # other volumes may fit
    assert not cupy.launches


def test_no_memory_for_the_picture_itself_gives_the_native_rendering() -> None:
    cupy, seen = StandInCupy(), volume()
    renderer = VolumeRenderer(1, device=CudaRays(Device(cupy)), guard=DeviceGuard(Clock()))
    prepared = renderer.prepare(seen)
    cupy.fail_launch["cf_raycast_i16"] = OutOfMemoryError()
    view = VolumeView(40, 40, facing("A", seen.center_lps_mm, 20.0), preset("bone"))
    assert renderer.render(prepared, view).backend == "native"


def test_a_failing_device_gives_the_native_image() -> None:
    cupy, guard = StandInCupy(), DeviceGuard(Clock())
    backend = GuardedBackend(CudaBackend(Device(cupy)), NativeBackend(1), guard)
    assert backend.name == "cuda"
    cupy.fail_launch = {name: CUDARuntimeError(719) for name in ("cf_gray_i16", "cf_rgb_u8")}
    image, taps = np.arange(64, dtype=np.int16).reshape(8, 8), make_taps(8, 0.0, 8.0, 8, True)
    table = DisplayTable(np.arange(64, dtype=np.uint8), 0.0, 1.0)
    np.testing.assert_array_equal(backend.gray(image, taps, taps, table), image.astype(np.uint8))
    assert backend.name == "native"
    colour = np.random.default_rng(1).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    np.testing.assert_array_equal(backend.rgb(colour, taps, taps), colour)
