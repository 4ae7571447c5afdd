"""A view of a plane or slab -> samples in voxels -> picture: MPR, slab maximum, minimum and mean, MIP."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from render.backend import DisplayTable, Slabs
from render.errors import InvalidViewError
from render.lut import Voi, apply_window, find_ramp
from render.native.slab import MOST_SAMPLES, NativeSlabs, SlabPlan
from render.request import SlabView, Vector
from render.volume import Volume

_FINE_ENTRIES = 4096
_MOST_ENTRIES = 65536
_KEPT_DIRECTIONS = 16
_KEPT_GEOMETRIES = 16
_ON_GRID = 1e-5  # a direction this near to a voxel axis is that axis


class SlabPicture(NamedTuple):
    """``pixels`` (y, x) uint8 and where they lie: middle, spacing and thickness after what was left open is settled."""

    pixels: NDArray[np.uint8]
    voi: Voi
    backend: str
    quality: str
    center_mm: tuple[float, float, float]
    row_direction: tuple[float, float, float]
    column_direction: tuple[float, float, float]
    pixel_spacing_mm: float
    thickness_mm: float
    samples: int
    complete_percent: int


@dataclass(frozen=True, slots=True)
class _Directions:
    """Unit directions of a view in LPS, and in voxels per mm. A few are kept with the volume: views that follow each
    other mostly differ in their middle or window. Plain numbers: arrays of three cost more than a kernel's rows.
    """

    across: Vector
    down: Vector
    normal: Vector
    across_voxels: Vector
    down_voxels: Vector
    normal_voxels: Vector


@dataclass(frozen=True, slots=True)
class _Place:
    """A view's geometry in LPS."""

    center: Vector
    directions: _Directions
    spacing_mm: float


@lru_cache(maxsize=1)
def choose_slabs() -> Slabs:
    """CUDA where a device answers (and the CPU behind it), else the native kernels; loaded once."""
    from render.cuda import choice

    return choice.guarded_slabs(NativeSlabs())


def render_slab(
    volume: Volume, view: SlabView, slabs: Slabs | None = None, cancelled: Callable[[], bool] | None = None
) -> SlabPicture:
    """One picture. Raises InvalidViewError, CancelledPictureError."""
    place, plan, thickness_mm = _geometry(volume, view)
    voi = choose_volume_voi(volume, view)
    inverse = volume.inverse != view.invert
    table = volume_table(volume, voi, inverse)
    if plan.samples > 1 and plan.kind != "mean":
        first, last = table.first, table.first + (len(table.entries) - 1) / table.steps
        start, enough = (last, first) if plan.kind == "minimum" else (first, last)
        plan = replace(plan, start=start, enough=enough)
    kernels = slabs or choose_slabs()
    made = kernels.slab(volume, plan, table, outside=255 if inverse else 0, cancelled=cancelled)
    assert made.picture is not None  # noqa: S101  # a table was given
    directions = place.directions
    return SlabPicture(
        made.picture,
        voi,
        made.backend,
        view.quality,
        place.center,
        directions.across,
        directions.down,
        place.spacing_mm,
        thickness_mm,
        plan.samples,
        volume.report.complete_percent,
    )


def slab_values(volume: Volume, view: SlabView, slabs: Slabs | None = None) -> NDArray[np.float32]:
    """Modality values (y, x) of the view, not a number where a ray misses the volume. Raises InvalidViewError."""
    made = (slabs or choose_slabs()).slab(volume, _geometry(volume, view)[1], values=True)
    assert made.values is not None  # noqa: S101  # asked for
    return made.values


def _geometry(volume: Volume, view: SlabView) -> tuple[_Place, SlabPlan, float]:
    """Place, plan and thickness of a view. Those of a few are kept: while a window is dragged they do not change."""
    kept: dict[Any, tuple[_Place, SlabPlan, float]] = volume.extra.setdefault("geometries", {})
    key = (
        view.center_mm,
        view.row_direction,
        view.column_direction,
        view.pixel_spacing_mm,
        view.thickness_mm,
        view.width,
        view.height,
        view.kind,
        view.interpolation,
        view.quality,
    )
    found = kept.get(key)
    if found is None:
        place = place_of(volume, view)
        if len(kept) >= _KEPT_GEOMETRIES:
            kept.clear()
        found = kept[key] = (place, *plan_of(volume, view, place))
    return found


# Geometry -------------------------------------------------------------------------------------------------------


def place_of(volume: Volume, view: SlabView) -> _Place:
    """Directions made perpendicular; an open middle and spacing settled so that the volume fits."""
    directions = _directions(volume, view.row_direction, view.column_direction)
    center = view.center_mm or volume.center_lps_mm
    spacing = view.pixel_spacing_mm
    if spacing is None:
        low, high = _ends(volume, directions.across)
        top, bottom = _ends(volume, directions.down)
        spacing = min(max((high - low) / view.width, (bottom - top) / view.height, 1e-3), 1e3)
    return _Place(_triple(center), directions, spacing)


