"""Routes of the viewer: stream, manifests, single pictures, thumbnails."""

from __future__ import annotations

from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from app.errors import BadRequestError
from app.http import JSONResponse, RouteSpec
from app.identity.models import STUDY_VIEW, Principal
from app.services import Services
from app.viewing.prepared import thumbnail
from app.viewing.stream import stream
from app.viewing.studies import describe, manifest_of, open_study, series_of
from app.viewing.views import parse_view

# Private: a revoked share must not live on in a shared cache; 'no-cache' asks again, which answers 304.
_PRIVATE = "private, no-cache"


def path_key(request: Request, name: str) -> int:
    """A key of the path. Raises BadRequestError."""
    text = str(request.path_params[name])
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadRequestError(what=name)
    return int(text)


def picture_response(request: Request, data: bytes, media_type: str, made_from: bytes = b"") -> Response:
    """With an ETag; 304 when the client has it.

    ``made_from`` names all that the picture is made from, where the caller knows it: hashed with the size in place of
    the picture's bytes.
    """
    etag = f'"{sha256(made_from + b"/%d" % len(data) if made_from else data).hexdigest()[:24]}"'
    headers = {"ETag": etag, "Cache-Control": _PRIVATE, "Vary": "Cookie, Authorization"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(data, headers=headers, media_type=media_type)


async def study_series(request: Request, services: Services, principal: Principal) -> Response:
    """The series of a study that have pictures."""
    study_key = path_key(request, "study")
    rows = await open_study(services, principal, study_key)
    await services.audit.record(principal.institution_id, principal.subject, "study.open", study_key=study_key)
    series = [describe(row, hide_identity=principal.hide_identity) for row in rows]
    return JSONResponse({"study": study_key, "series": series})


async def series_manifest(request: Request, services: Services, principal: Principal) -> Response:
    """Sizes, geometry, windows and timing of a series."""
    series = await series_of(services, principal, path_key(request, "series"))
    await services.audit.record(
        principal.institution_id,
        principal.subject,
        "series.manifest",
        study_key=series.study_key,
        series_key=series.series_key,
    )
    return JSONResponse(await manifest_of(services, principal, series))


async def frame_picture(request: Request, services: Services, principal: Principal) -> Response:
    """One refined picture: ``?width=&height=&voi=&window_center=…``."""
    series = await series_of(services, principal, path_key(request, "series"))
    webp = "image/webp" in request.headers.get("accept", "")
    view, coding = parse_view(request.query_params, quality="refined", webp=webp)
    picture = await services.render.picture(
        principal.institution_id,
        series.series_key,
        path_key(request, "frame"),
        view,
        version=series.version,
        coding=coding,
    )
    await services.audit.record(
        principal.institution_id,
        principal.subject,
        "series.view",
        study_key=series.study_key,
        series_key=series.series_key,
        quality="refined",
        frame_count=1,
    )
    return picture_response(request, picture.data, picture.media_type)


async def series_thumbnail(request: Request, services: Services, principal: Principal) -> Response:
    """140 pixels of the series' first shown picture."""
    series = await series_of(services, principal, path_key(request, "series"))
    picture = await thumbnail(services, principal.institution_id, series)
    await services.audit.record(
        principal.institution_id,
        principal.subject,
        "series.thumbnail",
        study_key=series.study_key,
        series_key=series.series_key,
        quality="thumbnail",
        frame_count=1,
    )
    return picture_response(request, picture.data, picture.media_type)


ROUTES = (
    RouteSpec("/api/stream", stream, STUDY_VIEW, (), summary="views up, pictures down"),
    RouteSpec("/api/studies/{study}/series", study_series, STUDY_VIEW, summary="series of a study"),
    RouteSpec("/api/series/{series}/manifest", series_manifest, STUDY_VIEW, summary="manifest of a series"),
    RouteSpec("/api/series/{series}/thumbnail", series_thumbnail, STUDY_VIEW, summary="thumbnail of a series"),
    RouteSpec("/api/series/{series}/frames/{frame}/picture", frame_picture, STUDY_VIEW, summary="one picture"),
)
