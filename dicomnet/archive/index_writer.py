"""Writes index rows so that objects which are ready at the same time share one round trip and one commit.

The first object of a series goes by ``archive.store_instance``, which finds or makes patient, exam, study and series. The
keys are remembered: later objects of that series go by ``archive.append_instances``, together with those of other
associations that became ready while the call before was under way. Nothing waits for company. Whatever the short way
does not write (a UID that is there already, a series that moved, a fault of any kind) goes the long way, alone.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

import asyncpg
import structlog

from dicomnet.archive.index import IndexEntry, NameSealer, Written, int4, write_instance
from dicomnet.database import Database

log = structlog.get_logger("dicomnet.archive.index")

_REMEMBERED_SERIES = 4096
_MOST_AT_ONCE = 64

_APPEND = (
    "select place, instance_key from archive.append_instances"
    "($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18)"
)


@dataclass(frozen=True, slots=True)
class Row:
    """An object whose bytes are durable, ready for the index."""

    entry: IndexEntry
    object_key: str
    object_size: int
    object_sha256: bytes


@dataclass(slots=True)
class _Waiting:
    row: Row
    series_key: int
    study_key: int
    written: asyncio.Future[int | None]  # the instance's key; None: not written


class IndexWriter:
    """One per process; for many ``write`` calls at once on one event loop."""

    def __init__(self, database: Database, sealer: NameSealer) -> None:
        self._database = database
        self._sealer = sealer
        self._series: OrderedDict[tuple[int, str, str], tuple[int, int]] = OrderedDict()  # -> series key, study key
        self._waiting: dict[int, list[_Waiting]] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._kept = database.keep_connection()
        self._kept_by: int | None = None  # the institution whose objects it writes now

    async def write(self, institution_id: int, row: Row) -> Written:
        """Write one object; committed when this returns. Raises what asyncpg raises."""
        identity = row.entry.identity
        name = (institution_id, identity.study_instance_uid, identity.series_instance_uid)
        known = self._series.get(name)
        if known is not None:
            instance_key = await self._append(institution_id, row, *known)
            if instance_key is not None:
                return Written("new", instance_key, *known, row.object_key, row.object_sha256)
            self._series.pop(name, None)
        written = await write_instance(
            self._database,
            self._sealer,
            institution_id,
            row.entry,
            object_key=row.object_key,
            object_size=row.object_size,
            object_sha256=row.object_sha256,
        )
        if written.outcome == "new":  # else the keys are those of the series in which the UID is
            self._series[name] = (written.series_key, written.study_key)
            if len(self._series) > _REMEMBERED_SERIES:
                self._series.popitem(last=False)
        return written

    async def _append(self, institution_id: int, row: Row, series_key: int, study_key: int) -> int | None:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(row, series_key, study_key, loop.create_future())
        self._waiting.setdefault(institution_id, []).append(waiting)
        if institution_id not in self._running:
            self._running[institution_id] = loop.create_task(self._run(institution_id))
        return await waiting.written

    async def _run(self, institution_id: int) -> None:
        """Write until nothing waits, all that is there at once."""
        if self._kept_by is None:
            self._kept_by = institution_id
        try:
            while waiting := self._waiting.pop(institution_id, []):
                for start in range(0, len(waiting), _MOST_AT_ONCE):
                    await self._append_batch(institution_id, waiting[start : start + _MOST_AT_ONCE])
        finally:
            del self._running[institution_id]
            if self._kept_by == institution_id:
                self._kept_by = None

    async def _append_batch(self, institution_id: int, batch: list[_Waiting]) -> None:
        # In the order of their UIDs: two processes that are sent the same UIDs then wait for each other in one direction.
        batch.sort(key=lambda waiting: waiting.row.entry.identity.sop_instance_uid)
        keys: dict[int, int] = {}
        try:
            columns = _columns(batch)
            if self._kept_by == institution_id:
                rows = await self._kept.fetch(_APPEND, institution_id, *columns)
            else:  # several institutions at once: the others take turns at the pool
                rows = await self._database.fetch(None, _APPEND, institution_id, *columns)
            keys = {int(place) - 1: int(key) for place, key in rows}
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("index.append_failed", reason=type(error).__name__, objects=len(batch))
        finally:
            for place, waiting in enumerate(batch):
                if not waiting.written.done():
                    waiting.written.set_result(keys.get(place))


def _columns(batch: list[_Waiting]) -> list[list[object]]:
    """The arguments of ``append_instances`` behind the institution."""
    columns: list[list[object]] = [[] for _ in range(17)]
    for waiting in batch:
        row, entry, record = waiting.row, waiting.row.entry, waiting.row.entry.record
        values = (
            waiting.series_key,
            waiting.study_key,
            entry.identity.sop_instance_uid,
            row.object_key,
            entry.identity.sop_class_uid,
            record.transfer_syntax_uid,
            int4(record.instance_number),
            record.number_of_frames,
            record.rows,
            record.columns,
            record.sort_position_mm,
            row.object_size,
            row.object_sha256,
            entry.encoded_record,
            record.modality,
            entry.context["body_part"],
            entry.context["station_name"],
        )
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    return columns
