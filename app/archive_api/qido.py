"""QIDO-RS (PS3.18 10.6): studies, series and instances in every hierarchical form."""

from __future__ import annotations

from dataclasses import replace

import orjson
from starlette.requests import Request
from starlette.responses import Response

from app.archive_api import dicom_json as dj
from app.archive_api.errors import BadParameterError
from app.archive_api.media import DICOM_JSON, require_json
from app.archive_api.qido_parameters import QidoQuery, parse_query, uid_list
from app.http import RouteSpec
from app.identity.models import DICOMWEB_READ, Principal
from app.services import Services
from dicomnet.archive.qido import Found, search
from dicomnet.archive.query import StudyRow, list_studies


def _parse(request: Request) -> QidoQuery:
    """Query string and path; the path wins. Raises BadParameterError, DicomwebNotAcceptableError."""
    require_json(request)
    query = parse_query(request.query_params.multi_items())
    if study := request.path_params.get("study"):
        query = replace(query, studies=replace(query.studies, study_instance_uids=path_uid("study", study)))
    if series := request.path_params.get("series"):
        query = replace(query, series=replace(query.series, series_instance_uids=path_uid("series", series)))
    return query


def path_uid(name: str, text: str) -> tuple[str, ...]:
    """The one UID of a path segment. Raises BadParameterError."""
    uids = uid_list(name, text)
    if len(uids) != 1:
        raise BadParameterError(parameter=name)
    return uids


async def _answer(
    services: Services, principal: Principal, query: QidoQuery, level: str, rows: list[dj.Attributes], more: bool
) -> Response:
    await services.audit.record(
        principal.institution_id, principal.subject, "dicomweb.search", details={"level": level, "count": len(rows)}
    )
    headers = {"Cache-Control": "no-store"}
    warnings: list[str] = []
    if query.fuzzy:
        warnings.append('299 cloudfilm "Fuzzy matching is not supported; only literal matching was performed"')
    if query.ignored:
        warnings.append(f'299 cloudfilm "Not matched here: {", ".join(query.ignored)}"')
    if more:
        warnings.append('299 cloudfilm "There are more results; ask for them with offset"')
    if warnings:
        headers["Warning"] = ", ".join(warnings).encode("ascii", "replace").decode()
    if not rows:
        return Response(status_code=204, headers=headers)
    return Response(orjson.dumps(rows), headers=headers, media_type=DICOM_JSON)


async def search_studies(request: Request, services: Services, principal: Principal) -> Response:
    """``GET /studies``."""
    query = _parse(request)
    base = dj.base_url(request, services)
    rows: list[StudyRow] = []
    cursor, more = None, True
    while more and len(rows) < query.offset + query.limit:
        wanted = query.offset + query.limit - len(rows)
        page = await list_studies(
            services.database, services.keyring, principal.institution_id, query.studies, cursor, wanted
        )
        rows.extend(page.rows)
        cursor, more = page.next_after, page.next_after is not None
    found = [dj.study_attributes(row, base) for row in rows[query.offset :]]
    return await _answer(services, principal, query, "study", found, more)


def _with_study(found: Found, base: str, own: dj.Attributes, *, of_one_study: bool) -> dj.Attributes:
    """Series and instances of many studies carry their study's attributes too (PS3.18 10.6.1.2.2)."""
    if of_one_study:
        return own
    return {**dj.study_attributes(found.study, base), **own}


async def search_series(request: Request, services: Services, principal: Principal) -> Response:
    """``GET /series`` and ``GET /studies/{study}/series``."""
    query = _parse(request)
    base = dj.base_url(request, services)
    found, more = await search(
        services.database,
        services.keyring,
        principal.institution_id,
        query.studies,
        query.series,
        offset=query.offset,
        limit=query.limit,
    )
    rows = [
        _with_study(
            item,
            base,
            dj.series_attributes(item.series, item.study.study_instance_uid, base),
            of_one_study="study" in request.path_params,
        )
        for item in found
    ]
    return await _answer(services, principal, query, "series", rows, more)


async def search_instances(request: Request, services: Services, principal: Principal) -> Response:
    """``GET /instances`` and its forms below a study and a series."""
    query = _parse(request)
    base = dj.base_url(request, services)
    found, more = await search(
        services.database,
        services.keyring,
        principal.institution_id,
        query.studies,
        query.series,
        query.instances,
        offset=query.offset,
        limit=query.limit,
    )
    rows: list[dj.Attributes] = []
    for item in found:
        if item.instance is None:
            continue
        study_uid, series_uid = item.study.study_instance_uid, item.series.series_instance_uid
        own = dj.instance_attributes(item.instance, study_uid, series_uid, base)
        if "series" not in request.path_params:
            own = {**dj.series_attributes(item.series, study_uid, base), **own}
        rows.append(_with_study(item, base, own, of_one_study="study" in request.path_params))
    return await _answer(services, principal, query, "instance", rows, more)


ROUTES = (
    RouteSpec("/dicom-web/studies", search_studies, DICOMWEB_READ, summary="QIDO-RS studies"),
    RouteSpec("/dicom-web/series", search_series, DICOMWEB_READ, summary="QIDO-RS series"),
    RouteSpec("/dicom-web/instances", search_instances, DICOMWEB_READ, summary="QIDO-RS instances"),
    RouteSpec("/dicom-web/studies/{study}/series", search_series, DICOMWEB_READ, summary="QIDO-RS series of a study"),
    RouteSpec("/dicom-web/studies/{study}/instances", search_instances, DICOMWEB_READ, summary="QIDO-RS instances"),
    RouteSpec(
        "/dicom-web/studies/{study}/series/{series}/instances",
        search_instances,
        DICOMWEB_READ,
        summary="QIDO-RS instances of a series",
    ),
)
