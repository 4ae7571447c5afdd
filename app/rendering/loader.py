"""Frames into memory: bytes from the store, decoded here when trusted, in a disposable child when not."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from app.rendering.decode_pool import HARMFUL, DecodePool
from app.rendering.errors import FrameFaultError
from app.rendering.frames import FramePlace, build_frame
from app.rendering.series import OpenSeries, SeriesCache
from app.settings import Settings
from dicomnet.archive.objects import Objects
from dicomnet.archive.open_record import frame_spec, read_frame_bytes
from dicomnet.database import Database
from render.codec import NATIVE, decode_frame, plugin_syntaxes
from render.errors import CodecError
from render.frame import Frame
from render.residency import Residency

Key = tuple[int, int, int]  # institution, instance, frame


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
        self._waiting: dict[Key, asyncio.Future[Frame]] = {}
        self.pool = DecodePool(3, settings.decode_timeout_s, settings.decode_memory_mb, settings.decoder_plugins)

    async def load(self, series: OpenSeries, place: FramePlace) -> Frame:
        """The frame, from memory or decoded now. Raises CodecError, FrameFaultError, ObjectError."""
        key = (series.institution_id, place.record.instance_key, place.frame_index)
        frame = self.residency.get(key)
        if frame is not None:
            return frame
        running = self._waiting.get(key)
        if running is not None:
            return await asyncio.shield(running)
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[key] = future
        self.residency.begin(key)
        try:
            frame = await self._decode(series, place)
            self.residency.finish(key, frame)
            future.set_result(frame)
            return frame
        except asyncio.CancelledError:
            self.residency.abandon(key)
            future.cancel()
            raise
        except Exception as error:
            self.residency.fail(key, error)
            future.set_exception(error)
            future.exception()  # seen: nobody else may be waiting
            raise
        finally:
            del self._waiting[key]

    async def _decode(self, series: OpenSeries, place: FramePlace) -> Frame:
        record = place.record
        fault = record.frame_faults.get(str(place.frame_index))
        if fault is not None:
            raise FrameFaultError(fault=fault, frame_index=place.frame_index)
        loop = asyncio.get_running_loop()
        data = await loop.run_in_executor(self._threads, read_frame_bytes, self._objects, record, place.frame_index)
        spec = frame_spec(record)
        uid = spec.transfer_syntax_uid
        trusted = record.frame_trial == "passed" or (uid in NATIVE and uid not in plugin_syntaxes())
        if trusted:
            decoded = await loop.run_in_executor(self._threads, lambda: decode_frame(data, spec))
        else:
            try:
                decoded, _, _ = await self.pool.decode(data, spec)
            except CodecError as error:
                if error.code in HARMFUL:
                    await note_fault(
                        self._database, series.institution_id, record.instance_key, place.frame_index, error.code
                    )
                    self._series.forget(series.institution_id, series.series_key)
                raise
        return await loop.run_in_executor(self._threads, _prepare, place, decoded)


def _prepare(place: FramePlace, decoded: object) -> Frame:
    """Build the frame and touch what every picture needs, off the loop."""
    from render.codec import DecodedFrame

    assert isinstance(decoded, DecodedFrame)  # noqa: S101  # typed for the executor
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
