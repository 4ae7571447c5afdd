"""Slices in any order -> one regular volume (or one per phase). Pure geometry and arrays, no I/O.

``plan_stacks`` decides from geometry alone (PS3.3 C.7.6.2, C.7.6.16); ``assemble`` puts decoded slices in their places.
What no volume can be made of is refused with the reason; what had to be resampled or is missing is reported.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.errors import RenderError
from render.frame import Frame
from render.volume import MOST_VOXELS, Volume, VolumeReport

_SAME_DIRECTION = 2e-3  # length of the difference of unit vectors, about 0.1 degrees
_SAME_PLACE_MM = 0.01
_REGULAR = 0.02  # spacings differ by less than this share
_WHOLE_GAP = 0.1  # a gap within this share of whole spacings has missing slices
_MOST_GRID_SLICES = 4096
_TILT_PIXELS = 0.5  # drift over the whole stack that is resampled


class WrongStackError(RenderError):
    """These images are no stack; ``data['what']``: geometry, colour, size, spacing, orientation, alignment,
    'one place' (no depth), or that no slice can be decoded."""

    code = "volume.wrong_stack"
    message = {
        "zh": "这些图像的方向、大小或位置不一致，无法组成三维数据",
        "en": "These images differ in direction, size or place and make no volume",
    }


class VolumeTooLargeError(RenderError):
    """The volume would not fit into the memory for volumes; ``data``: wanted and allowed bytes."""

    code = "volume.too_large"
    message = {"zh": "三维数据超出内存上限", "en": "The volume is larger than the memory for volumes"}


@dataclass(frozen=True, slots=True)
class SlicePlane:
    """One frame's plane. ``row``: LPS direction along a row (to larger column index); ``column``: down a column.

    ``spacing_mm``: (between rows, between columns). ``stack``: frames of different stacks are never mixed.
    ``order``: sorts what lies at one place (phase, acquisition, instance number). ``key``: the caller's.
    """

    key: int
    position_mm: tuple[float, float, float]
    row: tuple[float, float, float]
    column: tuple[float, float, float]
    spacing_mm: tuple[float, float]
    rows: int
    columns: int
    thickness_mm: float | None = None
    stack: str = ""
    order: tuple[float, ...] = ()


@dataclass(frozen=True)
class StackPlan:
    """One volume to be: which slice is where.

    ``keys`` and ``offsets_mm`` along the normal, ascending from 0; ``shifts_px`` (slice, 2): how far (columns, rows) a
    slice is shifted in its plane by gantry tilt. The grid has ``depth`` slices ``step_mm`` apart.
    """

    keys: tuple[int, ...]
    offsets_mm: NDArray[np.float64]
    shifts_px: NDArray[np.float64]
    depth: int
    step_mm: float
    rows: int
    columns: int
    index_to_lps_mm: NDArray[np.float64]
    report: VolumeReport

    @property
    def voxels(self) -> int:
        """Of the whole grid."""
        return self.depth * self.rows * self.columns


def plan_stacks(slices: Sequence[SlicePlane]) -> list[StackPlan]:
    """One plan per stack and phase, the fullest first. Raises WrongStackError, VolumeTooLargeError."""
    if not slices:
        raise WrongStackError(what="geometry")
    stacks: defaultdict[str, list[SlicePlane]] = defaultdict(list)
    for plane in slices:
        _check_plane(plane)
        stacks[plane.stack].append(plane)
    plans = [_plan(phase) for stack in stacks.values() for phase in _phases(stack)]
    if len(slices) > 1 and all(len(plan.keys) == 1 for plan in plans):
        raise WrongStackError(what="one place")
    return sorted(plans, key=lambda plan: -len(plan.keys))


def thinned(slices: Sequence[SlicePlane], plan: StackPlan, every: int) -> StackPlan:
    """The plan of every n-th slice and the last: a first picture of a series that is still being decoded."""
    kept = {*plan.keys[::every], plan.keys[-1]}
    (coarse,) = plan_stacks([replace(plane, stack="", order=()) for plane in slices if plane.key in kept])
    report = replace(plan.report, present=len(kept))
    return replace(coarse, report=report)


# Geometry -------------------------------------------------------------------------------------------------------


def _check_plane(plane: SlicePlane) -> None:
    numbers = (*plane.position_mm, *plane.row, *plane.column, *plane.spacing_mm)
    if not all(math.isfinite(number) for number in numbers):
        raise WrongStackError(what="geometry")
    if min(plane.spacing_mm) <= 0 or max(plane.spacing_mm) > 1e3 or plane.rows < 1 or plane.columns < 1:
        raise WrongStackError(what="spacing")
    if max(abs(number) for number in plane.position_mm) > 1e6:
        raise WrongStackError(what="geometry")
    for direction in (plane.row, plane.column):
        if abs(math.hypot(*direction) - 1) > 1e-2:
            raise WrongStackError(what="orientation")
    if abs(sum(a * b for a, b in zip(plane.row, plane.column, strict=True))) > 1e-2:
        raise WrongStackError(what="orientation")


def _phases(stack: list[SlicePlane]) -> list[list[SlicePlane]]:
    """Frames at one place are phases: the n-th of every place belongs to phase n (4D, echoes)."""
    first = stack[0]
    for plane in stack:
        if (plane.rows, plane.columns) != (first.rows, first.columns):
            raise WrongStackError(what="size")
        if max(abs(a - b) for a, b in zip(plane.spacing_mm, first.spacing_mm, strict=True)) > 1e-3:
            raise WrongStackError(what="spacing")
        if math.dist(plane.row, first.row) > _SAME_DIRECTION or math.dist(plane.column, first.column) > _SAME_DIRECTION:
            raise WrongStackError(what="orientation")
    normal = _normal(first)
    along = sorted(stack, key=lambda plane: (float(normal @ plane.position_mm), plane.order, plane.key))
    places: list[list[SlicePlane]] = []
    for plane in along:
        if (
            places
            and abs(float(normal @ plane.position_mm) - float(normal @ places[-1][0].position_mm)) < _SAME_PLACE_MM
        ):
            places[-1].append(plane)
        else:
            places.append([plane])
    for place in places:
        place.sort(key=lambda plane: (plane.order, plane.key))
    count = max(len(place) for place in places)
    return [[place[number] for place in places if number < len(place)] for number in range(count)]


def _normal(plane: SlicePlane) -> NDArray[np.float64]:
    normal = np.cross(plane.row, plane.column)
    return np.asarray(normal / np.linalg.norm(normal), np.float64)


def _plan(phase: list[SlicePlane]) -> StackPlan:
    first, normal = phase[0], _normal(phase[0])
    positions = np.array([plane.position_mm for plane in phase], np.float64)
    offsets = (positions - positions[0]) @ normal
    row, column = np.array(first.row, np.float64), np.array(first.column, np.float64)
    drift = _drift(positions, offsets, row, column)  # mm per mm along the normal, (along rows, along columns)
    pixel_mm = np.array([first.spacing_mm[1], first.spacing_mm[0]])
    ideal = np.outer(offsets, drift)
    sideways = np.stack([(positions - positions[0]) @ row, (positions - positions[0]) @ column], axis=1)
    if float((np.abs(sideways - ideal) / pixel_mm).max()) > 1.0:
        raise WrongStackError(what="alignment")
    tilted = float((np.abs(ideal) / pixel_mm).max()) > _TILT_PIXELS
    shifts = sideways / pixel_mm if tilted else np.zeros((len(phase), 2))
    depth, step, missing, resampled = _grid(offsets, first.thickness_mm)
    lowest = np.floor(shifts.min(axis=0) + 1e-6)
    wide, tall = (np.ceil(shifts.max(axis=0) - 1e-6) - lowest).astype(int) if tilted else (0, 0)
    origin = positions[0] + row * (lowest[0] * pixel_mm[0]) + column * (lowest[1] * pixel_mm[1])
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = row * pixel_mm[0], column * pixel_mm[1], normal * step
    matrix[:3, 3] = origin
    gaps = np.diff(offsets)
    report = VolumeReport(
        present=len(phase),
        expected=len(phase),
        missing_mm=missing,
        resampled=(*(("spacing",) if resampled else ()), *(("tilt",) if tilted else ())),
        tilt_degrees=round(math.degrees(math.atan(float(np.linalg.norm(drift)))), 2) if tilted else 0.0,
        spacing_range_mm=(float(gaps.min()), float(gaps.max())) if len(gaps) else (step, step),
    )
    rows, columns = first.rows + int(tall), first.columns + int(wide)
    if depth * rows * columns > MOST_VOXELS:
        raise VolumeTooLargeError(wanted=2 * depth * rows * columns, allowed=2 * MOST_VOXELS)
    keys = tuple(plane.key for plane in phase)
    return StackPlan(keys, offsets, shifts - lowest, depth, step, rows, columns, matrix, report)


def _drift(
    positions: NDArray[np.float64], offsets: NDArray[np.float64], row: NDArray[np.float64], column: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sideways mm per mm along the normal, by least squares through the first slice."""
    total = float(offsets @ offsets)
    if total < 1e-12:
        return np.zeros(2)
    sideways = positions - positions[0]
    return np.array([float(offsets @ (sideways @ row)), float(offsets @ (sideways @ column))]) / total


