"""Messages between processes: 'share 7 is revoked', 'series 12 has a new version'. PostgreSQL carries them.

At most once and small: who needs certainty looks into the tables; ``subscribe`` tells of gaps after a reconnect.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from dicomnet.database import Database
from dicomnet.events import Listener

CHANNEL = "cloudfilm_bus"
GAP = "gap"


class Bus:
    """Publish and subscribe by topic within one house."""

    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self._listener = Listener(url, (CHANNEL,))
        self._subscribers: dict[asyncio.Queue[str], frozenset[str]] = {}
        self._task: asyncio.Task[None] | None = None

    async def publish(self, topic: str) -> None:
        """Send a topic, for example ``share:7:revoked``, to every process."""
        await self._database.execute(None, "select pg_notify($1, $2)", CHANNEL, topic)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Bus]:
        """Deliver while the block runs."""
        async with self._listener.running():
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
            message = await self._listener.next()
            if message is None:
                continue
            topic = message[1] or GAP
            for queue, topics in list(self._subscribers.items()):
                if topic == GAP or topic in topics:
                    with suppress(asyncio.QueueFull):
                        queue.put_nowait(topic)
