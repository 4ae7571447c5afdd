"""The audit trail: an entry is committed before the first byte leaves; a hash chain per institution finds tampering.

Entries that arrive together are committed together: one round trip and one commit per institution and batch. The hashes
are made here, behind the end of the chain that this process knows; ``audit.append`` writes them when that is still the end.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import asyncpg
import orjson

from app.logging import correlation_id
from dicomnet.database import Database
from dicomnet.together import GATHER_S

_LARGEST_BATCH = 200
_MOST_TRIES = 3
_NO_END = (0, bytes(32))
_APPEND = "select * from audit.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry before it has its place in the chain. ``details`` holds no personal data."""

    institution_id: int
    actor: str
    action: str
    study_key: int | None = None
    series_key: int | None = None
    quality: str = ""
    frame_count: int = 0
    outcome: str = "ok"
    correlation_id: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def canonical(self, sequence_number: int, previous_hash: bytes) -> bytes:
        """The bytes that are hashed: sorted JSON, times in microseconds UTC."""
        return orjson.dumps(
            {
                "sequence_number": sequence_number,
                "previous_hash": previous_hash.hex(),
                "institution_id": self.institution_id,
                "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
                "actor": self.actor,
                "action": self.action,
                "study_key": self.study_key,
                "series_key": self.series_key,
                "quality": self.quality,
                "frame_count": self.frame_count,
                "outcome": self.outcome,
                "correlation_id": self.correlation_id,
                "details": self.details,
            },
            option=orjson.OPT_SORT_KEYS,
        )


class Audit:
    """``record`` returns after COMMIT; concurrent calls share a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[int, list[tuple[Entry, asyncio.Future[None]]]] = {}
        self._writers: dict[int, asyncio.Task[None]] = {}
        self._ends: dict[int, tuple[int, bytes]] = {}  # sequence number and hash of the last entry, as last seen

    async def record(
        self,
        institution_id: int,
        actor: str,
        action: str,
        *,
        study_key: int | None = None,
        series_key: int | None = None,
        quality: str = "",
        frame_count: int = 0,
        outcome: str = "ok",
        details: dict[str, Any] | None = None,
    ) -> None:
        """Write one entry; raises when it could not be committed (then no bytes may leave)."""
        entry = Entry(
            institution_id,
            actor,
            action,
            study_key,
            series_key,
            quality,
            frame_count,
            outcome,
            correlation_id.get(),
            details or {},
        )
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(institution_id, []).append((entry, done))
        writer = self._writers.get(institution_id)
        if writer is None or writer.done():
            self._writers[institution_id] = asyncio.get_running_loop().create_task(self._write(institution_id))
        await done

    async def _write(self, institution_id: int) -> None:
        is_busy = False
        while self._waiting.get(institution_id):
            if is_busy:  # these came while others were committed, and more will
                await asyncio.sleep(GATHER_S)
            is_busy = True
            batch = self._waiting[institution_id][:_LARGEST_BATCH]
            del self._waiting[institution_id][: len(batch)]
            try:
                await self._commit(institution_id, [entry for entry, _ in batch])
            except Exception as error:
                for _, done in batch:
                    if not done.done():
                        done.set_exception(error)
            else:
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)

    async def _commit(self, institution_id: int, entries: list[Entry]) -> None:
        """Behind the end of the chain that we know; where another process wrote meanwhile, behind that one's."""
        for _ in range(_MOST_TRIES):
            number, previous = self._ends.get(institution_id, _NO_END)
            digests = _digests(entries, number, previous)
            row = await self._database.call(
                _APPEND, institution_id, number, previous, *zip(*map(_values, entries), strict=True), digests
            )
            assert row is not None  # noqa: S101  # it always returns one
            self._ends[institution_id] = (int(row["sequence_number"]), bytes(row["entry_hash"]))
            if row["appended"]:
                return
        await self._commit_locked(institution_id, entries)

    async def _commit_locked(self, institution_id: int, entries: list[Entry]) -> None:
        """Others are always faster: the chain is held while ours are hashed."""
        async with self._database.transaction(institution_id) as connection:
            await connection.execute("select pg_advisory_xact_lock(hashtext('cloudfilm.audit'), $1)", institution_id)
            last = await connection.fetchrow(
                "select sequence_number, entry_hash from audit.entry where institution_id = $1 "
                "order by sequence_number desc limit 1",
                institution_id,
            )
            number, previous = (int(last["sequence_number"]), bytes(last["entry_hash"])) if last else _NO_END
            digests = _digests(entries, number, previous)
            await connection.fetchrow(
                _APPEND, institution_id, number, previous, *zip(*map(_values, entries), strict=True), digests
            )

    async def first_broken(self, institution_id: int) -> int | None:
        """The first sequence number that does not follow from the one before; None when the chain is whole."""
        previous, expected = bytes(32), 1
        async with self._database.transaction(institution_id) as connection:
            async for row in connection.cursor("select * from audit.entry order by sequence_number"):
                entry = _entry(row)
                digest = sha256(entry.canonical(expected, previous)).digest()
                links = bytes(row["previous_hash"]) == previous and bytes(row["entry_hash"]) == digest
                if row["sequence_number"] != expected or not links:
                    return expected
                previous, expected = digest, expected + 1
        return None


def _digests(entries: list[Entry], number: int, previous: bytes) -> list[bytes]:
    """The hash of each, chained behind entry ``number`` whose hash is ``previous``."""
    digests: list[bytes] = []
    for place, entry in enumerate(entries, number + 1):
        previous = sha256(entry.canonical(place, previous)).digest()
        digests.append(previous)
    return digests


def _values(entry: Entry) -> tuple[Any, ...]:
    """As ``audit.append`` takes them behind the institution and the end of the chain."""
    return (
        entry.at,
        entry.actor,
        entry.action,
        entry.study_key,
        entry.series_key,
        entry.quality,
        entry.frame_count,
        entry.outcome,
        entry.correlation_id,
        entry.details,
    )


def _entry(row: asyncpg.Record) -> Entry:
    names = ("institution_id", "actor", "action", "study_key", "series_key", "quality", "frame_count", "outcome")
    return Entry(
        **{name: row[name] for name in names},
        correlation_id=row["correlation_id"],
        details=row["details"],
        at=row["at"],
    )