def _grid(offsets: NDArray[np.float64], thickness_mm: float | None) -> tuple[int, float, tuple[float, ...], bool]:
    """(slices, spacing in mm, places in mm where one is missing, whether values lie between slices)."""
    if len(offsets) == 1:
        usable = thickness_mm is not None and math.isfinite(thickness_mm) and 0 < thickness_mm < 1e3
        return 1, float(thickness_mm) if usable and thickness_mm else 1.0, (), False
    gaps = np.diff(offsets)
    usual = float(np.median(gaps))
    whole = np.rint(gaps / usual)
    if (np.abs(gaps - usual) <= _REGULAR * usual).all():
        step = float(offsets[-1]) / (len(offsets) - 1)
        return len(offsets), step, (), False
    if (np.abs(gaps - whole * usual) <= _WHOLE_GAP * usual).all() and (whole >= 1).all():
        missing = [
            float(offsets[i] + gaps[i] * n / whole[i]) for i in range(len(gaps)) for n in range(1, int(whole[i]))
        ]
        count = int(whole.sum()) + 1
        if count <= _MOST_GRID_SLICES and len(missing) <= len(offsets):
            return count, float(offsets[-1]) / (count - 1), tuple(round(place, 3) for place in missing), True
    step = max(float(gaps.min()), float(offsets[-1]) / (4 * len(offsets)), float(offsets[-1]) / _MOST_GRID_SLICES)
    count = max(2, round(float(offsets[-1]) / step) + 1)
    return count, float(offsets[-1]) / (count - 1), (), True


