"""What a viewer waits for: the newest view of each viewport, the newest list of tiles, each let out by the door."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from app.viewing.link import Door
from dicomnet.archive.query import SeriesRow

STILL_S = 0.15
SLOW_S = 0.06  # a picture in the making for longer does not hold back a newer one
TILES_AT_ONCE = 3
PREVIEW, TILE, REFINED, AHEAD = 0, 1, 2, 3  # ranks at the door
_VIEWS_AT_ONCE = 2
_USUAL_BYTES = {"preview": 10_000, "refined": 30_000, "tile": 12_000}

T = TypeVar("T")
Failed = Callable[[BaseException], None]


@dataclass(frozen=True, slots=True)
class WantedView:
    """The newest view of a viewport. ``qualities``: 'preview', 'refined' or both, in the order of sending.
    ``overlay``: the second series of a fusion."""

    viewport: str
    generation: int
    series: SeriesRow
    frame: int
    fields: dict[str, Any]
    qualities: tuple[str, ...] = ("preview", "refined")
    overlay: SeriesRow | None = None

    @property
    def rank(self) -> int:
        """Of its first picture: a preview alone is read ahead (rule 20)."""
        if len(self.qualities) == 2:
            return PREVIEW
        return AHEAD if self.qualities == ("preview",) else REFINED


@dataclass(frozen=True, slots=True)
class WantedTile:
    """One tile. ``name`` tells it from every other picture of the stream."""

    viewport: str
    generation: int
    series: SeriesRow
    frame: int
    fields: dict[str, Any]
    level: int
    size: int
    column: int
    row: int
    name: Hashable


def watched(task: asyncio.Task[T], failed: Failed) -> asyncio.Task[T]:
    """The same task; its exception is told to ``failed``."""

    def ended(done: asyncio.Task[T]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            failed(error)

    task.add_done_callback(ended)
    return task


class Viewport:
    """A mailbox of one view and the task that answers it (rules 6, 7 and 20).

    ``answer(view, quality)`` makes and sends a picture and returns its bytes, 0 when none was sent. While one is slow
    in the making (its frame is being decoded) a newer view is begun beside it; the older one is sent only when it is
    ready first (``is_overtaken``). An exception of ``answer`` ends the viewport and is told to ``failed``.
    """

    def __init__(self, door: Door, answer: Callable[[WantedView, str], Awaitable[int]], failed: Failed) -> None:
        self._door = door
        self._answer = answer
        self._wanted: WantedView | None = None
        self._changed = asyncio.Event()
        self._bytes = dict(_USUAL_BYTES)
        self._sent_generation = -(1 << 60)
        self._making: set[asyncio.Task[int]] = set()
        self._failed = failed
        self.task = watched(asyncio.get_running_loop().create_task(self._run()), failed)

    def want(self, view: WantedView) -> None:
        """Replace what waits, unless that is newer."""
        if self._wanted is None or view.generation >= self._wanted.generation:
            self._wanted = view
            self._changed.set()

    def forget(self) -> None:
        """Rule 9."""
        self._wanted = None
        self._changed.clear()

    def is_overtaken(self, view: WantedView) -> bool:
        """Whether a picture of a newer view was sent meanwhile."""
        return view.generation < self._sent_generation

    def sends(self, view: WantedView) -> None:
        """A picture of the view leaves."""
        self._sent_generation = max(self._sent_generation, view.generation)

    async def _run(self) -> None:
        try:
            while True:
                await self._changed.wait()
                await self._answer_newest()
        finally:
            for task in self._making:
                task.cancel()
            await asyncio.gather(*self._making, return_exceptions=True)

    async def _answer_newest(self) -> None:
        waiting = self._wanted
        rank = waiting.rank if waiting is not None else PREVIEW
        expected = self._bytes["refined" if rank == REFINED else "preview"]
        await self._door.enter(rank, expected)
        view = self._wanted
        self._changed.clear()
        if view is None:
            self._door.leave(expected)
            return
        if not await self._finished(self._begin(view, view.qualities[0], expected)) or len(view.qualities) < 2:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(STILL_S):
                await self._changed.wait()
            return
        expected = self._bytes["refined"]
        await self._door.enter(REFINED, expected)
        if self._changed.is_set() or self._wanted is not view:
            self._door.leave(expected)
            return
        await self._finished(self._begin(view, "refined", expected))

    def _begin(self, view: WantedView, quality: str, expected: int) -> asyncio.Task[int]:
        task = asyncio.get_running_loop().create_task(self._make(view, quality, expected))
        self._making.add(task)
        task.add_done_callback(self._making.discard)
        return watched(task, self._failed)

    async def _make(self, view: WantedView, quality: str, expected: int) -> int:
        try:
            count = await self._answer(view, quality)
        finally:
            self._door.leave(expected)
        if count:
            self._bytes[quality] = (self._bytes[quality] + count) // 2
        return count

    async def _finished(self, task: asyncio.Task[int]) -> bool:
        """True when the picture was sent; False when none was, or when it is slow and a newer view came."""
        await asyncio.wait({task}, timeout=SLOW_S)
        while not task.done():
            if len(self._making) >= _VIEWS_AT_ONCE:
                await asyncio.wait(self._making, return_when=asyncio.FIRST_COMPLETED)
            elif self._changed.is_set():
                return False
            else:
                newer = asyncio.get_running_loop().create_task(self._changed.wait())
                await asyncio.wait({newer, task}, return_when=asyncio.FIRST_COMPLETED)
                newer.cancel()
        return task.result() > 0


class TileViewport:
    """The newest list of tiles, answered in its order, a few at once (rule 21).

    A tile whose picture is under way or in the making is not made again. ``answer(tile)`` returns the bytes sent, 0
    when an error was told instead: the rest of the list is dropped then.
    """

    def __init__(self, door: Door, answer: Callable[[WantedTile], Awaitable[int]], failed: Failed) -> None:
        self._door = door
        self._answer = answer
        self._waiting: deque[WantedTile] = deque()
        self._names: frozenset[Hashable] = frozenset()
        self._making: set[Hashable] = set()
        self._changed = asyncio.Event()
        self._generation = -(1 << 60)
        self._bytes = _USUAL_BYTES["tile"]
        loop = asyncio.get_running_loop()
        self.tasks = [watched(loop.create_task(self._work()), failed) for _ in range(TILES_AT_ONCE)]

    def want(self, generation: int, tiles: Sequence[WantedTile]) -> None:
        """Replace the list, unless that is newer."""
        if generation < self._generation:
            return
        self._generation = generation
        coming = self._door.link.is_under_way
        self._waiting = deque(tile for tile in tiles if tile.name not in self._making and not coming(tile.name))
        self._names = frozenset(tile.name for tile in tiles)
        self._changed.set()

    def forget(self) -> None:
        """Rule 9."""
        self._waiting.clear()
        self._names = frozenset()

    def is_wanted(self, tile: WantedTile) -> bool:
        """Whether the newest list still has it."""
        return tile.name in self._names

    def _next(self) -> WantedTile | None:
        while self._waiting:
            tile = self._waiting.popleft()
            if tile.name not in self._making:
                return tile
        return None

    async def _work(self) -> None:
        while True:
            await self._changed.wait()
            expected = self._bytes
            await self._door.enter(TILE, expected)
            tile = self._next()
            if tile is None:
                self._changed.clear()
                self._door.leave(expected)
                continue
            self._making.add(tile.name)
            try:
                count = await self._answer(tile)
            finally:
                self._making.discard(tile.name)
                self._door.leave(expected)
            if count:
                self._bytes = (self._bytes + count) // 2
