"""View requests: frozen values from which alone a picture is made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from render.errors import InvalidViewError

LARGEST_SIDE = 4096
JPEG, WEBP, PNG = "image/jpeg", "image/webp", "image/png"


@dataclass(frozen=True, slots=True)
class StackView:
    """One frame in a viewport.

    ``width``, ``height``: output pixels. ``zoom`` 1.0 fits the (rotated) image into the viewport; ``center_x``,
    ``center_y``: the image point in the middle of the viewport, as fractions of columns and rows before rotation.
    ``crop_to_image``: the output shrinks to the image where the viewport is larger. Flips act before rotation.
    """

    width: int
    height: int
    voi: str = "file"  # 'file' | 'auto' | 'window'
    window_center: float | None = None
    window_width: float | None = None
    invert: bool = False
    zoom: float = 1.0
    center_x: float = 0.5
    center_y: float = 0.5
    rotation_degrees: int = 0
    flip_horizontal: bool = False
    flip_vertical: bool = False
    quality: str = "refined"  # 'preview' | 'refined'
    media_type: str = JPEG
    crop_to_image: bool = True
    square_pixels: bool = True  # False: one output pixel per stored pixel's share, whatever its shape

    def __post_init__(self) -> None:
        if not (1 <= self.width <= LARGEST_SIDE and 1 <= self.height <= LARGEST_SIDE):
            raise InvalidViewError(what="size")
        numbers = (self.zoom, self.center_x, self.center_y, self.window_center or 0.0, self.window_width or 1.0)
        if not all(math.isfinite(number) for number in numbers):
            raise InvalidViewError(what="not a number")
        if not 0.01 <= self.zoom <= 100:
            raise InvalidViewError(what="zoom")
        if self.rotation_degrees not in (0, 90, 180, 270):
            raise InvalidViewError(what="rotation_degrees")
        if self.voi not in ("file", "auto", "window"):
            raise InvalidViewError(what="voi")
        if self.voi == "window" and (self.window_center is None or self.window_width is None or self.window_width <= 0):
            raise InvalidViewError(what="window")
        if self.media_type not in (JPEG, WEBP, PNG):
            raise InvalidViewError(what="media_type")
        if self.quality not in ("preview", "refined"):
            raise InvalidViewError(what="quality")
