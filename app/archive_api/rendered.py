"""WADO-RS rendered resources and thumbnails (PS3.18 10.4.1.1.3, 10.4.1.1.4): pictures of the render process."""

from __future__ import annotations

import re
from collections import OrderedDict

from starlette.requests import Request
from starlette.responses import Response

from app.archive_api.errors import BadParameterError, ResourceNotFoundError
from app.archive_api.found import Target, audit, find
from app.archive_api.media import MediaRange, accepted, choose, covers
from app.archive_api.wado import INSTANCE, parse_frames
from app.http import RouteSpec
from app.identity.models import DICOMWEB_READ, Principal
from app.services import Services
from app.viewing.prepared import thumbnail
from app.viewing.routes import picture_response
from app.viewing.studies import first_frame, key_series
from dicomnet.archive.open_record import load_series
from dicomnet.archive.query import InstanceRow, SeriesRow, list_series
from render.request import JPEG, PNG, WEBP, StackView

_MOST_PIXELS = 4096
_QUALITY = 90
_MOST_PLACES = 256

# (institution, series, version) -> instance -> place of its first frame in the series' display order.
_places: OrderedDict[tuple[int, int, int], dict[int, int]] = OrderedDict()


async def _first_places(services: Services, institution_id: int, series: SeriesRow) -> dict[int, int]:
    key = (institution_id, series.series_key, series.version)
    found = _places.get(key)
    if found is None:
        found, position = {}, 0
        for record in await load_series(services.database, institution_id, series.series_key):
            found[record.instance_key] = position
            position += record.number_of_frames
        _places[key] = found
        while len(_places) > _MOST_PLACES:
            _places.popitem(last=False)
    _places.move_to_end(key)
    return found


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


async def _series_of(services: Services, principal: Principal, row: InstanceRow) -> SeriesRow:
    for series in await list_series(services.database, principal.institution_id, row.study_key):
        if series.series_key == row.series_key and series.frame_count:
            return series
    raise ResourceNotFoundError


async def _shown(
    request: Request, services: Services, principal: Principal, target: Target
) -> tuple[SeriesRow, InstanceRow, int]:
    """(series, instance, place in the series) of the picture that the path means."""
    if target.level == "instance":
        row = target.rows[0]
        if row.number_of_frames == 0:
            raise ResourceNotFoundError
        series = await _series_of(services, principal, row)
        index = parse_frames(str(request.path_params.get("frames", "1")), row.number_of_frames)[0]
        places = await _first_places(services, principal.institution_id, series)
        return series, row, places[row.instance_key] + index
    series = await _first_series(services, principal, target)
    place = first_frame(series)
    places = await _first_places(services, principal.institution_id, series)
    inside = [row for row in target.rows if places.get(row.instance_key, place + 1) <= place]
    row = max(inside, key=lambda r: places[r.instance_key])
    return series, row, place


async def _first_series(services: Services, principal: Principal, target: Target) -> SeriesRow:
    keys = {row.series_key for row in target.rows}
    every = await list_series(services.database, principal.institution_id, target.rows[0].study_key)
    return key_series([series for series in every if series.series_key in keys])


async def rendered(request: Request, services: Services, principal: Principal) -> Response:
    """One picture: of the frame, of the instance's first frame, of the series' or study's middle."""
    target = await find(request, services, principal)
    series, row, place = await _shown(request, services, principal, target)
    view, coding = rendering(request, row)
    picture = await services.render.picture(
        principal.institution_id, series.series_key, place, view, version=series.version, coding=coding
    )
    await audit(services, principal, "dicomweb.rendered", target, 1)
    return picture_response(request, picture.data, picture.media_type)


async def small(request: Request, services: Services, principal: Principal) -> Response:
    """``…/thumbnail``: 140 pixels, JPEG, of the series; of the instance where the path names one."""
    target = await find(request, services, principal)
    if target.level == "instance":
        series, _, place = await _shown(request, services, principal, target)
        view = StackView(140, 140, media_type=JPEG)
        made = await services.render.picture(
            principal.institution_id, series.series_key, place, view, version=series.version, coding={"quality": 72}
        )
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
