"""Where kernels run: one interface, chosen once at start, named in every picture."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from render.errors import InvalidViewError
from render.native import library

if TYPE_CHECKING:
    from render.native.raycast import Scene
    from render.native.slab import Cells, SlabPlan, SlabResult
    from render.scene import RayLayer
    from render.volume import Volume


@dataclass(frozen=True)
class Taps:
    """Weights of one axis: see kernels/resample.h. ``weight`` has shape (most taps, outputs)."""

    start: NDArray[np.int32]
    count: NDArray[np.int32]
    weight: NDArray[np.float32]

    def check(self, size: int) -> None:
        """Every tap lies inside a source of ``size``: the kernels rely on it. Raises InvalidViewError."""
        if not len(self.start) or int(self.start.min()) < 0 or int((self.start + self.count).max()) > size:
            raise InvalidViewError(what="taps outside the image")


@dataclass(frozen=True)
class DisplayTable:
    """Display values by index value: entry ``i`` belongs to ``first + i / steps``; the ends repeat.

    ``ramp`` (slope, base): every entry is i * slope + base in float32, cut to 0-255 and to a whole number.
    """

    entries: NDArray[np.uint8]
    first: float
    steps: float = 1.0
    ramp: tuple[float, float] | None = None

    @cached_property
    def address(self) -> int:
        """Of the first entry."""
        return library.address(self.entries)


class Backend(Protocol):
    """What the engine asks of a backend."""

    @property
    def name(self) -> str:
        """Who makes the pictures now."""
        ...

    def gray(self, source: NDArray[Any], tx: Taps, ty: Taps, table: DisplayTable) -> NDArray[np.uint8]:
        """(y, x) uint8: index image (uint8, int16, uint16, float32) resampled, then looked up."""
        ...

    def rgb(self, source: NDArray[np.uint8], tx: Taps, ty: Taps) -> NDArray[np.uint8]:
        """(y, x, 3) uint8 resampled."""
        ...


class Slabs(Protocol):
    """What planes and slabs are asked of; see native.slab.NativeSlabs."""

    @property
    def name(self) -> str:
        """Who makes the pictures; each result names its own."""
        ...

    def cells(self, volume: Volume) -> Cells:
        """Bounds of the volume's cells; kept with the volume."""
        ...

    def slab(
        self,
        volume: Volume,
        plan: SlabPlan,
        table: DisplayTable | None = None,
        *,
        outside: int = 0,
        missing: float = float("nan"),
        values: bool = False,
        skip: bool = True,
        cancelled: Callable[[], bool] | None = None,
    ) -> SlabResult:
        """Picture (where a table is given) and, when ``values``, the reduced values."""
        ...


class RayDevice(Protocol):
    """What draws volumes in place of the native kernels; see cuda.rays.CudaRays. Raises DeviceError."""

    @property
    def name(self) -> str:
        """As pictures carry it."""
        ...

    def bounds(self, volume: Volume, shape: tuple[int, int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Smallest and largest value of each cell."""
        ...

    def draw(self, scene: Scene, layers: tuple[RayLayer, ...]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """(picture (y, x, 3), opacity and depth_mm (y, x, 2))."""
        ...


KERNELS = {
    np.dtype(np.uint8): "cf_gray_u8",
    np.dtype(np.int16): "cf_gray_i16",
    np.dtype(np.uint16): "cf_gray_u16",
    np.dtype(np.float32): "cf_gray_f32",
}
# Less is not worth waking a thread for: of 512 x 512 two halves cost twice the processor time of the whole (1.0 against
# 0.5 ms measured), which many viewers at once pay for.
_TILE_PIXELS = 1 << 20


class NativeBackend:
    """The C++ kernels over row tiles on an own pool; ctypes releases the GIL."""

    def __init__(self, threads: int = 0, variant: Any = None) -> None:
        self._library = variant or library.load()
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, "kernels") if self._threads > 1 else None
        self.name = "native"

    def _tiles(self, height: int, work: int) -> list[tuple[int, int]]:
        parts = max(1, min(self._threads, work // _TILE_PIXELS, height))
        edges = np.linspace(0, height, parts + 1).astype(int)
        return [(int(a), int(b)) for a, b in itertools.pairwise(edges) if b > a]

    def _run(self, function: Any, before: tuple[Any, ...], height: int, work: int) -> None:
        tiles = self._tiles(height, work)
        if len(tiles) == 1 or self._pool is None:
            statuses = [function(*before, begin, end) for begin, end in tiles]
        else:
            statuses = list(self._pool.map(lambda tile: function(*before, *tile), tiles))
        if any(statuses):
            raise MemoryError("native kernel")

    def gray(self, source: NDArray[Any], tx: Taps, ty: Taps, table: DisplayTable) -> NDArray[np.uint8]:
        """See Backend."""
        return self.gray_by(KERNELS[source.dtype], source, tx, ty, table)

    def gray_by(self, name: str, source: NDArray[Any], tx: Taps, ty: Taps, table: DisplayTable) -> NDArray[np.uint8]:
        """The same by a named kernel (tests compare the definition with the fast path)."""
        tx.check(source.shape[1])
        ty.check(source.shape[0])
        out = np.empty((len(ty.start), len(tx.start)), np.uint8)
        a = library.address
        before = (
            a(source),
            source.shape[1],
            *_arguments(tx),
            *_arguments(ty),
            *(a(table.entries), table.first, table.steps, len(table.entries), *(table.ramp or (0.0, 0.0))),
            a(out),
        )
        self._run(getattr(self._library, name), before, out.shape[0], _work(source, out, ty))
        return out

    def rgb(self, source: NDArray[np.uint8], tx: Taps, ty: Taps) -> NDArray[np.uint8]:
        """See Backend."""
        tx.check(source.shape[1])
        ty.check(source.shape[0])
        out = np.empty((len(ty.start), len(tx.start), 3), np.uint8)
        a = library.address
        before = (a(source), source.shape[1] * 3, *_arguments(tx), *_arguments(ty), a(out))
        self._run(self._library.cf_rgb_u8, before, out.shape[0], 3 * _work(source, out, ty))
        return out

    def close(self) -> None:
        """Stop the pool's threads."""
        if self._pool is not None:
            self._pool.shutdown()


def _arguments(taps: Taps) -> tuple[int, int, int, int]:
    a = library.address
    return a(taps.start), a(taps.count), a(taps.weight), len(taps.start)


def _work(source: NDArray[Any], out: NDArray[Any], ty: Taps) -> int:
    """Rough number of source and output pixels touched."""
    return int(ty.count.sum()) * int(source.shape[1]) + int(out.shape[0]) * int(out.shape[1])


@lru_cache(maxsize=1)
def choose_backend() -> Backend:
    """CUDA where a device answers (and the CPU behind it), else the native kernels."""
    from render.cuda import choice

    return choice.guarded_backend(NativeBackend())
