"""A CUDA device through CuPy: compiled units, a stream per thread, launches, and the 2-D backend.

Only render/cuda imports CuPy, and only when a device is asked for. A device that fails stays failed (an error in a
kernel ends its context); what is short of memory is another error, after which the next picture may be made here.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from render.backend import KERNELS
from render.cuda.memory import DeviceMemory
from render.errors import DeviceError, DeviceFailedError, DeviceMemoryError

if TYPE_CHECKING:
    from render.backend import DisplayTable, Taps

HEADERS = Path(__file__).resolve().parents[1] / "kernels"
# A warp covers a row of 32 pixels; neighbouring rays read neighbouring voxels.
BLOCK = (32, 8)
# No contraction, so that CUDA adds the same numbers as the native kernels.
OPTIONS = ("--std=c++17", "--fmad=false")
_log = logging.getLogger("render.device")
_MEMORY_ALLOCATION = 2  # cudaErrorMemoryAllocation


@lru_cache(maxsize=8)
def source(unit: str = "resample.cu") -> str:
    """A unit of kernels/ as one text for NVRTC: every header pasted where it is first included."""
    pasted: set[str] = set()

    def paste(name: str) -> str:
        lines: list[str] = []
        for line in (HEADERS / name).read_text("utf-8").splitlines():
            included = line.removeprefix('#include "').removesuffix('"') if line.startswith('#include "') else ""
            if included and included not in pasted:
                pasted.add(included)
                lines.append(paste(included))
            elif not included and line != "#pragma once":
                lines.append(line)
        return "\n".join(lines) + "\n"

    return paste(unit)


def _cupy() -> Any:
    """The library, an extra of the distribution."""
    import cupy  # pyright: ignore[reportMissingImports]

    return cupy


def available() -> bool:
    """Whether CuPy is installed and a device answers; ``CLOUDFILM_BACKEND=native`` says no without asking."""
    if os.environ.get("CLOUDFILM_BACKEND") == "native" or importlib.util.find_spec("cupy") is None:
        return False
    try:
        cupy = _cupy()
        return bool(cupy.is_available())
    except Exception as error:  # whatever a broken driver or installation raises: the CPU remains
        _log.warning("render.device_failed: CuPy does not load (%s)", type(error).__name__)
        return False


class Device:
    """One device. ``cupy``: the library (tests give a stand-in). ``budget_bytes``: of volumes kept on the device; None
    = four fifths of what is free now. Raises DeviceFailedError, DeviceMemoryError."""

    name = "cuda"

    def __init__(self, cupy: Any = None, budget_bytes: int | None = None) -> None:
        self.cupy = cupy if cupy is not None else _cupy()
        self._modules: dict[str, Any] = {}
        self._functions: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()
        self._of_thread = threading.local()
        with self.guarded():
            if budget_bytes is None:
                free, _total = self.cupy.cuda.runtime.memGetInfo()
                budget_bytes = int(free) * 4 // 5
            self.memory = DeviceMemory(self.cupy, budget_bytes)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """CuPy's errors become DeviceMemoryError (short now) or DeviceFailedError (the device is of no use)."""
        cuda = self.cupy.cuda
        try:
            yield
        except cuda.memory.OutOfMemoryError as error:
            raise DeviceMemoryError(what="allocation") from error
        except cuda.runtime.CUDARuntimeError as error:
            if getattr(error, "status", None) == _MEMORY_ALLOCATION:
                raise DeviceMemoryError(what="allocation") from error
            raise DeviceFailedError(what=str(error)[:200]) from error
        except (cuda.driver.CUDADriverError, cuda.compiler.CompileException, cuda.nvrtc.NVRTCError) as error:
            raise DeviceFailedError(what=str(error)[:200]) from error

    @contextmanager
    def pictures(self) -> Iterator[Any]:
        """This thread's stream as the current one: pictures of several viewers overlap on the device."""
        with self.guarded():
            stream = getattr(self._of_thread, "stream", None)
            if stream is None:
                stream = self._of_thread.stream = self.cupy.cuda.Stream(non_blocking=True)
            with stream:
                yield stream

    def launch(self, unit: str, name: str, size: tuple[int, ...], arguments: tuple[Any, ...]) -> None:
        """Start a kernel on the current stream with one thread per element of ``size`` (width, height[, depth])."""
        width, height, *depth = size
        grid = (-(-width // BLOCK[0]), -(-height // BLOCK[1]), *depth)
        self._function(unit, name)(grid, BLOCK, arguments)

    def _function(self, unit: str, name: str) -> Any:
        with self._lock:
            if unit not in self._modules:
                self._modules[unit] = self.cupy.RawModule(code=source(unit), options=OPTIONS)
            if (unit, name) not in self._functions:
                self._functions[unit, name] = self._modules[unit].get_function(name)
            return self._functions[unit, name]


@lru_cache(maxsize=1)
def shared() -> Device | None:
    """The process's device, or None where there is none that can be used."""
    if not available():
        return None
    try:
        return Device()
    except DeviceError as error:
        _log.warning("%s: the CPU makes the pictures (%s)", error.code, error.data.get("what", ""))
        return None


def by_value(structure: ctypes.Structure) -> NDArray[Any]:
    """A structure as CuPy passes one by value: an array of one element of its size."""
    return np.frombuffer(bytes(structure), np.dtype((np.void, ctypes.sizeof(structure))))


class CudaBackend:
    """Uploads an index image, runs one thread per output pixel, downloads the picture."""

    name = "cuda"

    def __init__(self, device: Device | None = None) -> None:
        self._device = device or Device()

    def _taps(self, taps: Taps) -> tuple[Any, ...]:
        asarray = self._device.cupy.asarray
        return asarray(taps.start), asarray(taps.count), asarray(taps.weight)

    def _draw(self, name: str, shape: tuple[int, ...], before: tuple[Any, ...]) -> NDArray[np.uint8]:
        out = self._device.cupy.empty(shape, np.uint8)
        size = (shape[1], shape[0])
        self._device.launch("resample.cu", name, size, (*before, out, np.int32(shape[1]), np.int32(shape[0])))
        return out.get()

    def gray(self, source: NDArray[Any], tx: Taps, ty: Taps, table: DisplayTable) -> NDArray[np.uint8]:
        """See render.backend.Backend."""
        tx.check(source.shape[1])
        ty.check(source.shape[0])
        with self._device.pictures():
            asarray = self._device.cupy.asarray
            image = (asarray(source), np.int32(source.shape[1]))
            shown = (asarray(table.entries), np.float32(table.first), np.float32(table.steps))
            before = (*image, *self._taps(tx), *self._taps(ty), *shown, np.int32(len(table.entries)))
            return self._draw(KERNELS[source.dtype], (len(ty.start), len(tx.start)), before)

    def rgb(self, source: NDArray[np.uint8], tx: Taps, ty: Taps) -> NDArray[np.uint8]:
        """See render.backend.Backend."""
        tx.check(source.shape[1])
        ty.check(source.shape[0])
        with self._device.pictures():
            image = (self._device.cupy.asarray(source), np.int32(source.shape[1] * 3))
            before = (*image, *self._taps(tx), *self._taps(ty))
            return self._draw("cf_rgb_u8", (len(ty.start), len(tx.start), 3), before)
