"""The spread of a volume's values: padding and outliers left out, bounded work, made once."""

from __future__ import annotations

import numpy as np
import pytest

from render import histogram
from render.histogram import BINS, histogram_of
from render.volume import Volume


def volume_of(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Volume:
    return Volume(np.ascontiguousarray(values), np.eye(4))


def test_padding_and_one_hot_voxel_do_not_squeeze_the_rest() -> None:
    values = np.full((20, 100, 100), -2000, np.int16)
    values[:10] = np.arange(100_000, dtype=np.int64).reshape(10, 100, 100) % 1000
    values[0, 0, 0] = 30_000
    found = histogram_of(volume_of(values))
    assert -1 <= found.low <= 2 and 997 <= found.high <= 1003
    assert 200 <= len(found.counts) <= BINS
    assert sum(found.counts) == pytest.approx(100_000, rel=0.002)
    # Evenly spread values fill all steps alike: of whole numbers each holds as many.
    assert (found.high - found.low) / len(found.counts) == 4
    assert max(found.counts[1:-1]) < 1.1 * min(found.counts[1:-1])


def test_a_volume_of_one_value_has_a_range() -> None:
    found = histogram_of(volume_of(np.full((4, 4, 4), 7, np.uint16)))
    assert (found.low, sum(found.counts)) == (6.5, 64) and found.high > 7


def test_it_is_counted_once_and_over_a_grid_of_a_large_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histogram, "_SAMPLES", 1000)
    volume = volume_of(np.random.default_rng(3).normal(0, 100, (40, 40, 40)).astype(np.float32))
    first = histogram_of(volume)
    assert 500 < sum(first.counts) < 1200
    assert histogram_of(volume) is first
