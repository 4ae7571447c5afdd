"""WADO-RS rendered resources and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4): pictures of the render process."""

from __future__ import annotations

import re
from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response

from app.archive_api.errors import BadParameterError, ResourceNotFoundError
from app.archive_api.found import Target, audit, find
from app.archive_api.media import MediaRange, accepted, choose, covers
from app.archive_api.wado import INSTANCE, parse_frames
from app.http import RouteSpec
from app.identity.models import DICOMWEB_READ, Principal
from app.rendering.client import RenderedPicture
from app.services import Services
from app.viewing.prepared import thumbnail
from app.viewing.routes import picture_response
from app.viewing.studies import first_frame, key_series
from dicomnet.archive.open_record import load_series
from dicomnet.archive.query import InstanceRow, SeriesRow, list_series
from render.engine import RENDERER_VERSION
from render.request import JPEG, PNG, WEBP, StackView

_MOST_PIXELS = 4096
_QUALITY = 90


def _media_type(ranges: list[MediaRange]) -> str:
    """JPEG is the default (PS3.18 8.7.4). Raises DicomwebNotAcceptableError."""
    for media_range in ranges:
        for kind in (JPEG, PNG, WEBP):
            if covers(media_range.media_type, kind):
                return kind
    choose(ranges, {JPEG, PNG, WEBP}, {""}, 0)
    return JPEG


def _numbers(request: Request, name: str, count: int) -> list[str] | None:
    text = request.query_params.get(name, "")
    if not text:
        return None
    parts = text.split(",")
    if len(parts) < count or len(text) > 100:
        raise BadParameterError(parameter=name)
    return parts


def rendering(request: Request, row: InstanceRow) -> tuple[StackView, dict[str, int]]:
    """``viewport=w,h``, ``window=center,width[,function]``, ``quality`` (PS3.18 8.3.5). Raises BadParameterError."""
    width, height = row.image_columns, row.image_rows
    square = bool(request.query_params.get("viewport"))  # without one, the picture keeps the image's own matrix
    if viewport := _numbers(request, "viewport", 2):
        if len(viewport) > 2 or not all(re.fullmatch(r"[1-9][0-9]{0,4}", part) for part in viewport):
            raise BadParameterError(parameter="viewport")
        width, height = int(viewport[0]), int(viewport[1])
    elif max(width, height) > _MOST_PIXELS:
        scale = _MOST_PIXELS / max(width, height)
        width, height = max(1, int(width * scale)), max(1, int(height * scale))
    if not (0 < width <= _MOST_PIXELS and 0 < height <= _MOST_PIXELS):
        raise BadParameterError(parameter="viewport", most=_MOST_PIXELS)
    window: dict[str, float | str] = {}
    if text := _numbers(request, "window", 2):
        try:
            center, breadth = float(text[0]), float(text[1])
        except ValueError:
            raise BadParameterError(parameter="window") from None
        if not (abs(center) < 1e9 and 0 < breadth < 1e9):
            raise BadParameterError(parameter="window")
        window = {"window_center": center, "window_width": breadth, "voi": "window"}
    quality = request.query_params.get("quality", str(_QUALITY))
    if not (quality.isascii() and quality.isdigit()) or not 1 <= int(quality) <= 100:
        raise BadParameterError(parameter="quality")
    view = StackView(width, height, media_type=_media_type(accepted(request)), square_pixels=square, **window)  # pyright: ignore[reportArgumentType]
    return view, {"quality": int(quality)}


@dataclass(frozen=True, slots=True)
class _Shown:
    """A picture: a frame of an instance, in a version of its series that has it."""

    row: InstanceRow
    frame_index: int
    series_version: int


async def _shown(request: Request, services: Services, principal: Principal, target: Target) -> _Shown:
    """The picture that the path means."""
    if target.instance is not None:
        row = target.instance.row
        if row.number_of_frames == 0 or target.instance.series_frame_count == 0:
            raise ResourceNotFoundError
        index = parse_frames(str(request.path_params.get("frames", "1")), row.number_of_frames)[0]
        return _Shown(row, index, target.instance.series_version)
    series = await _first_series(services, principal, target)
    rows = {row.instance_key: row for row in target.rows}
    place = first_frame(series)
    for record in await load_series(services.database, principal.institution_id, series.series_key):
        if place < record.number_of_frames and record.instance_key in rows:
            return _Shown(rows[record.instance_key], place, series.version)
        place -= record.number_of_frames
    raise ResourceNotFoundError


async def _picture(
    services: Services, principal: Principal, shown: _Shown, view: StackView, coding: dict[str, int]
) -> RenderedPicture:
    return await services.render.picture(
        principal.institution_id,
        shown.row.series_key,
        shown.frame_index,
        view,
        instance_key=shown.row.instance_key,
        version=shown.series_version,
        coding=coding,
    )


async def _first_series(services: Services, principal: Principal, target: Target) -> SeriesRow:
    keys = {row.series_key for row in target.rows}
    every = await list_series(services.database, principal.institution_id, target.rows[0].study_key)
    return key_series([series for series in every if series.series_key in keys])


async def rendered(request: Request, services: Services, principal: Principal) -> Response:
    """One picture: of the frame, of the instance's first frame, of the series' or study's middle."""
    target = await find(request, services, principal)
    shown = await _shown(request, services, principal, target)
    view, coding = rendering(request, shown.row)
    picture = await _picture(services, principal, shown, view, coding)
    await audit(services, principal, "dicomweb.rendered", target, 1)
    place = (shown.row.instance_key, shown.frame_index, picture.meta["backend"], picture.meta["decoder"])
    made_from = orjson.dumps((RENDERER_VERSION, place, view, coding))
    return picture_response(request, picture.data, picture.media_type, made_from)


async def small(request: Request, services: Services, principal: Principal) -> Response:
    """``…/thumbnail``: 140 pixels, JPEG, of the series; of the instance where the path names one."""
    target = await find(request, services, principal)
    if target.level == "instance":
        shown = await _shown(request, services, principal, target)
        made = await _picture(services, principal, shown, StackView(140, 140, media_type=JPEG), {"quality": 72})
        data, media_type = made.data, made.media_type
    else:
        series = await _first_series(services, principal, target)
        prepared = await thumbnail(services, principal.institution_id, series)
        data, media_type = prepared.data, prepared.media_type
    await audit(services, principal, "dicomweb.thumbnail", target, 1)
    return picture_response(request, data, media_type)


_STUDY = "/dicom-web/studies/{study}"
_SERIES = _STUDY + "/series/{series}"
ROUTES = tuple(
    RouteSpec(path + suffix, handler, DICOMWEB_READ, summary=f"WADO-RS {suffix[1:]}")
    for suffix, handler in (("/rendered", rendered), ("/thumbnail", small))
    for path in (_STUDY, _SERIES, INSTANCE, INSTANCE + "/frames/{frames}")
)
