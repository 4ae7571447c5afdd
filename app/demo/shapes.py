"""Solid shapes of the demo phantoms: ellipsoids and tubes, painted slice by slice or projected as an X-ray.

Coordinates are millimetres of the body: x to the patient's left, y to the back, u downwards from the top
of the phantom (so DICOM's z is -u). Everything is anti-aliased: a shape's weight falls from 1 to 0 over
one pixel at its surface, as partial volume does in a scanner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.floating[Any]]
Window: TypeAlias = tuple[slice, slice]
Layers: TypeAlias = Sequence[tuple[float, float]]

FAR_MM = 1e3


@dataclass(frozen=True, slots=True)
class Grid:
    """Pixel centres of one plane: ``columns`` along a, ``rows`` along b (mm), square pixels.

    For a CT slice a is x and b is y; for a frontal projection a is x and b is u.
    """

    a: Image
    b: Image
    pixel_mm: float

    @classmethod
    def centred(cls, columns: int, rows: int, pixel_mm: float, b_start_mm: float | None = None) -> Grid:
        """A grid whose a axis is centred on 0; b is centred too unless its first pixel is given (mm)."""
        a = (np.arange(columns, dtype=np.float32) - (columns - 1) / 2) * pixel_mm
        first = -(rows - 1) / 2 * pixel_mm if b_start_mm is None else b_start_mm
        b = first + np.arange(rows, dtype=np.float32) * pixel_mm
        return cls(a, b.astype(np.float32), pixel_mm)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return len(self.b), len(self.a)

    def window(self, a0: float, a1: float, b0: float, b1: float) -> Window | None:
        """The pixels inside a box (mm) with a margin of one pixel, or None when it is off the grid."""
        columns = np.searchsorted(self.a, [a0 - self.pixel_mm, a1 + self.pixel_mm])
        rows = np.searchsorted(self.b, [b0 - self.pixel_mm, b1 + self.pixel_mm])
        if columns[0] >= columns[1] or rows[0] >= rows[1]:
            return None
        return slice(int(rows[0]), int(rows[1])), slice(int(columns[0]), int(columns[1]))


def blend(image: Image, window: Window, distance: Image, value: float | Image, pixel_mm: float) -> None:
    """Paint ``value`` where the signed ``distance`` (mm, negative inside) says so, soft over one pixel."""
    weight = np.clip(0.5 - distance / pixel_mm, 0.0, 1.0)
    part = image[window]
    part += weight * (value - part)


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """An ellipsoid (mm), turned in the slice plane by ``turn_degrees`` (positive from x to y)."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    turn_degrees: float = 0.0

    def distance(self, grid: Grid, u: float, grow_mm: float = 0.0) -> tuple[Window, Image] | None:
        """Approximate signed distance to the surface in the slice at ``u``, or None when not met.

        The first-order estimate (f - 1) * smallest radius is exact on the surface, which is where it matters.
        """
        rx, ry, ru = (radius + grow_mm for radius in self.radii)
        if min(rx, ry, ru) <= 0 or abs(u - self.centre[2]) >= ru:
            return None
        reach = max(rx, ry) if self.turn_degrees else 0.0
        x, y = self.centre[0], self.centre[1]
        wide, deep = reach or rx, reach or ry
        window = grid.window(x - wide, x + wide, y - deep, y + deep)
        if window is None:
            return None
        dx, dy = (grid.a[window[1]] - x)[None, :], (grid.b[window[0]] - y)[:, None]
        if self.turn_degrees:
            c, s = np.cos(np.deg2rad(self.turn_degrees)), np.sin(np.deg2rad(self.turn_degrees))
            dx, dy = c * dx + s * dy, c * dy - s * dx
        squared = (dx / rx) ** 2 + (dy / ry) ** 2 + ((u - self.centre[2]) / ru) ** 2
        return window, ((np.sqrt(squared) - 1) * min(rx, ry, ru)).astype(np.float32)

    def paint(self, image: Image, grid: Grid, u: float, layers: Layers) -> None:
        """Paint shells: each layer is (mm added to the radii, value); give the outermost first."""
        for grow_mm, value in layers:
            found = self.distance(grid, u, grow_mm)
            if found is not None:
                blend(image, found[0], found[1], value, grid.pixel_mm)

    def project(self, image: Image, grid: Grid, density: float, grow_mm: float = 0.0) -> None:
        """Add ``density`` x chord length (mm, along y) to a frontal projection; rows of ``grid`` are u."""
        rx, ry, ru = (radius + grow_mm for radius in self.radii)
        x, u = self.centre[0], self.centre[2]
        window = grid.window(x - rx, x + rx, u - ru, u + ru)
        if window is None:
            return
        left = 1 - ((grid.a[window[1]] - x)[None, :] / rx) ** 2 - ((grid.b[window[0]] - u)[:, None] / ru) ** 2
        image[window] += (2 * ry * density) * np.sqrt(np.maximum(left, 0))


