"""ctypes binding of fusion.cpp: a gray picture and an overlay's indices become one picture in colour."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.native import library
from render.native.pool import run_tiles

_TILE_PIXELS = 1 << 16
SIGNATURES: dict[str, list[Any]] = {"cf_fuse_u8": [ctypes.c_void_p] * 5 + [ctypes.c_int] * 3}


@lru_cache(maxsize=1)
def _kernels() -> ctypes.CDLL:
    kernels = library.load()
    library.declare(kernels, SIGNATURES)
    return kernels


def fuse(
    base: NDArray[np.uint8],
    index: NDArray[np.uint8],
    keep: NDArray[np.uint8],
    colour: NDArray[np.uint16],
    kernels: ctypes.CDLL | None = None,
) -> NDArray[np.uint8]:
    """(y, x, 3) uint8 of ``base`` and ``index``, both (y, x), by tables of 256 (kernels/fusion.h)."""
    height, width = base.shape
    out = np.empty((height, width, 3), np.uint8)
    a = library.address
    before = (a(base), a(index), a(keep), a(colour), a(out), width)
    function = (kernels or _kernels()).cf_fuse_u8
    run_tiles(lambda begin, end: function(*before, begin, end), height, max(1, _TILE_PIXELS // width))
    return out
