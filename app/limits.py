"""Soft limits in memory: a token bucket per key. Counters that guard codes and passwords live in PostgreSQL."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from app.errors import TooManyRequestsError

_MOST_KEYS = 10_000


class RateLimit:
    """``burst`` at once, then ``per_s`` per second, per key; at most 10,000 keys are remembered."""

    def __init__(self, burst: float, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._per_s = per_s
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, key: str, cost: float = 1.0) -> float:
        """0.0 when allowed, else the seconds until it would be."""
        now = self._clock()
        level, at = self._buckets.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._per_s)
        wait = 0.0 if level >= cost else (cost - level) / self._per_s
        self._buckets[key] = (level - cost if wait == 0.0 else level, now)
        if len(self._buckets) > _MOST_KEYS:
            self._buckets.popitem(last=False)
        return wait

    def check(self, key: str, cost: float = 1.0) -> None:
        """Raises TooManyRequestsError."""
        if wait := self.allow(key, cost):
            raise TooManyRequestsError(retry_after_s=round(wait, 1))
