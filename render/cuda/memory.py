"""What stays on the device: arrays of volumes within a byte budget, uploaded in chunks through pinned memory."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.errors import DeviceMemoryError

CHUNK_BYTES = 8 << 20


@dataclass(frozen=True)
class DeviceUsage:
    """Bytes: ``budget`` and ``used`` of it; ``owners``: volumes with anything on the device; ``evicted`` so far."""

    budget: int
    used: int
    owners: int
    evicted: int


@dataclass
class _Part:
    version: Any
    array: Any
    nbytes: int
    ready: Any  # event: streams other than the one that made it wait for it


@dataclass
class _Owner:
    parts: dict[str, _Part] = field(default_factory=dict[str, _Part])
    users: int = 0


class Staging:
    """Uploads through two pinned buffers on a stream of its own: one is filled while the other is copied from."""

    def __init__(self, cupy: Any, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._cupy = cupy
        self._chunk_bytes = chunk_bytes
        self._buffers: list[NDArray[np.uint8]] = []
        self._copied: list[Any] = []
        self._stream: Any = None

    def upload(self, host: NDArray[Any]) -> tuple[Any, Any]:
        """(device array of the same type, flat; event after which it is whole). One upload at a time."""
        stream = self._stream or self._prepare()
        with stream:
            array = self._cupy.empty(host.size, host.dtype)
        whole = np.ascontiguousarray(host).reshape(-1).view(np.uint8)
        raw = array.view(np.uint8)
        for number, begin in enumerate(range(0, whole.size, self._chunk_bytes)):
            share = whole[begin : begin + self._chunk_bytes]
            side = number % 2
            self._copied[side].synchronize()  # the copy out of this buffer has ended
            np.copyto(self._buffers[side][: share.size], share)
            raw[begin : begin + share.size].set(self._buffers[side][: share.size], stream=stream)
            self._copied[side].record(stream)
        ready = self._cupy.cuda.Event(disable_timing=True)
        ready.record(stream)
        return array, ready

    def _prepare(self) -> Any:
        cuda = self._cupy.cuda
        pinned = [cuda.alloc_pinned_memory(self._chunk_bytes) for _ in range(2)]
        self._buffers = [np.frombuffer(memory, np.uint8, self._chunk_bytes) for memory in pinned]
        self._copied = [cuda.Event(disable_timing=True) for _ in range(2)]
        self._stream = cuda.Stream(non_blocking=True)
        return self._stream


class DeviceMemory:
    """Arrays by owner (a volume) and part ('values', 'keep' …); the least recently used owners go first.

    What an owner has is given back when the owner is collected. Arrays that a picture is being made of (``using``) stay.
    """

    def __init__(self, cupy: Any, budget_bytes: int, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._cupy = cupy
        self._budget = budget_bytes
        self._staging = Staging(cupy, chunk_bytes)
        self._owners: OrderedDict[int, _Owner] = OrderedDict()
        self._used = 0
        self._evicted = 0
        self._lock = threading.RLock()  # a collected owner may come in between in the same thread
        self._making = threading.Lock()

    def usage(self) -> DeviceUsage:
        """Budget and what is used of it."""
        with self._lock:
            held = sum(bool(entry.parts) for entry in self._owners.values())
            return DeviceUsage(self._budget, self._used, held, self._evicted)

    @contextmanager
    def using(self, *owners: Any) -> Iterator[None]:
        """Nothing of these owners is evicted until the end."""
        with self._lock:
            entries = [self._entry(owner) for owner in owners]
            for entry in entries:
                entry.users += 1
        try:
            yield
        finally:
            with self._lock:
                for entry in entries:
                    entry.users -= 1

    def uploaded(self, owner: Any, part: str, host: NDArray[Any], version: Any = None) -> Any:
        """The device's copy of ``host``; another ``version`` replaces it. Raises DeviceMemoryError."""
        return self.made(owner, part, int(host.nbytes), lambda: self._staging.upload(host), version)

    def made(self, owner: Any, part: str, nbytes: int, make: Callable[[], tuple[Any, Any]], version: Any = None) -> Any:
        """What ``make`` gives (array, event), kept. The current stream waits for it. Raises DeviceMemoryError."""
        found = self._found(owner, part, version)
        if found is None:
            with self._making:  # uploads share the way to the device: one after the other
                found = self._found(owner, part, version) or self._make(owner, part, nbytes, make, version)
        self._cupy.cuda.get_current_stream().wait_event(found.ready)
        return found.array

    def _found(self, owner: Any, part: str, version: Any) -> _Part | None:
        with self._lock:
            entry = self._owners.get(id(owner))
            held = entry.parts.get(part) if entry is not None else None
            if held is None or held.version != version:
                return None
            self._owners.move_to_end(id(owner))
            return held

    def _make(self, owner: Any, part: str, nbytes: int, make: Callable[[], tuple[Any, Any]], version: Any) -> _Part:
        with self._lock:
            self._drop(self._entry(owner), part)
            self._make_room(nbytes)
            self._used += nbytes  # reserved: another thread counts it while it is being made
        try:
            array, ready = self._or_evict(make)
        except BaseException:
            with self._lock:
                self._used -= nbytes
            raise
        held = _Part(version, array, nbytes, ready)
        with self._lock:
            entry = self._entry(owner)
            entry.parts[part] = held
            self._owners.move_to_end(id(owner))
        return held

    def _or_evict(self, make: Callable[[], tuple[Any, Any]]) -> tuple[Any, Any]:
        """Others use the device too: where it is short in spite of the budget, everything idle goes and it is tried
        once more."""
        try:
            return make()
        except self._cupy.cuda.memory.OutOfMemoryError:
            with self._lock:
                for key in [key for key, entry in self._owners.items() if not entry.users]:
                    self._evict(key)
            self._cupy.get_default_memory_pool().free_all_blocks()
            return make()

    def _make_room(self, nbytes: int) -> None:
        if nbytes > self._budget:
            raise DeviceMemoryError(what="budget", needed=nbytes, budget=self._budget)
        for key in list(self._owners):
            if self._used + nbytes <= self._budget:
                return
            entry = self._owners.get(key)
            if entry is not None and not entry.users:
                self._evict(key)
        if self._used + nbytes > self._budget:
            raise DeviceMemoryError(what="budget", needed=nbytes, budget=self._budget)

    def _entry(self, owner: Any) -> _Owner:
        key = id(owner)
        entry = self._owners.get(key)
        if entry is None:
            entry = self._owners[key] = _Owner()
            weakref.finalize(owner, self._forget, key).atexit = False
        return entry

    def _drop(self, entry: _Owner, part: str) -> None:
        held = entry.parts.pop(part, None)
        if held is not None:
            self._used -= held.nbytes

    def _evict(self, key: int) -> None:
        entry = self._owners.get(key)
        if entry is None or not entry.parts:
            return
        for part in list(entry.parts):
            self._drop(entry, part)
        self._evicted += 1

    def _forget(self, key: int) -> None:
        with self._lock:
            entry = self._owners.pop(key, None)
            if entry is not None:
                for part in list(entry.parts):
                    self._drop(entry, part)
