"""One study for our own pages: its row of the list and every series with the address of its thumbnail."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.archive_api.studies import describe_row
from app.http import JSONResponse, RouteSpec
from app.identity.models import STUDY_LIST, Principal
from app.services import Services
from app.viewing.errors import StudyNotFoundError
from app.viewing.routes import path_key
from dicomnet.archive.query import SeriesRow, get_study, list_series


def _series(row: SeriesRow) -> dict[str, Any]:
    return {
        "series": row.series_key,
        "modality": row.modality,
        "number": row.series_number,
        "description": row.series_description,
        "body_part": row.body_part_examined,
        "instance_count": row.instance_count,
        "frame_count": row.frame_count,
        "thumbnail": f"/api/series/{row.series_key}/thumbnail?v={row.version}" if row.frame_count else None,
    }


async def study_detail(request: Request, services: Services, principal: Principal) -> Response:
    """The study and all its series. Raises StudyNotFoundError."""
    study_key = path_key(request, "study")
    study = None
    if principal.may_open(study_key):
        study = await get_study(services.database, services.keyring, principal.institution_id, study_key=study_key)
    if study is None:
        raise StudyNotFoundError
    rows = await list_series(services.database, principal.institution_id, study_key)
    await services.audit.record(principal.institution_id, principal.subject, "study.detail", study_key=study_key)
    return JSONResponse({**describe_row(study), "series": [_series(row) for row in rows]})


ROUTES = (RouteSpec("/api/studies/{study}", study_detail, STUDY_LIST, summary="one study"),)
