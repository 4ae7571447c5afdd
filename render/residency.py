"""What is kept in memory: a byte budget, named states, eviction by visibility, then use. Thread-safe, no threads."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")
_MANY_ENTRIES = 10_000


class Residence(Enum):
    """States of an entry."""

    ABSENT = "absent"
    DECODING = "decoding"
    HOST = "host"
    FAILED = "failed"


@dataclass(slots=True)
class _Entry(Generic[T]):
    state: Residence
    value: T | None = None
    error: Exception | None = None
    nbytes: int = 0
    failed_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What the debug panel shows."""

    budget_bytes: int
    used_bytes: int
    entries: int
    evicted: int


def _afresh(error: Exception) -> Exception:
    """The same error without where it was raised: a traceback holds the load's data, and grows with each raise."""
    again = type(error).__new__(type(error), *error.args)
    again.__dict__.update(error.__dict__)
    return again


class Residency(Generic[T]):
    """Values by key. ``begin`` claims a load (single flight), ``finish`` or ``fail`` ends it."""

    def __init__(
        self, budget_bytes: int, size_of: Callable[[T], int], clock: Callable[[], float], failed_for_s: float = 30.0
    ) -> None:
        self._budget = budget_bytes
        self._size_of = size_of
        self._clock = clock
        self._failed_for_s = failed_for_s
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()
        self._visible: Counter[Hashable] = Counter()  # viewports that show it now, whether it is here or not
        self._used = 0
        self._evicted = 0
        self._lock = threading.Lock()

    def state(self, key: Hashable) -> Residence:
        """The state of a key; a failure older than its time is forgotten."""
        with self._lock:
            entry = self._live(key)
            return entry.state if entry else Residence.ABSENT

    def get(self, key: Hashable) -> T | None:
        """The value when it is here (counts as use). Raises the load's error while the failure is remembered."""
        with self._lock:
            entry = self._live(key)
            if entry is None:
                return None
            if entry.state is Residence.FAILED and entry.error is not None:
                raise _afresh(entry.error)
            if entry.state is Residence.HOST:
                self._entries.move_to_end(key)
                return entry.value
            return None

    def begin(self, key: Hashable, nbytes: int = 0) -> bool:
        """Claim the load of an absent key; False when it is here, failed, or being loaded.

        ``nbytes``: what the load will take, counted from now on; others are evicted for it.
        """
        with self._lock:
            if self._live(key) is not None:
                return False
            self._entries[key] = _Entry(Residence.DECODING, nbytes=nbytes)
            self._used += nbytes
            self._evict(key)
            return True

    def finish(self, key: Hashable, value: T) -> None:
        """The load succeeded; others are evicted until the budget holds (the new value always stays)."""
        with self._lock:
            entry = self._entries.setdefault(key, _Entry(Residence.DECODING))
            self._used -= entry.nbytes
            entry.state, entry.value, entry.nbytes = Residence.HOST, value, self._size_of(value)
            self._used += entry.nbytes
            self._entries.move_to_end(key)
            self._evict(key)

    def fail(self, key: Hashable, error: Exception) -> None:
        """The load failed; asked again within the failure's time it raises the same error."""
        with self._lock:
            entry = self._entries.setdefault(key, _Entry(Residence.DECODING))
            self._used -= entry.nbytes
            entry.value, entry.nbytes = None, 0
            entry.state, entry.error, entry.failed_at = Residence.FAILED, _afresh(error), self._clock()
            if len(self._entries) > _MANY_ENTRIES:
                self._forget_failures()

    def abandon(self, key: Hashable) -> None:
        """The load was cancelled: the key is absent again."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and entry.state is Residence.DECODING:
                self._used -= entry.nbytes
                del self._entries[key]

    def show(self, key: Hashable, change: int) -> None:
        """A viewport shows (+1) or leaves (-1) a key; what is shown is evicted last."""
        with self._lock:
            self._visible[key] += change
            if self._visible[key] <= 0:
                del self._visible[key]

    def usage(self) -> Usage:
        """Budget and what is used of it."""
        with self._lock:
            return Usage(self._budget, self._used, len(self._entries), self._evicted)

    def _live(self, key: Hashable) -> _Entry[T] | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.state is Residence.FAILED and self._clock() - entry.failed_at > self._failed_for_s:
            del self._entries[key]
            return None
        return entry

    def _forget_failures(self) -> None:
        for key in [key for key, entry in self._entries.items() if entry.state is Residence.FAILED]:
            self._live(key)

    def _evict(self, newest: Hashable) -> None:
        for only_hidden in (True, False):
            for key in list(self._entries):
                if self._used <= self._budget:
                    return
                entry = self._entries[key]
                if key == newest or entry.state is not Residence.HOST or (only_hidden and key in self._visible):
                    continue
                self._used -= entry.nbytes
                self._evicted += 1
                del self._entries[key]
