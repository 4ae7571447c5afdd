"""Kernels over tiles of rows: the caller and the pool's threads take the next tile until none is left.

ctypes releases the GIL inside a kernel. Small tiles even out rows of unequal work and make ending early quick.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from render.errors import RenderError


class CancelledPictureError(RenderError):
    """Nobody wants the picture any more; told between two tiles."""

    code = "render.cancelled"
    message = {"zh": "画面已取消", "en": "The picture was cancelled"}


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, cores() - 1), "tiles")


def run_tiles(
    kernel: Callable[[int, int], int],
    rows: int,
    tile_rows: int,
    threads: int = 0,
    cancelled: Callable[[], bool] | None = None,
) -> None:
    """Call ``kernel(begin, end)`` for all rows; status 0 is good.

    Raises MemoryError for another status, CancelledPictureError when ``cancelled`` says so.
    """
    tiles = -(-rows // tile_rows)
    helpers = min(threads or cores(), tiles) - 1
    numbers = itertools.count()  # its next() is one step under the GIL
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set() and (tile := next(numbers)) < tiles:
            if cancelled is not None and cancelled():
                stop.set()
                raise CancelledPictureError
            begin = tile * tile_rows
            if kernel(begin, min(rows, begin + tile_rows)):
                stop.set()
                raise MemoryError("native kernel")

    others = [_threads().submit(work) for _ in range(helpers)]
    try:
        work()
    finally:
        for other in others:
            if not other.cancel():
                other.result()
