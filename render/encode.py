"""Picture -> JPEG, WebP or (without loss) PNG, for a quality, a byte budget, or a wanted similarity."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from render.errors import InvalidViewError
from render.request import JPEG, PNG, WEBP
from render.similarity import ssim

Pixels = NDArray[np.uint8]
_EFFORT = 4  # of WebP: 10 % fewer bytes than 2 for twice the time; 6 gains 1 % more (measured on CT and DX)
_MOST_TRIALS = 7
_SIZE_SLACK = 0.03  # of the logarithm: within 3 % of the budget
_SIMILARITY_SLACK = 0.004
_EFFORT_GAIN = 0.8  # bytes of effort 4 to those of effort 0 (measured 0.67 to 0.87)
_EFFORT_LOSES_MORE = 1.05  # of similarity, than effort 0 at the same quality
_SAMPLE_LOSES_LESS = 1.2  # than the whole: a first guess, corrected by what the whole shows
_MOST_CORRECTIONS = 3
_LEAST_FACTOR = 0.1  # a plain picture loses nothing at any quality
_SAMPLE_PIXELS = 300_000  # of a large picture stand for it while its quality is sought
_BAND_ROWS = 32
_QUICK_QUALITY, _QUICK_EFFORT = 82, 2


@dataclass(frozen=True)
class Encoded:
    """Bytes of a picture, how they were coded, and their similarity to the pixels where it was measured."""

    data: bytes
    media_type: str
    quality: int
    ssim: float | None = None


def encode(pixels: Pixels, media_type: str, quality: int, *, effort: int = 2) -> bytes:
    """(y, x) or (y, x, 3) uint8 -> bytes; ``quality`` 1-100, ``effort`` 0-6 of WebP."""
    if media_type == JPEG:
        return _jpeg(pixels, quality)
    if media_type == PNG:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG", compress_level=4)
        return stream.getvalue()
    if media_type == WEBP:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "WEBP", quality=quality, method=effort)
        return stream.getvalue()
    raise InvalidViewError(what="media_type")


def _jpeg(pixels: Pixels, quality: int) -> bytes:
    """By the device's codec where there is one, else by libjpeg-turbo."""
    from render.cuda import choice

    device = choice.jpeg()
    if device is None:
        return _jpeg_here(pixels, quality)
    return choice.jpeg_guard().run(lambda: device.encode(pixels, quality), lambda: _jpeg_here(pixels, quality))


def _jpeg_here(pixels: Pixels, quality: int) -> bytes:
    if pixels.ndim == 2:
        return simplejpeg.encode_jpeg(pixels[:, :, None], quality=quality, colorspace="GRAY")
    return simplejpeg.encode_jpeg(pixels, quality=quality, colorspace="RGB", colorsubsampling="420")


