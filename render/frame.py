"""One decoded frame with all that turns its stored values into a picture. Arrays in, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.errors import InvalidFrameError

Values = NDArray[Any]
LARGE_SIDE = 1500  # a frame with a longer side is shown by tiles and keeps smaller copies (render/pyramid.py)
_PLAIN = (np.dtype(np.uint8), np.dtype(np.int16), np.dtype(np.uint16))


def _as_stored(value: float, dtype: np.dtype[Any]) -> float:
    """A padding value in the range of the stored type: some files give it with the other signedness."""
    if dtype.kind not in "iu":
        return value
    bits = dtype.itemsize * 8
    whole = int(value) & ((1 << bits) - 1)
    return whole - (1 << bits) if dtype.kind == "i" and whole >> (bits - 1) else whole


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
    ``padding_value`` and ``padding_range_limit`` (PS3.3 C.7.5.1.1.2) hold for monochrome frames only.
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
    padding_value: float | None = None
    padding_range_limit: float | None = None
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
    def is_inverse(self) -> bool:
        """Low values are shown bright (PS3.3 C.7.6.3.1.2, C.11.6)."""
        return (self.photometric_interpretation == "MONOCHROME1") != self.presentation_inverse

    @property
    def nbytes(self) -> int:
        """Bytes that this frame may keep in memory, what is derived from it included (render/pyramid.py too)."""
        pixels = self.values.shape[0] * self.values.shape[1]
        own = int(self.values.nbytes)
        if self.is_colour:
            shown = 3 * pixels
            derived = 0 if self.values.ndim == 3 and self.values.dtype == np.uint8 else shown
        elif self.values.dtype not in _PLAIN:
            shown = derived = 4 * pixels
        else:
            shown, derived = own, own if self.padding_value is not None else 0
        levels = shown // 3 if max(self.values.shape[:2]) > LARGE_SIDE else 0
        return own + derived + levels

    @cached_property
    def padding_mask(self) -> NDArray[np.bool_] | None:
        """Where pixels are padding, None when there are none (or nothing else)."""
        if self.padding_value is None or self.values.ndim != 2 or self.palette is not None:
            return None
        low = high = _as_stored(self.padding_value, self.values.dtype)
        if self.padding_range_limit is not None:
            limit = _as_stored(self.padding_range_limit, self.values.dtype)
            low, high = min(low, limit), max(low, limit)
        mask = (self.values >= low) & (self.values <= high)
        return mask if bool(mask.any()) and not bool(mask.all()) else None

    @cached_property
    def index(self) -> tuple[Values, float, float]:
        """(image of uint8, int16, uint16 or float32; scale; offset): stored value = index * scale + offset.

        Padding becomes the darkest other value, so that it is drawn as background and does not leak into
        interpolation. Wider types keep 16 bits where their range fits, else they become float32 above their minimum.
        """
        values = self.values
        if self.padding_mask is not None:
            others = values[~self.padding_mask]
            darkest = others.max() if self.is_inverse else others.min()
            values = np.where(self.padding_mask, darkest, values).astype(values.dtype)
        if values.dtype in _PLAIN:
            return np.ascontiguousarray(values), 1.0, 0.0
        if values.dtype == np.int8:
            return values.astype(np.int16), 1.0, 0.0
        if values.dtype.kind in "iu":
            smallest, largest = int(values.min()), int(values.max())
            if largest - smallest <= 0xFFFF:
                return (values - values.dtype.type(smallest)).astype(np.uint16), 1.0, float(smallest)
        numbers = values.astype(np.float64)
        finite = np.isfinite(numbers)
        low = float(numbers[finite].min()) if finite.any() else 0.0
        limit = float(np.finfo(np.float32).max)
        above = np.nan_to_num(numbers - low, nan=0.0, posinf=limit, neginf=0.0)
        return np.clip(above, 0.0, limit).astype(np.float32), 1.0, low

    @cached_property
    def index_range(self) -> tuple[float, float]:
        """Smallest and largest value of the index image."""
        image = self.index[0]
        return float(image.min()), float(image.max())

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
