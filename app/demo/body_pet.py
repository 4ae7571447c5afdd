"""FDG uptake of the demo body: smooth, noisy, and quantitative."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.demo.anatomy import body, outline
from app.demo.shapes import Ellipsoid, Grid, blend

PET_FIELD_OF_VIEW_MM = 512.0
# Surfaces are blurred to the resolution of a scanner (about 5 mm full width at half maximum).
_BLUR_MM = 9.0


def pet_slice(u: float, matrix: int, becquerel_per_ml: float) -> tuple[NDArray[np.uint16], float]:
    """One slice at ``u`` (mm): ((y, x) stored values, slope to Bq/ml); SUV 1 is ``becquerel_per_ml``.

    The largest value of each slice uses the whole 16-bit range (its half), as scanners do: the slope differs
    from slice to slice.
    """
    anatomy = body()
    grid = Grid.centred(matrix, matrix, PET_FIELD_OF_VIEW_MM / matrix)
    soft = max(_BLUR_MM, grid.pixel_mm)
    rng = np.random.Generator(np.random.SFC64([int(u * 1000) & 0x7FFFFFFF, matrix, 7]))
    suv = np.zeros(grid.shape, np.float32)
    width, depth, fat = outline(u)
    Ellipsoid((0, 0, u), (width, depth, 10)).paint(suv, grid, u, ((0, 0.35), (-float(fat), 0.75)))
    for lung in anatomy.lungs:
        found = lung.distance(grid, u)
        if found is not None:
            blend(suv, found[0], found[1], 0.45, soft)
    Ellipsoid((0, 58, u), (20, 16, 10)).paint(suv, grid, u, ((0, 1.3),))
    for tubes, value in ((anatomy.bowel, 1.3), (anatomy.arteries, 1.5), (anatomy.veins, 1.5)):
        found = tubes.distance(grid, u)
        if found is not None:
            blend(suv, found[0], found[1], value, soft)
    for organ in anatomy.organs:
        found = organ.shape.distance(grid, u)
        if found is not None and organ.suv:
            blend(suv, found[0], found[1], organ.suv, soft)
    suv += rng.standard_normal(grid.shape, np.float32) * (0.02 + 0.10 * np.sqrt(suv))
    concentration = np.maximum(suv, 0) * becquerel_per_ml
    slope = float(f"{max(float(concentration.max()), 1.0) / 32767:.6g}")
    return np.clip(np.rint(concentration / slope), 0, 65535).astype(np.uint16), slope
