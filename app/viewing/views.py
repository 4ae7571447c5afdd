"""From the fields of a message or a query string to a ``StackView`` and how to encode it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from app.errors import BadRequestError
from render.request import JPEG, WEBP, StackView

_NUMBERS = ("zoom", "center_x", "center_y", "window_center", "window_width")
_WHOLES = ("width", "height", "rotation_degrees")
_LOOK_NAMES = ("window_center", "window_width", "invert")
_FLAGS = ("invert", "flip_horizontal", "flip_vertical")
PREVIEW_QUALITY, REFINED_QUALITY, TILE_QUALITY = 75, 88, 85
TILE_SIZES = (256, 512)
MOST_TILES = 128
_HIGHEST_LEVEL, _LARGEST_PLACE = 12, 4096


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
    values["voi"] = str(fields.get("voi", "file"))
    settled = quality == "refined" and webp
    view = StackView(quality=quality, media_type=WEBP if settled else JPEG, **values)
    coding = {"quality": REFINED_QUALITY if quality == "refined" else PREVIEW_QUALITY, "effort": 1}
    return view, coding


def parse_qualities(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Which pictures a view wants (rule 20). Raises BadRequestError."""
    wanted = fields.get("answer")
    if wanted is None:
        return ("preview", "refined")
    if wanted not in ("preview", "refined"):
        raise BadRequestError(what="answer")
    return (wanted,)


def parse_tiles(fields: Mapping[str, Any]) -> tuple[int, int, list[tuple[int, int]]]:
    """(level, size, [(column, row), …]) of a list of tiles (rule 21). Raises BadRequestError."""
    level, size = _whole(fields.get("level"), _HIGHEST_LEVEL), _whole(fields.get("size"), max(TILE_SIZES))
    if size not in TILE_SIZES:
        raise BadRequestError(what="size")
    tiles = fields.get("tiles")
    if not isinstance(tiles, list) or len(cast("list[Any]", tiles)) > MOST_TILES:
        raise BadRequestError(what="tiles")
    addresses: list[tuple[int, int]] = []
    for tile in cast("list[Any]", tiles):
        if not isinstance(tile, list) or len(cast("list[Any]", tile)) != 2:
            raise BadRequestError(what="tile")
        column, row = cast("list[Any]", tile)
        addresses.append((_whole(column, _LARGEST_PLACE), _whole(row, _LARGEST_PLACE)))
    return level, size, addresses


def _whole(value: Any, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise BadRequestError(what="level, size or tile")
    return value


def tile_view(
    fields: Mapping[str, Any], level: int, size: int, column: int, row: int, *, webp: bool
) -> tuple[StackView, dict[str, Any]]:
    """One tile of the image as stored, neither turned nor flipped. Raises BadRequestError, InvalidViewError."""
    side = float(size << level)
    own = {name: fields.get(name) for name in (*_LOOK_NAMES, "voi") if fields.get(name) is not None}
    plain, _ = parse_view({**own, "width": size, "height": size}, quality="tile", webp=False)
    view = replace(plain, media_type=WEBP if webp else JPEG, source_rect=(column * side, row * side, side, side))
    return view, {"quality": TILE_QUALITY, "effort": 0}


def look_of(fields: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes two tiles of the same place different pictures."""
    return tuple(fields.get(name) for name in (*_LOOK_NAMES, "voi"))
