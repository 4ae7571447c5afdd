"""Pauses between attempts that fail: short at first, longer while it goes on failing, short again after a success."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Doubles from ``first_s`` to ``longest_s``. One object per thing that is tried."""

    first_s: float = 0.2
    longest_s: float = 5.0
    failures: int = 0

    def next_s(self) -> float:
        """Seconds to wait after one more failure."""
        pause_s = min(self.longest_s, self.first_s * 2 ** min(self.failures, 30))
        self.failures += 1
        return pause_s

    def succeeded(self) -> None:
        """The next failure is the first again."""
        self.failures = 0

    async def pause(self) -> None:
        """Wait after a failure."""
        await asyncio.sleep(self.next_s())
