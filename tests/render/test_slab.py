"""Views of planes and slabs: invariants, VTK's reslice, windows, what is left open, what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from render.engine import Engine
from render.errors import InvalidViewError
from render.frame import Frame
from render.lut import Voi
from render.native.slab import NativeSlabs
from render.request import PLANES, SlabView, StackView
from render.slab import place_of, plan_of, render_slab, slab_values, volume_table
from render.volume import InvalidVolumeError, Volume
from tests.support.backends import BACKENDS, kernels_of

SPACING = (0.7, 0.8, 2.5)


@pytest.fixture(autouse=True, params=BACKENDS)
def slabs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every view here is drawn by each backend."""
    made = kernels_of(request.param).slabs
    monkeypatch.setattr("render.slab.choose_slabs", lambda: made)


def phantom(shape: tuple[int, int, int] = (24, 40, 36), dtype: Any = np.int16) -> Volume:
    """Smooth waves and a bright ball; axial, first voxel at (-10, 20, -300) mm."""
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]].astype(np.float64)
    values = 300 * np.sin(x / 5) * np.cos(y / 7) + 100 * np.sin(z / 3) + 400
    values[(x - 20) ** 2 + (y - 15) ** 2 + (z - 12) ** 2 < 30] = 1500
    matrix = np.diag([*SPACING, 1.0])
    matrix[:3, 3] = (-10, 20, -300)
    return Volume(np.ascontiguousarray(values.astype(dtype)), matrix)


def lps(volume: Volume, i: float, j: float, k: float) -> tuple[float, float, float]:
    place = volume.index_to_lps_mm @ (i, j, k, 1.0)
    return float(place[0]), float(place[1]), float(place[2])


def square(values: NDArray[Any]) -> Volume:
    return Volume(np.ascontiguousarray(values), np.eye(4))


def test_a_plane_through_voxel_centres_equals_the_voxels() -> None:
    volume = square(phantom().values)
    for k in (0, 7, 23):
        view = SlabView(36, 40, center_mm=lps(volume, 17.5, 19.5, k), pixel_spacing_mm=1.0)
        assert np.array_equal(slab_values(volume, view), volume.values[k])
        cubic = SlabView(36, 40, center_mm=view.center_mm, pixel_spacing_mm=1.0, interpolation="cubic")
        assert np.array_equal(slab_values(volume, cubic), volume.values[k])


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
def test_a_plane_turned_by_90_degrees_equals_a_permuted_volume(plane: str) -> None:
    values = phantom().values
    row, column = PLANES[plane]
    size = (36 if plane == "coronal" else 40, 24)
    volume = square(values)
    at = lps(volume, 17.5 if plane == "coronal" else 9, 11 if plane == "coronal" else 19.5, 11.5)
    seen = slab_values(volume, SlabView(*size, row, column, at, 1.0))
    expected = values[::-1, 11, :] if plane == "coronal" else values[::-1, :, 9]
    assert np.array_equal(seen, expected)
    # The same picture from the volume turned in memory, its matrix turned with it.
    turned = Volume(np.ascontiguousarray(values.transpose(1, 2, 0)), np.eye(4)[[2, 0, 1, 3]].T)
    matrix = np.zeros((4, 4))
    matrix[2, 0] = matrix[0, 1] = matrix[1, 2] = matrix[3, 3] = 1.0  # i along z, j along x, k along y
    turned = Volume(turned.values, matrix)
    assert np.array_equal(slab_values(turned, SlabView(*size, row, column, at, 1.0)), expected)


@pytest.mark.parametrize(("plane", "axis"), [("axial", 0), ("coronal", 1), ("sagittal", 2)])
def test_a_projection_has_the_largest_and_smallest_voxels(plane: str, axis: int) -> None:
    values = phantom().values
    volume = square(values)
    height, width = values.max(axis=axis).shape
    row, column = PLANES[plane]
    for kind, reduced in (("maximum", values.max(axis=axis)), ("minimum", values.min(axis=axis))):
        seen = slab_values(volume, SlabView(width, height, row, column, None, 1.0, 1e4, kind))
        assert np.array_equal(seen, reduced if plane == "axial" else reduced[::-1])


def test_an_oblique_projection_never_exceeds_the_volume_and_finds_its_ball() -> None:
    volume = phantom()
    view = SlabView(200, 200, (0.8, 0.36, 0.48), (-0.6, 0.48, 0.64), None, 0.4, 1e5, "maximum")
    seen = slab_values(volume, view)
    assert np.nanmax(seen) == 1500
    assert np.isnan(seen[0, 0])


