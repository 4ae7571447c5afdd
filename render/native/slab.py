"""ctypes binding of slab.cpp: planes and slabs through a volume, and the bounds of its cells of 8 cubed voxels."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

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
_ROWS_NS, _ALIGNED_NS, _OBLIQUE_NS, _CUBIC_NS = 0.3, 0.8, 2.5, 15.0
_WORTH_WAKING_NS = 50e3
_ONE_CALL_NS = 8e6
_FEWEST_TILES = 16  # of one call: a thread that has to wait for its core holds up little
_WORTH_SHEETS = 1 << 14  # samples
_ORDERS = {(0, 1): 1, (0, 2): 2, (1, 2): 3}  # CF_ZYX, CF_YZX, CF_XZY by the axes of columns and rows

_ONE_THREAD, _EVERY_THREAD, _MANY_CALLS = range(3)
_KEPT = 32

_Byte = ctypes.c_char * 1
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


class SlabCall(ctypes.Structure):
    """CfSlabCall of slab.cpp: a view and where its picture goes."""

    _fields_ = (
        ("volume", ctypes.c_void_p),
        ("sheets", ctypes.c_void_p),
        ("slab", Slab),
        ("cells", CellsOfSlab),
        ("table", Table),
        *((name, ctypes.c_float) for name in ("slope", "base")),
        ("outside", ctypes.c_int),
        ("missing", ctypes.c_float),
        ("picture", ctypes.c_void_p),
        ("reduced", ctypes.c_void_p),
    )


_SLAB = [ctypes.POINTER(SlabCall), ctypes.c_int, ctypes.c_int]
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


class SlabResult(NamedTuple):
    """``picture`` (y, x) uint8 or None; ``values`` (y, x) float32 or None; ``backend`` that made them."""

    picture: NDArray[np.uint8] | None
    values: NDArray[np.float32] | None
    backend: str = "native"


@dataclass(frozen=True, slots=True)
class _Ready:
    """A plan's call without its outputs, and how it is done. ``along_x``: see _along_x; ``threads``: see _division."""

    plan: SlabPlan
    call: SlabCall
    shape: tuple[int, int]
    type: str
    along_x: tuple[float, float] | None
    tile_rows: int
    threads: int


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
        self._crews = {kind: getattr(self._library, f"cf_slab_{kind}_crew") for kind in _TYPES.values()}

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
        ready = self._ready(volume, plan, skip)
        call = SlabCall.from_buffer_copy(ready.call)
        picture = reduced = None
        if table is not None:
            picture = np.empty(ready.shape, np.uint8)
            call.picture = ctypes.addressof(_Byte.from_buffer(picture.data))
            call.table = shown_by(table)
            if table.ramp is not None:
                call.slope, call.base = table.ramp
            call.outside = outside
        if values:
            reduced = np.empty(ready.shape, np.float32)
            call.reduced = ctypes.addressof(_Byte.from_buffer(reduced.data))
            call.missing = missing
        sheets = None
        if ready.along_x is not None and sheeted and not pixels:
            sheets = self._sheets(volume, ready)
            if sheets is not None:
                call.sheets = sheets.address
        self._run(call, ready, pixels, cancelled)
        return SlabResult(picture, reduced)

    def _ready(self, volume: Volume, plan: SlabPlan, skip: bool) -> _Ready:
        """What does not change from picture to picture of a plan; a few are kept with the volume."""
        kept: dict[tuple[int, bool], _Ready] = volume.extra.setdefault("ready", {})
        found = kept.get((id(plan), skip))
        if found is not None and found.plan is plan:
            return found
        call = SlabCall(_address(volume), None, slab_struct(volume, plan))
        if skip and plan.kind != "mean" and plan.samples > CELL and not plan.cubic:
            bounds = self.cells(volume)
            depth, rows, columns = bounds.low.shape
            a = library.address
            call.cells = CellsOfSlab(a(bounds.low), a(bounds.high), columns, rows, depth)
        call.table = Table(None, 0.0, 1.0, 0)
        if len(kept) >= _KEPT:
            kept.clear()
        found = kept[id(plan), skip] = _Ready(
            plan,
            call,
            (plan.height, plan.width),
            _TYPES[volume.values.dtype],
            _along_x(volume, plan),
            *_division(plan),
        )
        return found

    def _sheets(self, volume: Volume, ready: _Ready) -> SheetTable | None:
        """Planes x = constant that a view along x with columns along y can be drawn from."""
        kept = volume.extra.get("sheets")
        if kept is None:
            kept = volume.extra.setdefault("sheets", Sheets(volume.shape, volume.values.dtype))
        assert ready.along_x is not None  # noqa: S101  # who calls has looked
        ends = ready.along_x
        found = kept.at_hand(*ends)
        if found is not None:
            return found
        make = getattr(self._library, f"cf_sheets_{ready.type}")

        def made(first: int, count: int, out: NDArray[Any], apart: int) -> None:
            if make(_address(volume), _grid(volume), first, count, library.address(out), apart, self._threads):
                raise MemoryError("native kernel")

        return kept.table(*ends, made)

    def _run(self, call: SlabCall, ready: _Ready, pixels: bool, cancelled: Callable[[], bool] | None) -> None:
        if pixels or ready.threads == _MANY_CALLS:
            function = getattr(self._library, f"cf_slab_{ready.type}_pixels" if pixels else f"cf_slab_{ready.type}")
            height, rows = ready.plan.height, ready.tile_rows
            run_tiles(lambda begin, end: function(call, begin, end), height, rows, self._threads, cancelled)
            return
        if cancelled is not None and cancelled():
            raise CancelledPictureError
        threads = self._threads if ready.threads == _EVERY_THREAD else 1
        if self._crews[ready.type](call, ready.tile_rows, threads):
            raise MemoryError("native kernel")