def _directions(volume: Volume, row: Vector, column: Vector) -> _Directions:
    kept: dict[tuple[Vector, Vector], _Directions] = volume.extra.setdefault("directions", {})
    found = kept.get((row, column))
    if found is not None:
        return found
    turn = _turn(volume)
    across = _unit(row)
    along = _dot(across, column)
    down = _unit((column[0] - along * across[0], column[1] - along * across[1], column[2] - along * across[2]))
    normal = (
        across[1] * down[2] - across[2] * down[1],
        across[2] * down[0] - across[0] * down[2],
        across[0] * down[1] - across[1] * down[0],
    )
    in_voxels = [_snapped(_turned(turn, axis)) for axis in (across, down, normal)]
    if len(kept) >= _KEPT_DIRECTIONS:
        kept.clear()
    found = kept[row, column] = _Directions(across, down, normal, *in_voxels)
    return found


def corners_mm(volume: Volume) -> NDArray[np.float64]:
    """(8, 3) LPS: the outer corners of the outermost voxels."""
    depth, rows, columns = volume.shape
    ends = [(-0.5, columns - 0.5), (-0.5, rows - 0.5), (-0.5, depth - 0.5)]
    index = np.array([(i, j, k, 1.0) for i in ends[0] for j in ends[1] for k in ends[2]])
    return np.asarray((index @ volume.index_to_lps_mm.T)[:, :3], np.float64)


def plan_of(
    volume: Volume, view: SlabView, place: _Place, start: float | None = None, enough: float | None = None
) -> tuple[SlabPlan, float]:
    """(plan in voxels, thickness in mm that is looked at)."""
    turn = _turn(volume)
    directions = place.directions
    a, d, n = directions.across_voxels, directions.down_voxels, directions.normal_voxels
    x, y, z = _turned(turn, place.center)
    middle = (x + turn[0][3], y + turn[1][3], z + turn[2][3])
    first, step_mm, samples = _samples(volume, view, place, middle)
    right, lower = place.spacing_mm * (view.width - 1) / 2, place.spacing_mm * (view.height - 1) / 2
    origin = (
        middle[0] - a[0] * right - d[0] * lower + n[0] * first,
        middle[1] - a[1] * right - d[1] * lower + n[1] * first,
        middle[2] - a[2] * right - d[2] * lower + n[2] * first,
    )
    limit = 1e6  # voxels: beyond it float32 places say nothing
    wide, tall = place.spacing_mm * view.width, place.spacing_mm * view.height
    if max(*map(abs, origin), max(map(abs, a)) * wide, max(map(abs, d)) * tall) > limit:
        raise InvalidViewError(what="too far from the volume")
    plan = SlabPlan(
        origin,
        _scaled(a, place.spacing_mm),
        _scaled(d, place.spacing_mm),
        _scaled(n, step_mm),
        view.width,
        view.height,
        samples,
        view.kind,
        view.interpolation == "cubic" and view.quality == "refined",
        start,
        enough,
    )
    return plan, step_mm * (samples - 1)


def _samples(volume: Volume, view: SlabView, place: _Place, middle: Vector) -> tuple[float, float, int]:
    """(first sample in mm from the middle, step in mm, number). At most a voxel apart along every voxel axis.

    An odd number, so that one lies in the middle; along a voxel axis they lie on voxel centres, so that the largest
    value is one that was measured. Nothing is looked at before or behind the volume.
    """
    normal = place.directions.normal_voxels
    step_mm = 1.0 / max(*map(abs, normal), 1e-9)
    half = math.floor(view.thickness_mm / 2 / step_mm + 1e-6)
    if half == 0:
        return 0.0, step_mm, 1
    shift = 0.0
    axes = [axis for axis in range(3) if normal[axis]]
    if len(axes) == 1:
        at = middle[axes[0]]
        shift = (round(at) - at) / normal[axes[0]]
    front, back = _ends(volume, place.directions.normal)
    here = _dot(place.center, place.directions.normal) + shift
    low = max(-half, math.ceil((front - here) / step_mm - 1e-6))
    high = min(half, math.floor((back - here) / step_mm + 1e-6))
    if low > high:
        return shift, step_mm, 1  # before or behind the volume: the picture is empty
    samples = high - low + 1
    first = shift + low * step_mm
    if samples > MOST_SAMPLES:
        step_mm *= (samples - 1) / (MOST_SAMPLES - 1)
        samples = MOST_SAMPLES
    return first, step_mm, samples


def _turn(volume: Volume) -> list[list[float]]:
    """Rows of the matrix from LPS to index; kept with the volume."""
    kept = volume.extra.get("lps_to_index_rows")
    if kept is None:
        kept = volume.extra["lps_to_index_rows"] = volume.lps_to_index[:3].tolist()
    return kept


