"""One decoded frame with all that turns its stored values into a picture. Arrays in, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.errors import InvalidFrameError

Values = NDArray[Any]


@dataclass(frozen=True)
class Lut:
    """A DICOM look-up table (PS3.3 C.11.1.1): entry 0 belongs to ``first_mapped``; outside the ends are repeated."""

    first_mapped: int
    bits: int
    values: NDArray[np.uint16]

    def apply(self, stored: NDArray[np.float64]) -> NDArray[np.float64]:
        """Entries for stored values, as float64."""
        index = np.clip(np.rint(stored) - self.first_mapped, 0, len(self.values) - 1).astype(np.int64)
        return self.values[index].astype(np.float64)


@dataclass(frozen=True)
class Frame:
    """``values``: stored values (y, x), or colour (y, x, 3) uint8/uint16. Windows are (center, width) after rescale.

    ``palette``: (red, green, blue) for PALETTE COLOR. ``pixel_aspect``: height of a pixel over its width.
    """

    values: Values
    photometric_interpretation: str = "MONOCHROME2"
    bits_stored: int = 16
    rescale_slope: float = 1.0
    rescale_intercept: float = 0.0
    modality_lut: Lut | None = None
    voi_windows: tuple[tuple[float, float], ...] = ()
    voi_lut_function: str = "LINEAR"
    voi_lut: Lut | None = None
    palette: tuple[Lut, Lut, Lut] | None = None
    padding_value: int | None = None
    padding_range_limit: int | None = None
    presentation_inverse: bool = False
    pixel_aspect: float = 1.0
    modality: str = ""
    decoder: str = ""
    extra: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if self.values.ndim not in (2, 3) or self.values.size == 0:
            raise InvalidFrameError(what=f"shape {self.values.shape}")
        if not np.isfinite(self.rescale_slope) or not np.isfinite(self.rescale_intercept) or self.rescale_slope == 0:
            raise InvalidFrameError(what="rescale")

    @property
    def is_colour(self) -> bool:
        """Three samples per pixel, or a palette that makes three."""
        return self.values.ndim == 3 or self.palette is not None

    @property
    def nbytes(self) -> int:
        """Bytes that this frame keeps in memory."""
        return int(self.values.nbytes) * (2 if self._needs_index_copy else 1)

    @property
    def _needs_index_copy(self) -> bool:
        return self.padding_value is not None or self.values.dtype not in (np.uint8, np.int16, np.uint16)

    @cached_property
    def padding_mask(self) -> NDArray[np.bool_] | None:
        """Where pixels are padding (PS3.3 C.7.5.1.1.2), None when there are none."""
        if self.padding_value is None or self.values.ndim != 2:
            return None
        low = high = self.padding_value
        if self.padding_range_limit is not None:
            low, high = sorted((self.padding_value, self.padding_range_limit))
        mask = (self.values >= low) & (self.values <= high)
        return mask if bool(mask.any()) and not bool(mask.all()) else None

    @cached_property
    def index(self) -> tuple[Values, float, float]:
        """(image of uint8, int16 or uint16; scale; offset): stored value = index * scale + offset.

        Padding is replaced by the lowest other value, so that it cannot leak into interpolation. Wider types are
        mapped linearly to 16 bits between their extremes.
        """
        values = self.values
        if self.padding_mask is not None:
            lowest = values[~self.padding_mask].min()
            values = np.where(self.padding_mask, lowest, values).astype(values.dtype)
        if values.dtype in (np.uint8, np.int16, np.uint16):
            return np.ascontiguousarray(values), 1.0, 0.0
        if values.dtype == np.int8:
            return values.astype(np.int16), 1.0, 0.0
        numbers = values.astype(np.float64)
        finite = np.isfinite(numbers)
        low = float(numbers[finite].min()) if finite.any() else 0.0
        high = float(numbers[finite].max()) if finite.any() else 1.0
        scale = (high - low) / 65535.0 or 1.0
        mapped = np.rint((np.where(finite, numbers, low) - low) / scale)
        return np.clip(mapped, 0, 65535).astype(np.uint16), scale, low

    @cached_property
    def index_range(self) -> tuple[int, int]:
        """Smallest and largest value of the index image."""
        image = self.index[0]
        return int(image.min()), int(image.max())

    def modality_values(self, stored: NDArray[np.float64]) -> NDArray[np.float64]:
        """Stored values -> modality values (HU …): LUT if there is one, else rescale (PS3.3 C.11.1)."""
        if self.modality_lut is not None:
            return self.modality_lut.apply(stored)
        return stored * self.rescale_slope + self.rescale_intercept

    @cached_property
    def automatic_window(self) -> tuple[float, float]:
        """(center, width) between the 1st and the 99th percentile of what is not padding."""
        image, scale, offset = self.index
        sample = image[:: max(1, image.shape[0] // 512), :: max(1, image.shape[1] // 512)]
        mask = self.padding_mask
        if mask is not None:
            keep = ~mask[:: max(1, image.shape[0] // 512), :: max(1, image.shape[1] // 512)]
            sample = sample[keep] if keep.any() else sample
        low, high = np.percentile(sample, (1, 99))
        ends = self.modality_values(np.array([low, high], np.float64) * scale + offset)
        width = max(abs(float(ends[1] - ends[0])), 1.0)
        return float(ends[0] + ends[1]) / 2.0, width
