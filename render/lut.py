"""From stored values to display values: one 8-bit table per view (PS3.3 C.11.1, C.11.2; PS3.14 is the monitor's)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from render.backend import DisplayTable
from render.errors import InvalidFrameError
from render.frame import Frame, Lut

_FINE_ENTRIES = 4096
_FLOAT_ENTRIES = 65535.0
_NUDGES = (0.0, 1e-4, -1e-4, 1e-3, -1e-3, 3e-5, -3e-5, 1e-2, -1e-2)

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
    line = _line_of(frame, voi, invert)
    if line is not None:
        return _line_table(line)
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


@dataclass(frozen=True, slots=True)
class _Line:
    """All that a table depends on where a window follows a rescale of whole numbers: frames of a series share it."""

    lowest: int
    highest: int
    slope: float
    intercept: float  # with the index image's offset
    center: float
    width: float
    exact: bool
    inverse: bool
    inverted: bool


def _line_of(frame: Frame, voi: Voi, invert: bool) -> _Line | None:
    """None where the table is no line between two ends, or depends on the frame's own values."""
    kind = frame.index[0].dtype
    function = frame.voi_lut_function or "LINEAR"
    if kind.kind not in "iu" or frame.modality_lut is not None or function == "SIGMOID":
        return None
    if voi.center is None or voi.width is None:
        return None
    whole = np.iinfo(kind)
    intercept = frame.rescale_slope * frame.index[2] + frame.rescale_intercept
    exact = function == "LINEAR_EXACT"
    ends = (int(whole.min), int(whole.max), frame.rescale_slope, intercept)
    return _Line(*ends, voi.center, voi.width, exact, frame.is_inverse, invert)


@lru_cache(maxsize=256)
def _line_table(line: _Line) -> DisplayTable:
    """Entries over the window alone, the ends of which repeat."""
    center = line.center if line.exact else line.center - 0.5
    width = line.width if line.exact else line.width - 1.0
    reach = max(width, 1.0) / 2
    edges = [
        min(max((edge - line.intercept) / line.slope, line.lowest), line.highest)  # infinite for the smallest slopes
        for edge in (center - reach, center + reach)
    ]
    low = min(max(math.floor(min(edges)) - 1, line.lowest), line.highest - 1)
    high = max(min(math.ceil(max(edges)) + 1, line.highest), low + 1)
    steps = float(min(16, max(1, _FINE_ENTRIES // (high - low))))
    stored = low + np.arange(round((high - low) * steps) + 1, dtype=np.float64) / steps
    function = "LINEAR_EXACT" if line.exact else "LINEAR"
    shown = apply_window(stored * line.slope + line.intercept, line.center, line.width, function)
    if line.inverse:
        shown = 1.0 - shown
    entries = np.floor(shown * 255.0 + 1e-6).astype(np.uint8)
    if line.inverted:
        entries = 255 - entries
    return DisplayTable(entries, float(low), steps, _ramp_of(line, entries, low, steps) if width > 0 else None)


def _ramp_of(line: _Line, entries: NDArray[np.uint8], low: float, steps: float) -> tuple[float, float] | None:
    width = line.width if line.exact else line.width - 1.0
    center = line.center if line.exact else line.center - 0.5
    slope = 255.0 * line.slope / width / steps
    base = ((low * line.slope + line.intercept - center) / width + 0.5) * 255.0
    if line.inverse:
        slope, base = -slope, 255.0 - base
    if line.inverted:
        slope, base = -slope, 256.0 - base
    return find_ramp(entries, slope, base)


def find_ramp(entries: NDArray[np.uint8], slope: float, base: float) -> tuple[float, float] | None:
    """(slope, base) near the given ones by which float32 gives every entry, cut at 0 and 255; None where none does.

    A whole-number crossing that falls on an entry needs a little more or less.
    """
    places = np.arange(len(entries), dtype=np.float32)
    for nudge in _NUDGES:
        line = places * np.float32(slope) + np.float32(base + nudge)
        if np.array_equal(np.clip(line, 0.0, 255.0).astype(np.uint8), entries):
            return float(np.float32(slope)), float(np.float32(base + nudge))
    return None


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
