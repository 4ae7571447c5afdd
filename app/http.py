"""Route tables and the one way from a request to a handler: identify, permit, bound, handle, map errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from app.errors import (
    BadRequestError,
    CrossSiteError,
    Described,
    ForbiddenError,
    MethodNotAllowedError,
    NotFoundError,
    TimeoutPassedError,
    TooLargeError,
    UnauthenticatedError,
    describe_error,
)
from app.logging import correlation_id, get_logger, redact
from app.pages import error_page

if TYPE_CHECKING:
    from app.identity.models import Principal
    from app.services import Services

Handler = Callable[[Request, "Services", "Principal"], Awaitable[Response]]
SocketHandler = Callable[[WebSocket, "Services", "Principal"], Awaitable[None]]

PUBLIC = "public"
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True, slots=True)
class RouteSpec:
    """One row of a slice's table. ``permission`` is never empty; ``PUBLIC`` is said, not assumed.

    ``max_body_bytes`` bounds the request, ``timeout_s`` the handler (not a streaming body). ``methods`` empty means
    a WebSocket. ``plain_form`` allows ``Origin: null``, which a browser sends with a form under our own
    ``Referrer-Policy: no-referrer``: only for a form that asks for a secret itself. ``anonymous`` routes look nobody
    up, so that they answer without the database.
    """

    path: str
    handler: Handler | SocketHandler
    permission: str
    methods: tuple[str, ...] = ("GET",)
    max_body_bytes: int = 1 << 20
    timeout_s: float = 30.0
    summary: str = ""
    html: bool = False
    plain_form: bool = False
    anonymous: bool = False


class JSONResponse(Response):
    """orjson, never cached."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200, headers: dict[str, str] | None = None) -> None:
        super().__init__(
            orjson.dumps(content, default=str), status_code, {"Cache-Control": "no-store", **(headers or {})}
        )


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body within ``limit`` bytes, whatever Content-Length says. Raises TooLargeError."""
    declared = request.headers.get("content-length")
    if declared is not None and declared.isdigit() and int(declared) > limit:
        raise TooLargeError(limit_bytes=limit)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLargeError(limit_bytes=limit)
        parts.append(part)
    return b"".join(parts)


async def read_json(request: Request, limit: int = 1 << 16) -> dict[str, Any]:
    """A JSON object. Raises BadRequestError, TooLargeError."""
    try:
        value = orjson.loads(await read_body(request, limit))
    except orjson.JSONDecodeError:
        raise BadRequestError(what="JSON") from None
    if not isinstance(value, dict):
        raise BadRequestError(what="JSON object")
    return value


def client_address(connection: HTTPConnection) -> str:
    """The peer's address."""
    return connection.client.host if connection.client else ""


def preferred_language(connection: HTTPConnection) -> str:
    """``zh`` unless the person asked for English (``?lang``, the cookie, or the browser's first choice)."""
    asked = connection.query_params.get("lang") or connection.cookies.get("cloudfilm_lang")
    if asked in {"zh", "en"}:
        return str(asked)
    accepted = connection.headers.get("accept-language", "").strip().lower()
    return "en" if accepted.startswith("en") else "zh"


def same_origin(connection: HTTPConnection, public_url: str = "", *, plain_form: bool = False) -> bool:
    """Whether the request comes from our own pages, or from a program that is no browser.

    Fetch Metadata where the browser sends it, else the Origin header (Fetch standard, 3.2), which must name this host
    or the host of ``public_url``.
    """
    site = connection.headers.get("sec-fetch-site")
    origin = connection.headers.get("origin")
    if site in {"cross-site", "same-site"}:
        return False
    if origin is None or (origin == "null" and (site == "same-origin" or plain_form)):
        return True
    return urlsplit(origin).netloc in {connection.headers.get("host", ""), urlsplit(public_url).netloc} - {""}


def problem_response(request: HTTPConnection, error: Described, *, html: bool) -> Response:
    """RFC 9457 problem JSON in both languages, or a small page for a person."""
    status = error.statuses.http
    headers = {"Cache-Control": "no-store"}
    if "retry_after_s" in error.data:
        headers["Retry-After"] = str(int(error.data["retry_after_s"]) + 1)
    if html and "text/html" in request.headers.get("accept", ""):
        page = error_page(dict(error.message), correlation_id.get(), preferred_language(request), status)
        return Response(page, status, headers, "text/html; charset=utf-8")
    body = {
        "type": f"urn:cloudfilm:{error.code}",
        "title": error.message.get("en", ""),
        "status": status,
        "code": error.code,
        "message": error.message,
        "data": error.data,
        "retryable": error.retryable,
        "correlation_id": correlation_id.get(),
    }
    return Response(orjson.dumps(body, default=str), status, headers, "application/problem+json")


