"""A CT-like volume for 3-D benchmarks: body, lungs, spine, ribs, vessels, noise. 512 x 512 x 400, 0.7 x 0.7 x 1 mm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from render.volume import Volume

SPACING_MM = (0.7, 0.7, 1.0)


def body_volume(depth: int = 400, side: int = 512) -> Volume:
    """int16 HU (z, y, x)."""
    rng = np.random.default_rng(1)
    unit = side / 512
    noise = (rng.normal(size=(16, side, side)).astype(np.float32) * 15).astype(np.int16)
    y, x = (axis / unit for axis in np.mgrid[:side, :side].astype(np.float32))
    values = np.empty((depth, side, side), np.int16)
    for k in range(depth):
        values[k] = _slice(k * 400 / depth, x, y) + noise[k % 16]
    return Volume(values, np.diag([SPACING_MM[0] / unit, SPACING_MM[1] / unit, SPACING_MM[2] * 400 / depth, 1.0]))


def _slice(z: float, x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.int16]:
    values = np.full(x.shape, -1000, np.int16)
    radius = np.hypot((x - 256) / 210, (y - 262) / 150)
    values[radius <= 1] = -90
    values[radius <= 0.9] = 45
    for middle in (165, 347):
        values[((x - middle) / 72) ** 2 + ((y - 250) / 95) ** 2 + ((z - 120) / 130) ** 2 <= 1] = -850
    values[((x - 275) / 62) ** 2 + ((y - 225) / 55) ** 2 + ((z - 150) / 55) ** 2 <= 1] = 180
    values[((x - 170) / 85) ** 2 + ((y - 240) / 80) ** 2 + ((z - 270) / 45) ** 2 <= 1] = 110
    if z % 36 < 28:
        values[((x - 256) / 30) ** 2 + ((y - 335) / 26) ** 2 <= 1] = 380
    slanted = (z - 18 * np.sin(np.arctan2(y - 262, x - 256))) % 34
    values[(np.abs(radius - 0.86) < 0.03) & (slanted < 11) & (z < 260)] = 520
    values[np.hypot(x - 256 - 14 * np.sin(z / 60), y - 295 - 6 * np.cos(z / 40)) <= 15] = 290
    return values
