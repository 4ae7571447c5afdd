"""Request -> Picture through one backend. Synchronous and pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from render.backend import Backend, choose_backend
from render.errors import InvalidViewError
from render.filters import make_taps
from render.frame import Frame
from render.lut import Voi, apply_window, choose_voi, display_table
from render.pyramid import level_of
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
    if view.source_rect is not None:
        return _part(rows, columns, view.source_rect, view)
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


def _part(rows: int, columns: int, rect: tuple[float, float, float, float], view: StackView) -> _Layout:
    """The wanted part, cut at the image's edges. Raises InvalidViewError when nothing of it lies inside."""
    x, y, w, h = rect
    left, top, right, bottom = max(x, 0.0), max(y, 0.0), min(x + w, float(columns)), min(y + h, float(rows))
    if right - left <= 0 or bottom - top <= 0:
        raise InvalidViewError(what="source_rect outside the image")
    turned = view.rotation_degrees in (90, 270)
    full_width, full_height = (view.height, view.width) if turned else (view.width, view.height)
    width = max(1, round(full_width * (right - left) / w))
    height = max(1, round(full_height * (bottom - top) / h))
    return _Layout((left, top, right - left, bottom - top), width, height)


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
        smooth = view.quality != "preview"
        level, source = level_of(frame, layout.rect, layout.width, layout.height, smooth=smooth)
        factor = 1 << level
        tx = make_taps(source.shape[1], layout.rect[0] / factor, layout.rect[2] / factor, layout.width, smooth)
        ty = make_taps(source.shape[0], layout.rect[1] / factor, layout.rect[3] / factor, layout.height, smooth)
        voi = Voi(None, None, "none")
        if frame.is_colour:
            pixels = self._backend.rgb(source, tx, ty)
            if view.voi == "window" and view.window_center is not None and view.window_width is not None:
                voi = Voi(view.window_center, view.window_width, "window")
                pixels = _colour_window(frame, view.window_center, view.window_width)[pixels]
            if view.invert:
                pixels = 255 - pixels
        else:
            voi = choose_voi(frame, view.voi, view.window_center, view.window_width)
            pixels = self._backend.gray(source, tx, ty, display_table(frame, voi, view.invert))
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
