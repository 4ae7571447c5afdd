"""From stored values to display values: one 8-bit table per view (PS3.3 C.11.1, C.11.2; PS3.14 is the monitor's)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from render.frame import Frame, Lut

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


def display_table(frame: Frame, voi: Voi, invert: bool) -> tuple[NDArray[np.uint8], int]:
    """(table, first): display value of index ``first + i``; inversion of MONOCHROME1 and of the view included."""
    _, scale, offset = frame.index
    first, last = frame.index_range
    stored = np.arange(first, last + 1, dtype=np.float64) * scale + offset
    modality = frame.modality_values(stored)
    if voi.kind == "lut" and frame.voi_lut is not None:
        shown = _voi_lut(frame.voi_lut, modality)
    else:
        function = frame.voi_lut_function or "LINEAR"
        shown = apply_window(modality, voi.center or 0.0, voi.width or 1.0, function)
    if (frame.photometric_interpretation == "MONOCHROME1") != frame.presentation_inverse:
        shown = 1.0 - shown
    if invert:
        shown = 1.0 - shown
    return np.rint(shown * 255.0).astype(np.uint8), first


def _voi_lut(lut: Lut, modality: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(lut.apply(modality) / float((1 << lut.bits) - 1), 0.0, 1.0)


def palette_tables(frame: Frame) -> tuple[NDArray[np.uint8], int]:
    """(table (n, 3), first) of PALETTE COLOR: 16-bit entries keep their high byte (PS3.3 C.7.6.3.1.5)."""
    assert frame.palette is not None  # noqa: S101  # callers ask is_colour first
    first, last = frame.index_range
    stored = np.arange(first, last + 1, dtype=np.float64)
    columns = [lut.apply(stored) / (257.0 if lut.bits > 8 else 1.0) for lut in frame.palette]
    return np.clip(np.rint(np.stack(columns, axis=1)), 0, 255).astype(np.uint8), first
