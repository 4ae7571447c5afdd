"""Login and the own account."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.errors import BadRequestError
from app.http import PUBLIC, JSONResponse, RouteSpec, client_address, read_json
from app.identity.errors import DoorError
from app.identity.models import SELF, Principal
from app.identity.service import STAFF_COOKIE
from app.services import Services


def _text(body: dict[str, object], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 1024:
        raise BadRequestError(what=name)
    return value


def _me(principal: Principal) -> dict[str, object]:
    return {
        "username": principal.username,
        "roles": list(principal.roles),
        "permissions": sorted(principal.permissions),
        "must_change_password": principal.must_change_password,
    }


async def login(request: Request, services: Services, principal: Principal) -> Response:
    """POST {username, password}: sets the session cookie."""
    body = await read_json(request)
    services.login_limit.check(client_address(request))
    try:
        token, user = await services.identity.login(_text(body, "username"), _text(body, "password"))
    except DoorError as error:
        if error.institution_id is not None:
            await services.audit.record(
                error.institution_id, f"user:{error.user_key}", "login", outcome=error.code.rpartition(".")[2]
            )
        raise
    await services.audit.record(user.institution_id, user.subject, "login")
    response = JSONResponse(_me(user))
    response.set_cookie(
        services.identity.cookie(STAFF_COOKIE),
        token,
        max_age=services.settings.session_hours * 3600,
        httponly=True,
        samesite="lax",
        secure=services.secure,
        path="/",
    )
    return response


async def logout(request: Request, services: Services, principal: Principal) -> Response:
    """POST: ends this session."""
    await services.identity.logout(principal)
    await services.bus.publish(f"session:{principal.session_sha256.hex()}:ended")
    await services.audit.record(principal.institution_id, principal.subject, "logout")
    response = JSONResponse({})
    response.delete_cookie(services.identity.cookie(STAFF_COOKIE), path="/", secure=services.secure, httponly=True)
    await services.bus.publish(f"session:{principal.session_sha256.hex()}:ended")
    return response


async def me(request: Request, services: Services, principal: Principal) -> Response:
    """GET: who am I."""
    return JSONResponse(_me(principal))


async def change_password(request: Request, services: Services, principal: Principal) -> Response:
    """POST {old, new}."""
    body = await read_json(request)
    services.login_limit.check(client_address(request))
    await services.identity.change_password(principal, _text(body, "old"), _text(body, "new"))
    await services.audit.record(principal.institution_id, principal.subject, "password.change")
    return JSONResponse({})


ROUTES = (
    RouteSpec("/api/login", login, PUBLIC, ("POST",), 1 << 14, summary="log in"),
    RouteSpec("/api/logout", logout, SELF, ("POST",), 1 << 10, summary="log out"),
    RouteSpec("/api/me", me, SELF, summary="the own account"),
    RouteSpec("/api/password", change_password, SELF, ("POST",), 1 << 14, summary="change the own password"),
)
