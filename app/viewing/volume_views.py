"""View kinds that look into a series' volume: the fields of a message -> a typed request -> the render process.

One entry per kind; the stream dispatches by ``kind`` (absent: a frame of the stack, app/viewing/views.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from app.errors import BadRequestError
from app.rendering.client import RenderClient, RenderedPicture
from app.viewing.fusion_views import fusion_fields, overlay_fields
from app.viewing.slab_views import number, parse_slab, whole
from app.viewing.views import PREVIEW_QUALITY, REFINED_QUALITY
from dicomnet.archive.query import SeriesRow
from render.request import JPEG, WEBP

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
    "overlay",
)


def is_volume_view(fields: Mapping[str, Any]) -> bool:
    """Whether the view looks into a volume. Raises BadRequestError for a kind that is not known."""
    kind = fields.get("kind", "stack")
    if kind not in ("stack", *_PARSE):
        raise BadRequestError(what="kind")
    return kind != "stack"


def check_volume_view(fields: Mapping[str, Any]) -> None:
    """Raises BadRequestError, InvalidViewError for fields that no picture can answer."""
    _PARSE[str(fields.get("kind"))](fields, quality="preview", webp=False)
    _stack(fields)
    _stack(fields, "overlay_stack")


def slab_fields(fields: Mapping[str, Any], *, quality: str, webp: bool) -> dict[str, Any]:
    """Of a SlabView. Raises BadRequestError, InvalidViewError."""
    return asdict(parse_slab(fields, quality=quality, webp=webp))


def rendering_fields(fields: Mapping[str, Any], *, quality: str, webp: bool) -> dict[str, Any]:
    """What the render process makes a VolumeView of; camera, transfer function and cuts are judged there.

    Raises BadRequestError.
    """
    values: dict[str, Any] = {"width": whole(fields, "width", 1 << 16), "height": whole(fields, "height", 1 << 16)}
    for name, kinds in _RENDERING.items():
        if fields.get(name) is not None:
            if not isinstance(fields[name], kinds):
                raise BadRequestError(what=name)
            values[name] = fields[name]
    if fields.get("overlay") is not None:
        values["overlay"] = overlay_fields(fields)
    settled = quality == "refined" and webp
    return {**values, "quality": quality, "media_type": WEBP if settled else JPEG}


_RENDERING: dict[str, tuple[type, ...]] = {
    "camera": (str, dict),
    "transfer": (str, list, dict),
    "clip_box": (list,),
    "cuts": (list,),
    "slices": (bool, dict),
}
_PARSE = {"slab": slab_fields, "volume": rendering_fields, "fusion": fusion_fields}


async def volume_picture(
    render: RenderClient,
    fields: Mapping[str, Any],
    *,
    institution_id: int,
    series_key: int,
    version: int,
    overlay: SeriesRow | None = None,
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
        overlay=_second(fields, overlay),
    )


def _second(fields: Mapping[str, Any], overlay: SeriesRow | None) -> dict[str, int] | None:
    if overlay is None:
        return None
    stack = _stack(fields, "overlay_stack")
    return {"series_key": overlay.series_key, "version": overlay.version, "stack": stack}


async def picked(
    render: RenderClient,
    fields: Mapping[str, Any],
    institution_id: int,
    series: SeriesRow,
    overlay: SeriesRow | None = None,
) -> list[float] | None:
    """Where (LPS, mm) ``column``, ``row`` of a rendering meet the body. Raises BadRequestError, rendering errors."""
    column, row = number(fields.get("column"), "column"), number(fields.get("row"), "row")
    view = rendering_fields(fields, quality="refined", webp=False)
    return await render.pick(
        institution_id,
        series.series_key,
        view,
        column,
        row,
        stack=_stack(fields),
        version=series.version,
        overlay=_second(fields, overlay),
    )


async def values_told(
    render: RenderClient, fields: Mapping[str, Any], institution_id: int, series: SeriesRow
) -> dict[str, Any]:
    """Rule 29: the spread of a volume's values. Raises BadRequestError, rendering errors."""
    stack = _stack(fields)
    told = await render.histogram(institution_id, series.series_key, stack=stack, version=series.version)
    return {"t": "histogram", "series": series.series_key, "stack": stack, **told}


def volume_header(fields: Mapping[str, Any], picture: RenderedPicture) -> dict[str, Any]:
    """What the header tells beyond a frame's picture."""
    told = {name: picture.meta[name] for name in _HEADER_FIELDS if name in picture.meta}
    return {"kind": fields["kind"], "stack": _stack(fields), **told}


def _stack(fields: Mapping[str, Any], name: str = "stack") -> int:
    return whole(fields, name, _MOST_STACKS) if fields.get(name) is not None else 0