INTERNAL_MESSAGE = {"zh": "打开失败，不是您的操作问题", "en": "Something failed on our side; it is not your doing"}


def describe_any(error: BaseException, where: str) -> Described:
    """A domain error as it is; a defect as ``app.internal`` without its text, logged with its traceback."""
    described = describe_error(error)
    if described is not None and described.statuses.http < 500:
        return described
    get_logger().error("request.failed", where=redact(where), kind=type(error).__name__, exc_info=error)
    if described is not None:
        return Described(described.code, described.message, {}, described.retryable, described.statuses)
    from app.errors import INTERNAL

    return Described("app.internal", INTERNAL_MESSAGE, {}, True, INTERNAL)


async def _permit(connection: HTTPConnection, spec: RouteSpec, services: Services) -> Principal:
    from app.identity.errors import PasswordChangeNeededError
    from app.identity.models import ANONYMOUS

    if spec.anonymous:
        return ANONYMOUS
    principal = await services.identity.identify(connection)
    if spec.permission == PUBLIC or spec.permission in principal.permissions:
        return principal
    if principal.kind == "anonymous":
        raise UnauthenticatedError
    if principal.must_change_password:
        raise PasswordChangeNeededError
    raise ForbiddenError(permission=spec.permission)


def _check_origin(connection: HTTPConnection, spec: RouteSpec, services: Services, principal: Principal) -> None:
    """A page of another site must not use this browser's cookies, nor log it in as somebody else."""
    if principal.kind != "token" and not same_origin(
        connection, services.settings.public_url, plain_form=spec.plain_form
    ):
        raise CrossSiteError


def _endpoint(spec: RouteSpec) -> Callable[[Request], Awaitable[Response]]:
    handler: Any = spec.handler

    async def endpoint(request: Request) -> Response:
        services: Services = request.app.state.services
        try:
            principal = await _permit(request, spec, services)
            if request.method not in _SAFE_METHODS:
                _check_origin(request, spec, services, principal)
            declared = request.headers.get("content-length", "0")
            if declared.isdigit() and int(declared) > spec.max_body_bytes:
                raise TooLargeError(limit_bytes=spec.max_body_bytes)
            try:
                async with asyncio.timeout(spec.timeout_s):  # as wait_for, without a task of its own
                    return await handler(request, services, principal)
            except TimeoutError:
                raise TimeoutPassedError from None
        except Exception as error:
            return problem_response(request, describe_any(error, request.url.path), html=spec.html)

    return endpoint


def _socket_endpoint(spec: RouteSpec) -> Callable[[WebSocket], Awaitable[None]]:
    handler: Any = spec.handler

    async def endpoint(socket: WebSocket) -> None:
        services: Services = socket.app.state.services
        try:
            principal = await _permit(socket, spec, services)
            _check_origin(socket, spec, services, principal)
            await handler(socket, services, principal)
        except WebSocketDisconnect:
            return
        except Exception as error:
            described = describe_any(error, socket.url.path)
            if socket.application_state is WebSocketState.CONNECTING:
                await socket.accept()
            if socket.application_state is WebSocketState.CONNECTED:
                with suppress(RuntimeError, WebSocketDisconnect):
                    await socket.close(described.statuses.websocket, described.code)

    return endpoint


async def unrouted(request: Request, error: Exception) -> Response:
    """Starlette's own 404 and 405 in the shape of every other error."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    shown = {404: NotFoundError(), 405: MethodNotAllowedError()}.get(status)
    described = describe_any(shown or error, request.url.path)
    response = problem_response(request, described, html=True)
    if isinstance(error, HTTPException):
        response.headers.update(error.headers or {})
    return response


def build_routes(tables: Sequence[Sequence[RouteSpec]]) -> list[BaseRoute]:
    """Starlette routes of all slices' tables. Raises ValueError for a row without a permission."""
    routes: list[BaseRoute] = []
    for table in tables:
        for spec in table:
            if not spec.permission:
                raise ValueError(f"{spec.path} names no permission")
            route: BaseRoute
            if spec.methods:
                route = Route(spec.path, _endpoint(spec), methods=list(spec.methods))
            else:
                route = WebSocketRoute(spec.path, _socket_endpoint(spec))
            routes.append(route)
    return routes
