"""A recording stand-in of the few calls of CuPy that render/cuda makes. It is no GPU and says nothing of speed.

Arrays are memory of this machine, filled with rubbish until they are written. Streams are queues: copies and launches
happen when somebody waits for them, in the order of the stream and of the events it waits for, so that a missing wait
or a staging buffer that is filled too early shows in the data. A launch is checked against the signature that the
CUDA source declares: number, order and types of arguments, sizes of structures, addresses that lie in live device
arrays. Launches execute nothing unless ``execute`` is given (cuda_host_build: the same source built for this machine).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.cuda import device
from tests.support import cuda_signatures

UNITS = ("resample.cu", "slab.cu", "raycast.cu", "cells.cu")
_RUBBISH = 0xCD
_MOST_GRID = (2**31 - 1, 65535, 65535)
# (kernel, grid, block, arguments: addresses of values) -> runs it.
Execute = Callable[[str, str, tuple[int, ...], tuple[int, ...], list[Any]], None]


class OutOfMemoryError(Exception):
    """cupy.cuda.memory.OutOfMemoryError."""


class CUDARuntimeError(RuntimeError):
    """cupy.cuda.runtime.CUDARuntimeError."""

    def __init__(self, status: int) -> None:
        super().__init__(f"cudaError {status}")
        self.status = status


class _CompileError(Exception):
    pass


class _DriverError(RuntimeError):
    pass


class _NvrtcError(RuntimeError):
    pass


@dataclass(frozen=True)
class Launch:
    """What was recorded of a launch."""

    unit: str
    kernel: str
    grid: tuple[int, ...]
    block: tuple[int, ...]
    arguments: tuple[Any, ...]
    stream: int


@dataclass(frozen=True)
class Copy:
    """A copy to the device; ``pinned``: from page-locked memory; ``stream``: its number."""

    nbytes: int
    pinned: bool
    stream: int


class Stream:
    """A queue of work that is done when somebody waits for it."""

    def __init__(self, cupy: StandInCupy, number: int, non_blocking: bool) -> None:
        self.cupy, self.number, self.non_blocking = cupy, number, non_blocking
        self.queue: list[Callable[[], None]] = []
        self.ptr = number << 8  # an address, as streams have

    def __enter__(self) -> Stream:
        self.cupy.current.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.cupy.current.pop()

    def wait_event(self, event: Event) -> None:
        """What follows happens after the event."""
        self.cupy.waits.append((self.number, event.stream.number if event.stream else -1))
        self.queue.append(event.synchronize)

    def synchronize(self) -> None:
        """Do everything that is queued."""
        while self.queue:
            self.queue.pop(0)()


class Event:
    """A place in a stream's queue."""

    def __init__(self) -> None:
        self.stream: Stream | None = None
        self._happened = [True]

    def record(self, stream: Stream) -> None:
        """Here, in this stream."""
        happened = self._happened = [False]
        self.stream = stream
        stream.queue.append(lambda: happened.__setitem__(0, True))

    def synchronize(self) -> None:
        """Work of the stream up to this place is done."""
        while not self._happened[0] and self.stream is not None and self.stream.queue:
            self.stream.queue.pop(0)()


