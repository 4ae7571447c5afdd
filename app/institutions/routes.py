"""Institutions over HTTP, for the house's administrators."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.errors import BadRequestError
from app.http import JSONResponse, RouteSpec, read_json
from app.identity.models import INSTITUTION_ADMIN, Principal
from app.services import Services


async def list_institutions(request: Request, services: Services, principal: Principal) -> Response:
    """GET: every institution of the house."""
    names = ("institution_id", "code", "name", "suspended")
    rows = [
        {**dict(zip(names, row, strict=True)), "ae_titles": await services.institutions.ae_titles(row[0])}
        for row in await services.institutions.all()
    ]
    return JSONResponse({"institutions": rows})


async def create_institution(request: Request, services: Services, principal: Principal) -> Response:
    """POST {code, name, ae_title}."""
    body = await read_json(request)
    fields = [body.get(name, "") for name in ("code", "name", "ae_title")]
    if not all(isinstance(field, str) for field in fields):
        raise BadRequestError(what="code, name, ae_title")
    code, name, ae_title = map(str, fields)
    identifier = await services.institutions.create(code, name, ae_title)
    await services.audit.record(
        identifier, principal.subject, "institution.create", details={"by_institution": principal.institution_id}
    )
    return JSONResponse({"institution_id": identifier, "code": code}, 201)


async def edit_institution(request: Request, services: Services, principal: Principal) -> Response:
    """PATCH {name, add_ae_title, remove_ae_title}: each may be absent."""
    body = await read_json(request)
    wanted = {name: body.get(name, "") for name in ("name", "add_ae_title", "remove_ae_title")}
    if not all(isinstance(value, str) for value in wanted.values()) or not any(wanted.values()):
        raise BadRequestError(what=", ".join(wanted))
    identifier = await services.institutions.edit(str(request.path_params["code"]), **wanted)
    await services.audit.record(
        identifier,
        principal.subject,
        "institution.edit",
        details={"by_institution": principal.institution_id, "changed": [name for name in wanted if wanted[name]]},
    )
    return JSONResponse({})


async def suspend_institution(request: Request, services: Services, principal: Principal) -> Response:
    """POST {suspended}: devices and people of a suspended institution are refused."""
    suspended = (await read_json(request)).get("suspended")
    if not isinstance(suspended, bool):
        raise BadRequestError(what="suspended")
    code = str(request.path_params["code"])
    identifier = await services.institutions.resolve(code)
    if suspended and identifier == principal.institution_id:
        raise BadRequestError(what="own institution")
    await services.institutions.set_suspended(code, suspended)
    action = "institution.suspend" if suspended else "institution.resume"
    await services.audit.record(
        identifier, principal.subject, action, details={"by_institution": principal.institution_id}
    )
    return JSONResponse({})


ROUTES = (
    RouteSpec("/api/institutions", list_institutions, INSTITUTION_ADMIN, summary="institutions of the house"),
    RouteSpec("/api/institutions", create_institution, INSTITUTION_ADMIN, ("POST",), 1 << 12, summary="register one"),
    RouteSpec(
        "/api/institutions/{code}",
        suspend_institution,
        INSTITUTION_ADMIN,
        ("POST",),
        1 << 10,
        summary="suspend, resume",
    ),
    RouteSpec(
        "/api/institutions/{code}",
        edit_institution,
        INSTITUTION_ADMIN,
        ("PATCH",),
        1 << 12,
        summary="rename, give or take an AE title",
    ),
)
