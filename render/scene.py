"""What volume rendering keeps per volume: cells, maps of empty space per transfer function, the mask of the cuts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from render.cuts import BoxCut, BrushCut, CurveCut, Cut, PlaneCut, brush
from render.errors import RenderError
from render.native import library
from render.native.raycast import CELL, KINDS
from render.transfer import TransferTables
from render.volume import Volume

_a = library.address
# Runs a function over shares [begin, end) of so many layers, on the renderer's threads.
OverLayers = Callable[[Callable[[int, int], int], int], None]
# Finds (smallest, largest) value of cells of this shape (z, y, x); and one that may leave it to another.
Shape = tuple[int, int, int]
Range = tuple[NDArray[np.float32], NDArray[np.float32]]
Bounds = Callable[[Volume, Shape], Range]
BoundsOrNative = Callable[[Volume, Shape, Bounds], Range]


_MOST_MAPS = 4
_Map = TypeVar("_Map")
_Key = tuple[bytes, float, float]


@dataclass(frozen=True)
class EmptySpace:
    """``sights`` (a bit per voxel) and ``distance`` of CfRayLayer, flat, over a ``grid`` (x, y, z) of 2 x 2 x 2 to each
    of the volume's cells."""

    sights: NDArray[np.uint32]
    distance: NDArray[np.uint8]
    grid: tuple[int, int, int]


class VolumeTooSmallError(RenderError):
    """Fewer than two voxels along an axis: nothing to look at in three dimensions."""

    code = "volume.too_small"
    message = {"zh": "影像层数不足，无法三维显示", "en": "Too few slices for a 3D picture"}


class VolumeTooLargeError(RenderError):
    """More voxels than the kernels' indices can count."""

    code = "volume.too_large"
    message = {"zh": "影像数据过大，无法三维显示", "en": "Too many voxels for a 3D picture"}


