"""Frames into memory: bytes from the store, decoded here when trusted, in a disposable child when not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from app.rendering.decode_pool import HARMFUL, DecodePool, values_bytes
from app.rendering.errors import FrameFaultError
from app.rendering.frame_values import exact_spec, keeps_ybr
from app.rendering.frames import FramePlace, build_frame
from app.rendering.series import OpenSeries, SeriesCache
from app.settings import Settings
from dicomnet.archive.objects import Objects
from dicomnet.archive.open_record import OpenRecord, frame_spec, read_frame_bytes
from dicomnet.database import Database
from render.codec import NATIVE, DecodedFrame, FrameSpec, decode_frame, plugin_syntaxes
from render.errors import CodecError, FrameTooLargeError
from render.frame import Frame
from render.residency import Residency

_HUGE_BYTES = 128 << 20
_LARGEST_SHARE = 0.75  # of the budget: one frame's values, the rest is what is derived from them

Key = tuple[int, int, int]  # institution, instance, frame
SpecOf = Callable[[OpenRecord, bytes], tuple[FrameSpec, str]]


def frame_key(series: OpenSeries, place: FramePlace) -> Key:
    """What a frame is kept under."""
    return series.institution_id, place.record.instance_key, place.frame_index


class FrameLoader:
    """Single flight per frame over a byte budget; faults are written down so that nobody tries again."""

    def __init__(
        self, settings: Settings, database: Database, objects: Objects, series: SeriesCache, threads: ThreadPoolExecutor
    ) -> None:
        self._database = database
        self._objects = objects
        self._series = series
        self._threads = threads
        self.residency: Residency[Frame] = Residency(
            settings.render_memory_mb << 20, lambda frame: frame.nbytes, time.monotonic
        )
        self._tasks: dict[Key, asyncio.Task[Frame]] = {}
        limits = (settings.decode_timeout_s, settings.decode_memory_mb)
        self._huge = asyncio.Lock()
        self._pool = DecodePool(3, *limits, "")
        self._plugin_pool = DecodePool(2, *limits, settings.decoder_plugins)

    async def load(self, series: OpenSeries, place: FramePlace) -> Frame:
        """The frame, from memory or decoded now. Raises CodecError, FrameFaultError, ObjectError.

        The decoding belongs to nobody who waits: one of them may leave without harm to the others.
        """
        key = frame_key(series, place)
        frame = self.residency.get(key)
        if frame is not None:
            return frame
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.get_running_loop().create_task(self._fill(key, series, place))
            task.add_done_callback(lambda done: self._filled(key, done))
        return await asyncio.shield(task)

    async def borrow(self, series: OpenSeries, place: FramePlace) -> Frame:
        """As ``load``, but what is decoded now is not kept: a volume's slices push out nothing that viewers look at."""
        key = frame_key(series, place)
        frame = self.residency.get(key)
        if frame is not None:
            return frame
        task = self._tasks.get(key)
        return await (asyncio.shield(task) if task is not None else self._decode(series, place))

    def _filled(self, key: Key, task: asyncio.Task[Frame]) -> None:
        self._tasks.pop(key, None)
        if not task.cancelled():
            task.exception()  # seen: nobody may be waiting any more

    async def _fill(self, key: Key, series: OpenSeries, place: FramePlace) -> Frame:
        self.residency.begin(key)
        try:
            frame = await self._decode_in_turn(series, place)
        except asyncio.CancelledError:
            self.residency.abandon(key)
            raise
        except Exception as error:
            self.residency.fail(key, error)
            raise
        self.residency.finish(key, frame)
        return frame

    async def exact(self, series: OpenSeries, place: FramePlace) -> DecodedFrame:
        """The stored values, colours not converted (docs/values.md). Raises as ``load`` does.

        They are those of the frame in memory, except where that holds RGB for a stored YBR_FULL.
        """
        if keeps_ybr(place.record):
            return await self._decoded(series, place, exact_spec)
        frame = await self.load(series, place)
        return DecodedFrame(frame.values, frame.photometric_interpretation, frame.decoder)

    async def _decode_in_turn(self, series: OpenSeries, place: FramePlace) -> Frame:
        """Huge frames one after the other: their memory while they are made is a few times their own.

        Raises FrameTooLargeError for one that would fill the budget.
        """
        spec = frame_spec(place.record)
        nbytes = values_bytes(spec)
        if nbytes > _LARGEST_SHARE * self.residency.usage().budget_bytes:
            raise FrameTooLargeError(rows=spec.rows, columns=spec.columns)
        if nbytes < _HUGE_BYTES:
            return await self._decode(series, place)
        async with self._huge:
            return await self._decode(series, place)

    async def _decode(self, series: OpenSeries, place: FramePlace) -> Frame:
        decoded = await self._decoded(series, place, lambda record, data: (frame_spec(record), ""))
        return await asyncio.get_running_loop().run_in_executor(self._threads, _prepare, place, decoded)

    async def _decoded(self, series: OpenSeries, place: FramePlace, spec_of: SpecOf) -> DecodedFrame:
        record = place.record
        fault = record.frame_faults.get(str(place.frame_index))
        if fault is not None:
            raise FrameFaultError(fault=fault, frame_index=place.frame_index)
        loop = asyncio.get_running_loop()
        data = await loop.run_in_executor(self._threads, read_frame_bytes, self._objects, record, place.frame_index)
        spec, photometric = spec_of(record, data)
        if decoded_here(spec.transfer_syntax_uid, record.frame_trial):
            decoded = await loop.run_in_executor(self._threads, lambda: decode_frame(data, spec))
        else:
            decoded = await self._decode_outside(series, place, data, spec)
        return replace(decoded, photometric_interpretation=photometric) if photometric else decoded

    async def _decode_outside(
        self, series: OpenSeries, place: FramePlace, data: bytes, spec: FrameSpec
    ) -> DecodedFrame:
        """In a disposable child; a frame that harms it is written down."""
        pool = self._plugin_pool if spec.transfer_syntax_uid in plugin_syntaxes() else self._pool
        owner = f"{series.institution_id}/{series.series_key}"
        try:
            decoded, _, _ = await pool.decode(data, spec, owner=owner)
        except CodecError as error:
            if error.code in HARMFUL:
                key = place.record.instance_key
                await note_fault(self._database, series.institution_id, key, place.frame_index, error.code)
                self._series.forget(series.institution_id, series.series_key)
            raise
        return decoded

    async def warm(self) -> None:
        """Start what the first frame needs."""
        await self._pool.warm()

    async def close(self) -> None:
        """Stop decoding and end the children."""
        running = list(self._tasks.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._pool.close()
        await self._plugin_pool.close()


def decoded_here(transfer_syntax_uid: str, frame_trial: str) -> bool:
    """Whether a shared process may decode: plain bytes always, ours after a passed trial, plug-ins never.

    A plug-in may pass its trial after 5 s: it would hold a thread that other viewers need.
    """
    if transfer_syntax_uid in plugin_syntaxes():
        return False
    return transfer_syntax_uid in NATIVE or frame_trial == "passed"


def _prepare(place: FramePlace, decoded: DecodedFrame) -> Frame:
    """Build the frame and touch what every picture needs, off the loop."""
    frame = build_frame(place, decoded)
    if not frame.is_colour:
        _ = frame.index_range
    return frame


async def note_fault(database: Database, institution_id: int, instance_key: int, frame_index: int, code: str) -> None:
    """Write down that a frame harmed its decoder."""
    await database.execute(
        institution_id,
        "update archive.instance set frame_faults = frame_faults || jsonb_build_object($2::text, $3::text) "
        "where instance_key = $1",
        instance_key,
        str(frame_index),
        code,
    )
