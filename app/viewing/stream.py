"""The stream: views up, pictures down, by the numbered rules of docs/stream-protocol.md."""

from __future__ import annotations

import asyncio
import secrets
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
from app.services import Services
from app.viewing.errors import StreamError, StreamIdleError, StreamRateError, StudyNotFoundError
from app.viewing.fusion_views import check_one_patient
from app.viewing.link import Link
from app.viewing.pictures import Pictures
from app.viewing.studies import describe, manifest_of, open_study
from app.viewing.volume_views import is_volume_view
from dicomnet.archive.query import SeriesRow

VERSION = 1
LARGEST_MESSAGE = 8192
IDLE_S = 600.0
SEND_S = 20.0
_SMALLEST_WINDOW, _LARGEST_WINDOW, _USUAL_WINDOW = 32 << 10, 4 << 20, 256 << 10
_MOST_STUDIES, _MOST_AT_ONCE = 8, 8
_LOOK_AGAIN_S = 20.0


class Session:
    """One socket from hello to close."""

    def __init__(self, socket: WebSocket, services: Services, principal: Principal) -> None:
        self._socket = socket
        self._services = services
        self._principal = principal
        self._viewer = secrets.token_hex(8)
        self._series: dict[int, SeriesRow] = {}
        self._sending = asyncio.Lock()
        self._rate = RateLimit(burst=600, per_s=200)
        self._tasks: set[asyncio.Task[None]] = set()
        self._following: set[int] = set()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.link = Link(_USUAL_WINDOW)
        self.pictures = Pictures(services, principal, self._viewer, self.link, self)

    # Life -------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Read until the socket ends, is closed by a rule, or its right is gone."""
        topics = (f"share:{self._principal.share_key}:ended", f"session:{self._principal.session_sha256.hex()}:ended")
        async with self._services.bus.subscribe(*topics) as ended:
            reading = asyncio.create_task(self._read())
            watching = asyncio.create_task(self._watch(ended))
            done, _ = await asyncio.wait({reading, watching, self._failure}, return_when=asyncio.FIRST_COMPLETED)
            running = (reading, watching, *self.pictures.tasks, *self._tasks)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            self.pictures.close()
        error = next((task.exception() for task in done if not task.cancelled() and task.exception()), None)
        self._failure.cancel()
        await self._close(error)
        with suppress(AppError):
            await self._services.render.cancel(self._viewer)

    def fail(self, error: BaseException) -> None:
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
                self.fail(error)

        task.add_done_callback(ended)

    async def _close(self, error: BaseException | None) -> None:
        if error is None:
            return
        if isinstance(error, WebSocketDisconnect):
            # Lost, or not reading (rule 18): nothing more can be said to it.
            with suppress(Exception):
                async with asyncio.timeout(1):
                    await self._socket.close(1011)
            return
        described = describe_any(error, "/api/stream")
        if self._socket.application_state is WebSocketState.CONNECTED:
            with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
                async with asyncio.timeout(2):
                    await self._socket.close(described.statuses.websocket, described.code)

    async def _watch(self, ended: asyncio.Queue[str]) -> None:
        """Rule 15: told at once by the bus, looked up when the right ends by itself, after a gap and every 20 s."""
        ends_at = await self._services.identity.ends_at(self._principal)
        while True:
            left_s = _LOOK_AGAIN_S if ends_at is None else (ends_at - datetime.now(UTC)).total_seconds() + 0.05
            topic = GAP
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.05, min(_LOOK_AGAIN_S, left_s))):
                    topic = await ended.get()
            if topic != GAP or not await self._still_permitted():
                raise ForbiddenError

    async def _still_permitted(self) -> bool:
        principal = await self._services.identity.identify(self._socket)
        return principal.kind == self._principal.kind and principal.subject == self._principal.subject

    async def _read(self) -> None:
        first = True
        while True:
            try:
                async with asyncio.timeout(IDLE_S):
                    message = await self._socket.receive()
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
                self.link.acknowledge(_whole(fields, "bytes"))
                self.pictures.door.look()
            case "tiles":
                await self._guarded(self._want_tiles, fields)
            case "pick":
                await self._spawn(self._pick, fields)
            case "histogram":
                await self._spawn(self._histogram, fields)
            case "stacks":
                await self._spawn(self._stacks, fields)
            case "cuts":
                await self._guarded(self._cut, fields)
            case "cancel":
                self.pictures.forget(str(fields.get("viewport")))
            case "prefetch":
                await self._spawn(self._prefetch, fields)
            case "ping":
                await self._ping(fields)
            case _:
                raise StreamError(what="kind")

    async def _guarded(self, handler: Any, fields: dict[str, Any]) -> None:
        """Rule 10: an error of one message is told, the socket goes on; protocol errors pass."""
        try:
            await handler(fields)
        except StreamError:
            raise
        except Exception as error:
            await self.send_error(error, fields.get("viewport"), fields.get("generation"), fields.get("t"))

    # Messages ---------------------------------------------------------------------------------------------------

    async def _hello(self, fields: dict[str, Any]) -> None:
        if fields.get("v") != VERSION:
            raise StreamError(what="version")
        window = fields.get("window", _USUAL_WINDOW)
        if not isinstance(window, int) or isinstance(window, bool):
            raise StreamError(what="window")
        self.link.granted = min(max(window, _SMALLEST_WINDOW), _LARGEST_WINDOW)
        self.pictures.webp = fields.get("webp") is True
        await self._send_text({"t": "hello", "v": VERSION, "window": self.link.granted})

    async def _ping(self, fields: dict[str, Any]) -> None:
        """Rules 14 and 22."""
        told = fields.get("rtt_ms")
        if isinstance(told, int | float) and not isinstance(told, bool):
            self.link.tell_round_trip(told / 1000)
        await self._send_text({"t": "pong", "at": fields.get("at"), "way": _way(self.link)})

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
        """Rules 19 and 32."""
        marked = f"study:{study_key}:key_images"
        async with self._services.bus.subscribe(f"study:{study_key}:changed", marked) as changed:
            while True:
                kind = "key_images" if await changed.get() == marked else "changed"
                await self._send_text({"t": kind, "study": study_key})

    def _opened(self, fields: dict[str, Any], name: str = "series") -> SeriesRow:
        series = self._series.get(_whole(fields, name))
        if series is None:
            raise StudyNotFoundError
        return series

    async def _manifest(self, fields: dict[str, Any]) -> None:
        series = self._opened(fields)
        manifest = await manifest_of(self._services, self._principal, series)
        await self._send_text({"t": "manifest", "manifest": manifest})

    async def _view(self, fields: dict[str, Any]) -> None:
        frame = 0 if is_volume_view(fields) else _whole(fields, "frame")
        series = self._opened(fields)
        overlay = await self._overlay(series, fields, str(fields.get("kind")))
        self.pictures.want_view(series, _whole(fields, "generation"), frame, fields, overlay)

    async def _overlay(self, series: SeriesRow, fields: dict[str, Any], kind: str) -> SeriesRow | None:
        """The second series of a fusion (rule 26) or of a rendering that has one (rule 31)."""
        if kind != "fusion" and (kind != "volume" or fields.get("overlay") is None):
            return None
        overlay = self._opened(fields, "overlay")
        await check_one_patient(self._services, self._principal.institution_id, series, overlay)
        return overlay

    async def _want_tiles(self, fields: dict[str, Any]) -> None:
        self.pictures.want_tiles(self._opened(fields), _whole(fields, "generation"), _whole(fields, "frame"), fields)

    async def _cut(self, fields: dict[str, Any]) -> None:
        """Rule 27."""
        await self._send_text(self.pictures.cut(fields))

    async def _pick(self, fields: dict[str, Any]) -> None:
        """Rule 28."""
        series = self._opened(fields)
        overlay = await self._overlay(series, fields, "volume")
        await self._send_text(await self.pictures.pick(series, fields, overlay))

    async def _histogram(self, fields: dict[str, Any]) -> None:
        """Rule 29."""
        await self._send_text(await self.pictures.values(self._opened(fields), fields))

    async def _stacks(self, fields: dict[str, Any]) -> None:
        """Rule 30."""
        series = self._opened(fields)
        told = await self._services.render.stacks(self._principal.institution_id, series.series_key, series.version)
        await self._send_text({"t": "stacks", "series": series.series_key, **told})

    async def _prefetch(self, fields: dict[str, Any]) -> None:
        frames = fields.get("frames")
        if not isinstance(frames, list) or len(frames) > 512 or not all(isinstance(f, int) for f in frames):
            raise StreamError(what="frames")
        series = self._opened(fields)
        await self._services.render.prefetch(
            self._principal.institution_id, series.series_key, frames, self._viewer, series.version
        )

    async def send_error(self, error: Exception, viewport: Any, generation: Any, kind: Any) -> None:
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
                "data": dict(described.data),
                "retryable": described.retryable,
                "correlation_id": correlation_id.get(),
            }
        )

    async def _send_text(self, value: dict[str, Any]) -> None:
        await self.send(orjson.dumps(value).decode())

    async def send(self, data: str | bytes) -> None:
        """Rule 18."""
        async with self._sending:
            try:
                async with asyncio.timeout(SEND_S):
                    if isinstance(data, str):
                        await self._socket.send_text(data)
                    else:
                        await self._socket.send_bytes(data)
            except (TimeoutError, RuntimeError) as error:
                raise WebSocketDisconnect(1006) from error


def _way(link: Link) -> dict[str, Any]:
    """What is known of the way (rule 22)."""
    return {
        "round_trip_ms": round(link.round_trip_s * 1000, 1) if link.round_trip_s else None,
        "bytes_per_s": round(link.bandwidth) if link.bandwidth else None,
        "window": link.limit,
        "preview_bytes": link.budget,
    }


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
