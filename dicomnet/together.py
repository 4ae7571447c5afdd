"""Look-ups that arrive while one is under way share the next: one round trip for all of them.

Each begins after it was asked for, so no answer is older than its question: unlike a cache, nothing has to be forgotten
when rights or data change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

_MOST_AT_ONCE = 64
GATHER_S = 0.002  # a round trip costs both sides as much as two or three look-ups: under load fewer, larger ones

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Together(Generic[Key, Value]):
    """``look(keys)`` answers for different keys at once; what it leaves out is None."""

    def __init__(self, look: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]]) -> None:
        self._look = look
        self._waiting: dict[Key, asyncio.Future[Value | None]] = {}
        self._running: asyncio.Task[None] | None = None

    async def get(self, key: Key) -> Value | None:
        """Raises what ``look`` raises, as everybody who shared it does."""
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())
        return await asyncio.shield(future)  # one who leaves does not take it from the others

    async def _run(self) -> None:
        try:
            is_busy = False
            while self._waiting:
                if is_busy:  # these came while others were looked up, and more will
                    await asyncio.sleep(GATHER_S)
                is_busy = True
                keys = list(self._waiting)[:_MOST_AT_ONCE]
                await self._answer({key: self._waiting.pop(key) for key in keys})
        finally:
            self._running = None

    async def _answer(self, futures: dict[Key, asyncio.Future[Value | None]]) -> None:
        try:
            found = await self._look(list(futures))
        except asyncio.CancelledError:
            for future in futures.values():
                future.cancel()
            raise
        except Exception as error:
            for future in futures.values():
                future.set_exception(error)
                future.exception()  # seen: those who asked may all have left
        else:
            for key, future in futures.items():
                future.set_result(found.get(key))
