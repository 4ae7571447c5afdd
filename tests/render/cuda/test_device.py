"""The host side of CUDA against a recording stand-in of CuPy, and the 2-D kernels' CUDA source run on this machine."""

from __future__ import annotations

import ctypes
from operator import attrgetter
from typing import Any

import numpy as np
import pytest

from render.backend import DisplayTable, NativeBackend
from render.cuda import cells, device
from render.cuda.device import CudaBackend, Device
from render.errors import DeviceFailedError, DeviceMemoryError
from render.filters import make_taps
from render.native import raycast, slab
from tests.support import cuda_signatures
from tests.support.cuda_host_build import execute
from tests.support.cuda_stand_in import UNITS, Array, CUDARuntimeError, Event, OutOfMemoryError, StandInCupy, Stream
from tests.support.kernel_builds import ARCHITECTURES, compile_cuda


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("unit", UNITS)
def test_every_kernel_that_is_launched_is_in_the_machine_code(unit: str, architecture: str) -> None:
    code = compile_cuda(unit, architecture)
    names = cuda_signatures.kernels(unit)
    assert len(names) >= 3
    for name in names:
        assert name.encode() in code


@pytest.mark.parametrize(
    ("unit", "name", "structure"),
    [
        ("slab.cu", "CfGrid", slab.Grid),
        ("slab.cu", "CfSlab", slab.Slab),
        ("slab.cu", "CfCells", slab.CellsOfSlab),
        ("slab.cu", "CfTable", slab.Table),
        ("raycast.cu", "CfRayLayer", raycast.Layer),
        ("raycast.cu", "CfRayScene", raycast.Scene),
        ("cells.cu", "CfCellGrid", cells.CellGrid),
    ],
)
def test_structures_lie_as_the_source_declares_them(unit: str, name: str, structure: type[ctypes.Structure]) -> None:
    declared = cuda_signatures.struct(unit, name)
    assert ctypes.sizeof(structure) == declared.size
    ours = [(field[0], getattr(structure, field[0])) for field in structure._fields_]
    assert [(field, place.offset, place.size) for field, place in ours] == [
        (field.name, field.offset, field.size) for field in declared.fields
    ]