def test_anisotropic_voxels_keep_their_shape() -> None:
    volume = phantom()
    view = SlabView(100, 100, *PLANES["coronal"], lps(volume, 20, 15, 12), 0.25, 0.0)
    seen = slab_values(volume, view)
    bright = seen > 1450
    # The ball's radius is sqrt(30) voxels: 2 x 5.48 x spacing across, cut at the voxels' edges.
    assert abs(bright[50].sum() * 0.25 - 2 * math.sqrt(30) * SPACING[0]) < 1.0
    assert abs(bright[:, 50].sum() * 0.25 - 2 * math.sqrt(30) * SPACING[2]) < 3.0


@pytest.mark.parametrize("cubic", [False, True])
@pytest.mark.parametrize(("kind", "samples"), [("mean", 1), ("mean", 9), ("maximum", 9), ("minimum", 9)])
def test_equals_vtk_image_reslice(cubic: bool, kind: str, samples: int) -> None:
    pytest.importorskip("vtk")
    from benchmarks.render.vtk_reslice import Reslice

    volume = phantom()
    if cubic and samples > 1:
        pytest.skip("VTK interpolates a slab's samples as ours does only where it is linear")
    view = SlabView(64, 48, (0.8, 0.36, 0.48), (-0.6, 0.48, 0.64), None, 0.5, 0.0, kind, "cubic" if cubic else "linear")
    step = 1.0 / np.abs(volume.lps_to_index[:3, :3] @ np.cross(view.row_direction, view.column_direction)).max()
    if samples > 1:
        view = SlabView(64, 48, view.row_direction, view.column_direction, None, 0.5, step * (samples - 1) + 1e-6, kind)
    theirs = Reslice(volume, view, samples, step).values()
    ours = slab_values(volume, view)
    # Inside by more than the reach of the kernels: borders are repeated differently.
    inner = slab_values(square_mask(volume), view) if samples == 1 else slab_values(square_mask(volume), thick(view))
    both = inner > 0.999
    assert both.sum() > 150
    # VTK rounds cubic weights and places to its own float order; ball edges are 1,100 per voxel.
    assert np.abs(ours - theirs)[both].max() < 0.2


def square_mask(volume: Volume) -> Volume:
    """1 where three voxels of room are on every side."""
    mask = np.zeros(volume.shape, np.float32)
    mask[3:-3, 3:-3, 3:-3] = 1
    return Volume(mask, volume.index_to_lps_mm)


def thick(view: SlabView) -> SlabView:
    return SlabView(
        view.width,
        view.height,
        view.row_direction,
        view.column_direction,
        None,
        view.pixel_spacing_mm,
        view.thickness_mm,
        "minimum",
    )


@pytest.mark.parametrize("window", [(400.0, 300.0), (0.0, 1.0), (5000.0, 10.0), (-9000.0, 10.0)])
@pytest.mark.parametrize("invert", [False, True])
def test_the_picture_of_a_slice_equals_the_stack_s(window: tuple[float, float], invert: bool) -> None:
    volume = square(phantom().values)
    view = SlabView(
        36,
        40,
        center_mm=lps(volume, 17.5, 19.5, 7),
        pixel_spacing_mm=1.0,
        voi="window",
        window_center=window[0],
        window_width=window[1],
        invert=invert,
    )
    picture = render_slab(volume, view)
    stack = StackView(36, 40, voi="window", window_center=window[0], window_width=window[1], invert=invert)
    expected = Engine().render_stack(Frame(volume.values[7]), stack)
    assert np.array_equal(picture.pixels, expected.pixels)
    assert (picture.voi.center, picture.voi.width) == window


@pytest.mark.parametrize(
    "window", [(40.0, 400.0), (-600.0, 1500.0), (300.0, 2000.0), (50.0, 80.0), (40.0, 1.0), (7.5, 3.3)]
)
@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_window_that_is_computed_equals_its_look_up(window: tuple[float, float], invert: bool, dtype: Any) -> None:
    volume = phantom(dtype=dtype)
    table = volume_table(volume, Voi(*window, "window"), invert)
    for row, column in (*PLANES.values(), ((0.8, 0.36, 0.48), (-0.6, 0.48, 0.64))):
        view = SlabView(150, 131, row, column, None, 0.3)
        plan, _ = plan_of(volume, view, place_of(volume, view))
        computed = NativeSlabs().slab(volume, plan, table)
        looked_up = NativeSlabs().slab(volume, plan, replace(table, ramp=None))
        assert np.array_equal(computed.picture, looked_up.picture)  # pyright: ignore[reportArgumentType]  # a table


