"""Share page, viewer page, and the owners' use of shares."""

from __future__ import annotations

from urllib.parse import parse_qs

import segno
from starlette.requests import Request
from starlette.responses import Response

from app import locations
from app.delivery import page
from app.delivery.errors import (
    BurnedInError,
    CodeLockedError,
    ShareExpiredError,
    ShareNotFoundError,
    ShareRevokedError,
    WrongCodeError,
)
from app.delivery.opened import opened_page
from app.delivery.service import Share, Shares
from app.delivery.words import WORDS
from app.errors import BadRequestError, TooManyRequestsError
from app.http import PUBLIC, JSONResponse, RouteSpec, client_address, preferred_language, read_body, read_json
from app.identity.models import SHARE_CREATE, STUDY_VIEW, Principal
from app.identity.service import SHARE_COOKIE
from app.services import Services
from app.viewing.routes import path_key

_HTML = "text/html; charset=utf-8"
_NO_STORE = {"Cache-Control": "no-store"}


def _ended(request: Request, error: ShareNotFoundError | ShareExpiredError | ShareRevokedError) -> Response:
    language = preferred_language(request)
    status = 404 if isinstance(error, ShareNotFoundError) else 410
    return Response(page.message_page(language, error.message[language]), status, _NO_STORE, _HTML)


def _refused(request: Request, error: BurnedInError) -> Response:
    language = preferred_language(request)
    return Response(page.message_page(language, error.message[language]), 422, _NO_STORE, _HTML)


def _form(request: Request, share: Share, message: str = "", status: int = 200) -> Response:
    language = preferred_language(request)
    asked = request.query_params.get("elder")
    elder = (asked or request.cookies.get("cloudfilm_elder")) == "1"
    body = page.code_page(language, share.expires_at, message=message, elder=elder)
    response = Response(body, status, _NO_STORE, _HTML)
    if asked in {"0", "1"}:
        response.set_cookie("cloudfilm_elder", asked, max_age=31536000, samesite="lax")
    if request.query_params.get("lang") in WORDS:
        response.set_cookie("cloudfilm_lang", language, max_age=31536000, samesite="lax")
    return response


async def share_form(request: Request, services: Services, principal: Principal) -> Response:
    """GET: the code form, or the opened page again on a phone that has given the code. Consumes nothing."""
    shares = Shares(services)
    try:
        share = await shares.find(str(request.path_params["token"]))
    except (ShareNotFoundError, ShareExpiredError, ShareRevokedError) as error:
        return _ended(request, error)
    if principal.kind == "share" and principal.share_key == share.share_key:
        try:
            await shares.check_covered(share)
        except BurnedInError as error:
            return _refused(request, error)
        return await opened_page(request, services, principal, share.study_key)
    return _form(request, share)


async def share_open(request: Request, services: Services, principal: Principal) -> Response:
    """POST code=……: the opened page in this one response, or the form again with what was wrong."""
    language = preferred_language(request)
    words = WORDS[language]
    token = str(request.path_params["token"])
    fields = parse_qs((await read_body(request, 1 << 10)).decode("ascii", "replace"))
    code = fields.get("code", [""])[0][:16]
    shares = Shares(services)
    try:
        share = await shares.find(token)
    except (ShareNotFoundError, ShareExpiredError, ShareRevokedError) as error:
        return _ended(request, error)
    try:
        services.code_limit.check(client_address(request))
        share, session = await shares.open(token, code, client_address(request))
    except WrongCodeError as error:
        return _form(request, share, words["left"].format(n=error.data["attempts_left"]), 403)
    except (CodeLockedError, TooManyRequestsError) as error:
        minutes = int(error.data["retry_after_s"] // 60) + 1
        return _form(request, share, words["locked"].format(m=minutes), 429)
    try:
        await shares.check_covered(share)
    except BurnedInError as error:
        return _refused(request, error)
    holder = await services.identity.by_share_session(session)
    response = await opened_page(request, services, holder, share.study_key)
    response.set_cookie(
        services.identity.cookie(SHARE_COOKIE),
        session,
        max_age=12 * 3600,
        httponly=True,
        samesite="lax",
        secure=services.secure,
        path="/",
    )
    return response


async def viewer_page(request: Request, services: Services, principal: Principal) -> Response:
    """The same page for somebody who is logged in: no code, one response."""
    return await opened_page(request, services, principal, path_key(request, "study"))


async def create_share(request: Request, services: Services, principal: Principal) -> Response:
    """POST {days, hide_identity, include_report}: link, code and QR code, told once."""
    body = await read_json(request)
    days = body.get("days", 7)
    if not isinstance(days, int | float) or isinstance(days, bool):
        raise BadRequestError(what="days")
    share = await Shares(services).create(
        principal.institution_id,
        path_key(request, "study"),
        principal.subject,
        days=days,
        hide_identity=body.get("hide_identity") is not False,
        include_report=body.get("include_report") is True,
    )
    url = f"{locations.public_url(services.settings, str(request.base_url))}/s/{share.token}"
    return JSONResponse(
        {
            "share": share.share_key,
            "url": url,
            "code": share.code,
            "expires": share.expires_at,
            "qr_svg": segno.make(url, error="m").svg_inline(scale=4, border=4, dark="#000", light="#fff"),
        },
        201,
    )


async def list_shares(request: Request, services: Services, principal: Principal) -> Response:
    """Shares of a study."""
    return JSONResponse(
        {"shares": await Shares(services).of_study(principal.institution_id, path_key(request, "study"))}
    )


async def reissue_code(request: Request, services: Services, principal: Principal) -> Response:
    """POST: a new code, told once; the old one is void."""
    code = await Shares(services).reissue(principal.institution_id, path_key(request, "share"), principal.subject)
    return JSONResponse({"code": code})


async def revoke_share(request: Request, services: Services, principal: Principal) -> Response:
    """POST: stop sharing."""
    await Shares(services).revoke(principal.institution_id, path_key(request, "share"), principal.subject)
    return JSONResponse({})


ROUTES = (
    RouteSpec("/s/{token}", share_form, PUBLIC, html=True, summary="share page"),
    RouteSpec("/s/{token}", share_open, PUBLIC, ("POST",), 1 << 10, 45.0, "open a share", html=True, plain_form=True),
    RouteSpec("/viewer/{study}", viewer_page, STUDY_VIEW, timeout_s=45.0, html=True, summary="viewer page"),
    RouteSpec("/api/studies/{study}/shares", create_share, SHARE_CREATE, ("POST",), 1 << 12, summary="share a study"),
    RouteSpec("/api/studies/{study}/shares", list_shares, SHARE_CREATE, summary="shares of a study"),
    RouteSpec("/api/shares/{share}/code", reissue_code, SHARE_CREATE, ("POST",), 1 << 10, summary="new share code"),
    RouteSpec("/api/shares/{share}/revoke", revoke_share, SHARE_CREATE, ("POST",), 1 << 10, summary="stop sharing"),
)
