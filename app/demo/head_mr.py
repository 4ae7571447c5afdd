"""A head as a T1-weighted MR shows it: scalp, skull, folded grey and white matter, ventricles, cerebellum.

Axes: x to the patient's left, y to the back, z to the top (LPS), millimetres, origin in the middle of the brain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.demo.shapes import Image

HEAD_MM = (176.0, 256.0)  # extent along x (slices) and of the square field of view
_WHITE, _GREY, _FLUID, _FAT, _MUSCLE, _BONE = 640.0, 430.0, 110.0, 820.0, 330.0, 55.0


def _over(image: Image, distance: Image, value: float | Image, soft_mm: float) -> None:
    weight = np.clip(0.5 - distance / soft_mm, 0, 1)
    image += weight * (value - image)


def head_slice(x: float, matrix: int = 256) -> NDArray[np.uint16]:
    """The sagittal slice at ``x`` (mm): (rows from the top down, columns from front to back), 12-bit magnitudes."""
    pixel_mm = HEAD_MM[1] / matrix
    half = (matrix - 1) / 2 * pixel_mm
    y = (np.arange(matrix, dtype=np.float32) * pixel_mm - half)[None, :]
    z = (half - np.arange(matrix, dtype=np.float32) * pixel_mm)[:, None]
    rng = np.random.Generator(np.random.SFC64([int(x * 1000) & 0x7FFFFFFF, matrix, 3]))

    def ball(cx: float, cy: float, cz: float, rx: float, ry: float, rz: float) -> Image:
        f = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2)
        return ((f - 1) * min(rx, ry, rz)).astype(np.float32)

    image = np.zeros((matrix, matrix), np.float32)
    soft = max(1.2, pixel_mm)
    neck = np.maximum(np.hypot(x / 62, (y - 18 - 0.12 * (z + 60)) / 66) * 62 - 62, z + 20).astype(np.float32)
    face = ball(0, -52, -62, 56, 50, 66)
    nose = ball(0, -104, -48, 15, 18, 26)
    _over(image, np.minimum(np.minimum(neck, face), nose), _FAT, soft)
    _over(image, np.minimum(neck, face) + 6, _MUSCLE, soft)
    head = ball(0, 4, 8, 78, 98, 92)
    _over(image, head, _FAT * 0.9, soft)
    _over(image, head + 6, _BONE, soft)
    _over(image, head + 8.5, _FAT * 0.55, soft)
    _over(image, head + 11, _BONE, soft)
    _over(image, np.maximum(head + 13, -(z + 52)), _FLUID, soft)
    # Folds: the cortex follows a sum of waves over the surface, and white matter follows it further in.
    bend = 6 * np.sin(0.05 * z + 0.07 * x)
    folds = 2.4 * np.sin(0.31 * (y + bend) + 0.2 * x) * np.cos(0.05 * z) + 2.0 * np.sin(
        0.33 * z + 0.12 * y + 0.25 * x + bend * 0.3
    )
    floor = 16.0 + 24 * min(1.0, max(0.0, (abs(x) - 12) / 14))  # temporal lobes hang lower at the sides
    cerebrum = np.maximum(ball(0, 4, 10, 65, 84, 68), -(z + floor) - 0.30 * y)
    fissure = 1.3 - abs(x) + 0.5 * np.sin(0.2 * y + 0.1 * z) - np.maximum(0, 26 - np.hypot(y * 0.6, z - 14)) * 0.5
    cortex = np.maximum(cerebrum + 1.6 * np.maximum(folds, -0.8), fissure)
    _over(image, cortex, _GREY, soft)
    _over(image, np.maximum(cortex + 5.0 + 1.5 * folds, -(z + floor - 7) - 0.3 * y), _WHITE, soft)
    _over(image, ball(0, 2, 16, 12, 40, 9), _WHITE * 1.05, soft)
    for side in (-1, 1):
        _over(image, ball(side * 12, -4, 12, 5.5, 32, 8), _FLUID, soft)
        _over(image, ball(side * 22, 30, 6, 6, 20, 9), _FLUID, soft)
        _over(image, ball(side * 12, 10, 1, 10, 15, 9), _GREY * 1.08, soft)
        _over(image, ball(side * 25, -4, 0, 9, 20, 11), _GREY * 1.12, soft)
        _over(image, ball(side * 31, -74, -22, 13, 13, 13), _FLUID * 0.9, soft)
        _over(image, ball(side * 20, -70, -62, 13, 19, 16), 4.0, soft)
    _over(image, ball(0, 10, -2, 3, 14, 11), _FLUID, soft)
    _over(image, ball(0, -78, 0, 22, 12, 14), 4.0, soft)
    _over(image, ball(0, -46, -74, 17, 30, 9), 4.0, soft)
    leaves = 1.8 * np.sin(1.05 * np.hypot(y - 22, z + 22))
    cerebellum = ball(0, 46, -38, 50, 30, 24) + leaves
    _over(image, cerebellum, _GREY, soft)
    _over(image, cerebellum + 8 + leaves, _WHITE * 0.95, soft)
    stem = np.maximum(np.hypot(x, (y - 12 - 0.10 * (z + 20))) - np.where(z > -48, 15, 8), z + 6).astype(np.float32)
    _over(image, np.maximum(stem - 3.5, -(z + 118)), _FLUID, soft)
    _over(image, np.maximum(stem, -(z + 118)), _WHITE * 0.93, soft)
    _over(image, ball(0, 31, -30, 6, 5, 11), _FLUID, soft)
    # A receive coil sees the near surface brighter; magnitudes have Rician noise.
    image *= 1 + 0.12 * np.hypot(y / 128, z / 128) - 0.05 * (z / 128)
    real = image * (1 + 0.02 * rng.standard_normal(image.shape, np.float32)) + 9 * rng.standard_normal(
        image.shape, np.float32
    )
    magnitude = np.hypot(real, 9 * rng.standard_normal(image.shape, np.float32))
    return np.clip(np.rint(magnitude), 0, 4095).astype(np.uint16)
