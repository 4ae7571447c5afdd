"""View requests: frozen values from which alone a picture is made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from render.errors import InvalidViewError

LARGEST_SIDE = 4096
QUALITIES = ("preview", "refined", "tile")
_LARGEST_PLACE = 1e7
JPEG, WEBP, PNG = "image/jpeg", "image/webp", "image/png"


@dataclass(frozen=True, slots=True)
class StackView:
    """One frame in a viewport.

    ``width``, ``height``: output pixels. ``zoom`` 1.0 fits the (rotated) image into the viewport; ``center_x``,
    ``center_y``: the image point in the middle of the viewport, as fractions of columns and rows before rotation.
    ``crop_to_image``: the output shrinks to the image where the viewport is larger. Flips act before rotation.
    ``source_rect`` (x, y, w, h in image pixels) asks for exactly that part instead of zoom and centre, one tile of a
    pyramid say; what lies outside the image is cut off, and the output shrinks with it.
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
    quality: str = "refined"  # one of QUALITIES
    media_type: str = JPEG
    crop_to_image: bool = True
    square_pixels: bool = True  # False: one output pixel per stored pixel's share, whatever its shape
    source_rect: tuple[float, float, float, float] | None = None

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
        if self.quality not in QUALITIES:
            raise InvalidViewError(what="quality")
        if self.source_rect is not None:
            _check_rect(self.source_rect)


def _check_rect(rect: Sequence[float]) -> None:
    """Four finite numbers, a size above nothing and far below overflow. Raises InvalidViewError."""
    if len(rect) != 4 or not all(math.isfinite(number) and abs(number) <= _LARGEST_PLACE for number in rect):
        raise InvalidViewError(what="source_rect")
    if rect[2] <= 0 or rect[3] <= 0:
        raise InvalidViewError(what="source_rect")


_SLAB_KINDS = ("mean", "maximum", "minimum")
_MOST_MM = 1e5
Vector = tuple[float, float, float]

# Directions of a picture's rows and columns in LPS, as radiologists look at them (from the feet, the front, the left).
PLANES: Mapping[str, tuple[Vector, Vector]] = {
    "axial": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    "coronal": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    "sagittal": ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
}


@dataclass(frozen=True, slots=True)
class SlabView:
    """A plane or slab through a volume, in patient coordinates (LPS, mm).

    ``row_direction``: along a picture's row (to larger x); ``column_direction``: down a column; any length, made
    perpendicular. ``center_mm``: middle of the picture and of the slab (None: of the volume). ``pixel_spacing_mm``:
    of square pixels (None: the volume fits into the picture). ``thickness_mm`` 0 is a plane; whatever is thicker than
    the volume goes through all of it (MIP). ``kind``: what of the samples behind a pixel is shown.
    """

    width: int
    height: int
    row_direction: Vector = PLANES["axial"][0]
    column_direction: Vector = PLANES["axial"][1]
    center_mm: Vector | None = None
    pixel_spacing_mm: float | None = None
    thickness_mm: float = 0.0
    kind: str = "mean"
    interpolation: str = "linear"  # 'linear' | 'cubic'
    voi: str = "file"  # 'file' | 'auto' | 'window'
    window_center: float | None = None
    window_width: float | None = None
    invert: bool = False
    quality: str = "refined"  # 'preview' | 'refined'
    media_type: str = JPEG

    def __post_init__(self) -> None:
        if not (1 <= self.width <= LARGEST_SIDE and 1 <= self.height <= LARGEST_SIDE):
            raise InvalidViewError(what="size")
        if len(self.row_direction) != 3 or len(self.column_direction) != 3 or len(self.center_mm or (0, 0, 0)) != 3:
            raise InvalidViewError(what="direction")
        numbers = (
            *self.row_direction,
            *self.column_direction,
            *(self.center_mm or ()),
            self.thickness_mm,
            self.window_center or 0.0,
            self.window_width or 1.0,
        )
        if not all(math.isfinite(number) and abs(number) <= _MOST_MM * 10 for number in numbers):
            raise InvalidViewError(what="not a number")
        if self.pixel_spacing_mm is not None and not 1e-3 <= self.pixel_spacing_mm <= 1e3:
            raise InvalidViewError(what="pixel_spacing_mm")
        if not 0 <= self.thickness_mm <= _MOST_MM:
            raise InvalidViewError(what="thickness_mm")
        normal_length = math.hypot(*_cross(self.row_direction, self.column_direction))
        if normal_length <= 1e-3 * math.hypot(*self.row_direction) * math.hypot(*self.column_direction):
            raise InvalidViewError(what="direction")
        if self.kind not in _SLAB_KINDS or self.interpolation not in ("linear", "cubic"):
            raise InvalidViewError(what="kind")
        if self.voi not in ("file", "auto", "window"):
            raise InvalidViewError(what="voi")
        if self.voi == "window" and (self.window_center is None or self.window_width is None or self.window_width <= 0):
            raise InvalidViewError(what="window")
        if self.media_type not in (JPEG, WEBP, PNG) or self.quality not in ("preview", "refined"):
            raise InvalidViewError(what="media_type")


def _cross(a: Vector, b: Vector) -> Vector:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
