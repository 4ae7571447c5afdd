"""View kinds that look into a series' volume: the fields of a message -> a typed request -> the render process.

One entry per kind; the stream dispatches by ``kind`` (absent: a frame of the stack, app/viewing/views.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

from app.errors import BadRequestError
from app.rendering.client import RenderClient, RenderedPicture
from app.viewing.views import PREVIEW_QUALITY, REFINED_QUALITY
from render.request import JPEG, PLANES, WEBP, SlabView, Vector

_NUMBERS = ("pixel_spacing_mm", "thickness_mm", "window_center", "window_width")
_VECTORS = ("row_direction", "column_direction", "center_mm")
_NAMES = {"projection": "kind", "interpolation": "interpolation", "voi": "voi"}
_MOST_STACKS = 10_000

# What a picture's header tells of a volume view, besides what every picture tells.
_HEADER_FIELDS = (
    "camera",
    "transfer",
    "step_mm",
    "center_mm",
    "row_direction",
    "column_direction",
    "pixel_spacing_mm",
    "thickness_mm",
    "samples",
    "complete",
    "stacks",
    "report",
)


def is_volume_view(fields: Mapping[str, Any]) -> bool:
    """Whether the view looks into a volume. Raises BadRequestError for a kind that is not known."""
    kind = fields.get("kind", "stack")
    if kind not in ("stack", "slab", "volume"):
        raise BadRequestError(what="kind")
    return kind != "stack"


def parse_slab(fields: Mapping[str, Any], *, quality: str, webp: bool) -> SlabView:
    """JPEG while moving, WebP for settled pictures. Raises BadRequestError, InvalidViewError."""
    values: dict[str, Any] = {"width": _whole(fields, "width", 1 << 16), "height": _whole(fields, "height", 1 << 16)}
    if (plane := fields.get("plane")) is not None:
        if not isinstance(plane, str) or plane not in PLANES:
            raise BadRequestError(what="plane")
        values["row_direction"], values["column_direction"] = PLANES[plane]
    for name in _NUMBERS:
        if fields.get(name) is not None:
            values[name] = _number(fields[name], name)
    for name in _VECTORS:
        if fields.get(name) is not None:
            values[name] = _vector(fields[name], name)
    for name, own in _NAMES.items():
        if fields.get(name) is not None:
            values[own] = str(fields[name])
    values["invert"] = fields.get("invert") is True
    settled = quality == "refined" and webp
    return SlabView(quality=quality, media_type=WEBP if settled else JPEG, **values)


def check_volume_view(fields: Mapping[str, Any]) -> None:
    """Raises BadRequestError, InvalidViewError for fields that no picture can answer."""
    _PARSE[str(fields.get("kind"))](fields, quality="preview", webp=False)
    _stack(fields)


def slab_fields(fields: Mapping[str, Any], *, quality: str, webp: bool) -> dict[str, Any]:
    """Of a SlabView. Raises BadRequestError, InvalidViewError."""
    return asdict(parse_slab(fields, quality=quality, webp=webp))


def rendering_fields(fields: Mapping[str, Any], *, quality: str, webp: bool) -> dict[str, Any]:
    """What the render process makes a VolumeView of; camera, transfer function and cuts are judged there.

    Raises BadRequestError.
    """
    values: dict[str, Any] = {"width": _whole(fields, "width", 1 << 16), "height": _whole(fields, "height", 1 << 16)}
    for name, kinds in _RENDERING.items():
        if fields.get(name) is not None:
            if not isinstance(fields[name], kinds):
                raise BadRequestError(what=name)
            values[name] = fields[name]
    settled = quality == "refined" and webp
    return {**values, "quality": quality, "media_type": WEBP if settled else JPEG}


_RENDERING: dict[str, tuple[type, ...]] = {
    "camera": (str, dict),
    "transfer": (str, list),
    "clip_box": (list,),
    "cuts": (list,),
}
_PARSE = {"slab": slab_fields, "volume": rendering_fields}


async def volume_picture(
    render: RenderClient,
    fields: Mapping[str, Any],
    *,
    institution_id: int,
    series_key: int,
    version: int,
    quality: str,
    webp: bool,
    viewer: str,
    viewport: str,
    generation: int,
) -> RenderedPicture:
    """The picture of a volume view. Raises what the render process answers instead."""
    kind = str(fields["kind"])
    return await render.volume_picture(
        kind,
        institution_id,
        series_key,
        _PARSE[kind](fields, quality=quality, webp=webp),
        stack=_stack(fields),
        version=version,
        coding={"quality": REFINED_QUALITY if quality == "refined" else PREVIEW_QUALITY, "effort": 1},
        viewer=viewer,
        viewport=viewport,
        generation=generation,
    )


def volume_header(fields: Mapping[str, Any], picture: RenderedPicture) -> dict[str, Any]:
    """What the header tells beyond a frame's picture."""
    told = {name: picture.meta[name] for name in _HEADER_FIELDS if name in picture.meta}
    return {"kind": fields["kind"], "stack": _stack(fields), **told}


def _stack(fields: Mapping[str, Any]) -> int:
    return _whole(fields, "stack", _MOST_STACKS) if fields.get("stack") is not None else 0


def _whole(fields: Mapping[str, Any], name: str, most: int) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise BadRequestError(what=name)
    return value


def _number(value: Any, name: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > 1e9:
        raise BadRequestError(what=name)
    return float(value)


def _vector(value: Any, name: str) -> Vector:
    if not isinstance(value, list) or len(cast("list[Any]", value)) != 3:
        raise BadRequestError(what=name)
    x, y, z = (_number(number, name) for number in cast("list[Any]", value))
    return x, y, z
