"""Slices in any order to volumes: order, phases, gaps, tilt, rescale, padding, and what is refused."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from render.frame import Frame
from render.request import PLANES, SlabView
from render.slab import slab_values
from render.stack import SlicePlane, StackPlan, WrongStackError, assemble, plan_stacks, thinned
from render.volume import Volume

ROWS, COLUMNS = 12, 10


def planes(offsets_mm: list[float], **changes: Any) -> list[SlicePlane]:
    """Axial slices at places along z; 0.5 mm between columns, 0.8 mm between rows."""
    base = SlicePlane(0, (0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.8, 0.5), ROWS, COLUMNS, 3.0)
    base = replace(base, **changes)
    return [
        replace(base, key=number, position_mm=(5.0, 7.0, offset), order=(float(number),))
        for number, offset in enumerate(offsets_mm)
    ]


def picture(number: float) -> NDArray[np.int16]:
    ramp = np.add.outer(np.arange(ROWS) * 3, np.arange(COLUMNS))
    return (ramp + number * 100).astype(np.int16)


def volume_of(plan: StackPlan, frames: dict[int, Frame] | None = None) -> Volume:
    return assemble(plan, lambda key: frames[key] if frames else Frame(picture(key)))


def test_order_of_the_files_does_not_matter() -> None:
    slices = planes([n * 2.5 for n in range(9)])
    (plan,) = plan_stacks(slices)
    expected = volume_of(plan)
    assert expected.values.dtype == np.int16 and expected.shape == (9, ROWS, COLUMNS)
    assert all(np.array_equal(expected.values[k], picture(k)) for k in range(9))
    assert expected.spacing_mm == pytest.approx((0.5, 0.8, 2.5))
    assert tuple(expected.index_to_lps_mm[:3, 3]) == (5.0, 7.0, 0.0)
    assert expected.report.resampled == () and expected.report.missing_mm == ()
    shuffled = [slices[n] for n in np.random.default_rng(3).permutation(9)]
    (again,) = plan_stacks(shuffled)
    assert np.array_equal(volume_of(again).values, expected.values)


@pytest.mark.parametrize("plane", PLANES)
def test_a_stack_in_any_direction_lies_where_it_was_measured(plane: str) -> None:
    row, column = PLANES[plane]
    normal = np.cross(row, column)
    slices = [
        replace(one, row=row, column=column, position_mm=tuple(float(v) for v in normal * n * -3.0))
        for n, one in enumerate(planes([0.0] * 6))
    ]
    volume = volume_of(plan_stacks(slices)[0])
    for key in (0, 5):
        place = volume.lps_to_index @ np.array([*(normal * key * -3.0), 1.0])
        i, j, k = (round(float(v)) for v in place[:3])
        assert (i, j) == (0, 0) and np.array_equal(volume.values[k], picture(key))
    assert np.linalg.det(volume.index_to_lps_mm[:3, :3]) > 0


def test_missing_slices_are_reported_and_mixed_from_their_neighbours() -> None:
    (plan,) = plan_stacks(planes([0, 2, 4, 8, 10, 16, 18]))
    assert plan.report.missing_mm == (6.0, 12.0, 14.0)
    assert plan.report.resampled == ("spacing",)
    volume = volume_of(plan)
    assert volume.shape[0] == 10
    assert np.array_equal(volume.values[3], picture(2.5))
    assert np.abs(volume.values[6].astype(int) - (picture(4) + 100 / 3)).max() <= 1


def test_irregular_spacing_is_resampled_at_the_right_places() -> None:
    offsets = [0.0, 1.0, 2.2, 5.0, 9.0, 13.1]
    (plan,) = plan_stacks(planes(offsets))
    assert plan.report.resampled == ("spacing",) and plan.report.spacing_range_mm == pytest.approx((1.0, 4.1))
    frames = {n: Frame(np.full((ROWS, COLUMNS), round(offset * 100), np.int16)) for n, offset in enumerate(offsets)}
    volume = volume_of(plan, frames)
    k = np.arange(volume.shape[0]) * volume.spacing_mm[2]
    # A slice is used as it is within 0.15 of a grid step.
    assert np.abs(volume.values[:, 3, 3] - k * 100).max() <= 0.16 * volume.spacing_mm[2] * 100 + 1


def test_gantry_tilt_is_resampled_away_and_reported() -> None:
    angle = math.radians(18.5)
    row, column = (1.0, 0.0, 0.0), (0.0, math.cos(angle), -math.sin(angle))
    # The table moves along z; a rod along z stays at one place in space, and wanders through the slices.
    rod_y, slices, frames = 5.0, list[SlicePlane](), dict[int, Frame]()
    for n in range(12):
        z = n * 2.0
        values = np.zeros((40, 20), np.int16)
        # Of the point (x, rod_y, z + s) in the slice: rows from the origin (0, 0, z) along the column direction.
        depth = rod_y / math.cos(angle)
        values[round(depth / 0.5) - 1 : round(depth / 0.5) + 2, 8:11] = 1000
        frames[n] = Frame(values)
        slices.append(SlicePlane(n, (0.0, 0.0, z), row, column, (0.5, 0.5), 40, 20))
    (plan,) = plan_stacks(slices)
    assert plan.report.tilt_degrees == pytest.approx(18.5, abs=0.01) and "tilt" in plan.report.resampled
    volume = volume_of(plan, frames)
    axes = volume.index_to_lps_mm[:3, :3]
    assert abs(axes[:, 0] @ axes[:, 2]) < 1e-9 and abs(axes[:, 1] @ axes[:, 2]) < 1e-9
    sagittal = slab_values(volume, SlabView(60, 40, *PLANES["sagittal"], (4.5, rod_y, 10.0), 0.25))
    bright = np.argwhere(sagittal > 500)
    # Upright again: the rod is one column of the sagittal plane, 1.5 mm wide in all rows that cross the stack.
    assert np.ptp(bright[:, 1]) <= 10 and np.ptp(bright[:, 0]) >= 38


def test_a_thick_single_slice_is_a_volume() -> None:
    volume = volume_of(plan_stacks(planes([4.0]))[0])
    assert volume.shape == (1, ROWS, COLUMNS) and volume.spacing_mm[2] == 3.0


def test_phases_at_one_place_become_volumes_of_their_own() -> None:
    slices = planes([0, 3, 6, 0, 3, 6, 0, 3])
    plans = plan_stacks(slices)
    assert [plan.keys for plan in plans] == [(0, 1, 2), (3, 4, 5), (6, 7)]


def test_stacks_of_one_file_are_kept_apart() -> None:
    head = planes([0, 3, 6], stack="1")
    other = [replace(one, key=one.key + 10, row=(0.0, 1.0, 0.0), column=(0.0, 0.0, -1.0), stack="2") for one in head]
    other = [replace(one, position_mm=(float(n) * 3, 0.0, 0.0)) for n, one in enumerate(other)]
    # The normal of the other (sagittal) stack is -x: its slices run from the left.
    assert sorted(plan.keys for plan in plan_stacks([*head, *other])) == [(0, 1, 2), (12, 11, 10)]


def _wrong(change: dict[str, Any], number: int = 2) -> list[SlicePlane]:
    slices = planes([0, 2, 4, 6, 8])
    slices[number] = replace(slices[number], **change)
    return slices


TURNED = (math.cos(0.1), math.sin(0.1), 0.0), (-math.sin(0.1), math.cos(0.1), 0.0)


@pytest.mark.parametrize(
    ("slices", "what"),
    [
        ([], "geometry"),
        (_wrong({"row": TURNED[0], "column": TURNED[1]}), "orientation"),
        (_wrong({"row": (0.0, 1.0, 0.0), "column": (0.0, 0.0, -1.0)}), "orientation"),
        (_wrong({"row": (2.0, 0.0, 0.0)}), "orientation"),
        (_wrong({"row": (0.0, 1.0, 0.0)}), "orientation"),
        (_wrong({"rows": 13}), "size"),
        (_wrong({"spacing_mm": (0.8, 0.6)}), "spacing"),
        (_wrong({"spacing_mm": (0.0, 0.5)}), "spacing"),
        (_wrong({"spacing_mm": (0.8, math.nan)}), "geometry"),
        (_wrong({"position_mm": (5.0, math.inf, 4.0)}), "geometry"),
        (_wrong({"position_mm": (5.0, 1e9, 4.0)}), "geometry"),
        (_wrong({"position_mm": (25.0, 7.0, 4.0)}), "alignment"),
        (planes([4.0, 4.0, 4.0]), "one place"),
    ],
)
def test_a_wrong_stack_is_refused_with_the_reason(slices: list[SlicePlane], what: str) -> None:
    with pytest.raises(WrongStackError) as refused:
        plan_stacks(slices)
    assert (refused.value.code, refused.value.data["what"]) == ("volume.wrong_stack", what)


def test_each_slice_has_its_own_rescale() -> None:
    (plan,) = plan_stacks(planes([0, 3, 6], thickness_mm=None))
    stored = np.full((ROWS, COLUMNS), 1000, np.int16)
    frames = {n: Frame(stored, rescale_slope=0.5 * (n + 1), modality="PT") for n in range(3)}
    volume = volume_of(plan, frames)
    assert volume.values.dtype == np.float32
    assert list(volume.values[:, 0, 0]) == [500.0, 1000.0, 1500.0]


@pytest.mark.parametrize(
    ("stored", "intercept", "dtype"),
    [
        (np.full((ROWS, COLUMNS), 3000, np.uint16), -1024.0, np.int16),
        (np.full((ROWS, COLUMNS), 60000, np.uint16), 0.0, np.uint16),
        (np.full((ROWS, COLUMNS), 60000, np.uint16), -1024.0, np.uint16),
        (np.full((ROWS, COLUMNS), 200, np.uint8), 0.0, np.int16),
        (np.full((ROWS, COLUMNS), 1.5, np.float32), 0.0, np.float32),
        (np.full((ROWS, COLUMNS), 5, np.int32), 0.5, np.float32),
    ],
)
def test_values_are_modality_values_in_the_smallest_type(stored: NDArray[Any], intercept: float, dtype: Any) -> None:
    (plan,) = plan_stacks(planes([0, 3]))
    volume = volume_of(plan, {n: Frame(stored, rescale_intercept=intercept) for n in range(2)})
    assert volume.values.dtype == dtype
    assert volume.values[1, 4, 4] == stored[4, 4] + intercept


def test_a_type_grows_when_later_slices_need_it() -> None:
    (plan,) = plan_stacks(planes([0, 3, 6]))
    frames = {0: Frame(picture(0)), 1: Frame(np.full((ROWS, COLUMNS), 50_000, np.uint16)), 2: Frame(picture(2))}
    volume = volume_of(plan, frames)
    assert volume.values.dtype == np.float32
    assert np.array_equal(volume.values[0], picture(0)) and volume.values[1, 0, 0] == 50_000


def test_padding_becomes_the_lowest_other_value() -> None:
    (plan,) = plan_stacks(planes([0, 3]))
    values = picture(3)
    values[:3] = -2000
    for photometric in ("MONOCHROME2", "MONOCHROME1"):
        frame = Frame(values, photometric, padding_value=-2000)
        volume = volume_of(plan, {0: frame, 1: frame})
        assert volume.values.min() == picture(3)[3:].min() and (volume.values[0, :3] == volume.values.min()).all()


def test_what_is_not_finite_does_not_enter() -> None:
    (plan,) = plan_stacks(planes([0, 3]))
    values = picture(3).astype(np.float32)
    values[0, 0], values[1, 1] = np.nan, np.inf
    volume = volume_of(plan, dict.fromkeys(range(2), Frame(values)))
    assert np.isfinite(volume.values).all()


def test_colour_is_refused() -> None:
    (plan,) = plan_stacks(planes([0, 3]))
    with pytest.raises(WrongStackError) as refused:
        volume_of(plan, dict.fromkeys(range(2), Frame(np.zeros((ROWS, COLUMNS, 3), np.uint8), "RGB")))
    assert refused.value.data["what"] == "colour"


@pytest.mark.parametrize("bad", [{0}, {4}, {8}, {0, 1, 7, 8}])
def test_slices_that_cannot_be_decoded_are_missing(bad: set[int]) -> None:
    (plan,) = plan_stacks(planes([n * 2.0 for n in range(9)]))
    volume = assemble(plan, lambda key: None if key in bad else Frame(picture(key)))
    assert volume.report.missing_mm == tuple(n * 2.0 for n in sorted(bad))
    assert volume.report.complete_percent < 100
    if bad == {4}:
        assert np.array_equal(volume.values[4], picture(4))
    if 8 in bad:
        assert np.array_equal(volume.values[8], picture(max(set(range(9)) - bad)))
    with pytest.raises(WrongStackError):
        assemble(plan, lambda _key: None)


def test_a_first_volume_of_every_fourth_slice_lies_in_the_same_place() -> None:
    slices = planes([n * 2.0 for n in range(18)])
    (plan,) = plan_stacks(slices)
    coarse = thinned(slices, plan, 4)
    assert coarse.keys == (0, 4, 8, 12, 16, 17)
    assert (coarse.report.present, coarse.report.expected, coarse.report.complete_percent) == (6, 18, 33)
    volume, whole = volume_of(coarse), volume_of(plan)
    assert volume.center_lps_mm == pytest.approx(whole.center_lps_mm, abs=0.01)
    view = SlabView(20, 17, *PLANES["coronal"], None, 1.0)
    ours, full = slab_values(volume, view), slab_values(whole, view)
    both = np.isfinite(ours) & np.isfinite(full)
    assert both.mean() > 0.2 and np.abs(ours - full)[both].max() < 60  # values rise by 50 a millimetre


# Real series ----------------------------------------------------------------------------------------------------

DATA = os.environ.get("CLOUDFILM_TEST_DATA", "")


def _real(folder: str) -> tuple[list[SlicePlane], dict[int, Frame]]:
    if not DATA:
        pytest.skip("CLOUDFILM_TEST_DATA names no folder")
    from tests.support.render_frames import slices_of

    paths = [path for path in sorted((Path(DATA) / folder).rglob("*")) if path.is_file()]
    return slices_of(paths)


@pytest.mark.parametrize(
    ("folder", "shape", "spacing"),
    [
        ("ct-chest-lidc", (110, 512, 512), (0.781, 0.781, 2.0)),
        ("mr-brain-t1", (192, 384, 274), (0.7, 0.667, 1.33)),
        ("petct-acrin/PT-61081015", (135, 128, 128), (4.6875, 4.6875, 3.27)),
    ],
)
def test_real_series(folder: str, shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> None:
    slices, frames = _real(folder)
    (plan,) = plan_stacks(slices)
    volume = volume_of(plan, frames)
    assert sorted(volume.shape) == sorted(shape)
    assert sorted(volume.spacing_mm) == pytest.approx(sorted(spacing), abs=0.03)
    assert volume.report.missing_mm == ()


def test_a_real_tilted_and_irregular_head() -> None:
    slices, frames = _real("ct-head-tilt-irregular")
    (plan,) = plan_stacks(slices)
    assert plan.report.tilt_degrees == pytest.approx(18.5, abs=0.2)
    assert set(plan.report.resampled) == {"tilt", "spacing"}
    volume = volume_of(plan, frames)
    seen = slab_values(volume, SlabView(256, 256, *PLANES["sagittal"]))
    assert (seen > 300).sum() > 500  # the skull


def test_real_bad_stacks_are_refused_or_reported() -> None:
    found: defaultdict[str, int] = defaultdict(int)
    root = Path(DATA) / "mr-geometry-nasties"
    if not DATA:
        pytest.skip("CLOUDFILM_TEST_DATA names no folder")
    for folder in sorted({path.parent for path in root.rglob("*") if path.is_file()}):
        slices, _ = _real(str(folder.relative_to(DATA)))
        try:
            plans = plan_stacks(slices)
        except WrongStackError as error:
            found[str(error.data["what"])] += 1
        else:
            found["resampled" if "spacing" in plans[0].report.resampled else "regular"] += 1
    assert dict(found) == {"one place": 1, "resampled": 2}
