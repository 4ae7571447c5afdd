"""Smaller copies of a large frame, each half the one before, so that a far view does not read every pixel again.

Each level holds the mean of 2 x 2 samples of the level below (of the display's index image or of RGB, before any
window), made when first asked for and kept with its frame. An odd last row or column is averaged with itself.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.frame import LARGE_SIDE, Frame
from render.lut import palette_tables

Samples = NDArray[Any]

_HUGE_PIXELS = 1 << 24  # a pass over more takes longer than a picture may
_STRIP_ROWS = 512
_making = threading.Lock()


def is_large(rows: int, columns: int) -> bool:
    """Whether a frame of this size keeps levels."""
    return max(rows, columns) > LARGE_SIDE


def level_of(
    frame: Frame, rect: tuple[float, float, float, float], width: int, height: int, *, smooth: bool
) -> tuple[int, Samples]:
    """(level, its samples) to resample ``rect`` (image pixels) to ``width`` x ``height`` from; level 0 is the frame.

    A preview takes the smallest level that is not smaller than the picture. A smooth one leaves its filter a factor
    of two to work on, so that it is as sharp as one made from the whole image. The first picture of a frame of usual
    size is made from the frame: a series that is paged through once would pay for levels that nobody uses.
    """
    rows, columns = frame.values.shape[:2]
    level = 0
    if is_large(rows, columns):
        shrink = min(rect[2] / width, rect[3] / height)
        level = max(0, math.floor(math.log2(max(shrink, 1.0)) + 1e-6) - (1 if smooth else 0))
    level = min(level, max(0, min(rows, columns).bit_length() - 3))
    if level and rows * columns <= _HUGE_PIXELS and not frame.extra.get("seen"):
        frame.extra["seen"] = True
        level = 0
    return level, samples_of(frame, level)


def samples_of(frame: Frame, level: int) -> Samples:
    """The frame's index image, (y, x), or its RGB, (y, x, 3) uint8, at 1/2^level of its size."""
    if level == 0:
        return _rgb_source(frame) if frame.is_colour else frame.index[0]
    kept: dict[int, Samples] = frame.extra.setdefault("levels", {})
    found = kept.get(level)
    if found is None:
        below = samples_of(frame, level - 1)
        with _making:  # one at a time: two viewers of one image do not make it twice
            found = kept.get(level)
            if found is None:
                found = kept[level] = halved(below)
    return found


def halved(samples: Samples) -> Samples:
    """Means of 2 x 2 samples, (y, x) or (y, x, 3); halves are rounded up. Same type; a strip at a time."""
    rows, columns = samples.shape[:2]
    out = np.empty(((rows + 1) // 2, (columns + 1) // 2, *samples.shape[2:]), samples.dtype)
    for begin in range(0, out.shape[0], _STRIP_ROWS):
        strip = samples[2 * begin : 2 * (begin + _STRIP_ROWS)]
        _halve(strip, out[begin : begin + _STRIP_ROWS])
    return out


def _halve(strip: Samples, out: Samples) -> None:
    wide = np.float64 if strip.dtype == np.float32 else np.int32
    lower = strip[1::2] if strip.shape[0] % 2 == 0 else np.concatenate((strip[1::2], strip[-1:]))
    sums = np.add(strip[0::2], lower, dtype=wide)
    right = sums[:, 1::2] if sums.shape[1] % 2 == 0 else np.concatenate((sums[:, 1::2], sums[:, -1:]), axis=1)
    total = sums[:, 0::2] + right
    if wide is np.int32:
        np.right_shift(total + 2, 2, out=total)
        out[...] = total.astype(out.dtype)
    else:
        out[...] = (total / 4).astype(out.dtype)


def _rgb_source(frame: Frame) -> NDArray[np.uint8]:
    """(y, x, 3) uint8: palettes looked up, deeper colour cut to its high byte. Kept with the frame."""
    cached = frame.extra.get("rgb")
    if cached is not None:
        return cached
    if frame.palette is not None:
        table, first = palette_tables(frame)
        rgb = table[np.clip(frame.index[0].astype(np.int64) - first, 0, len(table) - 1)]
    elif frame.values.dtype == np.uint8:
        rgb = frame.values
    else:
        top = float((1 << frame.bits_stored) - 1)
        rgb = np.rint(frame.values.astype(np.float64) * (255.0 / top)).clip(0, 255).astype(np.uint8)
    rgb = np.ascontiguousarray(rgb)
    frame.extra["rgb"] = rgb
    return rgb
