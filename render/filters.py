"""Weights that map one axis of an image onto output pixels: cubic or triangle, wider when minifying."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from render.backend import Taps


def bicubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution, a = -1/2 (IEEE Trans. ASSP 29, 1981); 0 from |x| = 2."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def triangle(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear interpolation; 0 from |x| = 1."""
    return np.maximum(0.0, 1.0 - np.abs(x))


@lru_cache(maxsize=256)
def make_taps(source: int, begin: float, extent: float, output: int, smooth: bool) -> Taps:
    """Weights that map source pixels [begin, begin + extent) onto ``output`` pixels; the filter widens when minifying.

    ``smooth``: cubic, else triangle (cheaper, for previews). Weights sum to 1; taps outside the image are clamped
    to its edge.
    """
    scale = extent / output
    if scale == 1.0 and begin == round(begin) and begin >= 0 and begin + output <= source:
        start = np.arange(output, dtype=np.int32) + np.int32(begin)
        return Taps(start, np.ones(output, np.int32), np.ones((1, output), np.float32))
    stretch = max(scale, 1.0)
    support = (2.0 if smooth else 1.0) * stretch
    centers = begin + (np.arange(output) + 0.5) * scale - 0.5
    first = np.floor(centers - support).astype(np.int64) + 1
    taps = int(np.ceil(2 * support)) + 1
    positions = first[:, None] + np.arange(taps)[None, :]
    weights = (bicubic if smooth else triangle)((positions - centers[:, None]) / stretch)
    total = weights.sum(axis=1, keepdims=True)
    weights /= np.where(np.abs(total) < 1e-12, 1.0, total)
    return _clamped(positions, weights, source)


def _clamped(positions: NDArray[np.int64], weights: NDArray[np.float64], source: int) -> Taps:
    """Weights of positions outside [0, source) move to the edge pixel; rows become (start, count, weights)."""
    inside = np.clip(positions, 0, source - 1)
    used = np.abs(weights) > 1e-9
    first = np.where(used, inside, source).min(axis=1)
    first = np.where(first == source, inside[:, 0], first)
    last = np.where(used, inside, -1).max(axis=1)
    last = np.maximum(last, first)
    count = last - first + 1
    packed = np.zeros((int(count.max()), len(first)), np.float64)
    rows = np.repeat(np.arange(len(first)), positions.shape[1])
    taps = np.clip((inside - first[:, None]).ravel(), 0, packed.shape[0] - 1)
    np.add.at(packed, (taps, rows), np.where(used, weights, 0.0).ravel())
    return Taps(first.astype(np.int32), count.astype(np.int32), np.ascontiguousarray(packed, np.float32))
