"""The virtual scalpel: cuts as values, their union as a mask of voxels, undo and redo.

A voxel belongs to a cut by its centre; a sample of a ray is cut away when its nearest voxel is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from render.camera import Camera, Point
from render.errors import InvalidViewError

if TYPE_CHECKING:
    from render.volume import Volume

Side = Literal["inside", "outside"]
MOST_CUTS = 200
_MOST_POINTS = 2000


def _check(numbers: list[float], what: str) -> None:
    if not all(math.isfinite(n) and abs(n) < 1e6 for n in numbers):
        raise InvalidViewError(what=what)


@dataclass(frozen=True, slots=True)
class BoxCut:
    """A box along the patient's axes between two corners (LPS, mm)."""

    low: Point
    high: Point
    remove: Side = "inside"

    def __post_init__(self) -> None:
        _check([*self.low, *self.high], "box cut")

    def planes(self) -> NDArray[np.float64]:
        """(6, 4): inside where all a x + b y + c z + d >= 0 (LPS)."""
        low, high = np.minimum(self.low, self.high), np.maximum(self.low, self.high)
        return np.vstack([np.column_stack([np.eye(3), -low]), np.column_stack([-np.eye(3), high])])


@dataclass(frozen=True, slots=True)
class PlaneCut:
    """Removes the side of the plane through ``point`` (LPS, mm) to which ``normal`` shows."""

    point: Point
    normal: Point

    def __post_init__(self) -> None:
        _check([*self.point, *self.normal], "plane cut")
        if math.hypot(*self.normal) < 1e-9:
            raise InvalidViewError(what="plane cut")

    def planes(self) -> NDArray[np.float64]:
        """(1, 4), as BoxCut's."""
        normal = np.asarray(self.normal, np.float64) / math.hypot(*self.normal)
        return np.array([[*normal, -float(normal @ self.point)]])


@dataclass(frozen=True, slots=True)
class CurveCut:
    """A closed curve drawn over a picture of ``width`` x ``height`` by ``camera``: cuts along the view, through
    everything. ``points`` are (column, row) in pixels; a pixel is inside by its centre, even-odd."""

    camera: Camera
    width: int
    height: int
    points: tuple[tuple[float, float], ...]
    remove: Side = "inside"

    def __post_init__(self) -> None:
        if not (1 <= self.width <= 4096 and 1 <= self.height <= 4096 and 3 <= len(self.points) <= _MOST_POINTS):
            raise InvalidViewError(what="curve cut")
        _check([n for point in self.points for n in point], "curve cut")

    def bitmap(self) -> NDArray[np.uint8]:
        """(height, width): 1 inside the curve."""
        corners = np.asarray(self.points, np.float64)
        inside = np.zeros((self.height, self.width), np.bool_)
        columns = np.arange(self.width)
        rows = np.arange(self.height)
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            crossed = np.nonzero((y0 <= rows) != (y1 <= rows))[0]
            at = x0 + (crossed - y0) * (x1 - x0) / (y1 - y0) if len(crossed) else np.empty(0)
            inside[crossed] ^= columns[None, :] < at[:, None]
        return inside.astype(np.uint8)


@dataclass(frozen=True, slots=True)
class BrushCut:
    """Spheres of one radius along a stroke (LPS, mm)."""

    centers: tuple[Point, ...]
    radius_mm: float

    def __post_init__(self) -> None:
        if not 1 <= len(self.centers) <= _MOST_POINTS or not 0 < self.radius_mm <= 500:
            raise InvalidViewError(what="brush cut")
        _check([n for center in self.centers for n in center], "brush cut")


Cut = BoxCut | PlaneCut | CurveCut | BrushCut


def brush(keep: NDArray[np.uint8], volume: Volume, cut: BrushCut) -> None:
    """Clear the voxels of ``keep`` (z, y, x) whose centres lie in a sphere of the stroke; only boxes around them."""
    matrix, inverse = volume.index_to_lps_mm, volume.lps_to_index
    # Half extents of the sphere in indices: lengths of the rows of the inverse.
    reach = cut.radius_mm * np.linalg.norm(inverse[:3, :3], axis=1)
    top = np.array(keep.shape[::-1]) - 1
    for center in cut.centers:
        middle = inverse[:3, :3] @ np.asarray(center) + inverse[:3, 3]
        low = np.maximum(np.ceil(middle - reach), 0).astype(int)
        high = np.minimum(np.floor(middle + reach), top).astype(int)
        if (low > high).any():
            continue
        i, j, k = (np.arange(low[a], high[a] + 1, dtype=np.float64) for a in range(3))
        square = np.zeros((len(k), len(j), len(i)))
        for row in range(3):
            a = matrix[row]
            offset = a[0] * i[None, None, :] + a[1] * j[None, :, None] + a[2] * k[:, None, None] + (a[3] - center[row])
            square += offset * offset
        part = keep[low[2] : high[2] + 1, low[1] : high[1] + 1, low[0] : high[0] + 1]
        part[square <= cut.radius_mm**2] = 0


@dataclass(frozen=True, slots=True)
class CutHistory:
    """Cuts in effect and those undone; every change gives a new value."""

    cuts: tuple[Cut, ...] = ()
    undone: tuple[Cut, ...] = field(default=())

    def add(self, cut: Cut) -> CutHistory:
        """One cut more; what was undone is gone. Raises InvalidViewError past MOST_CUTS."""
        if len(self.cuts) >= MOST_CUTS:
            raise InvalidViewError(what="cuts")
        return CutHistory((*self.cuts, cut))

    def undo(self) -> CutHistory:
        """Without the last cut; the same when there is none."""
        return CutHistory(self.cuts[:-1], (*self.undone, self.cuts[-1])) if self.cuts else self

    def redo(self) -> CutHistory:
        """With the last undone cut again; the same when there is none."""
        return CutHistory((*self.cuts, self.undone[-1]), self.undone[:-1]) if self.undone else self