def decode(data: bytes, *, colour: bool) -> Pixels:
    """Pixels of an encoded picture, gray or RGB."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB" if colour else "L"))


def encode_to_size(
    pixels: Pixels, media_type: str, max_bytes: int, *, lowest: int = 5, highest: int = 90, guess: int = 50
) -> Encoded:
    """Nearly the best quality within ``max_bytes``, by a few trials; the lowest quality where nothing fits."""
    coded: dict[int, bytes] = {}

    def logarithm_of_size(quality: int) -> float:
        coded[quality] = encode(pixels, media_type, quality, effort=_EFFORT)
        return math.log(len(coded[quality]))

    goal = math.log(max_bytes)
    _seek(logarithm_of_size, goal - _SIZE_SLACK, goal, lowest, highest, guess)
    fitting = [quality for quality, data in coded.items() if len(data) <= max_bytes]
    if not fitting and lowest not in coded:
        logarithm_of_size(lowest)
    best = max(fitting, default=lowest)
    return Encoded(coded[best], media_type, best)


def encode_to_similarity(
    pixels: Pixels, media_type: str, min_ssim: float, max_bytes: int, *, lowest: int = 20, highest: int = 95
) -> Encoded:
    """Nearly the smallest coding whose SSIM to ``pixels`` reaches ``min_ssim``, never above ``max_bytes``.

    Where both cannot be had, the most similar coding within ``max_bytes``.
    """
    colour = pixels.ndim == 3
    sample = _sample(pixels)
    share = sample.size / pixels.size
    guide: dict[int, float] = {}
    best: Encoded | None = None

    def roughly(quality: int) -> float:
        # The least effort is four times quicker, larger, and nearly as similar: a guide to the quality.
        if quality not in guide:
            data = encode(sample, media_type, quality, effort=0)
            too_good = len(data) * _EFFORT_GAIN > max_bytes * share
            guide[quality] = math.inf if too_good else ssim(sample, decode(data, colour=colour))
        return guide[quality]

    def fully(quality: int) -> Encoded | None:
        data = encode(pixels, media_type, quality, effort=_EFFORT)
        if len(data) > max_bytes:
            return None
        return Encoded(data, media_type, quality, ssim(pixels, decode(data, colour=colour)))

    lost = 1 - min_ssim
    factor = _SAMPLE_LOSES_LESS if share < 1 else _EFFORT_LOSES_MORE
    for _ in range(_MOST_CORRECTIONS):
        least = 1 - lost / factor
        _seek(roughly, least, least + _SIMILARITY_SLACK, lowest, highest, 78)
        sendable = {quality: reached for quality, reached in guide.items() if reached < math.inf}
        enough = [quality for quality, reached in sendable.items() if reached >= least]
        quality = min(enough, default=max(sendable, default=lowest))
        coded = fully(quality)
        if coded is None:
            fitted = encode_to_size(pixels, media_type, max_bytes, lowest=1, highest=quality, guess=quality - 4)
            return best or replace(fitted, ssim=ssim(pixels, decode(fitted.data, colour=colour)))
        reached = coded.ssim or 0.0
        best = coded if best is None else _better(best, coded, min_ssim)
        if not enough or min_ssim <= reached < min_ssim + 3 * _SIMILARITY_SLACK:
            break
        # The whole with more effort lost another share than the guide: aim by that much elsewhere.
        factor = max(_LEAST_FACTOR, (1 - reached) / max(1 - guide[quality], 1e-6))
    assert best is not None  # noqa: S101  # the loop ran
    return best


def encode_quickly(pixels: Pixels, media_type: str, min_ssim: float, max_bytes: int) -> Encoded:
    """As ``encode_to_similarity``, but the first coding that is similar and small enough will do: somebody waits."""
    data = encode(pixels, media_type, _QUICK_QUALITY, effort=_QUICK_EFFORT)
    if len(data) <= max_bytes and (reached := ssim(pixels, decode(data, colour=pixels.ndim == 3))) >= min_ssim:
        return Encoded(data, media_type, _QUICK_QUALITY, reached)
    return encode_to_similarity(pixels, media_type, min_ssim, max_bytes)


def _better(one: Encoded, other: Encoded, min_ssim: float) -> Encoded:
    """The smaller of two that are similar enough, else the more similar."""
    good = [coded for coded in (one, other) if (coded.ssim or 0.0) >= min_ssim]
    if len(good) == 2:
        return min(good, key=lambda coded: len(coded.data))
    return good[0] if good else max(one, other, key=lambda coded: coded.ssim or 0.0)


def _sample(pixels: Pixels) -> Pixels:
    """Bands of rows spread evenly over a large picture, one below the other; a small one itself."""
    rows = pixels.shape[0]
    count = max(3, _SAMPLE_PIXELS // (_BAND_ROWS * pixels.shape[1]))
    if count * _BAND_ROWS * 2 > rows:
        return pixels
    starts = np.linspace(0, rows - _BAND_ROWS, count).astype(int)
    return np.concatenate([pixels[start : start + _BAND_ROWS] for start in starts])


def _seek(score: Callable[[int], float], least: float, most: float, low: int, high: int, guess: int) -> None:
    """Try qualities in [low, high] until a score, which rises with quality, lies in [least, most].

    The next trial is where the straight line between the two nearest ones meets the middle of the goal.
    """
    below: tuple[int, float] | None = None
    above: tuple[int, float] | None = None
    quality = guess
    for _ in range(_MOST_TRIALS):
        reached = score(quality)
        if least <= reached <= most:
            return
        if reached < least:
            below, low = (quality, reached), quality + 1
        else:
            above, high = (quality, reached), quality - 1
        if low > high or (above and not math.isfinite(above[1]) and high - low < 2):
            return
        if below and above and math.isfinite(above[1]):
            share = ((least + most) / 2 - below[1]) / max(above[1] - below[1], 1e-9)
            quality = round(below[0] + share * (above[0] - below[0]))
        else:
            quality = (
                (low + high + 1) // 2
                if below and above
                else (low + 2 * high + 2) // 3
                if below
                else (2 * low + high) // 3
            )
        quality = min(max(quality, low), high)
