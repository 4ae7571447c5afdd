"""ctypes binding of slab.cpp: planes and slabs through a volume, and the bounds of its cells of 8 cubed voxels."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.backend import DisplayTable
from render.native import library
from render.native.pool import run_tiles
from render.volume import Volume

CELL = 8
MOST_SAMPLES = 8192
KINDS = {"maximum": 0, "minimum": 1, "mean": 2}
_TYPES = {np.dtype(np.int16): "i16", np.dtype(np.uint16): "u16", np.dtype(np.float32): "f32"}
_TILE_SAMPLES = 1 << 17
_ALIGNED_ROWS = 32  # native/aligned.h's blocks

_Three = ctypes.c_float * 3


class Grid(ctypes.Structure):
    """CfGrid of kernels/sample.h."""

    _fields_ = (("nx", ctypes.c_int), ("ny", ctypes.c_int), ("nz", ctypes.c_int))


class Slab(ctypes.Structure):
    """CfSlab of kernels/slab.h."""

    _fields_ = (
        ("grid", Grid),
        *((name, _Three) for name in ("origin", "across", "down", "through")),
        *((name, ctypes.c_int) for name in ("width", "height", "samples", "kind", "cubic")),
        ("start", ctypes.c_float),
        ("enough", ctypes.c_float),
    )


class CellsOfSlab(ctypes.Structure):
    """CfCells of kernels/slab.h."""

    _fields_ = (("low", ctypes.c_void_p), ("high", ctypes.c_void_p), *Grid._fields_)


class Table(ctypes.Structure):
    """CfTable of kernels/resample.h."""

    _fields_ = (
        ("entries", ctypes.c_void_p),
        ("first", ctypes.c_float),
        ("steps", ctypes.c_float),
        ("size", ctypes.c_int),
    )


_SLAB = [
    ctypes.c_void_p,
    ctypes.POINTER(Slab),
    ctypes.POINTER(CellsOfSlab),
    ctypes.POINTER(Table),
    ctypes.c_float,
    ctypes.c_float,
    ctypes.c_int,
    ctypes.c_float,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_int,
]
_CELLS = [ctypes.c_void_p, ctypes.POINTER(Grid), ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
SIGNATURES: dict[str, list[Any]] = {
    **{f"cf_slab_{kind}": _SLAB for kind in _TYPES.values()},
    **{f"cf_slab_{kind}_pixels": _SLAB for kind in _TYPES.values()},
    **{f"cf_cells_{kind}": _CELLS for kind in _TYPES.values()},
}


@dataclass(frozen=True, eq=False)
class Cells:
    """Smallest and largest value of each cell's voxels and their right neighbours, float32 (z, y, x)."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]


@dataclass(frozen=True)
class SlabPlan:
    """Where the samples are, in voxels (i, j, k): see kernels/slab.h. float32 (3,) vectors."""

    origin: tuple[float, float, float]
    across: tuple[float, float, float]
    down: tuple[float, float, float]
    through: tuple[float, float, float]
    width: int
    height: int
    samples: int = 1
    kind: str = "mean"
    cubic: bool = False
    start: float | None = None
    enough: float | None = None


@dataclass(frozen=True)
class SlabResult:
    """``picture`` (y, x) uint8 or None; ``values`` (y, x) float32 or None; ``backend`` that made them."""

    picture: NDArray[np.uint8] | None
    values: NDArray[np.float32] | None
    backend: str = "native"


def _grid(volume: Volume) -> Grid:
    depth, rows, columns = volume.shape
    return Grid(columns, rows, depth)


class NativeSlabs:
    """Slabs on the CPU. ``threads`` 0: all processors."""

    name = "native"

    def __init__(self, threads: int = 0, variant: ctypes.CDLL | None = None) -> None:
        self._library = variant or library.load()
        self._threads = threads
        library.declare(self._library, SIGNATURES)

    def cells(self, volume: Volume) -> Cells:
        """Bounds of the volume's cells; kept with the volume."""
        kept = volume.extra.get("cells")
        if kept is not None:
            return kept
        depth, rows, columns = (-(-size // CELL) for size in volume.shape)
        low, high = np.empty((depth, rows, columns), np.float32), np.empty((depth, rows, columns), np.float32)
        function = getattr(self._library, f"cf_cells_{_TYPES[volume.values.dtype]}")
        a = library.address
        before = (a(volume.values), _grid(volume), a(low), a(high))
        run_tiles(lambda begin, end: function(*before, begin, end), depth, 1, self._threads)
        volume.extra["cells"] = Cells(low, high)
        return volume.extra["cells"]

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
        pixels: bool = False,
        cancelled: Callable[[], bool] | None = None,
    ) -> SlabResult:
        """Picture (where a table is given) and, when ``values``, the reduced values.

        Rays that miss the volume become ``outside`` and ``missing``. ``skip`` False looks at every sample; ``pixels``
        takes the plain path, one pixel at a time. Raises CancelledPictureError.
        """
        picture = np.empty((plan.height, plan.width), np.uint8) if table is not None else None
        reduced = np.empty((plan.height, plan.width), np.float32) if values else None
        a = library.address
        cells = CellsOfSlab(None, None, 0, 0, 0)
        if skip and plan.kind != "mean" and plan.samples > CELL and not plan.cubic:
            bounds = self.cells(volume)
            depth, rows, columns = bounds.low.shape
            cells = CellsOfSlab(a(bounds.low), a(bounds.high), columns, rows, depth)
        shown = Table(None, 0.0, 1.0, 0)
        if table is not None:
            shown = Table(a(table.entries), table.first, table.steps, len(table.entries))
        function = getattr(self._library, f"cf_slab_{_TYPES[volume.values.dtype]}{'_pixels' if pixels else ''}")
        before = (
            a(volume.values),
            slab_struct(volume, plan),
            cells,
            shown,
            *((table.ramp if table is not None else None) or (0.0, 0.0)),
            outside,
            missing,
            None if picture is None else a(picture),
            None if reduced is None else a(reduced),
        )
        tile_rows = _ALIGNED_ROWS if _along_axes(plan) else _tile_rows(plan)
        run_tiles(lambda begin, end: function(*before, begin, end), plan.height, tile_rows, self._threads, cancelled)
        return SlabResult(picture, reduced)


def _along_axes(plan: SlabPlan) -> bool:
    """Whether columns and rows follow voxel axes: neighbouring rows then share most of their work."""
    return not plan.cubic and all(sum(v != 0 for v in vector) == 1 for vector in (plan.across, plan.down))


def _tile_rows(plan: SlabPlan) -> int:
    work = plan.width * min(plan.samples, 64) * (16 if plan.cubic else 1)
    return min(64, max(4, _TILE_SAMPLES // work // 4 * 4))


def slab_struct(volume: Volume, plan: SlabPlan) -> Slab:
    """The kernels' view, with the values to begin with that change nothing where the plan names none."""
    infinity = float("inf")
    rising = plan.kind != "minimum"
    return Slab(
        _grid(volume),
        _Three(*plan.origin),
        _Three(*plan.across),
        _Three(*plan.down),
        _Three(*plan.through),
        plan.width,
        plan.height,
        plan.samples,
        KINDS[plan.kind],
        int(plan.cubic),
        plan.start if plan.start is not None else (-infinity if rising else infinity),
        plan.enough if plan.enough is not None else (infinity if rising else -infinity),
    )
