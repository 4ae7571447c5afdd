"""The render role: owns decoded frames, answers view requests over a Unix socket with encoded pictures."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from app import locations
from app.errors import describe_error
from app.logging import get_logger
from app.rendering import wire
from app.rendering.errors import OtherFrameOfReferenceError, RenderFailedError, SupersededError
from app.rendering.fusion import fusion_view, make_fusion
from app.rendering.loader import FrameLoader, frame_key
from app.rendering.makers import Makers
from app.rendering.manifest import describe_series
from app.rendering.series import OpenSeries, SeriesCache
from app.rendering.shown import Item, Shown
from app.rendering.slabs import code_pixels, make_slab, slab_view
from app.rendering.surfaces import SurfaceMaker
from app.rendering.values import ValuesSource
from app.rendering.volume_facts import describe_stacks, describe_values
from app.rendering.volume_pictures import make_volume, pick_place
from app.rendering.volumes import ReadyVolume, VolumeLoader, volume_key
from app.settings import Settings
from dicomnet.database import Database
from render.codec import register_plugins
from render.cuda import choice
from render.engine import Engine
from render.frame import Frame
from render.native.pool import CancelledPictureError
from render.raycast import Cancel
from render.request import StackView
from render.scheduler import Scheduler, Ticket
from render.surface import SurfaceRequest

_PREFETCH_AT_ONCE = 2
_WHOLE_VOLUME_S = 10.0
_WHOLE_SURFACE_S = 60.0


@dataclass(slots=True)
class _Job:
    """A picture to make, and who waits."""

    make: Callable[[], tuple[dict[str, Any], bytes]]
    done: asyncio.Future[tuple[dict[str, Any], bytes]]


class RenderProcess:
    """Serves any number of connections; pictures are made by ``threads`` workers in the scheduler's order."""

    def __init__(self, settings: Settings, database: Database) -> None:
        count = settings.render_threads or os.cpu_count() or 1
        self._threads = ThreadPoolExecutor(count + 1, "render")
        self._makers: Makers[tuple[dict[str, Any], bytes]] = Makers(count, "pictures")
        self._engine = Engine()
        self._series = SeriesCache(database)
        objects = locations.objects(settings)
        self._loader = FrameLoader(settings, database, objects, self._series, self._threads)
        self._values = ValuesSource(database, objects, self._loader, self._threads)
        self._volumes = VolumeLoader(settings, self._loader)
        self._shown = Shown()
        self._surfaces = SurfaceMaker()
        self._making: dict[str, set[Cancel]] = {}  # by viewer
        self._scheduler: Scheduler[_Job] = Scheduler(time.monotonic, self._dropped)
        self._wanted = asyncio.Event()
        self._workers = [asyncio.get_running_loop().create_task(self._work()) for _ in range(count)]
        self._prefetching: dict[str, asyncio.Task[None]] = {}
        self._shared: dict[str, tuple[asyncio.Task[tuple[dict[str, Any], bytes]], dict[str, Any]]] = {}
        self._most_behind, self._running_behind = max(1, count - 1), 0
        self._prefetch_slots = asyncio.Semaphore(_PREFETCH_AT_ONCE)
        self._warming = asyncio.get_running_loop().create_task(self._loader.warm())

    # Connections ------------------------------------------------------------------------------------------------

    def connect(self) -> wire.Messages:
        """The protocol of one client: requests run at once, answers come in any order under the request's id."""
        running: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()

        def received(connection: wire.Messages, header: dict[str, Any], _body: bytes) -> None:
            task = loop.create_task(self._answer(header, connection))
            running.add(task)
            task.add_done_callback(running.discard)

        def ended(_connection: wire.Messages) -> None:
            for task in running:
                task.cancel()

        return wire.Messages(received, ended)

    async def _answer(self, header: dict[str, Any], connection: wire.Messages) -> None:
        try:
            answer, body = await getattr(self, f"_op_{header['op']}")(header)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            described = describe_error(error)
            if described is None:
                get_logger().error("render.failed", kind=type(error).__name__, exc_info=error)
                described = describe_error(RenderFailedError())
            assert described is not None  # noqa: S101  # ours
            answer = {
                "error": described.code,
                "message": dict(described.message),
                "data": dict(described.data),
                "retryable": described.retryable,
            }
            body = b""
        with suppress(ConnectionError):
            connection.send({"id": header.get("id"), **answer}, body)
            await connection.drain()

    # Operations -------------------------------------------------------------------------------------------------

    async def _op_health(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        usage, volumes = self._loader.residency.usage(), self._volumes.residency.usage()
        device = choice.usage()
        return {
            "backend": self._engine.backend,
            "waiting": len(self._scheduler),
            "used_bytes": usage.used_bytes,
            "budget_bytes": usage.budget_bytes,
            "entries": usage.entries,
            "evicted": usage.evicted,
            "volume_used_bytes": volumes.used_bytes,
            "volume_budget_bytes": volumes.budget_bytes,
            "volume_evicted": volumes.evicted,
            "device_used_bytes": device.used,
            "device_budget_bytes": device.budget,
        }, b""

    async def _op_manifest(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        series = await self._series.get(header["institution_id"], header["series_key"], header.get("version", 0))
        # Thousands of frames take tens of milliseconds: off the loop.
        return {"manifest": await asyncio.to_thread(describe_series, series)}, b""

    async def _op_describe_values(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        series = await self._series.get(header["institution_id"], header["series_key"], header.get("version", 0))
        only_prepared = bool(header.get("only_prepared"))
        described = await self._values.describe(series, header["first"], header["count"], only_prepared=only_prepared)
        return {"values": described}, b""

    async def _op_values(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        series = await self._series.get(header["institution_id"], header["series_key"], header.get("version", 0))
        told, data = await self._values.values(series, series.place(header["frame_index"]), header["coding"])
        return {**told, "version": series.version}, data

    async def _op_picture(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Of a viewer: in its turn. Of nobody (prepared pictures): the same one, asked for twice, is made once."""
        if header.get("viewer"):
            return await self._picture(header)
        key = orjson.dumps({**header, "id": 0, "behind": False}, option=orjson.OPT_SORT_KEYS).decode()
        shared = self._shared.get(key)
        if shared is None:
            header = {**header, "shared": key}
            shared = asyncio.get_running_loop().create_task(self._picture(header)), header
            self._shared[key] = shared
            shared[0].add_done_callback(lambda _: self._shared.pop(key, None))
        elif not header.get("behind"):
            shared[1]["behind"] = False
            self._scheduler.hasten(key)
        return await asyncio.shield(shared[0])

    async def _picture(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        series = await self._series.get(header["institution_id"], header["series_key"], header.get("version", 0))
        index, instance_key = header["frame_index"], header.get("instance_key", 0)
        place = series.place_in(instance_key, index) if instance_key else series.place(index)
        view = StackView(**header["view"])
        frame = await self._loader.load(series, place)
        self._shown.look(header, (self._loader.residency, frame_key(series, place)))
        made, data = await self._scheduled(header, partial(self._make, frame, view, header.get("coding", {})))
        return {**made, "version": series.version}, data

    async def _op_slab(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """A plane or slab through the series' volume; while that is incomplete a refined one waits for it a little."""
        series = await self._series.get(header["institution_id"], header["series_key"], header.get("version", 0))
        view = slab_view(header["view"])
        wait_s = _WHOLE_VOLUME_S if view.quality == "refined" else 0.0
        ready = await self._volumes.get(series, header.get("stack", 0), wait_s)
        self._shown.look(header, self._volume_of(series, header))
        cancel = Cancel()
        make = partial(make_slab, ready, view, header.get("coding", {}), cancel)
        made, data = await self._scheduled(header, make, cancel)
        return {**made, "version": series.version}, data

    async def _op_volume(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """A rendering of the series' volume."""
        series = await self._series.get(header["institution_id"], header["series_key"], header.get("version", 0))
        fields = header["view"]
        wait_s = _WHOLE_VOLUME_S if fields.get("quality") == "refined" else 0.0
        other, cancel = header.get("overlay"), Cancel()
        if other is None:
            ready, overlay, shown = await self._volumes.get(series, header.get("stack", 0), wait_s), None, ()
        else:
            above = await self._series.get(header["institution_id"], other["series_key"], other["version"])
            ready, overlay = await self._two_volumes(series, header, above, other, wait_s)
            shown = (self._volume_of(above, other),)
        self._shown.look(header, self._volume_of(series, header), *shown)
        make = partial(make_volume, ready, fields, header.get("coding", {}), cancel, overlay)
        made, data = await self._scheduled(header, make, cancel)
        if other is not None:
            told = {"series": other["series_key"], "version": other["version"], "stack": other["stack"]}
            made = {**made, "overlay": {**told, **made["overlay"]}}
        return {**made, "version": series.version}, data

    async def _two_volumes(
        self, series: OpenSeries, fields: Mapping[str, Any], above: OpenSeries, other: Mapping[str, Any], wait_s: float
    ) -> tuple[ReadyVolume, ReadyVolume]:
        """The volumes of two series that lie in one space. Raises OtherFrameOfReferenceError, what ``get`` raises."""
        base, overlay = await asyncio.gather(
            self._volumes.get(series, fields.get("stack", 0), wait_s), self._volumes.get(above, other["stack"], wait_s)
        )
        if not base.frame_of_reference_uid or base.frame_of_reference_uid != overlay.frame_of_reference_uid:
            raise OtherFrameOfReferenceError
        return base, overlay

    async def _op_stacks(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """What volumes the series has."""
        series = await self._series.get(header["institution_id"], header["series_key"], header.get("version", 0))
        plans = await self._volumes.plans(series)
        described = await asyncio.to_thread(describe_stacks, series, plans)
        return {"stacks": described, "count": len(plans), "version": series.version}, b""

    async def _op_histogram(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """How the values of a volume are spread, and the presets in its values."""
        series = await self._series.get(header["institution_id"], header["series_key"], header.get("version", 0))
        ready = await self._volumes.get(series, header.get("stack", 0))
        describe = partial(describe_values, ready)
        told = await asyncio.get_running_loop().run_in_executor(self._threads, describe)
        return {"histogram": told, "version": series.version}, b""

    async def _op_pick(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """A place in the series' volume by a pixel of its rendering."""
        series = await self._series.get(header["institution_id"], header["series_key"], header.get("version", 0))
        other, overlay = header.get("overlay"), None
        if other is None:
            ready = await self._volumes.get(series, header.get("stack", 0))
        else:
            above = await self._series.get(header["institution_id"], other["series_key"], other["version"])
            ready, overlay = await self._two_volumes(series, header, above, other, 0.0)
        pick = partial(pick_place, ready, header["view"], header["column"], header["row"], overlay)
        return {"place": await asyncio.get_running_loop().run_in_executor(self._threads, pick)}, b""

    async def _op_fusion(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """A plane through two series' volumes, the second in colour. Raises OtherFrameOfReferenceError."""
        institution_id, other = header["institution_id"], header["overlay"]
        view = fusion_view(header["view"])
        wait_s = _WHOLE_VOLUME_S if view.base.quality == "refined" else 0.0
        series = await self._series.get(institution_id, header["series_key"], header.get("version", 0))
        above = await self._series.get(institution_id, other["series_key"], other["version"])
        base, overlay = await self._two_volumes(series, header, above, other, wait_s)
        cancel = Cancel()
        self._shown.look(header, self._volume_of(series, header), self._volume_of(above, other))
        make = partial(make_fusion, base, overlay, view, header.get("coding", {}), cancel)
        made, data = await self._scheduled(header, make, cancel)
        told = {"series": above.series_key, "version": above.version, "stack": other["stack"]}
        return {**made, "version": series.version, "overlay": {**told, **made["overlay"]}}, data

    def _volume_of(self, series: OpenSeries, fields: Mapping[str, Any]) -> Item:
        return self._volumes.residency, volume_key(series, fields.get("stack", 0))

    async def _op_surface(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """A surface of the series' whole volume as a file, made in a child (app/rendering/surfaces.py)."""
        series = await self._series.get(header["institution_id"], header["series_key"], header.get("version", 0))
        request = SurfaceRequest(**header["request"])
        ready = await self._volumes.get(series, header.get("stack", 0), _WHOLE_SURFACE_S)
        told, data = await self._surfaces.make(ready.volume, request, header["media_type"])
        return {**told, "complete": ready.volume.report.complete_percent, "version": series.version}, data

    async def _scheduled(
        self, header: dict[str, Any], make: Callable[[], tuple[dict[str, Any], bytes]], cancel: Cancel | None = None
    ) -> tuple[dict[str, Any], bytes]:
        """In its viewer's turn; latest wins per viewport. ``cancel`` ends it with the tiles at hand when the viewer or
        its connection is gone. Raises SupersededError."""
        job = _Job(make, asyncio.get_running_loop().create_future())
        viewer = header.get("viewer") or header.get("shared") or str(id(job))
        viewport, generation = header.get("viewport") or "0", header.get("generation", 0)
        self._scheduler.submit(Ticket(viewer, viewport, generation, job, behind=bool(header.get("behind"))))
        self._wanted.set()
        making = self._making.setdefault(viewer, set())
        if cancel is not None:
            making.add(cancel)
        try:
            return await job.done
        finally:
            if cancel is not None:
                cancel.cancel()
                making.discard(cancel)
            if not making:
                self._making.pop(viewer, None)
            del job, make  # an error's traceback holds this frame, which must not hold the error or the pixels

    async def _op_cancel(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        viewer = header["viewer"]
        if (task := self._prefetching.pop(viewer, None)) is not None:
            task.cancel()
        if header.get("viewport") is None:
            self._shown.leave(viewer)
            for cancel in self._making.get(viewer, ()):
                cancel.cancel()
        return {"dropped": self._scheduler.cancel(viewer, header.get("viewport"))}, b""

    async def _op_prefetch(self, header: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Decode frames nearest first; a newer wish of the same viewer replaces the rest of the older one."""
        viewer = header["viewer"]
        if (task := self._prefetching.pop(viewer, None)) is not None:
            task.cancel()
        series = await self._series.get(header["institution_id"], header["series_key"], header.get("version", 0))
        task = asyncio.get_running_loop().create_task(self._prefetch(series, header["frames"]))
        self._prefetching[viewer] = task
        task.add_done_callback(lambda done: self._prefetch_done(viewer, done))
        return {}, b""

    def _prefetch_done(self, viewer: str, task: asyncio.Task[None]) -> None:
        if self._prefetching.get(viewer) is task:
            del self._prefetching[viewer]

    async def _prefetch(self, series: Any, frames: list[int]) -> None:
        for frame_index in frames[:512]:
            async with self._prefetch_slots:
                with suppress(Exception):
                    await self._loader.load(series, series.place(frame_index))

    # Pictures ---------------------------------------------------------------------------------------------------

    def _dropped(self, ticket: Ticket[_Job]) -> None:
        if not ticket.job.done.done():
            ticket.job.done.set_exception(SupersededError())

    async def _work(self) -> None:
        while True:
            # What nobody looks at yet never takes the last thread, if there is more than one.
            ticket = self._scheduler.next(behind=self._running_behind < self._most_behind)
            if ticket is None:
                self._wanted.clear()
                await self._wanted.wait()
                continue
            self._running_behind += ticket.behind
            try:
                await self._run(ticket.job)
            finally:
                self._running_behind -= ticket.behind
            del ticket  # an idle worker keeps no frame or volume alive

    async def _run(self, job: _Job) -> None:
        if job.done.done():
            return
        try:
            result = await self._makers.make(job.make)
        except CancelledPictureError:
            if not job.done.done():
                job.done.set_exception(SupersededError())
        except Exception as error:
            if not job.done.done():
                job.done.set_exception(error)
        else:
            if not job.done.done():
                job.done.set_result(result)
        finally:
            del job

    def _make(self, frame: Frame, view: StackView, coding: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        started = time.perf_counter()
        picture = self._engine.render_stack(frame, view)
        rendered = time.perf_counter()
        coded = code_pixels(picture.pixels, view.media_type, coding)
        height, width = picture.pixels.shape[:2]
        return {
            "media_type": coded.media_type,
            "coding_quality": coded.quality,
            "ssim": coded.ssim,
            "width": width,
            "height": height,
            "window_center": picture.voi.center,
            "window_width": picture.voi.width,
            "voi": picture.voi.kind,
            "backend": picture.backend,
            "quality": picture.quality,
            "source_rect": picture.source_rect,
            "decoder": frame.decoder,
            "render_ms": round((rendered - started) * 1000, 2),
            "encode_ms": round((time.perf_counter() - rendered) * 1000, 2),
        }, coded.data

    async def close(self) -> None:
        """Stop workers and children."""
        running = (self._warming, *self._workers, *self._prefetching.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._volumes.close()
        await self._loader.close()
        self._makers.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


async def run(settings: Settings, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM."""
    from app.roles import until_stopped

    register_plugins(settings.decoder_plugins)
    database = await _connect(settings)
    process = RenderProcess(settings, database)
    path = locations.render_socket(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    mask = os.umask(0o177)
    try:
        server = await asyncio.get_running_loop().create_unix_server(process.connect, str(path))
    finally:
        os.umask(mask)
    ready()
    try:
        await until_stopped()
    finally:
        server.close()
        await process.close()
        await database.close()


async def _connect(settings: Settings) -> Database:
    """The pool; the database may be restarting."""
    for _ in range(40):
        with suppress(OSError):
            return await Database.connect(locations.runtime_url(settings), max_size=6)
        await asyncio.sleep(0.25)
    return await Database.connect(locations.runtime_url(settings), max_size=6)
