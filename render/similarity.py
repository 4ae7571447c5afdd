"""Structural similarity (Wang, Bovik, Sheikh, Simoncelli, IEEE Trans. Image Processing 13, 2004)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SIGMA = 1.5
_RADIUS = 5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def _kernel() -> NDArray[np.float32]:
    x = np.arange(-_RADIUS, _RADIUS + 1)
    weights = np.exp(-(x**2) / (2 * _SIGMA**2))
    return (weights / weights.sum()).astype(np.float32)


def _blur(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Separable Gaussian of 11 taps, only where the window fits."""
    kernel = _kernel()
    taps = 2 * _RADIUS + 1
    rows = image.shape[0] - taps + 1
    columns = image.shape[1] - taps + 1
    first = kernel[0] * image[:rows]
    for i in range(1, taps):
        first += kernel[i] * image[i : i + rows]
    out = kernel[0] * first[:, :columns]
    for i in range(1, taps):
        out += kernel[i] * first[:, i : i + columns]
    return out


def ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Mean SSIM of two pictures of one shape, (y, x) or (y, x, 3); 1.0 = equal. Windows of 11 x 11, sigma 1.5."""
    if a.shape != b.shape:
        raise ValueError(f"shapes {a.shape} and {b.shape}")
    if a.ndim == 3:
        return float(np.mean([ssim(a[..., c], b[..., c]) for c in range(a.shape[2])]))
    if min(a.shape) <= 2 * _RADIUS:
        return 1.0 if np.array_equal(a, b) else float(1.0 - np.mean(np.abs(a.astype(np.float32) - b)) / 255.0)
    x, y = a.astype(np.float32), b.astype(np.float32)
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x = _blur(x * x) - mean_x * mean_x
    variance_y = _blur(y * y) - mean_y * mean_y
    covariance = _blur(x * y) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    denominator = (mean_x**2 + mean_y**2 + _C1) * (variance_x + variance_y + _C2)
    return float(np.mean(numerator / denominator, dtype=np.float64))
