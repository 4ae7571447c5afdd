"""Cameras: patient-aligned presets, trackball, projection; transfer functions and cuts as values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from render.camera import PRESETS, Camera, facing
from render.errors import InvalidViewError

# What the reader sees on the right of and above a picture from A, P, L, R, H, F (LPS: +x left, +y back, +z head).
SIDES = {
    "A": ((1, 0, 0), (0, 0, 1)),
    "P": ((-1, 0, 0), (0, 0, 1)),
    "L": ((0, 1, 0), (0, 0, 1)),
    "R": ((0, -1, 0), (0, 0, 1)),
    "H": ((-1, 0, 0), (0, -1, 0)),
    "F": ((1, 0, 0), (0, -1, 0)),
}


@pytest.mark.parametrize("name", list(PRESETS))
def test_presets_show_the_patient_as_readers_expect(name: str) -> None:
    camera = facing(name, (10.0, 20.0, 30.0), 100.0)
    right, up, forward = camera.axes()
    np.testing.assert_allclose(right, SIDES[name][0], atol=1e-12)
    np.testing.assert_allclose(up, SIDES[name][1], atol=1e-12)
    np.testing.assert_allclose(np.asarray(camera.position) + forward * camera.distance_mm, (10, 20, 30), atol=1e-9)


def test_a_drag_by_the_height_is_half_a_turn_and_turns_add_up() -> None:
    camera = facing("A", (0.0, 0.0, 0.0), 50.0)
    behind = camera.rotated(1.0, 0.0)
    np.testing.assert_allclose(behind.axes()[2], -camera.axes()[2], atol=1e-12)
    np.testing.assert_allclose(behind.axes()[1], camera.axes()[1], atol=1e-12)
    # Dragged to the right, the front of the patient goes to the right: we now see from the patient's right side.
    np.testing.assert_allclose(camera.rotated(0.5, 0.0).axes()[2], facing("R", (0, 0, 0), 1).axes()[2], atol=1e-12)
    # Dragged down, we see from the head.
    np.testing.assert_allclose(camera.rotated(0.0, 0.5).axes()[2], facing("H", (0, 0, 0), 1).axes()[2], atol=1e-12)
    steps = camera
    for _ in range(40):
        steps = steps.rotated(0.05, 0.0)
    np.testing.assert_allclose(steps.position, camera.position, atol=1e-9)


@pytest.mark.parametrize("angle", [None, 35.0])
def test_projection_is_the_inverse_of_the_rays(angle: float | None) -> None:
    camera = facing("P", (5.0, -3.0, 8.0), 80.0, view_angle_degrees=angle).rotated(0.2, -0.4)
    x, y, w = camera.project(201, 101) @ np.array([*camera.focal_point, 1.0])
    assert w > 0
    assert (x / w, y / w) == pytest.approx((100.0, 50.0))
    right, up, _ = camera.axes()
    top = np.asarray(camera.focal_point) + up * camera.half_height_mm()
    x, y, w = camera.project(201, 101) @ np.array([*top, 1.0])
    assert (x / w, y / w) == pytest.approx((100.0, -0.5))
    moved = camera.panned(0.0, 0.25)
    x, y, w = moved.project(201, 100) @ np.array([*camera.focal_point, 1.0])
    assert y / w == pytest.approx(49.5 + 25.0)
    x, y, w = camera.zoomed(2.0).project(201, 101) @ np.array([*(np.asarray(camera.focal_point) + right), 1.0])
    half = camera.half_height_mm()
    assert x / w - 100 == pytest.approx(2 * 101 / (2 * half), rel=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"position": (0.0, 0.0, 0.0)},
        {"position": (math.nan, 0.0, 0.0)},
        {"view_up": (0.0, 2.0, 0.0)},
        {"view_up": (0.0, 0.0, 0.0)},
        {"parallel_scale_mm": 0.0},
        {"parallel_scale_mm": None},
        {"view_angle_degrees": 30.0},
        {"parallel_scale_mm": None, "view_angle_degrees": 179.0},
        {"position": (1e9, 0.0, 0.0)},
    ],
)
def test_degenerate_cameras_are_refused(wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "position": (0.0, -100.0, 0.0),
        "focal_point": (0.0, 0.0, 0.0),
        "view_up": (0.0, 0.0, 1.0),
        "parallel_scale_mm": 50.0,
    }
    Camera(**good)
    with pytest.raises(InvalidViewError):
        Camera(**(good | wrong))
