"""The render process as others see it: many requests over one socket, reconnecting by itself."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.rendering import wire
from app.rendering.errors import RemoteError, RenderTimeoutError, RenderUnavailableError, SupersededError
from render.request import StackView
from render.surface import SurfaceRequest

_RECONNECT_FOR_S = 8.0
_MOST_LOST = 2  # a request that met this many deaths of the process may be their cause


@dataclass(frozen=True, slots=True)
class RenderedPicture:
    """An encoded picture and what the render process says of it."""

    data: bytes
    media_type: str
    meta: dict[str, Any]


class RenderClient:
    """Multiplexed; a request that meets a dead process waits for the new one, within its own time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[tuple[dict[str, Any], bytes]]] = {}
        self._connection: wire.Messages | None = None
        self._connecting = asyncio.Lock()
        self._closed = False

    async def _connect(self) -> wire.Messages:
        connection = self._connection
        if connection is not None and not connection.is_closing:
            return connection
        async with self._connecting:
            if self._closed:
                raise RenderUnavailableError
            if self._connection is not None and not self._connection.is_closing:
                return self._connection
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_unix_connection(
                lambda: wire.Messages(self._received, self._lost), str(self._path)
            )
            self._connection = connection
            return connection

    def _received(self, _connection: wire.Messages, header: dict[str, Any], body: bytes) -> None:
        future = self._waiting.get(header.get("id", 0))
        if future is not None and not future.done():
            future.set_result((header, body))

    def _lost(self, connection: wire.Messages) -> None:
        if self._connection is not connection:
            return
        self._connection = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConnectionResetError("render process"))

    async def ask(self, op: str, timeout_s: float = 20.0, **values: Any) -> tuple[dict[str, Any], bytes]:
        """One request. Raises RenderUnavailableError, RenderTimeoutError, SupersededError, RemoteError."""
        loop = asyncio.get_running_loop()
        deadline = time.monotonic() + timeout_s
        give_up = time.monotonic() + min(timeout_s, _RECONNECT_FOR_S)
        pause_s = 0.05
        lost = 0
        while True:
            number = next(self._numbers)
            future: asyncio.Future[tuple[dict[str, Any], bytes]] = loop.create_future()
            self._waiting[number] = future
            expiry = loop.call_later(max(0.01, deadline - time.monotonic()), _expire, future)
            try:
                connection = await self._connect()
                connection.send({"id": number, "op": op, **values})
                header, body = await future
                break
            except TimeoutError:
                raise RenderTimeoutError(op=op) from None
            except OSError:
                lost += int(future.done())  # sent, then the process went away
                if lost >= _MOST_LOST or time.monotonic() + pause_s > give_up:
                    raise RenderUnavailableError from None
                await asyncio.sleep(pause_s)
                pause_s = min(0.5, pause_s * 2)
            finally:
                expiry.cancel()
                self._waiting.pop(number, None)
        if "error" in header:
            if header["error"] == SupersededError.code:
                raise SupersededError
            raise RemoteError(header["error"], header["message"], header["data"], header["retryable"])
        return header, body

    async def picture(
        self,
        institution_id: int,
        series_key: int,
        frame_index: int,
        view: StackView,
        *,
        instance_key: int = 0,
        version: int = 0,
        coding: dict[str, Any] | None = None,
        viewer: str = "",
        viewport: str = "",
        generation: int = 0,
        behind: bool = False,
        timeout_s: float = 20.0,
    ) -> RenderedPicture:
        """One encoded picture; a newer generation of the same viewport makes this raise SupersededError.

        ``frame_index`` counts in the series' display order, with an ``instance_key`` in that instance.
        ``behind``: nobody waits for it; those of viewers are made before it.
        """
        header, body = await self.ask(
            "picture",
            timeout_s,
            institution_id=institution_id,
            series_key=series_key,
            frame_index=frame_index,
            instance_key=instance_key,
            version=version,
            view=view,
            coding=coding or {},
            viewer=viewer,
            viewport=viewport,
            generation=generation,
            behind=behind,
        )
        return RenderedPicture(body, header["media_type"], header)

    async def volume_picture(
        self,
        op: str,
        institution_id: int,
        series_key: int,
        view: Mapping[str, Any],
        *,
        stack: int = 0,
        version: int = 0,
        coding: dict[str, Any] | None = None,
        viewer: str = "",
        viewport: str = "",
        generation: int = 0,
        overlay: Mapping[str, int] | None = None,
        timeout_s: float = 30.0,
    ) -> RenderedPicture:
        """One encoded picture of a volume. ``op``: 'slab' (``view``: of a SlabView), 'volume' (of a rendering) or
        'fusion' (of a FusionView). ``overlay``: ``series_key``, ``version`` and ``stack`` of the second series of a
        fusion, or of a rendering.

        ``complete`` of its meta tells the share of slices it was made of.
        """
        header, body = await self.ask(
            op,
            timeout_s,
            institution_id=institution_id,
            series_key=series_key,
            stack=stack,
            version=version,
            view=dict(view),
            coding=coding or {},
            viewer=viewer,
            viewport=viewport,
            generation=generation,
            overlay=overlay,
        )
        return RenderedPicture(body, header["media_type"], header)

    async def pick(
        self,
        institution_id: int,
        series_key: int,
        view: Mapping[str, Any],
        column: float,
        row: float,
        *,
        stack: int = 0,
        version: int = 0,
        overlay: Mapping[str, int] | None = None,
    ) -> list[float] | None:
        """Where (LPS, mm) a rendering holds back half of the light at a pixel; None where it never does."""
        header, _ = await self.ask(
            "pick",
            institution_id=institution_id,
            series_key=series_key,
            stack=stack,
            version=version,
            view=dict(view),
            column=column,
            row=row,
            overlay=overlay,
        )
        return header["place"]

    async def stacks(self, institution_id: int, series_key: int, version: int = 0) -> dict[str, Any]:
        """{stacks, count, version}: the volumes that a series has (app/rendering/volume_facts.py)."""
        header, _ = await self.ask("stacks", institution_id=institution_id, series_key=series_key, version=version)
        return {name: header[name] for name in ("stacks", "count", "version")}

    async def histogram(
        self, institution_id: int, series_key: int, *, stack: int = 0, version: int = 0
    ) -> dict[str, Any]:
        """How the values of a series' volume are spread, and the presets in its values."""
        header, _ = await self.ask(
            "histogram", institution_id=institution_id, series_key=series_key, stack=stack, version=version
        )
        return {**header["histogram"], "version": header["version"]}

    async def surface(
        self,
        institution_id: int,
        series_key: int,
        request: SurfaceRequest,
        media_type: str,
        *,
        stack: int = 0,
        version: int = 0,
    ) -> tuple[dict[str, Any], bytes]:
        """({triangles, raw_triangles, halvings, volume_mm3, area_mm2, complete, version}, the file)."""
        return await self.ask(
            "surface",
            140.0,
            institution_id=institution_id,
            series_key=series_key,
            stack=stack,
            version=version,
            request=asdict(request),
            media_type=media_type,
        )

    async def manifest(self, institution_id: int, series_key: int, version: int = 0) -> dict[str, Any]:
        """What a viewer is told of a series (app/rendering/manifest.py)."""
        header, _ = await self.ask("manifest", institution_id=institution_id, series_key=series_key, version=version)
        return header["manifest"]

    async def describe_values(
        self,
        institution_id: int,
        series_key: int,
        first: int,
        count: int,
        version: int = 0,
        *,
        only_prepared: bool = False,
    ) -> dict[str, Any]:
        """The values manifest of some frames (app/rendering/values.py). ``only_prepared``: no frame is decoded for it."""
        header, _ = await self.ask(
            "describe_values",
            60.0,
            institution_id=institution_id,
            series_key=series_key,
            first=first,
            count=count,
            version=version,
            only_prepared=only_prepared,
        )
        return header["values"]

    async def values(
        self, institution_id: int, series_key: int, frame_index: int, coding: str, version: int = 0
    ) -> tuple[dict[str, Any], bytes]:
        """({sha256, coding, version}, bytes) of one frame's exact values."""
        return await self.ask(
            "values",
            60.0,
            institution_id=institution_id,
            series_key=series_key,
            frame_index=frame_index,
            coding=coding,
            version=version,
        )

    async def prefetch(
        self, institution_id: int, series_key: int, frames: list[int], viewer: str, version: int = 0
    ) -> None:
        """Ask for frames to be decoded soon, nearest first."""
        await self.ask(
            "prefetch",
            institution_id=institution_id,
            series_key=series_key,
            frames=frames,
            viewer=viewer,
            version=version,
        )

    async def cancel(self, viewer: str, viewport: str | None = None) -> None:
        """Drop what a viewer still waits for."""
        await self.ask("cancel", 2.0, viewer=viewer, viewport=viewport)

    async def health(self, timeout_s: float = 2.0) -> dict[str, Any]:
        """Backend and memory of the render process."""
        header, _ = await self.ask("health", timeout_s)
        return header

    async def close(self) -> None:
        """Close the connection; what waits raises RenderUnavailableError."""
        self._closed = True
        if self._connection is not None:
            await self._connection.close()


def _expire(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