# Values ---------------------------------------------------------------------------------------------------------


def modality_array(frame: Frame) -> NDArray[Any]:
    """(y, x) modality values, padding and what is not finite at the lowest other value; whole numbers where exact."""
    if frame.is_colour:
        raise WrongStackError(what="colour")
    values, scale, offset = frame.index
    plain = frame.modality_lut is None and frame.rescale_slope == 1 and float(frame.rescale_intercept).is_integer()
    if frame.values.dtype.kind in "iu" and plain and scale == 1 and offset.is_integer():
        shift = int(frame.rescale_intercept) + int(offset)
        numbers = values.astype(np.int32) + shift if shift else values
    else:
        numbers = frame.modality_values(values.astype(np.float64) * scale + offset).astype(np.float32)
    mask = frame.padding_mask
    if mask is not None:  # the index image has the darkest value there: for inverse images that is the highest
        numbers = np.where(mask, numbers[~mask].min(), numbers)
    return numbers


def _fitting(numbers: NDArray[Any], dtype: np.dtype[Any] | None) -> np.dtype[Any]:
    """The smallest type of a volume that holds what it held so far and these."""
    if numbers.dtype.kind == "f" or dtype == np.float32:
        return np.dtype(np.float32)
    low, high = int(numbers.min()), int(numbers.max())
    if dtype != np.uint16 and low >= -32768 and high <= 32767:
        return np.dtype(np.int16)
    if dtype is None and low >= 0 and high <= 65535:
        return np.dtype(np.uint16)
    return np.dtype(np.uint16) if dtype == np.uint16 and low >= 0 and high <= 65535 else np.dtype(np.float32)