class PreparedVolume:
    """A volume with its cells (smallest and largest value of 8 x 8 x 8 voxels). One picture at a time.

    ``layers``: how work over slices is spread; ``bounds``: what may find the cells' values in place of
    the native kernels. Raises VolumeTooSmallError, VolumeTooLargeError.
    """

    def __init__(self, volume: Volume, kernels: Any, layers: OverLayers, bounds: BoundsOrNative | None = None) -> None:
        depth, rows, columns = volume.shape
        if min(volume.shape) < 2:
            raise VolumeTooSmallError(shape=list(volume.shape))
        if volume.values.size >= 1 << 31:
            raise VolumeTooLargeError(shape=list(volume.shape))
        self.volume = volume
        self._kernels, self._layers = kernels, layers
        self.size = np.array([columns, rows, depth], np.int32)
        self.cells = np.array([(n - 1 + CELL - 1) // CELL for n in self.size], np.int32)
        self.kind = KINDS[volume.values.dtype]
        self._share: tuple[float, float] | None = None
        self._cuts: tuple[Cut, ...] = ()
        self._keep: NDArray[np.uint8] | None = None  # flat, 4 bytes longer than the volume
        self._kept_cells: NDArray[np.uint8] | None = None
        self._sights: dict[_Key, NDArray[np.uint32]] = {}
        self._distance: dict[_Key, NDArray[np.uint8]] = {}  # after the cuts
        shape = (int(self.cells[2]), int(self.cells[1]), int(self.cells[0]))
        native = self._native_bounds
        self._low, self._high = native(volume, shape) if bounds is None else bounds(volume, shape, native)

    def _native_bounds(self, volume: Volume, shape: Shape) -> Range:
        low, high = np.empty(shape, np.float32), np.empty(shape, np.float32)
        before = (_a(volume.values), self.kind, _a(self.size), _a(low), _a(high))
        self._layers(lambda a, b: self._kernels.cf_ray_cells(*before, a, b), shape[0])
        return low, high

    @property
    def nbytes(self) -> int:
        """Bytes beside the volume's own."""
        keep = 0 if self._keep is None else self._keep.nbytes
        maps = [*self._sights.values(), *self._distance.values()]
        return int(self._low.nbytes * 2 + keep + sum(found.nbytes for found in maps))

    def scale(self, values: str) -> tuple[float, float]:
        """What 0 and 1 of a transfer function stand for: 'share' the range of nearly all values, 'window' the first
        display window."""
        if values == "window" and self.volume.voi_windows:
            center, width = self.volume.voi_windows[0]
            return center - width / 2, center + width / 2
        if self._share is None:
            # Cells stand for the voxels: the brightest 0.2 % of them are outliers.
            high = self._high[np.isfinite(self._high)]
            low = self._low[np.isfinite(self._low)]
            bottom = float(low.min()) if low.size else 0.0
            top = float(np.quantile(high, 0.998)) if high.size else 1.0
            self._share = bottom, max(top, bottom + 1e-3)
        return self._share

    def empty_space(self, tables: TransferTables) -> EmptySpace:
        """Where nothing is seen by these tables and the cuts, and how far such emptiness reaches."""
        key = ((tables.opacity > 0).tobytes(), tables.first, tables.steps)
        sights = _remembered(self._sights, key, lambda: self._find_sights(tables))
        distance = _remembered(self._distance, key, lambda: self._find_distance(sights))
        return EmptySpace(sights, distance, (int(self.cells[0]) * 2, int(self.cells[1]) * 2, int(self.cells[2]) * 2))

    def _find_sights(self, tables: TransferTables) -> NDArray[np.uint32]:
        found, before = (
            np.zeros(16 * int(np.prod(self.cells)) + 4, np.uint32),
            tables.visible_before(),
        )  # kernels read behind it
        arguments = (
            *(_a(self.volume.values), self.kind, _a(self.size), _a(self._low), _a(self._high)),
            *(tables.first, tables.steps, len(tables.opacity), _a(before), _a(found)),
        )
        self._layers(lambda a, b: self._kernels.cf_ray_sights(*arguments, a, b), int(self.cells[2]))
        return found

    def _find_distance(self, sights: NDArray[np.uint32]) -> NDArray[np.uint8]:
        found, grid = np.zeros(8 * int(np.prod(self.cells)), np.uint8), self.cells * 2
        kept = 0 if self._kept_cells is None else _a(self._kept_cells)
        arguments = (_a(sights), kept, _a(grid), _a(found))
        self._layers(lambda a, b: self._kernels.cf_ray_distance(*arguments, 0, a, b), int(grid[2]))
        self._layers(lambda a, b: self._kernels.cf_ray_distance(*arguments, 1, a, b), int(grid[1]))
        return found

    def mask(self, cuts: tuple[Cut, ...]) -> NDArray[np.uint8] | None:
        """Voxels left by the union of the cuts, or None without any. Flat; cuts that only grew are added to it."""
        if cuts == self._cuts:
            return self._keep
        known = len(self._cuts)
        if self._keep is None or cuts[:known] != self._cuts:
            self._keep, known = None, 0
        self._distance.clear()
        self._cuts = cuts
        if not cuts:
            self._keep = self._kept_cells = None
            return None
        keep = np.ones(self.volume.values.size + 4, np.uint8) if self._keep is None else self._keep
        for cut in cuts[known:]:
            self._apply(keep, cut)
        kept = np.empty(int(np.prod(self.cells)), np.uint8)
        arguments = (_a(keep), _a(self.size), _a(self.cells), _a(kept))
        self._layers(lambda a, b: self._kernels.cf_ray_kept_cells(*arguments, a, b), int(self.cells[2]))
        self._keep, self._kept_cells = keep, kept
        return keep

    def _apply(self, keep: NDArray[np.uint8], cut: Cut) -> None:
        matrix, depth = self.volume.index_to_lps_mm, int(self.size[2])
        if isinstance(cut, BrushCut):
            brush(keep[: self.volume.values.size].reshape(self.volume.shape), self.volume, cut)
            return
        outside = int(not isinstance(cut, PlaneCut) and cut.remove == "outside")
        if isinstance(cut, BoxCut | PlaneCut):
            planes = np.ascontiguousarray(cut.planes() @ matrix)
            arguments = (_a(keep), _a(self.size), _a(planes), len(planes), outside)
            self._layers(lambda a, b: self._kernels.cf_cut_planes(*arguments, a, b), depth)
            return
        self._apply_curve(keep, cut, outside)

    def _apply_curve(self, keep: NDArray[np.uint8], cut: CurveCut, outside: int) -> None:
        project = np.ascontiguousarray(cut.camera.project(cut.width, cut.height) @ self.volume.index_to_lps_mm)
        bitmap = cut.bitmap()
        arguments = (_a(keep), _a(self.size), _a(project), _a(bitmap), cut.width, cut.height, outside)
        self._layers(lambda a, b: self._kernels.cf_cut_bitmap(*arguments, a, b), int(self.size[2]))


@dataclass(frozen=True)
class RayLayer:
    """One volume of a scene with its tables; ``keep``: the mask of its ``cuts`` or None."""

    prepared: PreparedVolume
    tables: TransferTables
    cuts: tuple[Cut, ...] = ()
    keep: NDArray[np.uint8] | None = None


def _remembered(maps: dict[_Key, _Map], key: _Key, find: Callable[[], _Map]) -> _Map:
    """The map of this key, made if need be; the oldest of too many is forgotten."""
    if key not in maps:
        made = find()
        while len(maps) >= _MOST_MAPS:
            maps.pop(next(iter(maps)))
        maps[key] = made
    return maps[key]
