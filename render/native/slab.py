"""ctypes binding of slab.cpp: planes and slabs through a volume, and the bounds of its cells of 8 cubed voxels."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.backend import DisplayTable
from render.native import library
from render.native import sheets as sheets_of
from render.native.pool import CancelledPictureError, cores, run_tiles
from render.native.sheets import Sheets
from render.native.sheets import Table as SheetTable
from render.volume import Volume

CELL = 8
MOST_SAMPLES = 8192
KINDS = {"maximum": 0, "minimum": 1, "mean": 2}
_TYPES = {np.dtype(np.int16): "i16", np.dtype(np.uint16): "u16", np.dtype(np.float32): "f32"}
_TILE_SAMPLES = 1 << 17
_ALIGNED_ROWS = 32  # native/aligned.h's blocks
# Nanoseconds of one core per sample, measured (docs/render.md), and what they decide: what is shorter than the first is
# not worth waking a thread for; what is shorter than the second is one call, asked before it whether it is still wanted.
_ALIGNED_NS, _OBLIQUE_NS, _CUBIC_NS = 0.8, 2.5, 15.0
_WORTH_WAKING_NS = 100e3
_ONE_CALL_NS = 8e6
_FEWEST_TILES = 16  # of one call: a thread that has to wait for its core holds up little
_WORTH_SHEETS = 1 << 14  # samples
_ORDERS = {(0, 1): 1, (0, 2): 2, (1, 2): 3}  # CF_ZYX, CF_YZX, CF_XZY by the axes of columns and rows

_Three = ctypes.c_float * 3


class Grid(ctypes.Structure):
    """CfGrid of kernels/sample.h."""

    _fields_ = (("nx", ctypes.c_int), ("ny", ctypes.c_int), ("nz", ctypes.c_int))


class Slab(ctypes.Structure):
    """CfSlab of kernels/slab.h."""

    _fields_ = (
        ("grid", Grid),
        *((name, _Three) for name in ("origin", "across", "down", "through")),
        *((name, ctypes.c_int) for name in ("width", "height", "samples", "kind", "cubic", "order")),
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
    ctypes.c_void_p,
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
_SHEETS = [
    ctypes.c_void_p,
    ctypes.POINTER(Grid),
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_longlong,
    ctypes.c_int,
]
SIGNATURES: dict[str, list[Any]] = {
    **{f"cf_slab_{kind}": _SLAB for kind in _TYPES.values()},
    **{f"cf_slab_{kind}_pixels": _SLAB for kind in _TYPES.values()},
    **{f"cf_slab_{kind}_crew": _SLAB for kind in _TYPES.values()},
    **{f"cf_cells_{kind}": _CELLS for kind in _TYPES.values()},
    **{f"cf_sheets_{kind}": _SHEETS for kind in _TYPES.values()},
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


def _address(volume: Volume) -> int:
    """Of the first voxel; kept with the volume."""
    kept = volume.extra.get("address")
    if kept is None:
        kept = volume.extra["address"] = library.address(volume.values)
    return kept


def _grid(volume: Volume) -> Grid:
    depth, rows, columns = volume.shape
    return Grid(columns, rows, depth)


class NativeSlabs:
    """Slabs on the CPU. ``threads`` 0: all processors."""

    name = "native"

    def __init__(self, threads: int = 0, variant: ctypes.CDLL | None = None) -> None:
        self._library = variant or library.load()
        self._threads = threads or cores()
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
        sheeted: bool = True,
        cancelled: Callable[[], bool] | None = None,
    ) -> SlabResult:
        """Picture (where a table is given) and, when ``values``, the reduced values.

        Rays that miss the volume become ``outside`` and ``missing``. ``skip`` False looks at every sample; ``pixels``
        takes the plain path, one pixel at a time; ``sheeted`` False the volume's own values (native/sheets.py). Raises
        CancelledPictureError.
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
            shown = Table(table.address, table.first, table.steps, len(table.entries))
        sheets = None if pixels or not sheeted else self._sheets(volume, plan)
        before = (
            _address(volume),
            slab_struct(volume, plan),
            cells,
            None if sheets is None else sheets.planes,
            shown,
            *((table.ramp if table is not None else None) or (0.0, 0.0)),
            outside,
            missing,
            None if picture is None else a(picture),
            None if reduced is None else a(reduced),
        )
        self._run(before, f"cf_slab_{_TYPES[volume.values.dtype]}", plan, pixels, cancelled)
        return SlabResult(picture, reduced)

    def _sheets(self, volume: Volume, plan: SlabPlan) -> SheetTable | None:
        """Planes x = constant that a view along x with columns along y can be drawn from."""
        across, down = plan.across, plan.down
        if across[0] or across[2] or not 0 < abs(across[1]) < 4 or down[0] or down[1] or plan.cubic:
            return None  # native/aligned.h leaves smaller pictures to the oblique path
        depth, rows, _ = volume.shape
        if depth * rows < sheets_of.SMALLEST_PLANE or plan.width * plan.height * plan.samples < _WORTH_SHEETS:
            return None
        ends = plan.origin[0], plan.origin[0] + plan.through[0] * (plan.samples - 1)
        if not all(math.isfinite(end) for end in ends):
            return None
        kept = volume.extra.get("sheets")
        if kept is None:
            kept = volume.extra.setdefault("sheets", Sheets(volume.shape, volume.values.dtype))
        make = getattr(self._library, f"cf_sheets_{_TYPES[volume.values.dtype]}")

        def made(first: int, count: int, out: NDArray[Any], apart: int) -> None:
            if make(_address(volume), _grid(volume), first, count, library.address(out), apart, self._threads):
                raise MemoryError("native kernel")

        return kept.table(min(ends), max(ends), made)

    def _run(
        self, before: tuple[Any, ...], name: str, plan: SlabPlan, pixels: bool, cancelled: Callable[[], bool] | None
    ) -> None:
        aligned = _along_axes(plan)
        rows = _ALIGNED_ROWS if aligned else _tile_rows(plan)
        work_ns = plan.width * plan.height * plan.samples
        work_ns *= _CUBIC_NS if plan.cubic else (_ALIGNED_NS if aligned else _OBLIQUE_NS)
        if pixels or work_ns > _ONE_CALL_NS:
            function = getattr(self._library, f"{name}_pixels" if pixels else name)
            run_tiles(lambda begin, end: function(*before, begin, end), plan.height, rows, self._threads, cancelled)
            return
        if cancelled is not None and cancelled():
            raise CancelledPictureError
        rows = min(rows, max(4, -(-plan.height // _FEWEST_TILES) // 4 * 4))
        threads = self._threads if work_ns > _WORTH_WAKING_NS else 1
        if getattr(self._library, f"{name}_crew")(*before, rows, threads):
            raise MemoryError("native kernel")


def _along_axes(plan: SlabPlan) -> bool:
    """Whether columns and rows follow voxel axes: neighbouring rows then share most of their work."""
    return not plan.cubic and plan.across.count(0.0) == 2 and plan.down.count(0.0) == 2


def mixing_order(plan: SlabPlan) -> int:
    """CfSlab::order: planes whose rows of voxels lie side by side have their own (kernels/sample.h)."""
    if plan.samples > 1 or not _along_axes(plan):
        return 0
    across, down = (next(axis for axis in range(3) if vector[axis] != 0.0) for vector in (plan.across, plan.down))
    return _ORDERS.get((across, down), 0)


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
        mixing_order(plan),
        plan.start if plan.start is not None else (-infinity if rising else infinity),
        plan.enough if plan.enough is not None else (infinity if rising else -infinity),
    )
