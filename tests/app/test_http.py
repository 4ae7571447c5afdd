from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Mount, Route, WebSocketRoute

from app.errors import AppError
from app.http import PUBLIC, JSONResponse, RouteSpec, build_routes, read_body, read_json, same_origin, unrouted
from app.identity.models import ANONYMOUS, ROLES, SHARE_PERMISSIONS, Principal
from app.logging import configure_logging
from app.main import TABLES, build_app
from app.middleware import Frame
from app.settings import Settings

# Not written out where it is raised: a traceback quotes the line.
NAME = "王小明"
USER = Principal("user", 1, "user:1", frozenset({"study.view"}), ("viewer",))


class NameInTextError(AppError):
    """A failure of ours whose data must not leave."""

    code = "keyring.cannot_open"


async def ok(request: Request, services: Any, principal: Any) -> Response:
    return JSONResponse({"subject": principal.subject})


async def echo(request: Request, services: Any, principal: Any) -> Response:
    return JSONResponse({"size": len(await read_body(request, 10))})


async def json_body(request: Request, services: Any, principal: Any) -> Response:
    return JSONResponse(await read_json(request))


async def defect(request: Request, services: Any, principal: Any) -> Response:
    raise KeyError(NAME)


async def failure(request: Request, services: Any, principal: Any) -> Response:
    raise NameInTextError(value=NAME)


async def never(request: Request, services: Any, principal: Any) -> Response:
    await asyncio.Event().wait()
    return Response()


async def broken_socket(socket: Any, services: Any, principal: Any) -> None:
    await socket.accept()
    raise KeyError(NAME)


SPECS = (
    RouteSpec("/open", ok, PUBLIC, ("GET", "POST")),
    RouteSpec("/form", ok, PUBLIC, ("POST",), plain_form=True),
    RouteSpec("/closed", ok, "study.view", ("GET", "POST"), html=True),
    RouteSpec("/admin", ok, "user.admin"),
    RouteSpec("/echo", echo, PUBLIC, ("POST",), max_body_bytes=20),
    RouteSpec("/json", json_body, PUBLIC, ("POST",)),
    RouteSpec("/defect", defect, PUBLIC, html=True),
    RouteSpec("/failure", failure, PUBLIC),
    RouteSpec("/never", never, PUBLIC, timeout_s=0.05),
    RouteSpec("/socket", broken_socket, "study.view", ()),
)


def small_app(principal: Principal = ANONYMOUS) -> Any:
    async def identify(connection: HTTPConnection) -> Principal:
        return principal

    app = Starlette(routes=build_routes([SPECS]), exception_handlers={HTTPException: unrouted, 500: unrouted})
    app.state.services = SimpleNamespace(
        identity=SimpleNamespace(identify=identify),
        settings=Settings(home=Path("unused"), public_url="https://pub.test"),
    )
    return Frame(app, secure=False)


@asynccontextmanager
async def client_of(principal: Principal = ANONYMOUS) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(small_app(principal))
    async with httpx.AsyncClient(transport=transport, base_url="http://hospital.test") as client:
        yield client


# Deny by default --------------------------------------------------------------------------------------------------


def known_permissions() -> set[str]:
    return {PUBLIC} | set().union(*ROLES.values()) | SHARE_PERMISSIONS


def test_every_route_of_every_slice_names_a_known_permission() -> None:
    specs = [spec for table in TABLES for spec in table]
    assert len(specs) > 20
    for spec in specs:
        assert spec.permission in known_permissions(), spec.path
        assert spec.timeout_s > 0, spec.path
        assert spec.max_body_bytes > 0, spec.path


def test_the_app_has_no_route_beside_the_tables(tmp_path: Path) -> None:
    app: Any = build_app(Settings(home=tmp_path))
    while not isinstance(app, Starlette):
        app = app._app
    assert not any(isinstance(route, Mount) for route in app.routes), "a mount would pass the permissions by"
    served = {(r.path, type(r)) for r in app.routes if isinstance(r, Route | WebSocketRoute)}
    wanted = {(s.path, Route if s.methods else WebSocketRoute) for table in TABLES for s in table}
    assert served == wanted
    assert len(app.routes) == sum(len(table) for table in TABLES)