class Tubes:
    """Round tubes along polylines: vessels, airways, ribs. All segments of a group merge without seams."""

    def __init__(self) -> None:
        self._starts: list[NDArray[np.float64]] = []
        self._ends: list[NDArray[np.float64]] = []
        self._radii: list[NDArray[np.float64]] = []
        self._frozen: tuple[NDArray[np.float64], ...] | None = None

    def add(self, points: Sequence[Sequence[float] | NDArray[np.float64]], radii: float | Sequence[float]) -> Tubes:
        """Append a polyline of (x, y, u) points in mm with one radius, or a radius per point. Returns self."""
        line = np.asarray(points, np.float64)
        sizes = np.broadcast_to(np.asarray(radii, np.float64), (len(line),))
        self._starts.append(line[:-1])
        self._ends.append(line[1:])
        self._radii.append(np.maximum(sizes[:-1], sizes[1:]) * 0.5 + (sizes[:-1] + sizes[1:]) * 0.25)
        self._frozen = None
        return self

    def _segments(self) -> tuple[NDArray[np.float64], ...]:
        if self._frozen is None:
            starts, ends = np.concatenate(self._starts), np.concatenate(self._ends)
            radii = np.concatenate(self._radii)
            low = np.minimum(starts, ends) - radii[:, None]
            high = np.maximum(starts, ends) + radii[:, None]
            self._frozen = (starts, ends, radii, low, high)
        return self._frozen

    def distance(self, grid: Grid, u: float) -> tuple[Window, Image] | None:
        """Signed distance (mm) to the union of the tubes within the slice at ``u``; None when none is met."""
        starts, ends, radii, low, high = self._segments()
        met = np.nonzero((low[:, 2] <= u) & (high[:, 2] >= u))[0]
        if not len(met):
            return None
        box = (low[met, 0].min(), high[met, 0].max(), low[met, 1].min(), high[met, 1].max())
        whole = grid.window(*box)
        if whole is None:
            return None
        rows, columns = whole
        field = np.full((rows.stop - rows.start, columns.stop - columns.start), FAR_MM, np.float32)
        for i in met:
            window = grid.window(low[i, 0], high[i, 0], low[i, 1], high[i, 1])
            if window is None:
                continue
            dx = (grid.a[window[1]] - starts[i, 0])[None, :]
            dy = (grid.b[window[0]] - starts[i, 1])[:, None]
            du = u - starts[i, 2]
            vx, vy, vu = ends[i] - starts[i]
            length2 = max(vx * vx + vy * vy + vu * vu, 1e-9)
            t = np.clip((dx * vx + dy * vy + du * vu) / length2, 0, 1)
            squared = (dx - t * vx) ** 2 + (dy - t * vy) ** 2 + (du - t * vu) ** 2
            part = field[
                window[0].start - rows.start : window[0].stop - rows.start,
                window[1].start - columns.start : window[1].stop - columns.start,
            ]
            np.minimum(part, np.sqrt(squared) - radii[i], out=part)
        return whole, field

    def paint(self, image: Image, grid: Grid, u: float, layers: Layers) -> None:
        """Paint layers (mm added to the radius, value), outermost first."""
        found = self.distance(grid, u)
        if found is None:
            return
        for grow_mm, value in layers:
            blend(image, found[0], found[1] - grow_mm, value, grid.pixel_mm)

    def project(self, image: Image, grid: Grid, density: float, grow_mm: float = 0.0) -> None:
        """Add ``density`` x chord (mm, along y) of each tube to a frontal projection; joints do not add up."""
        starts, ends, radii, low, high = self._segments()
        chords = np.zeros_like(image)
        for i in range(len(radii)):
            radius = radii[i] + grow_mm
            if radius <= 0:
                continue
            window = grid.window(low[i, 0], high[i, 0], low[i, 2], high[i, 2])
            if window is None:
                continue
            dx = (grid.a[window[1]] - starts[i, 0])[None, :]
            du = (grid.b[window[0]] - starts[i, 2])[:, None]
            vx, vu = ends[i, 0] - starts[i, 0], ends[i, 2] - starts[i, 2]
            t = np.clip((dx * vx + du * vu) / max(vx * vx + vu * vu, 1e-9), 0, 1)
            squared = (dx - t * vx) ** 2 + (du - t * vu) ** 2
            # A tube that runs away from the viewer is longer along the ray, within reason.
            tilt = np.hypot(np.hypot(vx, vu), ends[i, 1] - starts[i, 1]) / max(np.hypot(vx, vu), 1e-9)
            chord = np.sqrt(np.maximum(radius * radius - squared, 0)) * (2 * min(tilt, 3.0))
            np.maximum(chords[window], chord, out=chords[window])
        image += density * chords
