"""Exact values over plain HTTP: the values manifest of a series, and the values of one frame (docs/values.md).

Plain HTTP, not the stream: values are large, wait for nobody, and the browser's cache may keep them under an ETag.
"""

from __future__ import annotations

from collections import OrderedDict
from weakref import WeakKeyDictionary

from starlette.requests import Request
from starlette.responses import Response

from app.audit.service import Audit
from app.errors import BadRequestError
from app.http import JSONResponse, RouteSpec
from app.identity.models import STUDY_VIEW, Principal
from app.rendering.values_request import GZIP, HTJ2K, MOST_DESCRIBED, RAW
from app.services import Services
from app.viewing.routes import path_key
from app.viewing.studies import series_of
from dicomnet.archive.query import SeriesRow

QUALITY = "diagnostic"
_PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Cookie, Authorization, Accept-Encoding"}
_MEDIA_TYPES = {HTJ2K: "image/jphc", RAW: "application/octet-stream", GZIP: "application/octet-stream"}
_MOST_REMEMBERED = 20_000

_Seen = OrderedDict[tuple[int, str, bytes, int, int], None]
_told: WeakKeyDictionary[Audit, _Seen] = WeakKeyDictionary()


async def _audit(services: Services, principal: Principal, series: SeriesRow) -> None:
    """One committed entry per session, series and version before the first byte, as on the stream (rule 17)."""
    seen = _told.setdefault(services.audit, OrderedDict())
    key = (
        principal.institution_id,
        principal.subject,
        principal.session_sha256,
        series.series_key,
        series.version,
    )
    if key in seen:
        seen.move_to_end(key)
        return
    await services.audit.record(
        principal.institution_id,
        principal.subject,
        "series.view",
        study_key=series.study_key,
        series_key=series.series_key,
        quality=QUALITY,
        frame_count=series.frame_count,
    )
    seen[key] = None
    while len(seen) > _MOST_REMEMBERED:
        seen.popitem(last=False)


def _number(request: Request, name: str, default: int) -> int:
    """A whole number of the query. Raises BadRequestError."""
    text = request.query_params.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise BadRequestError(what=name)
    return int(text)


async def series_values(request: Request, services: Services, principal: Principal) -> Response:
    """Per frame: hash, type, shape, meaning; ``?first=&count=`` (at most 64)."""
    series = await series_of(services, principal, path_key(request, "series"))
    first, count = _number(request, "first", 0), _number(request, "count", MOST_DESCRIBED)
    told = await services.render.describe_values(
        principal.institution_id, series.series_key, first, max(1, min(count, MOST_DESCRIBED)), series.version
    )
    await _audit(services, principal, series)
    return JSONResponse(told, headers=_PRIVATE)


async def frame_values(request: Request, services: Services, principal: Principal) -> Response:
    """The values of one frame, ``?coding=htj2k`` or ``raw``; raw is gzipped where the client takes that.

    ``?coding=raw&packed=0`` is the uncompressed mode.
    """
    series = await series_of(services, principal, path_key(request, "series"))
    coding = request.query_params.get("coding", HTJ2K)
    if coding not in (HTJ2K, RAW):
        raise BadRequestError(what="coding")
    takes_gzip = "gzip" in request.headers.get("accept-encoding", "")
    if coding == RAW and takes_gzip and request.query_params.get("packed") != "0":
        coding = GZIP
    told, data = await services.render.values(
        principal.institution_id, series.series_key, path_key(request, "frame"), coding, series.version
    )
    await _audit(services, principal, series)
    etag = f'"{told["sha256"]}-{coding}"'
    headers = {**_PRIVATE, "ETag": etag, "X-Values-SHA256": told["sha256"], "X-Series-Version": str(told["version"])}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    if coding == GZIP:
        headers["Content-Encoding"] = "gzip"
    return Response(data, headers=headers, media_type=_MEDIA_TYPES[coding])


ROUTES = (
    RouteSpec("/api/series/{series}/values", series_values, STUDY_VIEW, summary="what the frames' exact values are"),
    RouteSpec("/api/series/{series}/frames/{frame}/values", frame_values, STUDY_VIEW, summary="exact values"),
)