# What is open to everybody is listed here once more: a route does not become public by a slip.
OPEN = {
    "/",
    "/login",
    "/studies",
    "/assets/{name}",
    "/icon.svg",
    "/favicon.ico",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/api/login",
    "/s/{token}",
}


def test_only_these_routes_are_public() -> None:
    public = {spec.path for table in TABLES for spec in table if spec.permission == PUBLIC}
    assert public <= OPEN


@pytest.mark.parametrize("methods", [("GET",), ()])
def test_a_route_without_permission_is_refused_at_start(methods: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="names no permission"):
        build_routes([[RouteSpec("/x", ok, "", methods)]])


async def test_permissions_are_asked_for() -> None:
    async with client_of() as client:
        assert (await client.get("/open")).json() == {"subject": "anonymous"}
        refused = await client.get("/closed")
        assert (refused.status_code, refused.json()["code"]) == (401, "identity.session_over")
    async with client_of(USER) as client:
        assert (await client.get("/closed")).status_code == 200
        refused = await client.get("/admin")
        assert (refused.status_code, refused.json()["code"]) == (403, "identity.forbidden")
    async with client_of(Principal("user", 1, "user:1", frozenset({"self"}), must_change_password=True)) as client:
        assert (await client.get("/closed")).json()["code"] == "identity.password_change_needed"


# Errors -----------------------------------------------------------------------------------------------------------


