"""Structural similarity (Wang, Bovik, Sheikh, Simoncelli, IEEE Trans. Image Processing 13, 2004), by a native kernel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from render.errors import InvalidViewError
from render.native import library

_SIGMA = 1.5
_RADIUS = 5
_TAPS = 2 * _RADIUS + 1


def _weights() -> NDArray[np.float32]:
    x = np.arange(-_RADIUS, _RADIUS + 1)
    weights = np.exp(-(x**2) / (2 * _SIGMA**2))
    return (weights / weights.sum()).astype(np.float32)


_WEIGHTS = _weights()


def ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean SSIM of two pictures of one shape, (y, x) or (y, x, 3); 1.0 = equal.

    Gaussian windows of 11 x 11, sigma 1.5, data range 255. Smaller pictures are compared by their mean difference.
    Raises InvalidViewError for different shapes.
    """
    if a.shape != b.shape:
        raise InvalidViewError(what=f"shapes {a.shape} and {b.shape}")
    if a.ndim == 3:
        return float(np.mean([ssim(a[..., c], b[..., c]) for c in range(a.shape[2])]))
    if min(a.shape) < _TAPS:
        return 1.0 - float(np.mean(np.abs(a.astype(np.float32) - b))) / 255.0
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    rows = a.shape[0] - _TAPS + 1
    sums = np.zeros(rows, np.float64)
    at = library.address
    if library.load().cf_ssim_rows(at(a), at(b), a.shape[1], at(_WEIGHTS), at(sums), 0, rows):
        raise MemoryError("native kernel")
    return float(sums.sum() / (rows * (a.shape[1] - _TAPS + 1)))