class Array:
    """cupy.ndarray: C-contiguous, views share memory. The values are out of reach but by get()."""

    def __init__(self, cupy: StandInCupy, host: NDArray[Any], base: Array | None = None) -> None:
        self._cupy, self._host, self._base = cupy, host, base
        self.shape, self.dtype, self.nbytes, self.size = host.shape, host.dtype, host.nbytes, host.size
        self.data = SimpleNamespace(ptr=host.ctypes.data)

    def __getitem__(self, index: Any) -> Array:
        part = self._host[index]
        assert part.flags.c_contiguous
        return Array(self._cupy, part, self)

    def view(self, dtype: Any) -> Array:
        """The same bytes as another type."""
        return Array(self._cupy, self._host.view(dtype), self)

    def set(self, host: NDArray[Any], stream: Stream | None = None) -> None:
        """Queued on the stream: reads the host's memory when it happens. Page-able memory is read at once."""
        assert isinstance(host, np.ndarray) and host.shape == self.shape and host.dtype == self.dtype
        target, on = self._host, stream or self._cupy.stream()
        pinned = self._cupy.is_pinned(host.ctypes.data)
        self._cupy.copies.append(Copy(host.nbytes, pinned, on.number))
        read = host if pinned else host.copy()
        on.queue.append(lambda: np.copyto(target, read))

    def get(self, stream: Stream | None = None) -> NDArray[Any]:
        """A copy, after everything that the stream was given."""
        on = stream or self._cupy.stream()
        on.synchronize()
        self._cupy.downloads.append(self.nbytes)
        return self._host.copy()


