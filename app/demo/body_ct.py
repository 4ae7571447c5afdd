"""Slices of the demo body in Hounsfield units, with texture and noise, each made on its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.demo.anatomy import CORTICAL_SHELL, Anatomy, body, outline
from app.demo.shapes import Ellipsoid, Grid, Image, blend

FIELD_OF_VIEW_MM = 400.0
AIR_HU = -1000.0
# The couch: centre and radius of its arc, so that its top lies under the back.
_COUCH_CENTRE_Y, _COUCH_RADIUS = -330.0, 452.0


def ct_grid(matrix: int) -> Grid:
    """The square pixel grid (``matrix`` x ``matrix``) of the demo CT's field of view."""
    return Grid.centred(matrix, matrix, FIELD_OF_VIEW_MM / matrix)


def _smooth(values: Image) -> Image:
    """A 3 x 3 binomial filter: noise of a reconstruction is correlated, not white."""
    rows = values.copy()
    rows[1:-1] = 0.5 * values[1:-1] + 0.25 * (values[:-2] + values[2:])
    columns = rows.copy()
    columns[:, 1:-1] = 0.5 * rows[:, 1:-1] + 0.25 * (rows[:, :-2] + rows[:, 2:])
    return columns


def texture(rng: np.random.Generator, shape: tuple[int, int], cell: int) -> Image:
    """Smooth random texture of unit variance: random cells of ``cell`` pixels, interpolated linearly."""
    rows, columns = (size // cell + 2 for size in shape)
    coarse = rng.standard_normal((rows, columns), np.float32)
    at_y = np.linspace(0, rows - 1.001, shape[0], dtype=np.float32)
    at_x = np.linspace(0, columns - 1.001, shape[1], dtype=np.float32)
    y, x = at_y.astype(np.intp), at_x.astype(np.intp)
    fy, fx = (at_y - y)[:, None], (at_x - x)[None, :]
    wide = coarse[:, x] * (1 - fx) + coarse[:, x + 1] * fx
    return (1.5 * (wide[y] * (1 - fy) + wide[y + 1] * fy)).astype(np.float32)


def _superellipse(grid: Grid, width: float, depth: float) -> Image:
    """Signed distance (approximate, mm) to the rounded box that a torso's cross-section is."""
    x, y = np.abs(grid.a / width)[None, :], np.abs(grid.b / depth)[:, None]
    return ((x**2.4 + y**2.4) ** (1 / 2.4) - 1).astype(np.float32) * min(width, depth)


def _couch(image: Image, grid: Grid) -> None:
    radius = np.hypot(grid.a[None, :], grid.b[:, None] - _COUCH_CENTRE_Y)
    shell = np.maximum(np.abs(radius - _COUCH_RADIUS - 9) - 9, np.abs(grid.a)[None, :] - 190).astype(np.float32)
    everywhere = (slice(None), slice(None))
    blend(image, everywhere, shell, -120.0, grid.pixel_mm)
    blend(image, everywhere, shell + 2.5, -930.0, grid.pixel_mm)


def _wall(image: Image, grid: Grid, u: float) -> Image:
    """Skin, fat, muscle and cavity; returns the signed distance to the skin."""
    width, depth, fat = outline(u)
    everywhere = (slice(None), slice(None))
    skin = _superellipse(grid, width, depth)
    blend(image, everywhere, skin, 25.0, grid.pixel_mm)
    blend(image, everywhere, skin + 2.0, -102.0, grid.pixel_mm)
    blend(image, everywhere, skin + fat, 58.0, grid.pixel_mm)
    cavity = _superellipse(grid, width - fat - 17, depth - fat - 20)
    blend(image, everywhere, np.maximum(cavity, grid.b[:, None] - 62), -92.0, grid.pixel_mm)
    return skin


def _lungs(image: Image, grid: Grid, u: float, anatomy: Anatomy, rng: np.random.Generator) -> None:
    width, depth, fat = outline(u)
    wall = _superellipse(grid, width - fat - 19, depth - fat - 18)
    for lung in anatomy.lungs:
        found = lung.distance(grid, u)
        if found is None:
            continue
        window, distance = found
        # Gravity: the lung at the back of a lying patient is denser.
        gradient = -872.0 + 0.35 * grid.b[window[0]][:, None]
        parenchyma = (gradient + 16 * texture(rng, distance.shape, 5)).astype(np.float32)
        blend(image, window, np.maximum(distance, wall[window]), parenchyma, grid.pixel_mm)


def _spine(image: Image, grid: Grid, u: float, rng: np.random.Generator) -> None:
    """Vertebral bodies of 28.5 mm pitch with end plates, discs between them, the canal behind; then the sacrum."""
    if u > 345:
        taper = max(0.25, 1 - (u - 345) / 80)
        sacrum = Ellipsoid((0, 74 + (u - 345) * 0.25, u), (46 * taper, 20 * taper, 40), 0)
        sacrum.paint(image, grid, u, CORTICAL_SHELL)
        return
    phase = (u - 2) % 28.5
    body_shape = Ellipsoid((0, 58, u), (20 + u * 0.012, 15.5 + u * 0.008, 30))
    found = body_shape.distance(grid, u)
    if found is None:
        return
    window, distance = found
    if phase > 22.5:
        blend(image, window, distance - 0.5, 85.0, grid.pixel_mm)
    else:
        end_plate = min(phase, 22.5 - phase) < 1.3
        trabecular = 215 + 26 * texture(rng, distance.shape, 2) + (420 if end_plate else 0)
        blend(image, window, distance, 780.0, grid.pixel_mm)
        blend(image, window, distance + 1.5, trabecular.astype(np.float32), grid.pixel_mm)
    canal = Ellipsoid((0, 82, u), (9.5, 8, 30))
    canal.paint(image, grid, u, ((2.6, 640.0 if phase < 18 else 60.0), (0, 8.0), (-3.5, 42.0)))


def _blades(image: Image, grid: Grid, u: float, anatomy: Anatomy) -> None:
    for shape, first, last in anatomy.blades:
        if not first <= u <= last:
            continue
        found = shape.distance(grid, u)
        if found is None:
            continue
        window, distance = found
        # Only the outer and rear part of the shell is bone.
        side = np.sign(shape.centre[0])
        outward = (grid.a[window[1]][None, :] * side - abs(shape.centre[0]) + 14) + 0.5 * (
            grid.b[window[0]][:, None] - shape.centre[1]
        )
        shell = np.maximum(np.abs(distance) - 2.6, -outward).astype(np.float32)
        blend(image, window, shell, 780.0, grid.pixel_mm)
        blend(image, window, shell + 1.3, 290.0, grid.pixel_mm)


def body_slice(u: float, matrix: int = 512, *, noise_hu: float = 9.0, contrast: bool = True) -> NDArray[np.int16]:
    """One axial slice of the demo body in HU, (y, x) int16 of ``matrix`` x ``matrix`` pixels.

    ``u`` is the depth below the top of the phantom in mm (0 … BODY_LENGTH_MM); ``noise_hu`` the standard
    deviation of the noise in soft tissue; without ``contrast`` the vessels are hardly brighter than muscle.
    The same arguments always give the same slice.
    """
    anatomy = body()
    grid = ct_grid(matrix)
    rng = np.random.Generator(np.random.SFC64([int(u * 1000) & 0x7FFFFFFF, matrix]))
    image = np.full(grid.shape, AIR_HU, np.float32)
    blood = (265.0, 165.0) if contrast else (48.0, 44.0)
    _couch(image, grid)
    skin = _wall(image, grid, u)
    anatomy.muscles.paint(image, grid, u, ((0, 60.0),))
    anatomy.bowel.paint(image, grid, u, ((0, 62.0), (-2.5, 18.0), (-6.0, -40.0)))
    _lungs(image, grid, u, anatomy, rng)
    anatomy.lung_vessels.paint(image, grid, u, ((0, 46.0),))
    for organ in anatomy.organs:
        layers = organ.layers if contrast else [(grow, min(value, 55.0)) for grow, value in organ.layers]
        organ.shape.paint(image, grid, u, layers)
    anatomy.portal.paint(image, grid, u, ((0, blood[1] if contrast else 50.0),))
    anatomy.veins.paint(image, grid, u, ((0, blood[1]),))
    anatomy.arteries.paint(image, grid, u, ((0, 70.0), (-1.2, blood[0])))
    anatomy.airways.paint(image, grid, u, ((1.4, 40.0), (0, -985.0)))
    _spine(image, grid, u, rng)
    for bones in (anatomy.spine_processes, anatomy.ribs, anatomy.long_bones, anatomy.sternum):
        bones.paint(image, grid, u, CORTICAL_SHELL)
    _blades(image, grid, u, anatomy)
    image += np.where(skin < 0, 9.0, 0.0).astype(np.float32) * texture(rng, grid.shape, 4)
    # Noise grows towards the middle of the body, where the fewest photons arrive.
    level = noise_hu * (0.55 + 0.9 * np.clip(-skin / 90, 0, 1))
    image += level * 2.2 * _smooth(rng.standard_normal(grid.shape, np.float32))
    return np.clip(np.rint(image), -1024, 3071).astype(np.int16)
