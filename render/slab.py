"""A view of a plane or slab -> samples in voxels -> picture: MPR, slab maximum, minimum and mean, MIP."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.backend import DisplayTable, Slabs
from render.errors import InvalidViewError
from render.lut import Voi, apply_window
from render.native.slab import MOST_SAMPLES, NativeSlabs, SlabPlan
from render.request import SlabView
from render.volume import Volume

_FINE_ENTRIES = 4096
_MOST_ENTRIES = 65536
_ON_GRID = 1e-5  # a direction this near to a voxel axis is that axis


@dataclass(frozen=True)
class SlabPicture:
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


@dataclass(frozen=True)
class _Place:
    """A view's geometry, unit directions in LPS."""

    center: NDArray[np.float64]
    across: NDArray[np.float64]
    down: NDArray[np.float64]
    normal: NDArray[np.float64]
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
    place = place_of(volume, view)
    voi = choose_volume_voi(volume, view)
    inverse = volume.inverse != view.invert
    table = volume_table(volume, voi, inverse)
    first, last = table.first, table.first + (len(table.entries) - 1) / table.steps
    start, enough = (last, first) if view.kind == "minimum" else (first, last)
    plan, thickness_mm = plan_of(volume, view, place, start=start, enough=enough)
    kernels = slabs or choose_slabs()
    made = kernels.slab(volume, plan, table, outside=255 if inverse else 0, cancelled=cancelled)
    assert made.picture is not None  # noqa: S101  # a table was given
    return SlabPicture(
        made.picture,
        voi,
        made.backend,
        view.quality,
        _triple(place.center),
        _triple(place.across),
        _triple(place.down),
        place.spacing_mm,
        thickness_mm,
        plan.samples,
        volume.report.complete_percent,
    )


def slab_values(volume: Volume, view: SlabView, slabs: Slabs | None = None) -> NDArray[np.float32]:
    """Modality values (y, x) of the view, not a number where a ray misses the volume. Raises InvalidViewError."""
    plan, _ = plan_of(volume, view, place_of(volume, view))
    made = (slabs or choose_slabs()).slab(volume, plan, values=True)
    assert made.values is not None  # noqa: S101  # asked for
    return made.values


# Geometry -------------------------------------------------------------------------------------------------------


def place_of(volume: Volume, view: SlabView) -> _Place:
    """Directions made perpendicular; an open middle and spacing settled so that the volume fits."""
    across = np.array(view.row_direction, np.float64)
    across /= np.linalg.norm(across)
    down = np.array(view.column_direction, np.float64)
    down -= across * float(across @ down)
    down /= np.linalg.norm(down)
    center = np.array(view.center_mm or volume.center_lps_mm, np.float64)
    spacing = view.pixel_spacing_mm
    if spacing is None:
        corners = corners_mm(volume)
        wide, tall = (float(np.ptp(corners @ axis)) for axis in (across, down))
        spacing = min(max(wide / view.width, tall / view.height, 1e-3), 1e3)
    return _Place(center, across, down, np.cross(across, down), spacing)


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
    turn = volume.lps_to_index[:3, :3]
    across, down = (_snapped(turn @ axis) * place.spacing_mm for axis in (place.across, place.down))
    normal = _snapped(turn @ place.normal)
    middle = turn @ place.center + volume.lps_to_index[:3, 3]
    first, step_mm, samples = _samples(volume, view, place, normal, middle)
    origin = middle - across * ((view.width - 1) / 2) - down * ((view.height - 1) / 2) + normal * first
    limit = 1e6  # voxels: beyond it float32 places say nothing
    if float(np.abs(np.concatenate([origin, across * view.width, down * view.height])).max()) > limit:
        raise InvalidViewError(what="too far from the volume")
    plan = SlabPlan(
        _triple(origin),
        _triple(across),
        _triple(down),
        _triple(normal * step_mm),
        view.width,
        view.height,
        samples,
        view.kind,
        view.interpolation == "cubic" and view.quality == "refined",
        start,
        enough,
    )
    return plan, step_mm * (samples - 1)


def _samples(
    volume: Volume, view: SlabView, place: _Place, normal: NDArray[np.float64], middle: NDArray[np.float64]
) -> tuple[float, float, int]:
    """(first sample in mm from the middle, step in mm, number). At most a voxel apart along every voxel axis.

    An odd number, so that one lies in the middle; along a voxel axis they lie on voxel centres, so that the largest
    value is one that was measured. Nothing is looked at before or behind the volume.
    """
    step_mm = 1.0 / max(float(np.abs(normal).max()), 1e-9)
    half = math.floor(view.thickness_mm / 2 / step_mm + 1e-6)
    if half == 0:
        return 0.0, step_mm, 1
    shift = 0.0
    axes = np.flatnonzero(normal)
    if len(axes) == 1:
        at = float(middle[axes[0]])
        shift = (round(at) - at) / float(normal[axes[0]])
    depths = (corners_mm(volume) - place.center) @ place.normal - shift
    low = max(-half, math.ceil(float(depths.min()) / step_mm - 1e-6))
    high = min(half, math.floor(float(depths.max()) / step_mm + 1e-6))
    if low > high:
        return shift, step_mm, 1  # before or behind the volume: the picture is empty
    samples = high - low + 1
    first = shift + low * step_mm
    if samples > MOST_SAMPLES:
        step_mm *= (samples - 1) / (MOST_SAMPLES - 1)
        samples = MOST_SAMPLES
    return first, step_mm, samples


def _snapped(direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Components that only rounding made are zero."""
    small = np.abs(direction) < _ON_GRID * np.abs(direction).max()
    return np.where(small, 0.0, direction)


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
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
    """Of the cells where there are any: a pass over all voxels once."""
    cells = choose_slabs().cells(volume)
    return float(cells.low.min()), float(cells.high.max())


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
    return DisplayTable(255 - entries if inverse else entries, float(begin), float(steps))
