"""What a viewer waits for and what is under way to it: credit, the newest view of each viewport."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from dicomnet.archive.query import SeriesRow

STILL_S = 0.15


@dataclass(frozen=True, slots=True)
class WantedView:
    """The newest view of a viewport."""

    viewport: str
    generation: int
    series: SeriesRow
    frame: int
    fields: dict[str, Any]


class Credit:
    """Picture bytes in flight stay within the window (rule 8); one picture may overshoot it."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.in_flight = 0
        self._free = asyncio.Event()
        self._free.set()

    async def wait(self) -> None:
        """Until there is room."""
        await self._free.wait()

    def spend(self, count: int) -> None:
        """A picture leaves."""
        self.in_flight += count
        if self.in_flight >= self.window:
            self._free.clear()

    def grant(self, count: int) -> None:
        """The client has received so much."""
        self.in_flight = max(0, self.in_flight - max(0, count))
        if self.in_flight < self.window:
            self._free.set()


class Viewport:
    """A mailbox of one view and the task that answers it (rules 6, 7 and 20).

    ``answer(view, quality)`` makes and sends a picture; False when an error was told instead. An exception of it ends
    the viewport and is told to ``failed``.
    """

    def __init__(
        self,
        credit: Credit,
        answer: Callable[[WantedView, str], Awaitable[bool]],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._credit = credit
        self._answer = answer
        self._wanted: WantedView | None = None
        self._changed = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._run())
        self.task.add_done_callback(lambda task: self._ended(task, failed))

    @staticmethod
    def _ended(task: asyncio.Task[None], failed: Callable[[BaseException], None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            failed(error)

    def want(self, view: WantedView) -> None:
        """Replace what waits, unless that is newer."""
        if self._wanted is None or view.generation >= self._wanted.generation:
            self._wanted = view
            self._changed.set()

    def forget(self) -> None:
        """Rule 9."""
        self._wanted = None
        self._changed.clear()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            await self._credit.wait()
            view = self._wanted
            self._changed.clear()
            if view is None:
                continue
            only = view.fields.get("answer")
            if only != "refined" and (not await self._answer(view, "preview") or only == "preview"):
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), 0 if only == "refined" else STILL_S)
                continue
            await self._credit.wait()
            if not self._changed.is_set() and self._wanted is view:
                await self._answer(view, "refined")
