"""3D slices: crossing planes within a volume rendering stop the rays, exactly, and are shown in gray behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from render.camera import Camera, Point, facing
from render.errors import InvalidViewError
from render.raycast import VolumeRenderer
from render.request import PLANES, SlabView
from render.slab import render_slab
from render.slices import CrossingSlices, trilinear
from render.transfer import TransferFunction, TransferPoint
from render.volume import Volume
from render.volume_view import VolumeView

NOTHING = TransferFunction((TransferPoint(5000, 0.0, (0, 0, 0)), TransferPoint(6000, 1.0, (255, 255, 255))))
HAZE = TransferFunction(
    (TransferPoint(-2000, 0.02, (255, 0, 0)), TransferPoint(3000, 0.02, (255, 0, 0))), ambient=1, diffuse=0, specular=0
)
WINDOW: dict[str, Any] = {"voi": "window", "window_center": 500, "window_width": 1000}
SHAPE, SPACING = (30, 40, 50), (1.0, 1.2, 2.0)


@pytest.fixture(scope="module")
def renderer() -> Any:
    renderer = VolumeRenderer(2)
    yield renderer
    renderer.close()


def point(values: Any) -> Point:
    x, y, z = (float(number) for number in values)
    return x, y, z


def volume() -> Volume:
    """Smooth hills from 0 to 1000 over 50 x 48 x 60 mm."""
    z, y, x = np.indices(SHAPE).astype(float)
    values = 500 + 250 * np.sin(x / 5) + 250 * np.cos(y / 4 + z / 6)
    matrix = np.diag([*SPACING, 1.0])
    matrix[:3, 3] = (-20, 30, 100)
    return Volume(np.clip(values, 0, 1000).astype(np.int16), matrix)


def axial_view(**more: Any) -> VolumeView:
    """From the head, one plane through the middle: 64 pixels of 1 mm."""
    camera = facing("H", volume().center_lps_mm, 32.0)
    slices = CrossingSlices(normals=((0, 0, 1),), **WINDOW)
    return VolumeView(64, 64, camera, NOTHING, slices=slices, jitter=False, **more)


def test_an_empty_rendering_shows_the_plane_as_an_mpr_does(renderer: VolumeRenderer) -> None:
    seen = renderer.render(renderer.prepare(volume()), axial_view(background=(9, 9, 9)))
    # From the head the front is up as in the camera's preset: the patient's left is at the picture's left.
    right, up, _ = facing("H", volume().center_lps_mm, 32.0).axes()
    slab = SlabView(64, 64, point(right), point(-up), volume().center_lps_mm, 1.0, **WINDOW)
    mpr = render_slab(volume(), slab).pixels.astype(int)
    inside = np.zeros((64, 64), bool)
    inside[10:54, 9:55] = True
    gray = seen.pixels.astype(int)
    assert np.ptp(gray, axis=2).max() == 0
    assert np.abs(gray[..., 0] - mpr)[inside].max() <= 2
    assert (gray[:6, :6] == 9).all()  # beyond the volume: the background
    assert np.isnan(seen.depth_mm[0, 0]) and seen.depth_mm[32, 32] == pytest.approx(4 * 32.0, abs=1.5)


def test_what_lies_before_the_plane_covers_it_and_what_lies_behind_does_not(renderer: VolumeRenderer) -> None:
    prepared = renderer.prepare(volume())
    camera = facing("A", volume().center_lps_mm, 40.0)
    center = volume().center_lps_mm
    pictures = []
    for share in (0.1, 0.5, 0.9):
        y = 30 + share * 39 * 1.2
        slices = CrossingSlices((center[0], y, center[2]), ((0, 1, 0),), **WINDOW)
        view = VolumeView(40, 40, camera, HAZE, slices=slices, jitter=False, step_mm=0.25)
        pictures.append(renderer.render(prepared, view).pixels.astype(float))
        covered = 1 - (1 - 0.02) ** (y - 30)
        slab = SlabView(40, 40, *PLANES["coronal"], (center[0], y, center[2]), 2.0, **WINDOW)
        gray = render_slab(volume(), slab).pixels.astype(float)
        middle = np.s_[12:28, 12:28]
        # Haze of 2 % a millimetre over the gray; a quarter of a millimetre more or less of it.
        assert np.abs(pictures[-1][..., 1] - gray * (1 - covered))[middle].max() < 4
        assert np.abs(pictures[-1][..., 0] - (gray * (1 - covered) + 255 * covered))[middle].max() < 4
    assert pictures[2][20, 20, 0] != pictures[0][20, 20, 0]


@pytest.mark.parametrize("perspective", [False, True])
def test_of_three_planes_the_nearest_is_seen(renderer: VolumeRenderer, perspective: bool) -> None:
    prepared = renderer.prepare(volume())
    center = np.array(volume().center_lps_mm)
    lens: dict[str, Any] = {"view_angle_degrees": 30.0} if perspective else {"parallel_scale_mm": 45.0}
    camera = Camera(point(center + np.array((90, -120, 80))), point(center), (0, 0, 1), **lens)
    seen = renderer.render(prepared, VolumeView(48, 40, camera, NOTHING, slices=CrossingSlices(**WINDOW), jitter=False))
    half = np.array(SHAPE[::-1], float) - 1
    low = np.array([-20, 30, 100.0])
    high = low + half * SPACING
    right, up, forward = camera.axes()
    checked = 0
    for row in range(0, 40, 3):
        for column in range(0, 48, 3):
            x, y = (column + 0.5 - 24) / 20, (row + 0.5 - 20) / 20
            offset = (right * x - up * y) * camera.half_height_mm()
            eye = np.array(camera.position) + (0 if perspective else offset)
            way = forward * camera.distance_mm + offset if perspective else forward
            way = way / np.linalg.norm(way)
            hits = [(center[axis] - eye[axis]) / way[axis] for axis in range(3)]
            valid = sorted(t for t in hits if ((eye + way * t >= low - 1e-6) & (eye + way * t <= high + 1e-6)).all())
            if not valid:
                assert np.isnan(seen.depth_mm[row, column])
                continue
            checked += 1
            # Seen from the depth map of the kernels' geometry, in float32 steps.
            assert seen.depth_mm[row, column] == pytest.approx(valid[0], abs=0.05)
            index = (eye + way * valid[0] - low) / SPACING
            want = np.clip((trilinear(volume().values, index[None])[0] - 0.0) / 999, 0, 1) * 255
            assert abs(int(seen.pixels[row, column, 0]) - want) <= 3
    assert checked > 40


def test_the_clip_box_cuts_the_planes_too(renderer: VolumeRenderer) -> None:
    center = volume().center_lps_mm
    box = ((center[0] - 5, center[1] - 5, 0.0), (center[0] + 5, center[1] + 5, 999.0))
    seen = renderer.render(renderer.prepare(volume()), axial_view(clip_box=box))
    shown = ~np.isnan(seen.depth_mm)
    assert shown.sum() == 100 and shown[27:37, 27:37].all()


def test_packets_equal_the_definition(renderer: VolumeRenderer) -> None:
    definition = VolumeRenderer(1, definition=True)
    center = np.array(volume().center_lps_mm)
    camera = Camera(point(center + np.array((90, -120, 80))), point(center), (0, 0, 1), 45.0)
    soft = TransferFunction((TransferPoint(300, 0.0, (0, 90, 0)), TransferPoint(1000, 0.2, (255, 200, 90))))
    view = VolumeView(61, 47, camera, soft, slices=CrossingSlices(**WINDOW))
    fast, slow = (r.render(r.prepare(volume()), view) for r in (renderer, definition))
    assert np.array_equal(fast.pixels, slow.pixels)
    definition.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"normals": ()},
        {"normals": ((0, 0, 1),) * 4},
        {"normals": ((0, 0, 0),)},
        {"normals": ((float("nan"), 0, 1),)},
        {"center_mm": (float("inf"), 0, 0)},
        {"voi": "window"},
        {"voi": "none"},
    ],
)
def test_wrong_slices_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidViewError):
        CrossingSlices(**wrong)
