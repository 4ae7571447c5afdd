"""Surfaces as files over plain HTTP: ``GET /api/series/{series}/surface?level=300&format=glb`` (docs/render.md)."""

from __future__ import annotations

import math
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from app.errors import BadRequestError
from app.http import RouteSpec
from app.identity.models import SURFACE_EXPORT, Principal
from app.services import Services
from app.viewing.routes import path_key
from app.viewing.studies import series_of
from render.surface import SurfaceRequest
from render.surface_files import GLB, STL

_FORMATS = {"stl": STL, "glb": GLB}
_LONGEST_S = 150.0
_VERSION = 1  # of the algorithm: part of the ETag


def surface_request(request: Request) -> tuple[SurfaceRequest, str, int]:
    """(request, format, stack) of the query. Raises BadRequestError, InvalidViewError."""
    query = request.query_params
    name = query.get("format", "stl")
    if name not in _FORMATS:
        raise BadRequestError(what="format")
    try:
        level, triangles, stack = float(query["level"]), int(query.get("triangles", "200000")), query.get("stack", "0")
    except (KeyError, ValueError):
        raise BadRequestError(what="level or triangles") from None
    if not math.isfinite(level) or not stack.isascii() or not stack.isdigit() or len(stack) > 5:
        raise BadRequestError(what="level or stack")
    return SurfaceRequest(level, triangles, query.get("keep", "all")), name, int(stack)


async def series_surface(request: Request, services: Services, principal: Principal) -> Response:
    """The surface of ``level`` (modality values, HU of a CT) as STL or GLB, audited before its first byte.

    ``triangles`` (at most, 500 to 500,000), ``keep`` (``all``, ``largest``), ``stack``.
    """
    series = await series_of(services, principal, path_key(request, "series"))
    wanted, name, stack = surface_request(request)
    key = f"{principal.institution_id}/{series.series_key}/{series.version}/{stack}/{wanted}/{name}/{_VERSION}"
    etag = f'"{sha256(key.encode()).hexdigest()[:24]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Cookie, Authorization"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    told, data = await services.render.surface(
        principal.institution_id,
        series.series_key,
        wanted,
        _FORMATS[name],
        stack=stack,
        version=series.version,
    )
    await services.audit.record(
        principal.institution_id,
        principal.subject,
        "series.surface",
        study_key=series.study_key,
        series_key=series.series_key,
        frame_count=series.frame_count,
        details={"level": wanted.level, "format": name, "triangles": told["triangles"]},
    )
    headers |= {
        "Content-Disposition": f'attachment; filename="surface-{series.series_key}.{name}"',
        "X-Surface-Triangles": str(told["triangles"]),
        "X-Surface-Volume-Mm3": str(told["volume_mm3"]),
        "X-Surface-Halvings": str(told["halvings"]),
        "X-Surface-Complete": str(told["complete"]),
    }
    return Response(data, headers=headers, media_type=_FORMATS[name])


ROUTES = (
    RouteSpec(
        "/api/series/{series}/surface",
        series_surface,
        SURFACE_EXPORT,
        timeout_s=_LONGEST_S,
        summary="a surface of the series' volume as STL or GLB",
    ),
)