async def test_problem_json_holds_both_languages_and_the_correlation_id() -> None:
    async with client_of() as client:
        answer = await client.get("/closed", headers={"X-Correlation-Id": "abcDEF-1234"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-correlation-id"] == "abcDEF-1234"
    body = answer.json()
    assert body["type"] == "urn:cloudfilm:identity.session_over"
    assert (body["status"], body["correlation_id"], body["retryable"]) == (401, "abcDEF-1234", False)
    assert set(body["message"]) == {"zh", "en"}


async def test_a_person_gets_a_page() -> None:
    async with client_of() as client:
        answer = await client.get("/closed", headers={"Accept": "text/html,*/*", "Accept-Language": "en-GB"})
        assert answer.headers["content-type"].startswith("text/html")
        assert "Your session is over" in answer.text
        assert "登录已过期" in answer.text
        missing = await client.get("/nowhere", headers={"Accept": "text/html"})
        assert (missing.status_code, "没有找到" in missing.text) == (404, True)


@pytest.mark.parametrize("path", ["/defect", "/failure"])
async def test_a_failure_of_ours_says_nothing_of_anybody(path: str) -> None:
    log, before = io.StringIO(), sys.stderr
    sys.stderr = log
    try:
        configure_logging("test")
        async with client_of() as client:
            answer = await client.get(path)
    finally:
        sys.stderr = before
        configure_logging("test", "error")
    assert answer.status_code == 500
    assert answer.json()["correlation_id"] in log.getvalue()
    assert "traceback" in log.getvalue()
    for text in (answer.text, log.getvalue()):
        assert NAME not in text
    assert "Traceback" not in answer.text
    assert answer.json()["data"] == {}


async def test_unknown_paths_and_methods_look_like_every_other_error() -> None:
    async with client_of() as client:
        missing, wrong = await client.get("/nowhere"), await client.put("/open")
    assert (missing.status_code, missing.json()["code"]) == (404, "http.not_found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "http.method_not_allowed")
    assert "GET" in wrong.headers["allow"]


# Bounds -----------------------------------------------------------------------------------------------------------


async def test_bodies_are_bounded_with_and_without_a_declared_length() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"12345"

    async with client_of() as client:
        assert (await client.post("/echo", content=b"1" * 10)).json() == {"size": 10}
        for content in (b"1" * 11, b"1" * 21, pieces()):
            answer = await client.post("/echo", content=content)
            assert (answer.status_code, answer.json()["code"]) == (413, "http.too_large")


async def test_a_handler_that_takes_too_long_is_ended() -> None:
    async with client_of() as client:
        answer = await client.get("/never")
    assert (answer.status_code, answer.json()["code"], answer.json()["retryable"]) == (503, "http.timeout", True)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b'"text"'])
async def test_what_is_no_json_object_is_told_so(content: bytes) -> None:
    async with client_of() as client:
        answer = await client.post("/json", content=content)
    assert (answer.status_code, answer.json()["code"]) == (400, "http.bad_request")


# Other sites ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"origin": "http://hospital.test"}, True),
        ({"origin": "https://pub.test"}, True),
        ({"origin": "https://evil.test"}, False),
        ({"origin": "null"}, False),
        ({"origin": "null", "sec-fetch-site": "same-origin"}, True),
        ({"origin": "http://hospital.test", "sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "none"}, True),
        ({"origin": "http://hospital.test.evil.test"}, False),
        ({"origin": "file://"}, False),
    ],
)
def test_same_origin(headers: dict[str, str], allowed: bool) -> None:
    raw = [(name.encode(), value.encode()) for name, value in {"host": "hospital.test", **headers}.items()]
    assert same_origin(HTTPConnection({"type": "http", "headers": raw}), "https://pub.test") is allowed


async def test_another_site_cannot_use_the_session_nor_log_in() -> None:
    evil = {"Origin": "https://evil.test"}
    for principal in (USER, ANONYMOUS):
        async with client_of(principal) as client:
            refused = await client.post("/open", headers=evil)
            assert (refused.status_code, refused.json()["code"]) == (403, "http.cross_site")
            assert (await client.get("/open", headers=evil)).status_code == 200, "reading is the browser's business"
            assert (await client.post("/form", headers={"Origin": "null"})).status_code == 200
    async with client_of(Principal("token", 1, "token:x", frozenset({"study.view"}))) as client:
        assert (await client.post("/closed", headers=evil)).status_code == 200, "a Bearer token is no cookie"


@pytest.mark.parametrize(
    ("principal", "headers", "close_code", "reason"),
    [
        (ANONYMOUS, {}, 4401, "identity.session_over"),
        (Principal("user", 1, "user:1"), {}, 4403, "identity.forbidden"),
        (USER, {"origin": "https://evil.test"}, 4403, "http.cross_site"),
        (USER, {}, 4500, "app.internal"),
    ],
)
async def test_sockets_close_with_a_code(
    principal: Principal, headers: dict[str, str], close_code: int, reason: str
) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in {"host": "hospital.test", **headers}.items()]
    scope = {"type": "websocket", "path": "/socket", "raw_path": b"/socket", "query_string": b"", "headers": raw}
    await small_app(principal)({**scope, "subprotocols": [], "scheme": "ws", "root_path": ""}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.close"]
    assert (sent[-1]["code"], sent[-1]["reason"]) == (close_code, reason)


# Headers ----------------------------------------------------------------------------------------------------------


async def test_every_answer_carries_the_security_headers() -> None:
    async with client_of() as client:
        for path in ("/open", "/nowhere", "/defect"):
            headers = (await client.get(path)).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "strict-transport-security" not in headers


async def test_over_tls_the_browser_is_told_to_stay_there() -> None:
    transport = httpx.ASGITransport(Frame(small_app()._app, secure=True))
    async with httpx.AsyncClient(transport=transport, base_url="https://hospital.test") as client:
        assert (await client.get("/open")).headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize("given", ["short", "a" * 65, "bad id!", "name=王", ""])
async def test_a_malformed_correlation_id_is_replaced(given: str) -> None:
    async with client_of() as client:
        answer = await client.get("/open", headers=[(b"x-correlation-id", given.encode())])
    assert answer.headers["x-correlation-id"] != given
    assert len(answer.headers["x-correlation-id"]) == 16