def _ends(volume: Volume, direction: Vector) -> tuple[float, float]:
    """Where the volume's outermost voxels begin and end along a direction, mm."""
    corners = volume.extra.get("corners_mm")
    if corners is None:
        corners = volume.extra["corners_mm"] = corners_mm(volume).tolist()
    along = [_dot(corner, direction) for corner in corners]
    return min(along), max(along)


def _snapped(direction: Vector) -> Vector:
    """Components that only rounding made are zero."""
    small = _ON_GRID * max(map(abs, direction))
    x, y, z = (0.0 if abs(v) < small else v for v in direction)
    return x, y, z


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _turned(rows: Sequence[Sequence[float]], vector: Vector) -> Vector:
    return _dot(rows[0], vector), _dot(rows[1], vector), _dot(rows[2], vector)


def _scaled(vector: Vector, by: float) -> Vector:
    return vector[0] * by, vector[1] * by, vector[2] * by


def _unit(vector: Vector) -> Vector:
    return _scaled(vector, 1.0 / math.hypot(*vector))


def _triple(values: Sequence[float]) -> Vector:
    return float(values[0]), float(values[1]), float(values[2])


# Gray scale -----------------------------------------------------------------------------------------------------


def choose_volume_voi(volume: Volume, view: Any) -> Voi:
    """The view's window, else the file's, else the 1st to the 99th percentile. ``view``: any with VOI fields."""
    if view.voi == "window":
        return Voi(view.window_center, max(view.window_width, 1e-6), "window")
    if view.voi == "file" and volume.voi_windows:
        center, width = volume.voi_windows[0]
        return Voi(center, max(width, 1e-6), "window")
    center, width = automatic_window(volume)
    return Voi(center, width, "auto")


def automatic_window(volume: Volume) -> tuple[float, float]:
    """(center, width) between percentiles of a sample of the voxels above the lowest value; kept with the volume."""
    kept = volume.extra.get("automatic_window")
    if kept is None:
        step = max(1, round((volume.values.size / 500_000) ** (1 / 3)))
        sample = volume.values[::step, ::step, ::step]
        above = sample[sample > sample.min()]
        low, high = np.percentile(above if above.size else sample, (1, 99))
        kept = (float(low + high) / 2, max(float(high - low), 1.0))
        volume.extra["automatic_window"] = kept
    return kept


def volume_table(volume: Volume, voi: Voi, inverse: bool) -> DisplayTable:
    """Display values by modality value, LINEAR (PS3.3 C.11.2.1.2), cut as DCMTK cuts."""
    low, high = _value_range(volume)
    whole = volume.values.dtype != np.float32
    return _table(low, high, whole, voi.center or 0.0, voi.width or 1.0, inverse)


def _value_range(volume: Volume) -> tuple[float, float]:
    """Of the cells where there are any: a pass over all voxels once, kept with the volume."""
    kept = volume.extra.get("value_range")
    if kept is None:
        cells = choose_slabs().cells(volume)
        kept = volume.extra["value_range"] = (float(cells.low.min()), float(cells.high.max()))
    return kept


@lru_cache(maxsize=256)
def _table(low: float, high: float, whole: bool, center: float, width: float, inverse: bool) -> DisplayTable:
    begin, end = max(low, center - 0.5 - width / 2 - 1), min(high, center + width / 2 + 1)
    if not begin < end:  # all values on one side of the window
        begin, end = min(max(begin, low), high), min(max(begin, low), high) + 1.0
    if whole:
        begin, end = math.floor(begin), math.ceil(end)
        steps = float(min(16, max(1, _FINE_ENTRIES // max(1, int(end - begin)))))
    else:
        steps = _FINE_ENTRIES / (end - begin)
    count = min(_MOST_ENTRIES, round((end - begin) * steps) + 1)
    steps = min(steps, (count - 1) / (end - begin)) if count > 1 else 1.0
    values = begin + np.arange(count, dtype=np.float64) / steps
    shown = apply_window(values, center, width, "LINEAR")
    entries = np.floor(shown * 255.0 + 1e-6).astype(np.uint8)
    entries = 255 - entries if inverse else entries
    return DisplayTable(entries, float(begin), float(steps), _ramp(entries, begin, steps, center, width, inverse))


def _ramp(
    entries: NDArray[np.uint8], begin: float, steps: float, center: float, width: float, inverse: bool
) -> tuple[float, float] | None:
    """(slope, base) of a table that is a straight line cut at its ends: computed, it needs no look-ups."""
    slope = 255.0 / (max(width, 1.0 + 1e-6) - 1.0) / steps
    base = ((begin - (center - 0.5)) / (max(width, 1.0 + 1e-6) - 1.0) + 0.5) * 255.0
    if inverse:
        slope, base = -slope, 256.0 - base
    return find_ramp(entries, slope, base)