class StandInCupy:
    """The module. ``total_bytes``: of the device. ``fail_launch``: an error for launches, by kernel's name."""

    ndarray = Array

    def __init__(self, total_bytes: int = 1 << 30, execute: Execute | None = None) -> None:
        self.total_bytes, self.execute = total_bytes, execute
        self.launches: list[Launch] = []
        self.copies: list[Copy] = []
        self.waits: list[tuple[int, int]] = []
        self.downloads: list[int] = []
        self.fail_launch: dict[str, Exception] = {}
        self.fail_compile: Exception | None = None
        self.freed_pools = 0
        self.used_bytes = 0
        self._live: dict[int, int] = {}
        self._pinned: list[tuple[int, int]] = []
        self._streams = 0
        self.null = self._stream(non_blocking=False)
        self.current: list[Stream] = [self.null]
        self.cuda = SimpleNamespace(
            Stream=lambda non_blocking=False: self._stream(non_blocking=non_blocking),
            Event=lambda disable_timing=False: Event(),
            get_current_stream=self.stream,
            alloc_pinned_memory=self._alloc_pinned,
            memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
            runtime=SimpleNamespace(
                CUDARuntimeError=CUDARuntimeError, memGetInfo=lambda: (total_bytes - self.used_bytes, total_bytes)
            ),
            driver=SimpleNamespace(CUDADriverError=_DriverError),
            compiler=SimpleNamespace(CompileException=_CompileError),
            nvrtc=SimpleNamespace(NVRTCError=_NvrtcError),
        )

    def stream(self) -> Stream:
        """The current stream."""
        return self.current[-1]

    def empty(self, shape: Any, dtype: Any) -> Array:
        """Memory of the device, full of rubbish. Raises OutOfMemoryError."""
        made = np.empty(shape, dtype)
        if self.used_bytes + made.nbytes > self.total_bytes:
            raise OutOfMemoryError(f"{made.nbytes} bytes")
        made.reshape(-1).view(np.uint8).fill(_RUBBISH)
        begin, size = made.ctypes.data, made.nbytes
        self.used_bytes += size
        self._live[begin] = begin + size
        array = Array(self, made)
        weakref.finalize(made, self._free, begin, size).atexit = False
        return array

    def asarray(self, host: NDArray[Any]) -> Array:
        """A copy on the device, queued on the current stream."""
        assert isinstance(host, np.ndarray), type(host)
        array = self.empty(host.shape, host.dtype)
        array.set(np.ascontiguousarray(host))
        return array

    def get_default_memory_pool(self) -> Any:
        """Gives free blocks back."""

        def free() -> None:
            self.freed_pools += 1

        return SimpleNamespace(free_all_blocks=free)

    def RawModule(self, *, code: str, options: tuple[str, ...]) -> Any:  # noqa: N802  # CuPy's name
        """A compiled unit; only units of the product, with its options."""
        unit = next(unit for unit in UNITS if device.source(unit) == code)
        assert options == device.OPTIONS

        def get_function(name: str) -> Any:
            if self.fail_compile is not None:
                raise self.fail_compile
            assert name in cuda_signatures.kernels(unit), f"{name} is not a kernel of {unit}"
            return lambda grid, block, arguments: self._launch(unit, name, grid, block, arguments)

        return SimpleNamespace(get_function=get_function)

    def is_pinned(self, address: int) -> bool:
        """Whether this address is page-locked."""
        return any(begin <= address < end for begin, end in self._pinned)

    def inside(self, address: int) -> bool:
        """Whether this address lies in a live array of the device."""
        return any(begin <= address < end for begin, end in self._live.items())

    def launched(self, name: str) -> list[Launch]:
        """The launches of a kernel."""
        return [launch for launch in self.launches if launch.kernel == name]

    def _stream(self, *, non_blocking: bool) -> Stream:
        self._streams += 1
        return Stream(self, self._streams - 1, non_blocking)

    def _alloc_pinned(self, nbytes: int) -> Any:
        memory = np.full(nbytes, _RUBBISH, np.uint8)
        self._pinned.append((memory.ctypes.data, memory.ctypes.data + nbytes))
        return memory

    def _free(self, begin: int, size: int) -> None:
        self.used_bytes -= size
        self._live.pop(begin, None)

    def _launch(self, unit: str, name: str, grid: Any, block: Any, arguments: Any) -> None:
        assert isinstance(grid, tuple) and isinstance(block, tuple) and isinstance(arguments, tuple)
        assert all(isinstance(n, int) and 1 <= n <= most for n, most in zip(grid, _MOST_GRID, strict=False)), grid
        assert int(np.prod(block)) <= 1024 and block[0] % 32 == 0, block
        self.check(unit, name, arguments)
        if name in self.fail_launch:
            raise self.fail_launch[name]
        self.launches.append(Launch(unit, name, grid, block, arguments, self.stream().number))
        if self.execute is not None:
            run, values = self.execute, [_value(argument) for argument in arguments]
            self.stream().queue.append(lambda: run(unit, name, grid, block, values))

    def check(self, unit: str, name: str, arguments: tuple[Any, ...]) -> None:
        """Arguments as the kernel declares them; AssertionError otherwise."""
        parameters = cuda_signatures.kernels(unit)[name]
        assert len(arguments) == len(parameters), f"{name}: {len(arguments)} arguments, {len(parameters)} declared"
        for argument, parameter in zip(arguments, parameters, strict=True):
            where = f"{name}({parameter.name})"
            if parameter.kind == "pointer":
                if argument is None:
                    continue
                assert isinstance(argument, Array), f"{where}: not an array of the device"
                assert parameter.dtype is None or argument.dtype == parameter.dtype, f"{where}: {argument.dtype}"
            elif parameter.kind == "scalar":
                assert isinstance(argument, np.generic), f"{where}: {type(argument)} has no size"
                assert argument.dtype == parameter.dtype, f"{where}: {argument.dtype}"
            else:
                self._check_struct(unit, parameter.struct, argument, where)

    def _check_struct(self, unit: str, struct: str, argument: Any, where: str) -> None:
        assert isinstance(argument, np.ndarray) and argument.size == 1, f"{where}: not one structure"
        declared = cuda_signatures.struct(unit, struct)
        assert argument.dtype.itemsize == declared.size, (
            f"{where}: {argument.dtype.itemsize}, not {declared.size} bytes"
        )
        raw = argument.tobytes()
        for field in cuda_signatures.pointers(unit, struct):
            address = int.from_bytes(raw[field.offset : field.offset + 8], "little")
            assert address == 0 or self.inside(address), f"{where}: {field.name} is not on the device"


def _value(argument: Any) -> Any:
    """What a launch reads of an argument: it is copied at the launch, as CUDA does."""
    if argument is None:
        return np.uint64(0)
    if isinstance(argument, Array):
        return np.uint64(argument.data.ptr)
    return argument.copy()
