"""Sheets: copies of planes x = constant of a volume, for views along x that are looked at more than once.

A sagittal plane of the volume itself touches a cache line for each voxel. The same lines hold 32 planes of 16-bit
values: those are copied once, when a second view needs them, and the least recently used go when there are too many.
"""

from __future__ import annotations

import ctypes
import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_log = logging.getLogger("render.sheets")
AT_ONCE = 32  # planes of a block: native/sheets.h
MOST_BLOCKS = 4  # kept with a volume
SMALLEST_PLANE = 1 << 16  # voxels: the cache lines of a smaller one stay in the caches
_BEHIND = 64  # values after a plane: whole vectors are read, and planes do not lie a power of two apart

Make = Callable[[int, int, NDArray[Any], int], None]  # first x, count, out, values from plane to plane


def most_bytes(shape: Sequence[int], itemsize: int) -> int:
    """What the sheets of a volume (z, y, x) may take; nothing where its planes are small."""
    depth, rows, columns = shape
    if depth * rows < SMALLEST_PLANE:
        return 0
    return min(MOST_BLOCKS * AT_ONCE, columns) * (depth * rows + _BEHIND) * itemsize


@dataclass(frozen=True, eq=False)
class Table:
    """Addresses of the planes by x, null where there is none, and what they point into."""

    planes: ctypes.Array[ctypes.c_void_p]
    blocks: tuple[NDArray[Any], ...]
    address: int


class Sheets:
    """Those of one volume; kept with it. Threads share it."""

    def __init__(self, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        self._shape, self._dtype = shape, dtype
        self._apart = shape[0] * shape[1] + _BEHIND
        self._blocks: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._asked: set[int] = set()  # blocks that one view needed
        self._lock = threading.Lock()
        self._table: Table | None = None
        self._last: tuple[tuple[float, float] | None, Table | None] = (None, None)

    def at_hand(self, low: float, high: float) -> Table | None:
        """The table where it has what a view needs and the last such view was the same one: without a lock."""
        last, table = self._last
        return table if last == (low, high) and table is self._table else None

    def table(self, low: float, high: float, make: Make) -> Table | None:
        """For samples at x from ``low`` to ``high``: a block is made where a view asked before; None while there is none.

        A view through more than two blocks has the planes that others left. While a thread makes sheets, others do
        without new ones.
        """
        columns = self._shape[2]
        first = max(0, min(columns - 1, math.floor(low))) // AT_ONCE
        last = max(0, min(columns - 1, math.floor(high) + 1)) // AT_ONCE
        if last - first > 1 or not self._lock.acquire(blocking=False):
            return self._table
        try:
            for block in range(first, last + 1):
                if block in self._blocks:
                    self._blocks.move_to_end(block)
                elif block in self._asked:
                    self._add(block, make)
                    break  # a view waits for one block at most: the next view for the other
                else:
                    self._asked.add(block)
            if all(block in self._blocks for block in range(first, last + 1)):
                self._last = (low, high), self._table
        except MemoryError:
            _log.warning("no memory for sheets: views along x are drawn without new ones")
        finally:
            self._lock.release()
        return self._table

    def _add(self, block: int, make: Make) -> None:
        begin = block * AT_ONCE
        count = min(AT_ONCE, self._shape[2] - begin)
        planes = np.empty((count, self._apart), self._dtype)
        make(begin, count, planes, self._apart)
        while len(self._blocks) >= MOST_BLOCKS:
            gone, _ = self._blocks.popitem(last=False)
            self._asked.discard(gone)
        self._blocks[block] = planes
        addresses = (ctypes.c_void_p * self._shape[2])()
        for kept, array in self._blocks.items():
            base, step = int(array.ctypes.data), self._apart * array.itemsize
            for i in range(len(array)):
                addresses[kept * AT_ONCE + i] = base + i * step
        self._table = Table(addresses, tuple(self._blocks.values()), ctypes.addressof(addresses))
