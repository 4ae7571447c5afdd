"""From the fields of a message or a query string to a ``StackView`` and how to encode it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.errors import BadRequestError
from render.request import JPEG, WEBP, StackView

_NUMBERS = ("zoom", "center_x", "center_y", "window_center", "window_width")
_WHOLES = ("width", "height", "rotation_degrees")
_FLAGS = ("invert", "flip_horizontal", "flip_vertical")
PREVIEW_QUALITY, REFINED_QUALITY = 70, 88


def parse_view(fields: Mapping[str, Any], *, quality: str, webp: bool) -> tuple[StackView, dict[str, Any]]:
    """JPEG while moving, WebP for settled pictures. Raises BadRequestError, InvalidViewError."""
    values: dict[str, Any] = {}
    try:
        for name in _WHOLES:
            if fields.get(name) is not None:
                values[name] = int(fields[name])
        for name in _NUMBERS:
            if fields.get(name) is not None:
                values[name] = float(fields[name])
        for name in _FLAGS:
            if fields.get(name) is not None:
                values[name] = fields[name] in (True, "true", "1")
    except (TypeError, ValueError, OverflowError):
        raise BadRequestError(what="view") from None
    if "width" not in values or "height" not in values:
        raise BadRequestError(what="size")
    if fields.get("answer") not in (None, "preview", "refined"):
        raise BadRequestError(what="answer")
    values["voi"] = str(fields.get("voi", "file"))
    settled = quality == "refined" and webp
    view = StackView(quality=quality, media_type=WEBP if settled else JPEG, **values)
    coding = {"quality": REFINED_QUALITY if quality == "refined" else PREVIEW_QUALITY, "effort": 1}
    return view, coding
