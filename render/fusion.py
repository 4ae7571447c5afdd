"""Two volumes of one frame of reference in one plane or slab: the base in gray, the overlay in colour above it.

PET over CT: each volume keeps its own grid and is sampled where the picture's pixels lie (LPS, mm), each with its own
window in modality values; the overlay's share of its window chooses the colour and how much of the base is covered.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from render.backend import DisplayTable, Slabs
from render.errors import InvalidViewError
from render.lut import Voi
from render.native.fusion import fuse
from render.request import SlabView
from render.slab import SlabPicture, choose_slabs, choose_volume_voi, place_of, plan_of, render_slab, volume_table
from render.transfer import colour_maps_by_name
from render.volume import Volume

_LEVELS = 254  # of the overlay's window; index 0 is kept for where it has nothing


@dataclass(frozen=True, slots=True)
class FusionView:
    """``base`` places the picture and windows the base; the overlay is shown at the same place.

    ``overlay_voi``, ``overlay_window_center``, ``overlay_window_width``: as a SlabView's, in the overlay's modality
    values. ``overlay_projection``: what of its samples is shown (None: as the base's). ``opacity`` 0 … 1 of the
    overlay where it is full; it grows from nothing over the lowest ``fade`` (0 … 1) of its window, so that the base
    stays clear where nothing was taken up. ``fade`` 0 covers all of the overlay's volume evenly.
    Raises InvalidViewError.
    """

    base: SlabView
    overlay_voi: str = "file"
    overlay_window_center: float | None = None
    overlay_window_width: float | None = None
    overlay_projection: str | None = None
    colour_map: str = "hot"
    opacity: float = 0.6
    fade: float = 0.25

    def __post_init__(self) -> None:
        if not (0 <= self.opacity <= 1 and 0 <= self.fade <= 1):
            raise InvalidViewError(what="opacity or fade")
        colour_maps_by_name(self.colour_map)
        self.overlay(self.base)

    def overlay(self, settled: SlabView) -> SlabView:
        """The overlay's own slab, at the place of ``settled``."""
        return replace(
            settled,
            kind=self.overlay_projection or settled.kind,
            voi=self.overlay_voi,
            window_center=self.overlay_window_center,
            window_width=self.overlay_window_width,
            invert=False,
        )


@dataclass(frozen=True)
class FusionPicture:
    """``pixels`` (y, x, 3) uint8; ``base`` tells where they lie; ``overlay_voi``: the window in the overlay's values."""

    pixels: NDArray[np.uint8]
    base: SlabPicture
    overlay_voi: Voi
    complete_percent: int


def render_fusion(
    base: Volume,
    overlay: Volume,
    view: FusionView,
    slabs: Slabs | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> FusionPicture:
    """One picture. The caller has seen that both share a frame of reference.

    Raises InvalidViewError, CancelledPictureError.
    """
    kernels = slabs or choose_slabs()
    below = render_slab(base, view.base, kernels, cancelled)
    settled = replace(view.base, center_mm=below.center_mm, pixel_spacing_mm=below.pixel_spacing_mm)
    above = view.overlay(settled)
    voi = choose_volume_voi(overlay, above)
    indices = _indices(overlay, above, voi, kernels, cancelled)
    pixels = fuse(below.pixels, indices, *fusion_tables(view.colour_map, view.opacity, view.fade))
    complete = min(below.complete_percent, overlay.report.complete_percent)
    return FusionPicture(pixels, below, voi, complete)


def _indices(
    volume: Volume, view: SlabView, voi: Voi, kernels: Slabs, cancelled: Callable[[], bool] | None
) -> NDArray[np.uint8]:
    """(y, x): 1 … 255 by the share of the window, 0 outside of the volume. High values are hot, whatever the file."""
    shown = volume_table(volume, voi, inverse=False)
    entries = np.rint(shown.entries * (_LEVELS / 255.0)).astype(np.uint8) + np.uint8(1)
    table = DisplayTable(entries, shown.first, shown.steps)
    first, last = table.first, table.first + (len(entries) - 1) / table.steps
    start, enough = (last, first) if view.kind == "minimum" else (first, last)
    plan, _ = plan_of(volume, view, place_of(volume, view), start=start, enough=enough)
    made = kernels.slab(volume, plan, table, outside=0, cancelled=cancelled)
    assert made.picture is not None  # noqa: S101  # a table was given
    return made.picture


@lru_cache(maxsize=256)
def fusion_tables(colour_map: str, opacity: float, fade: float) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """(keep (256), colour (256, 3)) of kernels/fusion.h. Raises InvalidViewError for a map that there is not."""
    if not (math.isfinite(opacity) and math.isfinite(fade)):
        raise InvalidViewError(what="opacity or fade")
    share = np.maximum(np.arange(256) - 1, 0) / _LEVELS
    rising = np.minimum(share / fade, 1.0) if fade > 0 else np.ones(256)
    cover = np.rint(255 * opacity * rising)
    cover[0] = 0
    points = colour_maps_by_name(colour_map).points
    places = [at for at, _ in points]
    channels = [np.interp(share, places, [colour[c] for _, colour in points]) for c in range(3)]
    colour = np.rint(np.stack(channels, axis=1)) * cover[:, None] + 127
    return (255 - cover).astype(np.uint8), np.ascontiguousarray(colour, np.uint16)
