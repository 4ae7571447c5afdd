"""How late the loop of the web process is: sampled every 50 ms, the last 1,200 samples kept."""

from __future__ import annotations

import asyncio
from collections import deque


class LoopLag:
    """Samples of lateness in seconds."""

    def __init__(self, interval_s: float = 0.05, samples: int = 1200) -> None:
        self._interval_s = interval_s
        self._samples: deque[float] = deque(maxlen=samples)

    async def run(self) -> None:
        """Sample until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            wanted = loop.time() + self._interval_s
            await asyncio.sleep(self._interval_s)
            self._samples.append(max(0.0, loop.time() - wanted))

    def quantile(self, q: float) -> float:
        """Lateness in seconds; 0.0 before the first sample."""
        ordered = sorted(self._samples)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else 0.0


LAG = LoopLag()
