"""The pictures of one socket: its viewports and tiles, each picture made, audited and sent."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Hashable
from typing import Any, Protocol

import orjson

from app.identity.models import Principal
from app.rendering.client import RenderedPicture
from app.rendering.errors import SupersededError
from app.services import Services
from app.viewing.cuts import changed, told, with_kept_cuts
from app.viewing.errors import StreamError
from app.viewing.flow import PREVIEW, TileViewport, Viewport, WantedTile, WantedView
from app.viewing.link import Door, Link
from app.viewing.preview import PreviewCoder
from app.viewing.views import look_of, parse_qualities, parse_tiles, parse_view, tile_view
from app.viewing.volume_views import (
    check_volume_view,
    is_volume_view,
    picked,
    values_told,
    volume_header,
    volume_picture,
)
from dicomnet.archive.query import SeriesRow
from render.cuts import CutHistory
from render.request import StackView

_MOST_VIEWPORTS = 16
_FAST_BYTES_PER_S = 2_000_000  # above, the fewer bytes of WebP are not worth its milliseconds
_LENGTH = struct.Struct(">I")


class Socket(Protocol):
    """What pictures need of their session."""

    async def send(self, data: str | bytes) -> None:
        """One message."""
        ...

    async def send_error(self, error: Exception, viewport: Any, generation: Any, kind: Any) -> None:
        """Rule 10."""
        ...

    def fail(self, error: BaseException) -> None:
        """The session ends with this error."""
        ...


class Pictures:
    """Views and tiles that were asked for, let out by one door."""

    def __init__(self, services: Services, principal: Principal, viewer: str, link: Link, socket: Socket) -> None:
        self.webp = False
        self.door = Door(link)
        self._services = services
        self._principal = principal
        self._viewer = viewer
        self._link = link
        self._socket = socket
        self._viewports: dict[str, Viewport] = {}
        self._coders: dict[str, PreviewCoder] = {}
        self._tiles: dict[str, TileViewport] = {}
        self._cuts: dict[str, CutHistory] = {}
        self._audited: set[tuple[int, str]] = set()

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """What runs until the session ends."""
        views = [viewport.task for viewport in self._viewports.values()]
        return views + [task for tiles in self._tiles.values() for task in tiles.tasks]

    def want_view(
        self, series: SeriesRow, generation: int, frame: int, fields: dict[str, Any], overlay: SeriesRow | None = None
    ) -> None:
        """Rules 5, 6, 20 and 24. ``overlay``: of rule 26. Raises BadRequestError, InvalidViewError, StreamError."""
        name = str(fields.get("viewport", "0"))[:32]
        fields = with_kept_cuts(fields, self._cuts.get(name, CutHistory()))
        view = WantedView(name, generation, series, frame, fields, parse_qualities(fields), overlay)
        if is_volume_view(fields):
            check_volume_view(fields)
        else:
            parse_view(fields, quality="preview", webp=self.webp)
        if name not in self._viewports:
            self._check_viewports()
            self._coders[name] = PreviewCoder()
            self._viewports[name] = Viewport(self.door, self.answer, self._socket.fail)
        self._viewports[name].want(view)

    def cut(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Rule 27; the answer. Raises BadRequestError, InvalidViewError, StreamError."""
        name = str(fields.get("viewport", "0"))[:32]
        if name not in self._cuts and len(self._cuts) >= _MOST_VIEWPORTS:
            raise StreamError(what="viewports")
        self._cuts[name] = changed(self._cuts.get(name, CutHistory()), fields)
        return told(name, self._cuts[name])

    async def pick(self, series: SeriesRow, fields: dict[str, Any], overlay: SeriesRow | None = None) -> dict[str, Any]:
        """Rule 28; the answer. Raises BadRequestError and what the render process answers instead."""
        name = str(fields.get("viewport", "0"))[:32]
        wish = with_kept_cuts({**fields, "kind": "volume"}, self._cuts.get(name, CutHistory()))
        check_volume_view(wish)
        place = await picked(self._services.render, wish, self._principal.institution_id, series, overlay)
        await self._audit(series, "pick")
        if overlay is not None:
            await self._audit(overlay, "pick")
        return {"t": "picked", "viewport": name, "generation": fields.get("generation"), "place": place}

    async def values(self, series: SeriesRow, fields: dict[str, Any]) -> dict[str, Any]:
        """Rule 29; the answer. Raises BadRequestError and what the render process answers instead."""
        told = await values_told(self._services.render, fields, self._principal.institution_id, series)
        await self._audit(series, "histogram")
        return told

    def want_tiles(self, series: SeriesRow, generation: int, frame: int, fields: dict[str, Any]) -> None:
        """Rule 21. Raises BadRequestError, InvalidViewError, StreamError."""
        name = str(fields.get("viewport", "0"))[:32]
        level, size, addresses = parse_tiles(fields)
        tile_view(fields, level, size, 0, 0, webp=False)
        look = (series.series_key, series.version, frame, look_of(fields), level, size)
        common = (name, generation, series, frame, fields, level, size)
        wanted = [WantedTile(*common, column, row, (*look, column, row)) for column, row in addresses]
        if name not in self._tiles:
            self._check_viewports()
            self._tiles[name] = TileViewport(self.door, self.answer_tile, self._socket.fail)
        self._tiles[name].want(generation, wanted)

    def _check_viewports(self) -> None:
        if len(self._viewports) + len(self._tiles) >= _MOST_VIEWPORTS:
            raise StreamError(what="viewports")

    def forget(self, name: str) -> None:
        """Rule 9."""
        if (viewport := self._viewports.get(name)) is not None:
            viewport.forget()
        if (tiles := self._tiles.get(name)) is not None:
            tiles.forget()

    def close(self) -> None:
        """The session ended and its tasks are done: they, their viewports and this hold each other no longer."""
        for tiles in self._tiles.values():
            tiles.tasks.clear()
        self._viewports.clear()
        self._tiles.clear()

    async def answer(self, wanted: WantedView, quality: str) -> int:
        """Render, audit, send; the bytes sent, 0 when it was told as an error or something newer is there."""
        try:
            picture, own = await self._view_picture(wanted, quality)
        except SupersededError:
            return 0
        except Exception as error:
            await self._socket.send_error(error, wanted.viewport, wanted.generation, "view")
            return 0
        viewport = self._viewports[wanted.viewport]
        if viewport.is_overtaken(wanted):
            return 0
        viewport.sends(wanted)
        urgent = quality == "preview" and wanted.rank == PREVIEW
        return await self._send_picture(wanted, picture, own, urgent=urgent)

    async def _view_picture(self, wanted: WantedView, quality: str) -> tuple[RenderedPicture, dict[str, Any]]:
        """(picture, header fields of its kind)."""
        if is_volume_view(wanted.fields):
            picture = await volume_picture(
                self._services.render,
                wanted.fields,
                institution_id=self._principal.institution_id,
                series_key=wanted.series.series_key,
                version=wanted.series.version,
                overlay=wanted.overlay,
                quality=quality,
                webp=self.webp,
                viewer=self._viewer,
                viewport=wanted.viewport,
                generation=wanted.generation,
            )
            await self._audit(wanted.series, quality)
            if wanted.overlay is not None:
                await self._audit(wanted.overlay, quality)
            return picture, volume_header(wanted.fields, picture)
        asked, coding = parse_view(wanted.fields, quality=quality, webp=self.webp)
        if quality != "preview":
            return await self._render(wanted, asked, coding, wanted.viewport), {}
        coder = self._coders[wanted.viewport]
        view, coding, step = coder.choose(asked, self._link.preview_budget, self._link.bandwidth, webp=self.webp)
        picture = await self._render(wanted, view, coding, wanted.viewport)
        coder.learn(asked, step, picture.media_type, len(picture.data))
        return picture, {}

    async def answer_tile(self, wanted: WantedTile) -> int:
        """Rule 21; the bytes sent."""
        tiles = self._tiles[wanted.viewport]
        place = {"level": wanted.level, "size": wanted.size, "tile": [wanted.column, wanted.row]}
        try:
            webp = self.webp and (self._link.bandwidth or 0) < _FAST_BYTES_PER_S
            view, coding = tile_view(wanted.fields, wanted.level, wanted.size, wanted.column, wanted.row, webp=webp)
            own = f"{wanted.viewport}/{wanted.level}/{wanted.column}/{wanted.row}"  # tiles do not replace each other
            picture = await self._render(wanted, view, coding, own)
        except SupersededError:
            return 0
        except Exception as error:
            tiles.forget()
            await self._socket.send_error(error, wanted.viewport, wanted.generation, "tiles")
            return 0
        if not tiles.is_wanted(wanted):
            return 0
        return await self._send_picture(wanted, picture, place, name=wanted.name)

    async def _render(
        self, wanted: WantedView | WantedTile, view: StackView, coding: dict[str, Any], viewport: str
    ) -> RenderedPicture:
        picture = await self._services.render.picture(
            self._principal.institution_id,
            wanted.series.series_key,
            wanted.frame,
            view,
            version=wanted.series.version,
            coding=coding,
            viewer=self._viewer,
            viewport=viewport,
            generation=wanted.generation,
        )
        await self._audit(wanted.series, view.quality)
        return picture

    async def _send_picture(
        self,
        wanted: WantedView | WantedTile,
        picture: RenderedPicture,
        place: dict[str, Any],
        *,
        urgent: bool = False,
        name: Hashable = None,
    ) -> int:
        header = {
            "viewport": wanted.viewport,
            "generation": wanted.generation,
            "series": wanted.series.series_key,
            "frame": wanted.frame,
            "media_type": picture.media_type,
            **{name: picture.meta[name] for name in _PICTURE_FIELDS if name in picture.meta},
            **place,
        }
        text = orjson.dumps(header)
        message = _LENGTH.pack(len(text)) + text + picture.data
        self._link.spend(len(message), name, urgent=urgent)
        await self._socket.send(message)
        return len(message)

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
