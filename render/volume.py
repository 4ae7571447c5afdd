"""A volume in patient coordinates: regular values with the matrix from index to LPS millimetres. Arrays only, no I/O.

``i`` runs along x (columns of the slices), ``j`` along y (rows), ``k`` along z (slices); arrays are (z, y, x).
Index (0, 0, 0) is the centre of the first voxel. LPS: x to the patient's left, y to the back, z to the head
(PS3.3 C.7.6.2).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.errors import RenderError
from render.native import sheets

DTYPES = (np.dtype(np.int16), np.dtype(np.uint16), np.dtype(np.float32))
_SMALLEST_DETERMINANT = 1e-12
MOST_VOXELS = 2**31 - 1  # the kernels count voxels with 32 bits


class InvalidVolumeError(RenderError):
    """Values or matrix that no volume can have; ``data['what']``."""

    code = "volume.invalid"
    message = {"zh": "三维数据无效", "en": "The volume is not valid"}


@dataclass(frozen=True)
class VolumeReport:
    """What was done to make a regular volume of the slices, and what is not there.

    ``present``/``expected``: slices decoded so far and slices of the series; a volume of part of them is a preview.
    ``missing_mm``: places along the normal (mm from the first slice) where the spacing says a slice should be.
    ``tilt_degrees``: gantry tilt that was resampled away. ``resampled``: why values are not the stored ones
    ('spacing', 'tilt').
    """

    present: int = 0
    expected: int = 0
    missing_mm: tuple[float, ...] = ()
    resampled: tuple[str, ...] = ()
    tilt_degrees: float = 0.0
    spacing_range_mm: tuple[float, float] = (0.0, 0.0)

    @property
    def complete_percent(self) -> int:
        """Share of the slices that are decoded; 100 only when all are."""
        return 100 if self.present >= self.expected else min(99, 100 * self.present // max(1, self.expected))


@dataclass(frozen=True, eq=False)
class Volume:
    """``values`` (z, y, x), C-contiguous int16, uint16 or float32: modality values (HU …), rescale applied.

    ``index_to_lps_mm``: float64 (4, 4), maps (i, j, k, 1). Padding is the lowest value. ``unit``: Rescale Type
    ('HU', 'BQML', '' …). ``inverse``: low values are shown bright. ``extra``: what is derived once
    and kept with it. Raises InvalidVolumeError.
    """

    values: Any
    index_to_lps_mm: NDArray[np.float64]
    report: VolumeReport = field(default_factory=VolumeReport)
    unit: str = ""
    modality: str = ""
    voi_windows: tuple[tuple[float, float], ...] = ()
    inverse: bool = False
    extra: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        values, matrix = self.values, self.index_to_lps_mm
        if values.ndim != 3 or values.size == 0 or values.dtype not in DTYPES or not values.flags.c_contiguous:
            raise InvalidVolumeError(what=f"values {values.dtype} {values.shape}")
        if values.size > MOST_VOXELS:
            raise InvalidVolumeError(what=f"{values.size} voxels")
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.array_equal(matrix[3], (0, 0, 0, 1)):
            raise InvalidVolumeError(what="matrix")
        if abs(float(np.linalg.det(matrix[:3, :3]))) < _SMALLEST_DETERMINANT:
            raise InvalidVolumeError(what="degenerate matrix")

    @cached_property
    def lps_to_index(self) -> NDArray[np.float64]:
        """Inverse of ``index_to_lps_mm``, float64 (4, 4)."""
        return np.asarray(np.linalg.inv(self.index_to_lps_mm), np.float64)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distances between neighbours along (i, j, k)."""
        lengths = np.linalg.norm(self.index_to_lps_mm[:3, :3], axis=0)
        return float(lengths[0]), float(lengths[1]), float(lengths[2])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(z, y, x)."""
        depth, rows, columns = self.values.shape
        return int(depth), int(rows), int(columns)

    @property
    def center_lps_mm(self) -> tuple[float, float, float]:
        """Middle of the volume."""
        depth, rows, columns = self.shape
        place = self.index_to_lps_mm @ np.array([(columns - 1) / 2, (rows - 1) / 2, (depth - 1) / 2, 1.0])
        return float(place[0]), float(place[1]), float(place[2])

    @property
    def nbytes(self) -> int:
        """Bytes that this volume may keep in memory: values, cells of 8 cubed voxels, sheets (native/sheets.py)."""
        cells = 2 * 4 * (self.values.size // 512 + 1)
        return int(self.values.nbytes) + cells + sheets.most_bytes(self.shape, self.values.itemsize)

    @cached_property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return float(self.values.min()), float(self.values.max())