def assemble(plan: StackPlan, frame_of: Callable[[int], Frame | None]) -> Volume:
    """The volume of a plan; ``frame_of(key)`` gives each decoded slice, once and in order along the normal.

    None stands for a slice that cannot be decoded: it is reported as missing, and its neighbours are mixed in its
    place. Raises WrongStackError and what ``frame_of`` raises.
    """
    values: NDArray[Any] | None = None
    before: tuple[float, NDArray[Any]] | None = None
    last: Frame | None = None
    lowest = math.inf
    undecoded: list[float] = []
    for number, key in enumerate(plan.keys):
        frame = frame_of(key)
        if frame is None:
            undecoded.append(round(float(plan.offsets_mm[number]), 3))
            continue
        last = frame
        numbers = modality_array(frame)
        lowest = min(lowest, float(numbers.min()))
        numbers = _untilted(numbers, plan, number)
        dtype = _fitting(numbers, None if values is None else values.dtype)
        if values is None:
            values = np.zeros((plan.depth, plan.rows, plan.columns), dtype)
        elif values.dtype != dtype:
            values = values.astype(np.float32)
        at = float(plan.offsets_mm[number])
        _fill(values, plan, before, (at, numbers))
        before = (at, numbers)
    if values is None or last is None or before is None:
        raise WrongStackError(what="no slice can be decoded")
    values[math.floor(before[0] / plan.step_mm + _NEAR) + 1 :] = before[1]
    if "tilt" in plan.report.resampled:
        _fill_corners(values, plan, lowest)
    report = plan.report
    if undecoded:
        report = replace(
            report, present=report.present - len(undecoded), missing_mm=tuple(sorted((*report.missing_mm, *undecoded)))
        )
    return Volume(
        np.ascontiguousarray(values),
        plan.index_to_lps_mm,
        report,
        modality=last.modality,
        voi_windows=last.voi_windows,
        inverse=last.is_inverse,
    )


def _fill(
    values: NDArray[Any], plan: StackPlan, before: tuple[float, NDArray[Any]] | None, now: tuple[float, NDArray[Any]]
) -> None:
    """Grid slices after the slice before, up to this one; between two they are mixed by distance."""
    place = now[0] / plan.step_mm
    first = 0 if before is None else math.floor(before[0] / plan.step_mm + _NEAR) + 1
    for k in range(first, min(plan.depth - 1, math.floor(place + _NEAR)) + 1):
        if before is None or abs(k - place) <= _NEAR:
            values[k] = now[1]
            continue
        share = (k * plan.step_mm - before[0]) / (now[0] - before[0])
        mixed = before[1].astype(np.float32) * (1 - share) + now[1].astype(np.float32) * share
        values[k] = mixed if values.dtype == np.float32 else np.rint(mixed)


_NEAR = 0.15  # of a grid step: a slice this near to a grid place is used as it is


def _untilted(numbers: NDArray[Any], plan: StackPlan, number: int) -> NDArray[Any]:
    """The slice moved in its plane to where an upright stack has it; outside stays the lowest value."""
    if "tilt" not in plan.report.resampled:
        return numbers
    shift_x, shift_y = (float(v) for v in plan.shifts_px[number])
    column, row = math.floor(shift_x), math.floor(shift_y)
    moved = numbers.astype(np.float32)
    for axis, share in ((1, shift_x - column), (0, shift_y - row)):
        if share > 1e-3:
            earlier = np.roll(moved, 1, axis=axis)
            edge = [slice(None), slice(None)]
            edge[axis] = slice(0, 1)
            earlier[tuple(edge)] = moved[tuple(edge)]
            moved = moved * (1 - share) + earlier * share
    out = np.full((plan.rows, plan.columns), float(numbers.min()), np.float32)
    height, width = numbers.shape
    tall, wide = min(height, plan.rows - row), min(width, plan.columns - column)
    out[row : row + tall, column : column + wide] = moved[:tall, :wide]
    return out if numbers.dtype.kind == "f" else np.rint(out).astype(np.int32)


def _fill_corners(values: NDArray[Any], plan: StackPlan, lowest: float) -> None:
    """What no slice covered has the lowest value of all slices (each slice was filled with its own)."""
    np.maximum(values, values.dtype.type(lowest), out=values)