def _along_x(volume: Volume, plan: SlabPlan) -> tuple[float, float] | None:
    """Ends of the samples of a view along x with columns along y that sheets are worth their while for."""
    across, down = plan.across, plan.down
    if across[0] or across[2] or not 0 < abs(across[1]) < 4 or down[0] or down[1] or plan.cubic:
        return None  # native/aligned.h leaves smaller pictures to the oblique path
    depth, rows, _ = volume.shape
    if depth * rows < sheets_of.SMALLEST_PLANE or plan.width * plan.height * plan.samples < _WORTH_SHEETS:
        return None
    ends = plan.origin[0], plan.origin[0] + plan.through[0] * (plan.samples - 1)
    return (min(ends), max(ends)) if all(math.isfinite(end) for end in ends) else None


def shown_by(table: DisplayTable) -> Table:
    """CfTable of a display table; kept with it."""
    kept = table.__dict__.get("native")
    if kept is None:
        kept = table.__dict__["native"] = Table(table.address, table.first, table.steps, len(table.entries))
    return kept


def _division(plan: SlabPlan) -> tuple[int, int]:
    """(rows of a tile, threads) of a view: _ONE_THREAD, _EVERY_THREAD in one call, or _MANY_CALLS."""
    aligned = _along_axes(plan)
    rows = _ALIGNED_ROWS if aligned else _tile_rows(plan)
    work_ns = plan.width * plan.height * plan.samples
    if plan.cubic:
        work_ns *= _CUBIC_NS
    elif mixing_order(plan):
        work_ns *= _ROWS_NS
    else:
        work_ns *= _ALIGNED_NS if aligned else _OBLIQUE_NS
    if work_ns > _ONE_CALL_NS:
        return rows, _MANY_CALLS
    rows = min(rows, max(4, -(-plan.height // _FEWEST_TILES) // 4 * 4))
    return rows, _EVERY_THREAD if work_ns > _WORTH_WAKING_NS else _ONE_THREAD


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