def test_usual_windows_are_straight_lines() -> None:
    volume = phantom()
    for window in ((40.0, 400.0), (-600.0, 1500.0), (50.0, 80.0)):
        assert volume_table(volume, Voi(*window, "window"), False).ramp is not None


def test_float_values_and_automatic_windows_show_structure() -> None:
    volume = phantom(dtype=np.float32)
    picture = render_slab(volume, SlabView(60, 60, *PLANES["coronal"], voi="auto"))
    assert picture.voi.kind == "auto"
    assert picture.pixels.min() == 0 and picture.pixels.max() == 255 and picture.pixels.std() > 30


def test_what_is_left_open_is_settled_and_told() -> None:
    volume = phantom()
    picture = render_slab(volume, SlabView(100, 50, *PLANES["coronal"], thickness_mm=1e5, kind="maximum"))
    assert picture.center_mm == pytest.approx(volume.center_lps_mm)
    assert picture.pixel_spacing_mm == pytest.approx(24 * 2.5 / 50)
    assert picture.thickness_mm == pytest.approx(39 * 0.8, abs=0.01)
    assert picture.complete_percent == 100


@pytest.mark.parametrize("offset", [1e3, 9e4])
@pytest.mark.parametrize("thickness", [0.0, 20.0])
def test_a_plane_beside_the_volume_is_empty(offset: float, thickness: float) -> None:
    view = SlabView(16, 12, center_mm=(0.0, 0.0, offset), pixel_spacing_mm=1.0, thickness_mm=thickness, kind="maximum")
    assert not render_slab(phantom(), view).pixels.any()


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 9), (5, 1, 9), (5, 9, 1)])
@pytest.mark.parametrize("thickness", [0.0, 50.0])
def test_thin_volumes_are_shown(shape: tuple[int, int, int], thickness: float) -> None:
    volume = Volume(np.full(shape, 700, np.int16), np.eye(4))
    for plane in PLANES.values():
        seen = slab_values(volume, SlabView(9, 9, *plane, None, 1.0, thickness, "maximum"))
        assert np.nanmax(seen) == np.nanmin(seen) == 700


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "fields",
    [
        {"width": 0},
        {"height": 5000},
        {"row_direction": (0.0, 0.0, 0.0)},
        {"row_direction": (NAN, 0.0, 0.0)},
        {"column_direction": (2.0, 0.0, 0.0)},
        {"center_mm": (INF, 0.0, 0.0)},
        {"center_mm": (0.0, 0.0)},
        {"pixel_spacing_mm": 0.0},
        {"pixel_spacing_mm": NAN},
        {"thickness_mm": -1.0},
        {"thickness_mm": INF},
        {"kind": "median"},
        {"interpolation": "sinc"},
        {"voi": "window"},
        {"voi": "window", "window_center": 1.0, "window_width": -3.0},
        {"quality": "lossless"},
    ],
)
def test_views_that_no_picture_can_answer_are_refused(fields: dict[str, Any]) -> None:
    given: dict[str, Any] = {"width": 8, "height": 8, **fields}
    with pytest.raises(InvalidViewError) as refused:
        SlabView(**given)
    assert refused.value.code == "render.invalid_view"


@pytest.mark.parametrize(
    ("values", "matrix"),
    [
        (np.zeros((0, 3, 3), np.int16), np.eye(4)),
        (np.zeros((3, 3), np.int16), np.eye(4)),
        (np.zeros((3, 3, 3), np.int32), np.eye(4)),
        (np.zeros((3, 3, 6), np.int16)[:, :, ::2], np.eye(4)),
        (np.zeros((3, 3, 3), np.int16), np.diag([1.0, 1.0, 0.0, 1.0])),
        (np.zeros((3, 3, 3), np.int16), np.diag([1.0, NAN, 1.0, 1.0])),
        (np.zeros((3, 3, 3), np.int16), np.diag([1.0, INF, 1.0, 1.0])),
    ],
)
def test_volumes_that_cannot_be_are_refused(values: NDArray[Any], matrix: NDArray[np.float64]) -> None:
    with pytest.raises(InvalidVolumeError):
        Volume(values, matrix)
