"""Open records to frames: which frames a series has, in display order, and how one becomes a ``render.Frame``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dicomnet.archive.lut import Lut as StoredLut
from dicomnet.archive.open_record import FrameOverride, OpenRecord
from render.codec import DecodedFrame
from render.frame import Frame, Lut


@dataclass(frozen=True, slots=True)
class FramePlace:
    """A frame of the series' display order: which record, which frame of it."""

    record: OpenRecord
    frame_index: int

    @property
    def override(self) -> FrameOverride | None:
        """What the functional groups say of this frame."""
        return self.record.per_frame[self.frame_index] if self.record.per_frame else None

    def value(self, name: str) -> Any:
        """A field of the frame: of its functional groups, else of the record."""
        own = getattr(self.override, name, None) if self.override is not None else None
        return own if own is not None else getattr(self.record, name)


def places(records: Sequence[OpenRecord]) -> list[FramePlace]:
    """Every frame that is a picture, in display order."""
    return [FramePlace(record, i) for record in records for i in range(record.number_of_frames)]


def _lut(stored: StoredLut | None) -> Lut | None:
    if stored is None or not len(stored.values):
        return None
    return Lut(stored.first_mapped, stored.bits, np.asarray(stored.values))


def pixel_aspect(place: FramePlace) -> float:
    """Height of a pixel over its width (PS3.3 10.7.1.1: row spacing first; C.7.6.3.1.7: ratio vertical over horizontal)."""
    spacing = place.value("pixel_spacing_mm") or place.record.imager_pixel_spacing_mm
    pair = spacing or place.record.pixel_aspect_ratio
    if not pair or len(pair) < 2 or pair[0] <= 0 or pair[1] <= 0:
        return 1.0
    return min(max(float(pair[0]) / float(pair[1]), 0.1), 10.0)


def build_frame(place: FramePlace, decoded: DecodedFrame) -> Frame:
    """The decoded values with the record's look-up tables and windows."""
    record = place.record
    palette = None
    if record.palette is not None and decoded.photometric_interpretation == "PALETTE COLOR":
        tables = [_lut(record.palette.red), _lut(record.palette.green), _lut(record.palette.blue)]
        if all(tables):
            palette = (tables[0], tables[1], tables[2])
    windows = place.value("voi_windows") or ()
    slope, intercept = place.value("rescale_slope"), place.value("rescale_intercept")
    return Frame(
        decoded.values,
        photometric_interpretation=decoded.photometric_interpretation,
        bits_stored=record.bits_stored,
        rescale_slope=float(slope) if slope else 1.0,
        rescale_intercept=float(intercept or 0.0),
        modality_lut=_lut(record.modality_lut),
        voi_windows=tuple((float(w[0]), float(w[1])) for w in windows),
        voi_lut_function=place.value("voi_lut_function") or "LINEAR",
        voi_lut=_lut(record.voi_luts[0]) if record.voi_luts else None,
        palette=palette,  # pyright: ignore[reportArgumentType]  # all three are there
        padding_value=record.pixel_padding_value,
        padding_range_limit=record.pixel_padding_range_limit,
        presentation_inverse=record.presentation_lut_shape == "INVERSE"
        and record.photometric_interpretation != "MONOCHROME1",
        pixel_aspect=pixel_aspect(place),
        modality=record.modality,
        decoder=decoded.decoder,
    )
