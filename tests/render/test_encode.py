"""JPEG and WebP for a quality, a byte budget, a similarity; our SSIM against scikit-image's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from render.encode import _sample, decode, encode, encode_quickly, encode_to_similarity, encode_to_size
from render.errors import InvalidViewError
from render.request import JPEG, WEBP
from render.similarity import ssim


def picture(height: int = 200, width: int = 240, seed: int = 1) -> NDArray[np.uint8]:
    """A smooth gray picture with noise."""
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(seed).normal(0, 4, (height, width))
    return np.clip(128 + 80 * np.sin(x / 17) * np.cos(y / 23) + noise, 0, 255).astype(np.uint8)


def reference_ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """scikit-image with the windows of the paper, borders left out."""
    whole: Any = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, full=True
    )
    return float(whole[1][5:-5, 5:-5].mean())


@pytest.mark.parametrize("noise", [0.0, 2.0, 10.0, 60.0])
@pytest.mark.parametrize("size", [(200, 240), (11, 11), (12, 300)])
def test_ssim_equals_scikit_image(noise: float, size: tuple[int, int]) -> None:
    a = picture(*size)
    b = np.clip(a + np.random.default_rng(2).normal(0, noise, size), 0, 255).astype(np.uint8)
    assert ssim(a, b) == pytest.approx(reference_ssim(a, b), abs=2e-5)  # float32 against float64


def test_ssim_of_colour_is_the_mean_of_its_channels() -> None:
    a = np.stack([picture(seed=n) for n in range(3)], axis=2)
    b = np.stack([picture(seed=n + 5) for n in range(3)], axis=2)
    assert ssim(a, b) == pytest.approx(np.mean([ssim(a[..., c], b[..., c]) for c in range(3)]))


def test_ssim_of_equal_tiny_and_unequal_shapes() -> None:
    a = picture()
    assert ssim(a, a) == pytest.approx(1.0)
    assert ssim(a[:4, :4], a[:4, :4]) == 1.0
    with pytest.raises(InvalidViewError):
        ssim(a, a[:-1])


@pytest.mark.parametrize("media_type", [JPEG, WEBP])
@pytest.mark.parametrize("colour", [False, True])
def test_pictures_come_back_alike(media_type: str, colour: bool) -> None:
    pixels = np.repeat(picture()[:, :, None], 3, axis=2) if colour else picture()
    data = encode(pixels, media_type, 92)
    assert data[:2] == b"\xff\xd8" if media_type == JPEG else data[8:12] == b"WEBP"
    assert ssim(decode(data, colour=colour), pixels) > 0.93


def test_an_unknown_media_type_is_refused() -> None:
    with pytest.raises(InvalidViewError):
        encode(picture(), "image/gif", 80)


@pytest.mark.parametrize("media_type", [JPEG, WEBP])
@pytest.mark.parametrize("max_bytes", [3000, 6000, 20000])
def test_a_budget_is_kept_and_used(media_type: str, max_bytes: int) -> None:
    coded = encode_to_size(picture(), media_type, max_bytes)
    assert len(coded.data) <= max_bytes
    if coded.quality < 90:
        better = encode(picture(), media_type, min(coded.quality + 6, 100), effort=4)
        assert len(better) > max_bytes * 0.97


def test_an_impossible_budget_gives_the_lowest_quality() -> None:
    coded = encode_to_size(picture(), WEBP, 10)
    assert coded.quality == 5
    assert coded.data == encode(picture(), WEBP, 5, effort=4)


@pytest.mark.parametrize("least", [0.85, 0.92])
def test_a_similarity_is_reached_with_few_bytes(least: float) -> None:
    pixels = picture()
    coded = encode_to_similarity(pixels, WEBP, least, 1 << 20)
    assert ssim(decode(coded.data, colour=False), pixels) >= least
    assert coded.ssim is not None
    assert coded.ssim - least < 0.02
    assert reference_ssim(decode(coded.data, colour=False), pixels) == pytest.approx(coded.ssim, abs=2e-5)


def test_a_similarity_above_the_budget_gives_the_most_similar_within_it() -> None:
    pixels = picture()
    wanted = encode_to_similarity(pixels, WEBP, 0.93, 1 << 20)
    limit = len(wanted.data) * 2 // 3
    coded = encode_to_similarity(pixels, WEBP, 0.93, limit)
    assert len(coded.data) <= limit
    assert (coded.ssim or 0.0) < 0.93


def test_a_large_picture_s_quality_is_sought_on_bands_and_proven_on_the_whole() -> None:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:1400, 0:1080]
    smooth = 90 + 60 * np.sin(x / 60) * np.cos(y / 75)
    pixels = np.clip(smooth + rng.normal(0, 9, smooth.shape) * (y > 700), 0, 255).astype(np.uint8)
    assert _sample(pixels).shape[0] < 1400 / 2
    coded = encode_to_similarity(pixels, WEBP, 0.93, 1 << 20)
    assert 0.93 <= ssim(decode(coded.data, colour=False), pixels) < 0.95


@pytest.mark.parametrize(
    ("least", "max_bytes", "first"), [(0.5, 1 << 20, True), (0.99, 1 << 20, False), (0.5, 900, False)]
)
def test_a_quick_coding_is_taken_only_if_it_will_do(least: float, max_bytes: int, first: bool) -> None:
    pixels = picture()
    coded = encode_quickly(pixels, WEBP, least, max_bytes)
    assert (coded.data == encode(pixels, WEBP, 82, effort=2)) == first
    assert len(coded.data) <= max_bytes
    assert first or coded == encode_to_similarity(pixels, WEBP, least, max_bytes)


@pytest.mark.parametrize("shape", [(64, 64), (1400, 1080), (1400, 1080, 3)])
def test_plain_pictures_are_similar_at_any_quality(shape: tuple[int, ...]) -> None:
    pixels = np.full(shape, 77, np.uint8)
    coded = encode_to_similarity(pixels, WEBP, 0.96, 1 << 20)
    assert ssim(decode(coded.data, colour=len(shape) == 3), pixels) >= 0.96
    assert len(coded.data) < 4000
