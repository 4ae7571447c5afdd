"""How often the values of a volume occur, for who draws a transfer function above them. Arrays only, no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from render.volume import Volume

BINS = 256
_SAMPLES = 2_000_000
_OUTLIERS = 1e-4  # of the samples at either end: one hot voxel does not squeeze all others into a bin
_KEPT = "histogram"


@dataclass(frozen=True, slots=True)
class Histogram:
    """``counts`` of samples in at most ``BINS`` equal steps from ``low`` to ``high`` (modality values); of whole numbers a
    step holds equally many of them, or counts would look like a comb. Left out are the lowest value (padding, and mostly
    nothing but air or the edge of the field) and the outermost ten thousandths."""

    low: float
    high: float
    counts: tuple[int, ...]


def histogram_of(volume: Volume) -> Histogram:
    """Of at most two million voxels on a regular grid; kept with the volume."""
    kept = volume.extra.get(_KEPT)
    if isinstance(kept, Histogram):
        return kept
    made = _counted(volume)
    volume.extra[_KEPT] = made
    return made


def _counted(volume: Volume) -> Histogram:
    step = max(1, round((volume.values.size / _SAMPLES) ** (1 / 3)))
    sample = np.ravel(volume.values[::step, ::step, ::step])
    above = sample[sample > sample.min()]
    chosen = np.asarray(above if above.size else sample, np.float64)
    low, high = (float(edge) for edge in np.quantile(chosen, (_OUTLIERS, 1 - _OUTLIERS)))
    if high <= low:
        high = low + 1.0
    bins = BINS
    if np.issubdtype(volume.values.dtype, np.integer):
        each = math.ceil((high - low + 1) / BINS)
        bins = math.ceil((high - low + 1) / each)
        low = math.floor(low) - 0.5
        high = low + bins * each
    counts, _ = np.histogram(chosen, bins, (low, high))
    return Histogram(low, high, tuple(int(count) for count in counts))
