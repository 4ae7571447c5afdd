"""Durable events: a cursor that misses nothing, and a wake-up that carries nothing.

The cursor stops at ``pg_snapshot_xmin``: rows of transactions that commit out of order are read later, not missed.
NOTIFY is sent after commit on a connection of its own and coalesced; inside the ingest transaction it would
serialise commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from dicomnet.backoff import Backoff
from dicomnet.database import Database

INGEST_CHANNEL = "cloudfilm_ingest"


@dataclass(frozen=True, slots=True)
class Event:
    """One durable event of any institution."""

    event_id: int
    transaction_id: int
    institution_id: int
    kind: str
    payload: dict[str, Any]
    at: datetime


class EventCursor:
    """Where one named consumer stands."""

    def __init__(self, database: Database, consumer: str) -> None:
        self._database = database
        self._consumer = consumer

    async def read(self, limit: int = 500) -> list[Event]:
        """The next events in commit-safe order; the same ones again until ``commit``."""
        rows = await self._database.fetch(None, "select * from archive.read_events($1, $2)", self._consumer, limit)
        return [
            Event(
                row["event_id"],
                int(row["transaction_id"]),
                row["institution_id"],
                row["kind"],
                row["payload"],
                row["at"],
            )
            for row in rows
        ]

    async def commit(self, last: Event) -> None:
        """Everything up to ``last`` has been handled."""
        await self._database.execute(
            None,
            "select archive.commit_cursor($1, $2::text::xid8, $3)",
            self._consumer,
            str(last.transaction_id),
            last.event_id,
        )


class Waker:
    """Coalescing NOTIFY: many calls of ``wake`` within ``interval_s`` send one.

    While calls go on, one is sent per ``spacing_s``: each makes a listener read its events and commit its cursor, which
    in the middle of a transfer takes processor and disk from the transfer.
    """

    def __init__(self, url: str, channel: str, interval_s: float = 0.05, spacing_s: float = 0.25) -> None:
        self._url = url
        self._channel = channel
        self._interval_s = interval_s
        self._spacing_s = spacing_s
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Ask for a wake-up of the listeners; returns at once. Call after commit, in the loop's thread."""
        self._wanted.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        connection: asyncpg.Connection | None = None
        backoff = Backoff()
        now = asyncio.get_running_loop().time
        not_before = 0.0
        try:
            while True:
                await self._wanted.wait()
                await asyncio.sleep(max(self._interval_s, not_before - now()))
                self._wanted.clear()
                try:
                    if connection is None or connection.is_closed():
                        connection = await asyncpg.connect(self._url)
                    await connection.execute("select pg_notify($1, '')", self._channel)
                    not_before = now() + self._spacing_s
                    backoff.succeeded()
                except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    await backoff.pause()
                    self._wanted.set()
        finally:
            if connection is not None:
                connection.terminate()

    async def close(self) -> None:
        """Stop; a wanted wake-up may be lost (listeners also poll)."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class Listener:
    """Notifications of channels, over a connection that comes back by itself."""

    def __init__(self, url: str, channels: tuple[str, ...]) -> None:
        self._url = url
        self._channels = channels
        self._queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue(10_000)
        self._ready = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Listener]:
        """Listen while the block runs."""
        task = asyncio.get_running_loop().create_task(self._keep_connected())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def ready(self, timeout_s: float = 10.0) -> None:
        """Wait until the server listens for us. Raises TimeoutError."""
        await asyncio.wait_for(self._ready.wait(), timeout_s)

    async def next(self, timeout_s: float | None = None) -> tuple[str, str] | None:
        """(channel, payload), or None after ``timeout_s``. After a reconnect ('', '') says: look for yourself."""
        try:
            return await asyncio.wait_for(self._queue.get(), timeout_s)
        except TimeoutError:
            return None

    def _put(self, item: tuple[str, str]) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(item)

    async def _keep_connected(self) -> None:
        backoff = Backoff(longest_s=1.0)  # messages are missed meanwhile
        while True:
            connection: asyncpg.Connection | None = None
            lost = asyncio.Event()
            try:
                connection = await asyncpg.connect(self._url)
                connection.add_termination_listener(lambda *_, lost=lost: lost.set())
                for channel in self._channels:
                    await connection.add_listener(
                        channel, lambda _c, _p, name, payload: self._put((name, str(payload)))
                    )
                backoff.succeeded()
                self._ready.set()
                self._put(("", ""))
                await lost.wait()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await backoff.pause()
            finally:
                self._ready.clear()
                if connection is not None:
                    connection.terminate()
