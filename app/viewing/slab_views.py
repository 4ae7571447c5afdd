"""View kind ``slab``: the fields of a message become a ``SlabView`` (rule 23)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from app.errors import BadRequestError
from render.request import JPEG, PLANES, WEBP, SlabView, Vector

_NUMBERS = ("pixel_spacing_mm", "thickness_mm", "window_center", "window_width")
_VECTORS = ("row_direction", "column_direction", "center_mm")
_NAMES = {"projection": "kind", "interpolation": "interpolation", "voi": "voi"}


def parse_slab(fields: Mapping[str, Any], *, quality: str, webp: bool) -> SlabView:
    """JPEG while moving, WebP for settled pictures. Raises BadRequestError, InvalidViewError."""
    values: dict[str, Any] = {"width": whole(fields, "width", 1 << 16), "height": whole(fields, "height", 1 << 16)}
    if (plane := fields.get("plane")) is not None:
        if not isinstance(plane, str) or plane not in PLANES:
            raise BadRequestError(what="plane")
        values["row_direction"], values["column_direction"] = PLANES[plane]
    for name in _NUMBERS:
        if fields.get(name) is not None:
            values[name] = number(fields[name], name)
    for name in _VECTORS:
        if fields.get(name) is not None:
            values[name] = vector(fields[name], name)
    for name, own in _NAMES.items():
        if fields.get(name) is not None:
            values[own] = str(fields[name])
    values["invert"] = fields.get("invert") is True
    settled = quality == "refined" and webp
    return SlabView(quality=quality, media_type=WEBP if settled else JPEG, **values)


def whole(fields: Mapping[str, Any], name: str, most: int) -> int:
    """A whole number of 0 … ``most``. Raises BadRequestError."""
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise BadRequestError(what=name)
    return value


def number(value: Any, name: str) -> float:
    """Raises BadRequestError."""
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > 1e9:
        raise BadRequestError(what=name)
    return float(value)


def vector(value: Any, name: str) -> Vector:
    """Three numbers. Raises BadRequestError."""
    if not isinstance(value, list) or len(cast("list[Any]", value)) != 3:
        raise BadRequestError(what=name)
    x, y, z = (number(each, name) for each in cast("list[Any]", value))
    return x, y, z
