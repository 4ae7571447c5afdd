"""Surfaces of equal value of a volume as closed triangle meshes in patient coordinates, by VTK (an optional extra).

Flying edges (Schroeder, Maynard, Geveci 2015), then decimation that keeps the topology (Schroeder 1992): closed meshes
stay closed. Bounded: a volume whose surface would have many more triangles than asked for is halved along each axis
first, so that time and memory follow the surface, not the scan.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.errors import InvalidViewError, RenderError
from render.volume import Volume

FEWEST_TRIANGLES, MOST_TRIANGLES = 500, 500_000
_RAW_TRIANGLES = 4  # per triangle asked for: what decimation takes away without harm
_FEWEST_RAW = 200_000
_SMALLEST_SIDE = 8
_LARGEST_VALUE = 1e9


class SurfacesMissingError(RenderError):
    """The optional extra ``surfaces`` (VTK) is not installed."""

    code = "surface.unavailable"
    message = {
        "zh": "本机未安装表面重建组件（surfaces）",
        "en": "Surfaces need the optional extra `surfaces`, which is not installed",
    }


class EmptySurfaceError(RenderError):
    """No voxel reaches the level, or all do."""

    code = "surface.empty"
    message = {"zh": "该阈值下没有可显示的表面", "en": "There is no surface at this level"}


@dataclass(frozen=True, slots=True)
class SurfaceRequest:
    """``level``: modality values (HU …) of at least this are inside. ``triangles``: at most so many.
    ``keep``: 'all' parts, or the 'largest' connected one. Raises InvalidViewError."""

    level: float
    triangles: int = 200_000
    keep: str = "all"

    def __post_init__(self) -> None:
        if not math.isfinite(self.level) or abs(self.level) > _LARGEST_VALUE:
            raise InvalidViewError(what="level")
        if not FEWEST_TRIANGLES <= self.triangles <= MOST_TRIANGLES:
            raise InvalidViewError(what="triangles")
        if self.keep not in ("all", "largest"):
            raise InvalidViewError(what="keep")


@dataclass(frozen=True, eq=False)
class Surface:
    """``vertices_mm`` (n, 3) float32 LPS; ``triangles`` (m, 3) int32, counter-clockwise seen from outside.

    ``halvings``: how often the volume was halved along each axis before; ``raw_triangles``: before decimation.
    """

    vertices_mm: NDArray[np.float32]
    triangles: NDArray[np.int32]
    halvings: int = 0
    raw_triangles: int = 0

    @property
    def volume_mm3(self) -> float:
        """Enclosed by the surface (divergence theorem)."""
        corners = self._corners()
        return float(np.einsum("ij,ij->", corners[0], np.cross(corners[1], corners[2]))) / 6.0

    @property
    def area_mm2(self) -> float:
        """Of all triangles."""
        a, b, c = self._corners()
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()) / 2.0

    def _corners(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """The triangles' corners (m, 3) about the middle, for the sake of rounding."""
        places = self.vertices_mm.astype(np.float64)
        places -= places.mean(axis=0)
        a, b, c = (places[self.triangles[:, corner]] for corner in range(3))
        return a, b, c

    def normals(self) -> NDArray[np.float32]:
        """(n, 3) unit vectors to the outside, weighted by area."""
        a, b, c = self._corners()
        face = np.cross(b - a, c - a)
        total = np.zeros((len(self.vertices_mm), 3))
        for corner in range(3):
            for axis in range(3):
                total[:, axis] += np.bincount(self.triangles[:, corner], face[:, axis], len(total))
        length = np.linalg.norm(total, axis=1, keepdims=True)
        return np.where(length > 0, total / np.maximum(length, 1e-300), (0.0, 0.0, 1.0)).astype(np.float32)


def make_surface(volume: Volume, request: SurfaceRequest) -> Surface:
    """Closed also where the scan ends. Raises SurfacesMissingError, EmptySurfaceError."""
    vtk = _vtk()
    values, matrix, halvings = volume.values, volume.index_to_lps_mm, 0
    level = _between(values, request.level)
    if not values.min() < level <= values.max():
        raise EmptySurfaceError(level=request.level)
    most_raw = max(_FEWEST_RAW, _RAW_TRIANGLES * request.triangles)
    while True:
        while 2 * _crossings(values, level) > most_raw and min(values.shape) > _SMALLEST_SIDE:
            values, matrix, halvings = _halved(values), _halved_matrix(matrix), halvings + 1
        mesh = vtk.contour(np.pad(values, 1, constant_values=values.min()), level)
        raw = int(mesh.GetNumberOfPolys())
        if request.keep == "largest":
            mesh = vtk.largest(mesh)
        if mesh.GetNumberOfPolys() > request.triangles:
            mesh = vtk.decimated(mesh, request.triangles)
        if mesh.GetNumberOfPolys() <= request.triangles or min(values.shape) <= _SMALLEST_SIDE:
            break
        most_raw = raw // 2  # too finely knit to be decimated: begin from fewer
    points, triangles = vtk.arrays(mesh)
    if not len(triangles):
        raise EmptySurfaceError(level=request.level)
    places = (points.astype(np.float64) - 1.0) @ matrix[:3, :3].T + matrix[:3, 3]
    if np.linalg.det(matrix[:3, :3]) < 0:  # a left-handed grid turns the triangles over
        triangles = triangles[:, ::-1]
    return Surface(places.astype(np.float32), np.ascontiguousarray(triangles, np.int32), halvings, raw)


def _between(values: NDArray[Any], level: float) -> float:
    """Whole values: half a step below, so that no vertex falls onto a voxel's centre."""
    return math.ceil(level) - 0.5 if values.dtype.kind in "iu" else level


def _crossings(values: NDArray[Any], level: float) -> int:
    """Edges of the grid that the surface crosses: its vertices; triangles are twice as many."""
    found, before = 0, None
    for layer in values:
        inside = layer >= level
        found += int(np.count_nonzero(inside[1:] != inside[:-1])) + int(
            np.count_nonzero(inside[:, 1:] != inside[:, :-1])
        )
        if before is not None:
            found += int(np.count_nonzero(inside != before))
        before = inside
    return found


def _halved(values: NDArray[Any]) -> NDArray[np.float32]:
    """Means of 2 x 2 x 2 voxels; an odd last layer is repeated."""
    depth, rows, columns = values.shape
    out = np.zeros(((depth + 1) // 2, (rows + 1) // 2, (columns + 1) // 2), np.float32)
    for k in range(out.shape[0]):
        pair = values[[2 * k, min(2 * k + 1, depth - 1)]].astype(np.float32).mean(axis=0)
        pair = np.pad(pair, ((0, rows % 2), (0, columns % 2)), mode="edge")
        out[k] = (pair[::2, ::2] + pair[1::2, ::2] + pair[::2, 1::2] + pair[1::2, 1::2]) / 4
    return out


def _halved_matrix(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of twice the spacing; the first voxel's centre lies between the first two."""
    return matrix @ np.array([[2, 0, 0, 0.5], [0, 2, 0, 0.5], [0, 0, 2, 0.5], [0, 0, 0, 1.0]])


def _vtk() -> Any:
    """The filters; imported on first use. Raises SurfacesMissingError."""
    try:
        from render import surface_filters
    except ImportError:
        raise SurfacesMissingError from None
    return surface_filters
