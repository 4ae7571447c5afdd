"""3D slices: crossing planes of a volume shown within its rendering, opaque, in gray.

The kernels end a ray at the first plane that it meets (kernels/raycast.h, ``stop``); here the planes' gray is put behind
what the ray has gathered until there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from render.camera import Point
from render.errors import InvalidViewError
from render.lut import apply_window
from render.native import raycast
from render.slab import choose_volume_voi

if TYPE_CHECKING:
    from render.volume import Volume

MOST_SLICES = raycast.STOPS
_AXES: tuple[Point, ...] = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))  # axial, coronal, sagittal
_MOST_MM = 1e6
_ALONG = 1e-9  # as the kernels: such a ray never meets the plane


@dataclass(frozen=True, slots=True)
class CrossingSlices:
    """Up to three planes through one point (LPS, mm; None: the volume's middle), each by its normal; windowed as a
    SlabView is. Raises InvalidViewError."""

    center_mm: Point | None = None
    normals: tuple[Point, ...] = _AXES
    voi: str = "file"  # 'file' | 'auto' | 'window'
    window_center: float | None = None
    window_width: float | None = None

    def __post_init__(self) -> None:
        numbers = [*(self.center_mm or ()), *(n for normal in self.normals for n in normal)]
        numbers += [self.window_center or 0.0, self.window_width or 1.0]
        if not all(math.isfinite(number) and abs(number) <= _MOST_MM for number in numbers):
            raise InvalidViewError(what="slices")
        if not 1 <= len(self.normals) <= MOST_SLICES or any(math.hypot(*normal) < 1e-6 for normal in self.normals):
            raise InvalidViewError(what="slices")
        if self.voi not in ("file", "auto", "window"):
            raise InvalidViewError(what="voi")
        if self.voi == "window" and (self.window_center is None or self.window_width is None or self.window_width <= 0):
            raise InvalidViewError(what="window")

    def planes(self, volume: Volume) -> NDArray[np.float64]:
        """(n, 4): a i + b j + c k + d = 0 in voxel indices."""
        center = np.asarray(self.center_mm or volume.center_lps_mm, np.float64)
        normals = np.asarray(self.normals, np.float64)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return np.column_stack([normals, -normals @ center]) @ volume.index_to_lps_mm


def stop_at(scene: raycast.Scene, volume: Volume, slices: CrossingSlices) -> None:
    """Rays of the scene end at the planes."""
    planes = slices.planes(volume)
    scene.stops = len(planes)
    for index, plane in enumerate(planes):
        scene.stop[index][:] = plane.tolist()


def put_behind(
    scene: raycast.Scene,
    volume: Volume,
    slices: CrossingSlices,
    pixels: NDArray[np.uint8],
    opacity: NDArray[np.float32],
    background: tuple[int, int, int],
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """(picture (y, x, 3), t of the plane in steps (y, x), not a number where there is none).

    ``pixels``: drawn over black. The planes end where the volume and its clipping end.
    """
    origins, ways = rays(scene)
    met = _first_met(scene, slices.planes(volume), origins, ways)
    shown = ~np.isnan(met)
    behind = np.empty(pixels.shape, np.float32)
    behind[:] = background
    places = origins[shown] + ways[shown] * met[shown][:, None]
    voi = choose_volume_voi(volume, slices)
    gray = apply_window(trilinear(volume.values, places), voi.center or 0.0, voi.width or 1.0, "LINEAR")
    behind[shown] = (255 * (1 - gray if volume.inverse else gray))[:, None]
    through = 1 - opacity[..., None]
    return np.clip(np.rint(pixels + through * behind), 0, 255).astype(np.uint8), met.astype(np.float32)


def rays(scene: raycast.Scene) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(origins, ways of one step), both (y, x, 3) in voxel indices: cf_ray_begin of kernels/raycast.h, unjittered."""
    x, y = np.arange(scene.width, dtype=np.float64)[None, :], np.arange(scene.height, dtype=np.float64)[:, None]
    across, down, forward, origin = (np.array(v[:]) for v in (scene.across, scene.down, scene.forward, scene.origin))
    sideways = x[..., None] * across + y[..., None] * down
    if not scene.perspective:
        return sideways + origin, np.broadcast_to(forward, sideways.shape)
    u, v = x * scene.plane[2] + scene.plane[0], y * scene.plane[3] + scene.plane[1]
    ways = (sideways + forward) / np.sqrt(u * u + v * v + 1)[..., None]
    return np.broadcast_to(origin, ways.shape), ways


def _first_met(
    scene: raycast.Scene, planes: NDArray[np.float64], origins: NDArray[np.float64], ways: NDArray[np.float64]
) -> NDArray[np.float64]:
    """t (y, x) of the nearest plane within the box and the clip planes, not a number without any."""
    begin, end = np.zeros(origins.shape[:2]), np.full(origins.shape[:2], 1e6)
    bounds = [(np.eye(3)[axis], scene.box_low[axis], scene.box_high[axis]) for axis in range(3)]
    clips = [np.array(scene.clip[index][:]) for index in range(scene.planes)]
    bounds += [(clip[:3], -float(clip[3]), math.inf) for clip in clips]
    for normal, low, high in bounds:
        at, rate = origins @ normal, ways @ normal
        along = np.abs(rate) < _ALONG
        with np.errstate(divide="ignore", invalid="ignore"):
            a, b = (low - at) / rate, (high - at) / rate
        outside = (at < low) | (at > high)
        begin = np.maximum(begin, np.where(along, np.where(outside, np.inf, 0), np.minimum(a, b)))
        end = np.minimum(end, np.where(along, np.inf, np.maximum(a, b)))
    nearest = np.full(begin.shape, np.inf)
    for plane in planes:
        rate = ways @ plane[:3]
        along = np.abs(rate) < _ALONG
        t = -(origins @ plane[:3] + plane[3]) / np.where(along, 1.0, rate)
        nearest = np.minimum(nearest, np.where(along | (t < begin) | (t > end), np.inf, t))
    return np.where(np.isinf(nearest), np.nan, nearest)


def trilinear(values: NDArray[Any], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values (n) of a (z, y, x) volume at places (n, 3) in voxel indices (i, j, k), clamped into it."""
    most = np.array(values.shape[::-1], np.float64) - 1
    places = np.clip(places, 0, most)
    low = np.minimum(np.floor(places), np.maximum(most - 1, 0)).astype(np.int64)
    part = places - low
    i, j, k = low.T
    steps = [np.minimum(low[:, axis] + 1, int(most[axis])) for axis in range(3)]
    total = np.zeros(len(places))
    for corner in range(8):
        pick = [(corner >> axis) & 1 for axis in range(3)]
        weight = np.prod([part[:, axis] if pick[axis] else 1 - part[:, axis] for axis in range(3)], axis=0)
        index = [steps[axis] if pick[axis] else (i, j, k)[axis] for axis in range(3)]
        total += weight * values[index[2], index[1], index[0]]
    return total
