"""Messages between processes: 'share 7 is revoked', 'study 12 has changed'. PostgreSQL carries them, or Redis by URL.

At most once and small: who needs certainty looks into the tables; ``subscribe`` tells of gaps after a reconnect.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Protocol

from app.settings import Settings
from dicomnet.database import Database
from dicomnet.events import Listener

CHANNEL = "cloudfilm_bus"
GAP = "gap"


class Carrier(Protocol):
    """What brings a topic to every process. ``next`` returns ``GAP`` whenever topics may have been missed."""

    def running(self) -> AbstractAsyncContextManager[object]:
        """Listen while the block runs."""
        ...

    async def send(self, topic: str) -> None:
        """To every process, this one included. Raises a retryable domain error when nothing could be sent."""
        ...

    async def next(self) -> str:
        """The next topic, or ``GAP``."""
        ...

    async def check(self) -> None:
        """Raises when it cannot carry anything now."""
        ...


class PostgresCarrier:
    """NOTIFY and LISTEN of the database that is there anyway."""

    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self._listener = Listener(url, (CHANNEL,))

    def running(self) -> AbstractAsyncContextManager[object]:
        """Listen while the block runs."""
        return self._listener.running()

    async def send(self, topic: str) -> None:
        """Raises dicomnet's database errors."""
        await self._database.execute(None, "select pg_notify($1, $2)", CHANNEL, topic)

    async def next(self) -> str:
        """The next topic, or ``GAP``."""
        while (message := await self._listener.next()) is None:
            pass
        return message[1] or GAP

    async def check(self) -> None:
        """The database has a check of its own."""


def carrier_of(settings: Settings, database: Database, url: str) -> Carrier:
    """Redis where ``REDIS_URL`` names one, else PostgreSQL. Raises SettingsError."""
    if not settings.redis_url:
        return PostgresCarrier(database, url)
    from app.redis_bus import RedisCarrier

    return RedisCarrier(settings.redis_url)


class Bus:
    """Publish and subscribe by topic within one house."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._subscribers: dict[asyncio.Queue[str], frozenset[str]] = {}
        self._task: asyncio.Task[None] | None = None

    async def publish(self, topic: str) -> None:
        """Send a topic, for example ``share:7:ended``, to every process. Raises what the carrier raises."""
        await self._carrier.send(topic)

    async def check(self) -> None:
        """Raises when nothing can be carried now."""
        await self._carrier.check()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Bus]:
        """Deliver while the block runs."""
        async with self._carrier.running():
            self._task = asyncio.get_running_loop().create_task(self._deliver())
            try:
                yield self
            finally:
                self._task.cancel()
                await asyncio.gather(self._task, return_exceptions=True)

    @asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[asyncio.Queue[str]]:
        """A queue of these topics; ``GAP`` says that messages may have been lost."""
        queue: asyncio.Queue[str] = asyncio.Queue(64)
        self._subscribers[queue] = frozenset(topics)
        try:
            yield queue
        finally:
            self._subscribers.pop(queue, None)

    async def _deliver(self) -> None:
        while True:
            topic = await self._carrier.next()
            for queue, topics in list(self._subscribers.items()):
                if topic == GAP or topic in topics:
                    with suppress(asyncio.QueueFull):
                        queue.put_nowait(topic)
