"""Volume rendering in float64 NumPy, all rays at once: what the kernels must agree with.

Every sample is shaded with its own gradient and every ray goes to its end; the kernels stop at 1 % of light and let
samples of little weight share a gradient, which is what tolerances allow for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.camera import Camera
from render.transfer import TransferFunction, make_tables
from render.volume import Volume

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rays:
    """LPS: origins (h, w, 3), unit directions (h, w, 3)."""

    origin: Floats
    direction: Floats


def rays_of(camera: Camera, width: int, height: int) -> Rays:
    """By the textbook, from the camera's axes."""
    right, up, forward = camera.axes()
    x = (np.arange(width) + 0.5 - width / 2)[None, :, None] * 2 / height
    y = (height / 2 - np.arange(height) - 0.5)[:, None, None] * 2 / height
    if camera.parallel_scale_mm is not None:
        offset = (x * right + y * up) * camera.parallel_scale_mm
        return Rays(np.asarray(camera.position) + offset, np.broadcast_to(forward, offset.shape))
    spread = np.tan(np.radians(camera.view_angle_degrees or 0) / 2)
    way = forward + (x * right + y * up) * spread
    way /= np.linalg.norm(way, axis=-1, keepdims=True)
    return Rays(np.broadcast_to(np.asarray(camera.position, np.float64), way.shape), way)


def trilinear(values: NDArray[Any], at: Floats) -> Floats:
    """``values`` (z, y, x) or (z, y, x, c) at (…, 3) places (i, j, k) that lie inside."""
    top = np.array(values.shape[2::-1]) - 1
    place = np.clip(at, 0, top)
    low = np.minimum(np.floor(place).astype(int), top - 1)
    part = place - low
    total: Any = 0.0
    for corner in range(8):
        step = np.array([corner & 1, corner >> 1 & 1, corner >> 2])
        index = low + step
        weight = np.where(step, part, 1 - part).prod(axis=-1)
        found = values[index[..., 2], index[..., 1], index[..., 0]].astype(np.float64)
        total = total + (weight[..., None] if values.ndim == 4 else weight) * found
    return total


def gradients(values: NDArray[Any]) -> Floats:
    """Central differences per voxel, one-sided at the border: (z, y, x, 3) along (i, j, k)."""
    found: Any = np.gradient(values.astype(np.float64))
    return np.stack(found[::-1], axis=-1)


@dataclass(frozen=True)
class Seen:
    """``rgb`` (h, w, 3) 0 … 255, ``opacity`` (h, w), ``depth_mm`` (h, w), NaN where it stays below one half."""

    rgb: Floats
    opacity: Floats
    depth_mm: Floats


def look_up(function: TransferFunction, step_mm: float, values: Floats) -> tuple[Floats, Floats]:
    """Opacity of a step and colour (0 … 1) through the same tables."""
    tables = make_tables(function, step_mm, (0.0, 1.0))
    last = len(tables.opacity) - 1
    entry = np.clip(np.floor((values - tables.first) * tables.steps + 0.5), 0, last).astype(int)
    packed = tables.colour[entry].astype(np.int64)
    colour = np.stack([packed >> 20 & 1023, packed >> 10 & 1023, packed & 1023], axis=-1) / 1023
    return tables.opacity[entry].astype(np.float64), colour


def render(
    volume: Volume,
    camera: Camera,
    function: TransferFunction,
    width: int,
    height: int,
    step_mm: float,
    *,
    start_mm: float,
    keep: NDArray[np.uint8] | None = None,
    other: tuple[Volume, TransferFunction] | None = None,
) -> Seen:
    """Front to back along every ray, samples at start_mm + n step_mm."""
    rays = rays_of(camera, width, height)
    slopes = gradients(volume.values)
    inverse = volume.lps_to_index
    top = np.array(volume.shape[::-1]) - 1.0
    rgb, through = np.zeros((height, width, 3)), np.ones((height, width))
    depth = np.full((height, width), np.nan)
    corners = np.array([[i, j, k, 1.0] for i in (0, top[0]) for j in (0, top[1]) for k in (0, top[2])])
    reach = np.linalg.norm((corners @ volume.index_to_lps_mm.T)[:, :3] - np.asarray(camera.position), axis=1).max()
    for n in range(int((reach - start_mm) / step_mm) + 2):
        distance = start_mm + n * step_mm
        place = (rays.origin + rays.direction * distance) @ inverse[:3, :3].T + inverse[:3, 3]
        inside = ((place >= -1e-9) & (place <= top + 1e-9)).all(axis=-1)
        if not inside.any():
            continue
        if keep is not None:
            nearest = np.floor(np.clip(place, 0, top) + 0.5).astype(int)
            inside &= keep[nearest[..., 2], nearest[..., 1], nearest[..., 0]] != 0
        opacity, colour = look_up(function, step_mm, trilinear(volume.values, place))
        slope = trilinear(slopes, place) @ inverse[:3, :3]
        facing = np.abs((slope * rays.direction).sum(-1)) / np.sqrt((slope**2).sum(-1) + 1e-12)
        light = function.ambient + function.diffuse * facing
        gloss = function.specular * facing**function.specular_power
        weight = np.where(inside, opacity, 0) * through
        rgb += weight[..., None] * (colour * light[..., None] + gloss[..., None])
        through = through - weight
        if other is not None:
            there = (np.concatenate([place, np.ones((*place.shape[:2], 1))], -1) @ volume.index_to_lps_mm.T) @ (
                other[0].lps_to_index.T
            )
            limit = np.array(other[0].shape[::-1]) - 1.0
            within = inside & ((there[..., :3] >= 0) & (there[..., :3] <= limit)).all(-1)
            glow, tint = look_up(other[1], step_mm, trilinear(other[0].values, there[..., :3]))
            weight = np.where(within, glow, 0) * through
            rgb += weight[..., None] * tint
            through = through - weight
        depth = np.where(np.isnan(depth) & (through < 0.5), distance, depth)
    return Seen(np.clip(rgb, 0, 1) * 255, 1 - through, depth)