def image(dtype: Any) -> Any:
    return np.random.default_rng(4).integers(0, 255, (61, 90)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_gray_is_one_launch_and_the_native_picture(dtype: Any) -> None:
    cupy = StandInCupy(execute=execute)
    source, table = image(dtype), DisplayTable(np.arange(256, dtype=np.uint8), 0.0, 1.0)
    taps = make_taps(90, 0.0, 90.0, 71, True), make_taps(61, 0.0, 61.0, 45, True)
    made = CudaBackend(Device(cupy)).gray(source, *taps, table)
    (launch,) = cupy.launches
    assert (launch.grid, launch.block) == ((3, 6), (32, 8))
    assert launch.stream != 0  # not the default stream, which all others wait for
    np.testing.assert_array_equal(made, NativeBackend(1).gray(source, *taps, table))


def test_colour_is_the_native_picture() -> None:
    source = np.random.default_rng(3).integers(0, 256, (40, 52, 3)).astype(np.uint8)
    taps = make_taps(52, 0.0, 52.0, 33, True), make_taps(40, 0.0, 40.0, 77, True)
    made = CudaBackend(Device(StandInCupy(execute=execute))).rgb(source, *taps)
    np.testing.assert_array_equal(made, NativeBackend(1).rgb(source, *taps))


def test_wrong_argument_lists_are_noticed() -> None:
    cupy = StandInCupy()
    there = cupy.empty(64, np.int16)
    short, flat = cupy.empty(64, np.uint8), cupy.empty(64, np.float32)
    grid, few = device.by_value(slab.Grid(4, 4, 4)), device.by_value(cells.CellGrid(1, 1, 1))
    good = (there, grid, few, np.int32(1), flat, flat)
    cupy.check("cells.cu", "cf_cell_bounds_i16", good)
    for place, wrong in (
        (0, short),  # another type of values
        (0, np.zeros(64, np.int16)),  # memory of the host
        (1, device.by_value(slab.Table(None, 0.0, 1.0, 0))),  # another structure
        (3, 1),  # a number without a size
        (3, np.float32(1)),
        (4, there),
    ):
        with pytest.raises(AssertionError):
            cupy.check("cells.cu", "cf_cell_bounds_i16", (*good[:place], wrong, *good[place + 1 :]))
    with pytest.raises(AssertionError):
        cupy.check("cells.cu", "cf_cell_bounds_i16", good[:-1])
    table = slab.Table(np.zeros(4, np.uint8).ctypes.data, 0.0, 1.0, 4)  # an address of the host within a structure
    arguments = [cupy.empty(64, np.int16), device.by_value(slab.Slab()), device.by_value(slab.CellsOfSlab())]
    rest = [np.int32(0), np.float32(0), None, None]
    with pytest.raises(AssertionError, match="not on the device"):
        cupy.check("slab.cu", "cf_slab_i16", (*arguments, device.by_value(table), *rest))


@pytest.mark.parametrize(
    ("raised", "expected", "code"),
    [
        (OutOfMemoryError(), DeviceMemoryError, "render.device_memory"),
        (CUDARuntimeError(2), DeviceMemoryError, "render.device_memory"),
        (CUDARuntimeError(700), DeviceFailedError, "render.device_failed"),
    ],
)
def test_errors_of_the_device_are_stable(raised: Exception, expected: type[Exception], code: str) -> None:
    cupy = StandInCupy()
    cupy.fail_launch["cf_rgb_u8"] = raised
    taps = make_taps(4, 0.0, 4.0, 4, True)
    with pytest.raises(expected) as told:
        CudaBackend(Device(cupy)).rgb(np.zeros((4, 4, 3), np.uint8), taps, taps)
    assert getattr(told.value, "code", "") == code


def test_a_kernel_that_does_not_compile_is_a_failed_device() -> None:
    cupy = StandInCupy()
    cupy.fail_compile = cupy.cuda.compiler.CompileException("no such architecture")
    taps = make_taps(4, 0.0, 4.0, 4, True)
    with pytest.raises(DeviceFailedError):
        CudaBackend(Device(cupy)).rgb(np.zeros((4, 4, 3), np.uint8), taps, taps)


def test_what_the_stand_in_stands_for_is_in_cupy() -> None:
    cupy = pytest.importorskip("cupy")
    stand_in = StandInCupy()
    for name in ("cuda.Stream", "cuda.Event", "cuda.get_current_stream", "cuda.alloc_pinned_memory"):
        assert callable(attrgetter(name)(cupy)) and callable(attrgetter(name)(stand_in))
    for name in ("cuda.runtime.memGetInfo", "RawModule", "empty", "asarray", "get_default_memory_pool"):
        assert callable(attrgetter(name)(cupy)) and callable(attrgetter(name)(stand_in))
    for name in ("memory.OutOfMemoryError", "runtime.CUDARuntimeError", "driver.CUDADriverError"):
        assert issubclass(attrgetter(f"cuda.{name}")(cupy), Exception)
    for name in ("compiler.CompileException", "nvrtc.NVRTCError"):
        assert issubclass(attrgetter(f"cuda.{name}")(cupy), Exception)
    assert cupy.cuda.runtime.CUDARuntimeError(2).status == CUDARuntimeError(2).status
    for name in ("set", "get", "view"):
        assert callable(getattr(cupy.ndarray, name)) and callable(getattr(Array, name))
    for name in ("wait_event", "synchronize", "__enter__", "__exit__"):
        assert callable(getattr(cupy.cuda.Stream, name)) and callable(getattr(Stream, name))
    for name in ("record", "synchronize"):
        assert callable(getattr(cupy.cuda.Event, name)) and callable(getattr(Event, name))


def test_the_budget_is_four_fifths_of_what_is_free() -> None:
    assert Device(StandInCupy(total_bytes=1000)).memory.usage().budget == 800


def test_the_environment_can_turn_the_device_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDFILM_BACKEND", "native")
    assert not device.available()


def test_a_cupy_that_does_not_load_is_told_and_the_cpu_remains(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Any:
        raise OSError("libcuda.so.1 is another version")

    monkeypatch.delenv("CLOUDFILM_BACKEND", raising=False)
    monkeypatch.setattr(device.importlib.util, "find_spec", lambda _name: object())
    monkeypatch.setattr(device, "_cupy", broken)
    with caplog.at_level("WARNING", "render.device"):
        assert not device.available()
    assert "render.device_failed" in caplog.text


def test_a_device_that_fails_at_once_is_told_and_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> tuple[int, int]:
        raise CUDARuntimeError(100)

    cupy = StandInCupy()
    cupy.cuda.runtime.memGetInfo = fails
    monkeypatch.setattr(device, "available", lambda: True)
    monkeypatch.setattr(device, "_cupy", lambda: cupy)
    device.shared.cache_clear()
    with caplog.at_level("WARNING", "render.device"):
        assert device.shared() is None
    device.shared.cache_clear()
    assert "render.device_failed" in caplog.text
