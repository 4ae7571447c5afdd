"""Picture -> JPEG or WebP, for a quality, a byte budget, or a wanted similarity."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from render.errors import InvalidViewError
from render.request import JPEG, WEBP
from render.similarity import ssim

Pixels = NDArray[np.uint8]


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
        if pixels.ndim == 2:
            return simplejpeg.encode_jpeg(pixels[:, :, None], quality=quality, colorspace="GRAY")
        return simplejpeg.encode_jpeg(pixels, quality=quality, colorspace="RGB", colorsubsampling="420")
    if media_type == WEBP:
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "WEBP", quality=quality, method=effort)
        return stream.getvalue()
    raise InvalidViewError(what="media_type")


def decode(data: bytes, *, colour: bool) -> Pixels:
    """Pixels of an encoded picture, gray or RGB."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB" if colour else "L"))


def encode_to_size(pixels: Pixels, media_type: str, max_bytes: int, *, lowest: int = 5, highest: int = 90) -> Encoded:
    """The best quality within ``max_bytes``, by bisection; the lowest quality where nothing fits."""
    low, high = lowest, highest
    best = Encoded(encode(pixels, media_type, low, effort=4), media_type, low)
    while low < high:
        middle = (low + high + 1) // 2
        data = encode(pixels, media_type, middle, effort=4)
        if len(data) <= max_bytes:
            best, low = Encoded(data, media_type, middle), middle
        else:
            high = middle - 1
    return best


def encode_to_similarity(
    pixels: Pixels, media_type: str, min_ssim: float, max_bytes: int, *, lowest: int = 20, highest: int = 95
) -> Encoded:
    """The smallest coding whose SSIM to ``pixels`` reaches ``min_ssim``, never above ``max_bytes``."""
    low, high = lowest, highest
    best: Encoded | None = None
    while low <= high:
        middle = (low + high) // 2
        data = encode(pixels, media_type, middle, effort=4)
        if len(data) > max_bytes:
            high = middle - 1
            continue
        similarity = ssim(pixels, decode(data, colour=pixels.ndim == 3))
        candidate = Encoded(data, media_type, middle, similarity)
        if similarity >= min_ssim:
            best, high = candidate, middle - 1
        else:
            low = middle + 1
            if best is None or (best.ssim or 0.0) < min_ssim:
                best = candidate
    return best or encode_to_size(pixels, media_type, max_bytes, lowest=1, highest=lowest)
