"""QIDO-RS (PS3.18 10.6): studies, series and instances in every hierarchical form."""

from __future__ import annotations

from collections.abc import Container, Sequence
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
from dicomnet.archive.qido import Found, InstanceFilters, search
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


async def _studies(services: Services, institution_id: int, query: QidoQuery) -> tuple[Sequence[StudyRow], bool]:
    page = await list_studies(
        services.database, services.keyring, institution_id, query.studies, limit=query.limit, offset=query.offset
    )
    return page.rows, page.next_after is not None


async def _below(
    services: Services, institution_id: int, query: QidoQuery, instances: InstanceFilters | None = None
) -> tuple[Sequence[Found], bool]:
    """Series, or instances where there are filters for them."""
    return await search(
        services.database,
        services.keyring,
        institution_id,
        query.studies,
        query.series,
        instances,
        offset=query.offset,
        limit=query.limit,
    )


def _describe(found: Found, base: str, below: Container[str]) -> dj.Attributes:
    """A series or instance; it carries what stands above it, unless the path names that (PS3.18 10.6.1.2.2)."""
    study_uid, series_uid = found.study.study_instance_uid, found.series.series_instance_uid
    attributes: dj.Attributes = {}
    if "study" not in below:
        attributes.update(dj.study_attributes(found.study, base))
    if found.instance is None or "series" not in below:
        attributes.update(dj.series_attributes(found.series, study_uid, base))
    if found.instance is not None:
        attributes.update(dj.instance_attributes(found.instance, study_uid, series_uid, base))
    return attributes


async def search_studies(request: Request, services: Services, principal: Principal) -> Response:
    """``GET /studies``."""
    query, base = _parse(request), dj.base_url(request, services)
    rows, more = await _studies(services, principal.institution_id, query)
    return await _answer(services, principal, query, "study", [dj.study_attributes(row, base) for row in rows], more)


async def search_series(request: Request, services: Services, principal: Principal) -> Response:
    """``GET /series`` and ``GET /studies/{study}/series``."""
    query, base = _parse(request), dj.base_url(request, services)
    found, more = await _below(services, principal.institution_id, query)
    rows = [_describe(item, base, request.path_params) for item in found]
    return await _answer(services, principal, query, "series", rows, more)


async def search_instances(request: Request, services: Services, principal: Principal) -> Response:
    """``GET /instances`` and its forms below a study and a series."""
    query, base = _parse(request), dj.base_url(request, services)
    found, more = await _below(services, principal.institution_id, query, query.instances)
    rows = [_describe(item, base, request.path_params) for item in found]
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
