"""The frame around every request: correlation id, security headers, access log without tokens, loop lag."""

from __future__ import annotations

import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.logging import accepted_correlation_id, correlation_id, get_logger, redact

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; worker-src 'self'"
)


class Frame:
    """Pure ASGI, so that streams and sockets pass unbuffered."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        self._fixed = [
            ("content-security-policy", CONTENT_SECURITY_POLICY),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ]
        if secure:
            self._fixed.append(("strict-transport-security", "max-age=31536000"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the id for the whole request, add headers to its answer, log it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        identifier = accepted_correlation_id(Headers(scope=scope).get("x-correlation-id"))
        token = correlation_id.set(identifier)
        started, status = time.perf_counter(), 0

        async def framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                headers = MutableHeaders(raw=message["headers"])
                for name, value in self._fixed:
                    headers.setdefault(name, value)
                headers["x-correlation-id"] = identifier
            await send(message)

        try:
            await self._app(scope, receive, framed)
        finally:
            if scope["type"] == "http":
                get_logger().info(
                    "http.request",
                    method=scope["method"],
                    path=redact(scope["path"]),
                    status=status,
                    ms=round((time.perf_counter() - started) * 1000, 1),
                )
            correlation_id.reset(token)
