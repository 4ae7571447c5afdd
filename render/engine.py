"""Request -> Picture through one backend. Synchronous and pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from render.backend import Backend, choose_backend
from render.filters import make_taps
from render.frame import Frame
from render.lut import Voi, apply_window, choose_voi, display_table, palette_tables
from render.request import StackView

RENDERER_VERSION = "2"


@dataclass(frozen=True)
class Picture:
    """``pixels``: (y, x) or (y, x, 3) uint8. Names what made it; ``source_rect`` = (x, y, w, h) shown, image pixels."""

    pixels: NDArray[np.uint8]
    voi: Voi
    backend: str
    quality: str
    source_rect: tuple[float, float, float, float]


@dataclass(frozen=True)
class _Layout:
    """What part of the image (x, y, w, h in image pixels) becomes how many output pixels, before rotation."""

    rect: tuple[float, float, float, float]
    width: int
    height: int


def _lay_out(frame: Frame, view: StackView) -> _Layout:
    rows, columns = frame.values.shape[:2]
    aspect = frame.pixel_aspect if view.square_pixels else 1.0
    turned = view.rotation_degrees in (90, 270)
    view_width, view_height = (view.height, view.width) if turned else (view.width, view.height)
    shown_height = rows * aspect
    scale = min(view_width / columns, view_height / shown_height) * view.zoom  # output pixels per column
    width = min(view_width, max(1, round(columns * scale))) if view.crop_to_image else view_width
    height = min(view_height, max(1, round(shown_height * scale))) if view.crop_to_image else view_height
    extent_x = min(width / scale, columns)
    extent_y = min(height / scale / aspect, rows)
    begin_x = min(max(view.center_x * columns - extent_x / 2, 0.0), columns - extent_x)
    begin_y = min(max(view.center_y * rows - extent_y / 2, 0.0), rows - extent_y)
    return _Layout((begin_x, begin_y, extent_x, extent_y), width, height)


class Engine:
    """Frames to pictures on one backend."""

    def __init__(self, backend: Backend | None = None) -> None:
        self._backend = backend or choose_backend()

    @property
    def backend(self) -> str:
        """The backend's name, as pictures carry it."""
        return self._backend.name

    def render_stack(self, frame: Frame, view: StackView) -> Picture:
        """One frame in a viewport: window, zoom, flips, rotation. Raises RenderError."""
        layout = _lay_out(frame, view)
        rows, columns = frame.values.shape[:2]
        smooth = view.quality == "refined"
        tx = make_taps(columns, layout.rect[0], layout.rect[2], layout.width, smooth)
        ty = make_taps(rows, layout.rect[1], layout.rect[3], layout.height, smooth)
        voi = Voi(None, None, "none")
        if frame.is_colour:
            pixels = self._backend.rgb(_rgb_source(frame), tx, ty)
            if view.voi == "window" and view.window_center is not None and view.window_width is not None:
                voi = Voi(view.window_center, view.window_width, "window")
                pixels = _colour_window(frame, view.window_center, view.window_width)[pixels]
            if view.invert:
                pixels = 255 - pixels
        else:
            voi = choose_voi(frame, view.voi, view.window_center, view.window_width)
            pixels = self._backend.gray(frame.index[0], tx, ty, display_table(frame, voi, view.invert))
        if view.flip_horizontal:
            pixels = pixels[:, ::-1]
        if view.flip_vertical:
            pixels = pixels[::-1]
        if view.rotation_degrees:
            pixels = np.rot90(pixels, -view.rotation_degrees // 90)
        return Picture(np.ascontiguousarray(pixels), voi, self._backend.name, view.quality, layout.rect)


def _colour_window(frame: Frame, center: float, width: float) -> NDArray[np.uint8]:
    """Table of 256 entries: a window, in stored values, on each channel."""
    top = 255.0 if frame.palette is not None else float((1 << frame.bits_stored) - 1)
    stored = np.arange(256, dtype=np.float64) * (top / 255.0)
    return np.floor(apply_window(stored, center, width, "LINEAR") * 255.0 + 1e-6).astype(np.uint8)


def _rgb_source(frame: Frame) -> NDArray[np.uint8]:
    """(y, x, 3) uint8: palettes looked up, deeper colour cut to its high byte. Kept with the frame."""
    cached = frame.extra.get("rgb")
    if cached is not None:
        return cached
    if frame.palette is not None:
        table, first = palette_tables(frame)
        rgb = table[np.clip(frame.index[0].astype(np.int64) - first, 0, len(table) - 1)]
    elif frame.values.dtype == np.uint8:
        rgb = frame.values
    else:
        top = float((1 << frame.bits_stored) - 1)
        rgb = np.rint(frame.values.astype(np.float64) * (255.0 / top)).clip(0, 255).astype(np.uint8)
    rgb = np.ascontiguousarray(rgb)
    frame.extra["rgb"] = rgb
    return rgb
