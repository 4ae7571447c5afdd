"""Cameras in patient coordinates (LPS, mm): patient-aligned presets, trackball rotation, the rays of a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from render.errors import InvalidViewError

Point = tuple[float, float, float]
Vector = NDArray[np.float64]
# Where the viewer stands -> (direction from the middle to the viewer, up). LPS: +x left, +y back, +z head.
PRESETS: dict[str, tuple[Point, Point]] = {
    "A": ((0, -1, 0), (0, 0, 1)),
    "P": ((0, 1, 0), (0, 0, 1)),
    "L": ((1, 0, 0), (0, 0, 1)),
    "R": ((-1, 0, 0), (0, 0, 1)),
    "H": ((0, 0, 1), (0, -1, 0)),
    "F": ((0, 0, -1), (0, -1, 0)),
}
_FARTHEST_MM = 1e5


@dataclass(frozen=True, slots=True)
class Camera:
    """``parallel_scale_mm`` (half the picture's height) for orthographic views, or ``view_angle_degrees`` (its whole
    height) for perspective ones: exactly one of them. Nothing behind ``position`` is seen. Raises InvalidViewError."""

    position: Point
    focal_point: Point
    view_up: Point
    parallel_scale_mm: float | None = None
    view_angle_degrees: float | None = None

    def __post_init__(self) -> None:
        numbers = [*self.position, *self.focal_point, *self.view_up]
        if len(numbers) != 9 or not all(math.isfinite(n) and abs(n) <= _FARTHEST_MM for n in numbers):
            raise InvalidViewError(what="camera")
        if (self.parallel_scale_mm is None) == (self.view_angle_degrees is None):
            raise InvalidViewError(what="camera needs a scale or an angle")
        if self.parallel_scale_mm is not None and not 0.1 <= self.parallel_scale_mm <= _FARTHEST_MM:
            raise InvalidViewError(what="parallel_scale_mm")
        if self.view_angle_degrees is not None and not 1 <= self.view_angle_degrees <= 150:
            raise InvalidViewError(what="view_angle_degrees")
        self.axes()

    def axes(self) -> tuple[Vector, Vector, Vector]:
        """Unit vectors to the right, up and forward. Raises InvalidViewError when up is along the view."""
        forward = np.subtract(self.focal_point, self.position).astype(np.float64)
        length = float(np.linalg.norm(forward))
        if length < 1e-6:
            raise InvalidViewError(what="camera at its focal point")
        forward /= length
        right = np.cross(forward, np.asarray(self.view_up, np.float64))
        size = float(np.linalg.norm(right))
        if size < 1e-6 * max(1.0, float(np.linalg.norm(self.view_up))):
            raise InvalidViewError(what="view_up")
        right /= size
        return right, np.cross(right, forward), forward

    @property
    def distance_mm(self) -> float:
        """From the position to the focal point."""
        return float(np.linalg.norm(np.subtract(self.focal_point, self.position)))

    def rotated(self, right_share: float, down_share: float) -> Camera:
        """A drag over these shares of the picture's height turns the object under the finger: 1.0 is half a turn."""
        length = math.hypot(right_share, down_share)
        if not math.isfinite(length):
            raise InvalidViewError(what="rotation")
        if length == 0.0:
            return self
        right, up, _ = self.axes()
        # The object follows the finger, so the camera goes the other way.
        turn = rotation(-(up * right_share + right * down_share) / length, math.pi * length)
        offset = turn @ np.subtract(self.position, self.focal_point)
        return replace(self, position=_point(np.add(self.focal_point, offset)), view_up=_point(turn @ up))

    def zoomed(self, factor: float) -> Camera:
        """``factor`` > 1 makes things larger."""
        if not (math.isfinite(factor) and factor > 0):
            raise InvalidViewError(what="zoom")
        if self.parallel_scale_mm is not None:
            return replace(self, parallel_scale_mm=self.parallel_scale_mm / factor)
        offset = np.subtract(self.position, self.focal_point) / factor
        return replace(self, position=_point(np.add(self.focal_point, offset)))

    def panned(self, right_share: float, down_share: float) -> Camera:
        """The object follows a drag over these shares of the picture's height."""
        right, up, _ = self.axes()
        height = 2 * self.half_height_mm()
        shift = (up * down_share - right * right_share) * height
        return replace(
            self,
            position=_point(np.add(self.position, shift)),
            focal_point=_point(np.add(self.focal_point, shift)),
        )

    def half_height_mm(self) -> float:
        """Half the height that the picture shows at the focal point."""
        if self.parallel_scale_mm is not None:
            return self.parallel_scale_mm
        return self.distance_mm * math.tan(math.radians(self.view_angle_degrees or 0.0) / 2)

    def project(self, width: int, height: int) -> NDArray[np.float64]:
        """(3, 4) float64: LPS (x, y, z, 1) -> (column w, row w, w); pixel centres at whole numbers; w > 0 in front."""
        right, up, forward = self.axes()
        eye = np.asarray(self.position, np.float64)
        rows = np.stack([right, -up, forward])
        rows = np.column_stack([rows, -rows @ eye])
        if self.parallel_scale_mm is not None:
            pixels = height / (2 * self.parallel_scale_mm)
            one = np.array([0.0, 0.0, 0.0, 1.0])
        else:
            pixels = height / (2 * math.tan(math.radians(self.view_angle_degrees or 0.0) / 2))
            one = rows[2]
        return np.stack([rows[0] * pixels + one * (width - 1) / 2, rows[1] * pixels + one * (height - 1) / 2, one])


def rotation(axis: Vector, angle: float) -> NDArray[np.float64]:
    """(3, 3) rotation about a unit axis by radians (Rodrigues)."""
    x, y, z = (float(v) for v in axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * (cross @ cross)


def _point(values: NDArray[np.float64]) -> Point:
    return float(values[0]), float(values[1]), float(values[2])


def facing(preset: str, center: Point, radius_mm: float, *, view_angle_degrees: float | None = None) -> Camera:
    """The camera that looks at ``center`` from A, P, L, R, H or F and shows ``radius_mm`` around it."""
    if preset not in PRESETS:
        raise InvalidViewError(what="preset")
    if not (math.isfinite(radius_mm) and radius_mm > 0):
        raise InvalidViewError(what="radius")
    outward, up = PRESETS[preset]
    # Outside of everything it shows, so that nothing is cut off.
    distance = 4 * radius_mm
    if view_angle_degrees is not None:
        distance = radius_mm / math.sin(math.radians(min(max(view_angle_degrees, 1.0), 150.0)) / 2)
    position = _point(np.add(center, np.multiply(outward, distance)))
    scale = radius_mm if view_angle_degrees is None else None
    return Camera(position, center, up, scale, view_angle_degrees)
