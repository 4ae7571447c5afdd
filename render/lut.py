"""From stored values to display values: one 8-bit table per view (PS3.3 C.11.1, C.11.2; PS3.14 is the monitor's)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from render.backend import DisplayTable
from render.errors import InvalidFrameError
from render.frame import Frame, Lut

_FINE_ENTRIES = 4096
_FLOAT_ENTRIES = 65535.0

# CT windows (width, level) by key, in the order of the interface.
CT_WINDOWS: Mapping[str, tuple[float, float]] = {
    "brain": (80, 40),
    "subdural": (200, 75),
    "stroke": (40, 40),
    "bone": (2000, 500),
    "lung": (1500, -600),
    "mediastinum": (350, 50),
    "abdomen": (400, 40),
    "liver": (150, 90),
    "vessels": (600, 300),
}
# Those of the menu, without a key.
CT_MENU_WINDOWS: Mapping[str, tuple[float, float]] = {
    "stroke_narrow": (8, 32),
    "temporal_bone": (2800, 600),
    "liver_plain": (150, 30),
    "spine": (250, 50),
    "pulmonary_arteries": (700, 100),
}


@dataclass(frozen=True, slots=True)
class Voi:
    """What was applied: a window, or the file's own table (then center and width are None)."""

    center: float | None
    width: float | None
    kind: str  # 'window' | 'auto' | 'lut' | 'none'


def choose_voi(frame: Frame, mode: str, center: float | None, width: float | None) -> Voi:
    """Resolve 'file', 'auto' or 'window' for a frame; a file without a window falls back to automatic."""
    if mode == "window" and center is not None and width is not None:
        return Voi(center, max(width, 1e-6), "window")
    if mode != "auto":
        if frame.voi_lut is not None and not frame.voi_windows:
            return Voi(None, None, "lut")
        if frame.voi_windows:
            first = frame.voi_windows[0]
            return Voi(first[0], max(first[1], 1e-6), "window")
    automatic = frame.automatic_window
    return Voi(automatic[0], automatic[1], "auto")


def apply_window(values: NDArray[np.float64], center: float, width: float, function: str) -> NDArray[np.float64]:
    """Modality values -> 0..1 by LINEAR, LINEAR_EXACT or SIGMOID (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    if function == "SIGMOID":
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -60, 60)))
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0.0, 1.0)
    if width <= 1.0:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)


def display_table(frame: Frame, voi: Voi, invert: bool) -> DisplayTable:
    """Display values by index value; the inversions of MONOCHROME1, of the presentation and of the view included.

    Values are cut, not rounded, as DCMTK does: 255 only where the window ends.
    """
    _, _, offset = frame.index
    low, high, steps = _table_range(frame, voi)
    stored = low + np.arange(round((high - low) * steps) + 1, dtype=np.float64) / steps + offset
    modality = frame.modality_values(stored)
    if voi.kind == "lut" and frame.voi_lut is not None:
        shown = _voi_lut(frame.voi_lut, modality)
    else:
        function = frame.voi_lut_function or "LINEAR"
        shown = apply_window(modality, voi.center or 0.0, voi.width or 1.0, function)
    if frame.is_inverse:
        shown = 1.0 - shown
    entries = np.floor(shown * 255.0 + 1e-6).astype(np.uint8)
    return DisplayTable(255 - entries if invert else entries, low, steps)


def _table_range(frame: Frame, voi: Voi) -> tuple[float, float, float]:
    """(first index value, last, entries per unit): fine enough that interpolated values show no bands."""
    low, high = frame.index_range
    if frame.index[0].dtype != np.float32:
        return low, high, float(min(16, max(1, _FINE_ENTRIES // max(1, int(high - low)))))
    if voi.kind == "window" and voi.center is not None and voi.width is not None and frame.modality_lut is None:
        reach = voi.width * (4.0 if frame.voi_lut_function == "SIGMOID" else 0.5)
        ends = [
            (edge - frame.rescale_intercept) / frame.rescale_slope - frame.index[2]
            for edge in (voi.center - 0.5 - reach, voi.center + reach)
        ]
        low, high = max(low, min(ends)), min(high, max(ends))
    if not high > low:
        return low, low + 1.0, 1.0
    return low, high, _FLOAT_ENTRIES / (high - low)


def _voi_lut(lut: Lut, modality: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(lut.apply(modality) / float((1 << lut.bits) - 1), 0.0, 1.0)


def palette_tables(frame: Frame) -> tuple[NDArray[np.uint8], int]:
    """(table (n, 3), first) of PALETTE COLOR (PS3.3 C.7.6.3.1.5); 16-bit entries are divided by 257, as DCMTK does."""
    if frame.palette is None:
        raise InvalidFrameError(what="no palette")
    first, last = (int(end) for end in frame.index_range)
    stored = np.arange(first, last + 1, dtype=np.float64)
    columns = [lut.apply(stored) / (257.0 if lut.bits > 8 else 1.0) for lut in frame.palette]
    return np.clip(np.floor(np.stack(columns, axis=1)), 0, 255).astype(np.uint8), first
