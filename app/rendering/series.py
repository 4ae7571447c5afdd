"""Series that the render process has open: their records, kept until a newer version is asked for."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.rendering.errors import SeriesNotFoundError
from app.rendering.frames import FramePlace, places
from dicomnet.archive.open_record import load_series
from dicomnet.database import Database

_MOST_SERIES = 2000
_MOST_FRAMES = 400_000
_TRIAL_LOOK_S = 3.0  # how often a series with untried frames is read again


@dataclass(frozen=True, slots=True)
class OpenSeries:
    """One version of a series in display order."""

    institution_id: int
    series_key: int
    version: int
    frames: tuple[FramePlace, ...]
    loaded_at: float
    untried: bool
    first_frames: Mapping[int, int] = field(default_factory=dict[int, int])  # instance key -> its first frame's index

    def place(self, frame_index: int) -> FramePlace:
        """Raises SeriesNotFoundError for an index outside."""
        if not 0 <= frame_index < len(self.frames):
            raise SeriesNotFoundError(frame_index=frame_index)
        return self.frames[frame_index]

    def place_in(self, instance_key: int, frame_index: int) -> FramePlace:
        """A frame by its place in its instance. Raises SeriesNotFoundError."""
        first = self.first_frames.get(instance_key)
        if first is None or not 0 <= frame_index < self.frames[first].record.number_of_frames:
            raise SeriesNotFoundError(frame_index=frame_index)
        return self.frames[first + frame_index]


class SeriesCache:
    """One query opens a series; the same one asked for twice at once is one query."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open: OrderedDict[tuple[int, int], OpenSeries] = OrderedDict()
        self._loading: dict[tuple[int, int], asyncio.Task[OpenSeries]] = {}

    async def get(self, institution_id: int, series_key: int, at_least: int = 0) -> OpenSeries:
        """The series at version ``at_least`` or newer. Raises SeriesNotFoundError."""
        key = (institution_id, series_key)
        found = self._open.get(key)
        if found is not None and found.version >= at_least:
            self._open.move_to_end(key)
            if found.untried and time.monotonic() - found.loaded_at > _TRIAL_LOOK_S:
                self._start(key)  # the trial may have passed meanwhile; nobody waits for that
            return found
        series = await asyncio.shield(self._start(key))
        if series.version < at_least:  # that reading had begun before the version we know of
            series = await asyncio.shield(self._start(key))
        return series

    def _start(self, key: tuple[int, int]) -> asyncio.Task[OpenSeries]:
        task = self._loading.get(key)
        if task is None:
            task = self._loading[key] = asyncio.get_running_loop().create_task(self._load(*key))
            task.add_done_callback(lambda done: self._loaded(key, done))
        return task

    def _loaded(self, key: tuple[int, int], task: asyncio.Task[OpenSeries]) -> None:
        self._loading.pop(key, None)
        if not task.cancelled():
            task.exception()  # seen: nobody may be waiting

    async def _load(self, institution_id: int, series_key: int) -> OpenSeries:
        version = await self._database.fetchval(
            institution_id, "select version from archive.series where series_key = $1", series_key
        )
        if version is None:
            raise SeriesNotFoundError(series_key=series_key)
        records = await load_series(self._database, institution_id, series_key)
        untried = any(record.frame_trial == "pending" for record in records)
        frames = tuple(places(records))
        firsts = {place.record.instance_key: index for index, place in enumerate(frames) if place.frame_index == 0}
        series = OpenSeries(institution_id, series_key, int(version), frames, time.monotonic(), untried, firsts)
        self._open[(institution_id, series_key)] = series
        self._trim()
        return series

    def forget(self, institution_id: int, series_key: int) -> None:
        """The next request reads the series anew (a frame's fault was noted)."""
        self._open.pop((institution_id, series_key), None)

    def _trim(self) -> None:
        total = sum(len(series.frames) for series in self._open.values())
        while len(self._open) > 1 and (len(self._open) > _MOST_SERIES or total > _MOST_FRAMES):
            _, gone = self._open.popitem(last=False)
            total -= len(gone.frames)
