"""The stream: views up, pictures down, by the numbered rules of docs/stream-protocol.md."""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from app.bus import GAP
from app.errors import AppError, ForbiddenError, describe_error
from app.http import describe_any
from app.identity.models import Principal
from app.limits import RateLimit
from app.logging import correlation_id, get_logger
from app.rendering.errors import SupersededError
from app.services import Services
from app.viewing.errors import StreamError, StreamIdleError, StreamRateError, StudyNotFoundError
from app.viewing.flow import Credit, Viewport, WantedView
from app.viewing.studies import describe, manifest_of, open_study
from app.viewing.views import parse_view
from dicomnet.archive.query import SeriesRow

VERSION = 1
LARGEST_MESSAGE = 8192
IDLE_S = 600.0
SEND_S = 20.0
_SMALLEST_WINDOW, _LARGEST_WINDOW, _USUAL_WINDOW = 32 << 10, 4 << 20, 256 << 10
_MOST_VIEWPORTS, _MOST_STUDIES, _MOST_AT_ONCE = 16, 8, 8
_LOOK_AGAIN_S = 20.0
_LENGTH = struct.Struct(">I")


class Session:
    """One socket from hello to close."""

    def __init__(self, socket: WebSocket, services: Services, principal: Principal) -> None:
        self._socket = socket
        self._services = services
        self._principal = principal
        self._viewer = secrets.token_hex(8)
        self._webp = False
        self._series: dict[int, SeriesRow] = {}
        self._viewports: dict[str, Viewport] = {}
        self._audited: set[tuple[int, str]] = set()
        self._sending = asyncio.Lock()
        self._rate = RateLimit(burst=600, per_s=200)
        self._tasks: set[asyncio.Task[None]] = set()
        self._following: set[int] = set()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.credit = Credit(_USUAL_WINDOW)

    # Life -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Read until the socket ends, is closed by a rule, or its right is gone."""
        topics = (f"share:{self._principal.share_key}:ended", f"session:{self._principal.session_sha256.hex()}:ended")
        async with self._services.bus.subscribe(*topics) as ended:
            reading = asyncio.create_task(self._read())
            watching = asyncio.create_task(self._watch(ended))
            done, _ = await asyncio.wait({reading, watching, self._failure}, return_when=asyncio.FIRST_COMPLETED)
            running = (reading, watching, *(viewport.task for viewport in self._viewports.values()), *self._tasks)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        error = next((task.exception() for task in done if not task.cancelled() and task.exception()), None)
        self._failure.cancel()
        await self._close(error)
        with suppress(AppError):
            await self._services.render.cancel(self._viewer)

    def _fail(self, error: BaseException) -> None:
        """A task of the session broke: the session ends with its error."""
        if not self._failure.done():
            self._failure.set_exception(error)

    async def _spawn(self, handler: Any, fields: dict[str, Any]) -> None:
        """Run a slow message beside the reading, so that views and pings go on; a few at once."""
        while len(self._tasks) >= _MOST_AT_ONCE + len(self._following):
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        self._keep(self._guarded(handler, fields))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)

        def ended(done: asyncio.Task[None]) -> None:
            self._tasks.discard(done)
            error = None if done.cancelled() else done.exception()
            if error is not None:
                self._fail(error)

        task.add_done_callback(ended)

    async def _close(self, error: BaseException | None) -> None:
        if error is None:
            return
        if isinstance(error, WebSocketDisconnect):
            # Lost, or not reading (rule 18): nothing more can be said to it.
            with suppress(Exception):
                await asyncio.wait_for(self._socket.close(1011), 1)
            return
        described = describe_any(error, "/api/stream")
        if self._socket.application_state is WebSocketState.CONNECTED:
            with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
                await asyncio.wait_for(self._socket.close(described.statuses.websocket, described.code), 2)

    async def _watch(self, ended: asyncio.Queue[str]) -> None:
        """Rule 15: told at once by the bus, looked up when the right ends by itself, after a gap and every 20 s."""
        ends_at = await self._services.identity.ends_at(self._principal)
        while True:
            left_s = _LOOK_AGAIN_S if ends_at is None else (ends_at - datetime.now(UTC)).total_seconds() + 0.05
            topic = GAP
            with suppress(TimeoutError):
                topic = await asyncio.wait_for(ended.get(), max(0.05, min(_LOOK_AGAIN_S, left_s)))
            if topic != GAP or not await self._still_permitted():
                raise ForbiddenError

    async def _still_permitted(self) -> bool:
        principal = await self._services.identity.identify(self._socket)
        return principal.kind == self._principal.kind and principal.subject == self._principal.subject

    async def _read(self) -> None:
        first = True
        while True:
            try:
                message = await asyncio.wait_for(self._socket.receive(), IDLE_S)
            except TimeoutError:
                raise StreamIdleError from None
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            if self._rate.allow(""):
                raise StreamRateError
            fields = _parse(message)
            if first != (fields.get("t") == "hello"):
                raise StreamError(what="hello")
            first = False
            await self._handle(fields)

    async def _handle(self, fields: dict[str, Any]) -> None:
        match fields.get("t"):
            case "hello":
                await self._hello(fields)
            case "open":
                await self._guarded(self._open, fields)
            case "manifest":
                await self._spawn(self._manifest, fields)
            case "view":
                await self._guarded(self._view, fields)
            case "credit":
                self.credit.grant(_whole(fields, "bytes"))
            case "cancel":
                if (viewport := self._viewports.get(str(fields.get("viewport")))) is not None:
                    viewport.forget()
            case "prefetch":
                await self._spawn(self._prefetch, fields)
            case "ping":
                await self._send_text({"t": "pong", "at": fields.get("at")})
            case _:
                raise StreamError(what="kind")

    async def _guarded(self, handler: Any, fields: dict[str, Any]) -> None:
        """Rule 10: an error of one message is told, the socket goes on; protocol errors pass."""
        try:
            await handler(fields)
        except StreamError:
            raise
        except Exception as error:
            await self._send_error(error, fields.get("viewport"), fields.get("generation"), fields.get("t"))

    # Messages ---------------------------------------------------------------------------------------------------

    async def _hello(self, fields: dict[str, Any]) -> None:
        if fields.get("v") != VERSION:
            raise StreamError(what="version")
        window = fields.get("window", _USUAL_WINDOW)
        if not isinstance(window, int) or isinstance(window, bool):
            raise StreamError(what="window")
        self.credit.window = min(max(window, _SMALLEST_WINDOW), _LARGEST_WINDOW)
        self._webp = fields.get("webp") is True
        await self._send_text({"t": "hello", "v": VERSION, "window": self.credit.window})

    async def _open(self, fields: dict[str, Any]) -> None:
        study_key = _whole(fields, "study")
        rows = await open_study(self._services, self._principal, study_key)
        await self._services.audit.record(
            self._principal.institution_id,
            self._principal.subject,
            "study.open",
            study_key=study_key,
            details={"session": self._viewer},
        )
        self._series.update({row.series_key: row for row in rows})
        if study_key not in self._following and len(self._following) < _MOST_STUDIES:
            self._following.add(study_key)
            self._keep(self._follow(study_key))
        series = [describe(row, hide_identity=self._principal.hide_identity) for row in rows]
        await self._send_text({"t": "opened", "study": study_key, "series": series})

    async def _follow(self, study_key: int) -> None:
        """Rule 19."""
        async with self._services.bus.subscribe(f"study:{study_key}:changed") as changed:
            while True:
                await changed.get()
                await self._send_text({"t": "changed", "study": study_key})

    def _opened(self, fields: dict[str, Any]) -> SeriesRow:
        series = self._series.get(_whole(fields, "series"))
        if series is None:
            raise StudyNotFoundError
        return series

    async def _manifest(self, fields: dict[str, Any]) -> None:
        series = self._opened(fields)
        manifest = await manifest_of(self._services, self._principal, series)
        await self._send_text({"t": "manifest", "manifest": manifest})

    async def _view(self, fields: dict[str, Any]) -> None:
        name, generation = str(fields.get("viewport", "0"))[:32], _whole(fields, "generation")
        series = self._opened(fields)
        view = WantedView(name, generation, series, _whole(fields, "frame"), fields)
        parse_view(fields, quality="preview", webp=self._webp)
        if name not in self._viewports:
            if len(self._viewports) >= _MOST_VIEWPORTS:
                raise StreamError(what="viewports")
            self._viewports[name] = Viewport(self.credit, self.answer, self._fail)
        self._viewports[name].want(view)

    async def _prefetch(self, fields: dict[str, Any]) -> None:
        frames = fields.get("frames")
        if not isinstance(frames, list) or len(frames) > 512 or not all(isinstance(f, int) for f in frames):
            raise StreamError(what="frames")
        series = self._opened(fields)
        await self._services.render.prefetch(
            self._principal.institution_id, series.series_key, frames, self._viewer, series.version
        )

    # Pictures ---------------------------------------------------------------------------------------------------

    async def answer(self, wanted: WantedView, quality: str) -> bool:
        """Render, audit, send; False when it was told as an error."""
        try:
            view, coding = parse_view(wanted.fields, quality=quality, webp=self._webp)
            picture = await self._services.render.picture(
                self._principal.institution_id,
                wanted.series.series_key,
                wanted.frame,
                view,
                version=wanted.series.version,
                coding=coding,
                viewer=self._viewer,
                viewport=wanted.viewport,
                generation=wanted.generation,
            )
            await self._audit(wanted.series, quality)
        except SupersededError:
            return False
        except Exception as error:
            await self._send_error(error, wanted.viewport, wanted.generation, "view")
            return False
        header = {
            "viewport": wanted.viewport,
            "generation": wanted.generation,
            "series": wanted.series.series_key,
            "frame": wanted.frame,
            "media_type": picture.media_type,
            **{name: picture.meta[name] for name in _PICTURE_FIELDS},
        }
        text = orjson.dumps(header)
        message = _LENGTH.pack(len(text)) + text + picture.data
        self.credit.spend(len(message))
        await self._send(message)
        return True

    async def _audit(self, series: SeriesRow, quality: str) -> None:
        """Rule 17."""
        key = (series.series_key, quality)
        if key in self._audited:
            return
        await self._services.audit.record(
            self._principal.institution_id,
            self._principal.subject,
            "series.view",
            study_key=series.study_key,
            series_key=series.series_key,
            quality=quality,
            frame_count=series.frame_count,
            details={"session": self._viewer},
        )
        self._audited.add(key)

    async def _send_error(self, error: Exception, viewport: Any, generation: Any, kind: Any) -> None:
        described = describe_error(error)
        if described is None or described.statuses.http >= 500:
            described = describe_any(error, "/api/stream")
        await self._send_text(
            {
                "t": "error",
                "of": kind,
                "viewport": viewport,
                "generation": generation,
                "code": described.code,
                "message": dict(described.message),
                "retryable": described.retryable,
                "correlation_id": correlation_id.get(),
            }
        )

    async def _send_text(self, value: dict[str, Any]) -> None:
        await self._send(orjson.dumps(value).decode())

    async def _send(self, data: str | bytes) -> None:
        """Rule 18."""
        async with self._sending:
            try:
                if isinstance(data, str):
                    await asyncio.wait_for(self._socket.send_text(data), SEND_S)
                else:
                    await asyncio.wait_for(self._socket.send_bytes(data), SEND_S)
            except (TimeoutError, RuntimeError) as error:
                raise WebSocketDisconnect(1006) from error


_PICTURE_FIELDS = (
    "version",
    "quality",
    "width",
    "height",
    "window_center",
    "window_width",
    "voi",
    "backend",
    "source_rect",
    "render_ms",
    "encode_ms",
)


def _parse(message: Any) -> dict[str, Any]:
    """Rule 12. Raises StreamError."""
    text = message.get("text")
    if not isinstance(text, str) or len(text) > LARGEST_MESSAGE:
        raise StreamError(what="message")
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise StreamError(what="JSON") from None
    if not isinstance(fields, dict):
        raise StreamError(what="object")
    return fields


def _whole(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**53) < value < 2**53:
        raise StreamError(what=name)
    return value


async def stream(socket: WebSocket, services: Services, principal: Principal) -> None:
    """The endpoint."""
    await socket.accept()
    get_logger().info("stream.opened", subject=principal.subject)
    await Session(socket, services, principal).run()
