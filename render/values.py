"""Stored values on their way to a client: exact bytes, their hash, and lossless HTJ2K proven equal by decoding.

The hash is the SHA-256 of the array in C order and little endian byte order, so that it is the hash of the client's
typed array. Nothing here windows, scales or converts.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from render.codestream import j2k_start
from render.errors import RenderError

Values = NDArray[Any]

# Changes when codestreams made before must not be used any more.
CODER_VERSION = "1"

# Names as the manifest says them; the client's typed array follows from them.
DTYPES: dict[np.dtype[Any], str] = {
    np.dtype(name): code
    for name, code in (
        ("uint8", "u8"),
        ("int8", "i8"),
        ("uint16", "u16"),
        ("int16", "i16"),
        ("uint32", "u32"),
        ("int32", "i32"),
        ("float32", "f32"),
        ("float64", "f64"),
    )
}
# What the browsers' decoder gives back unchanged: it cuts signed 8-bit samples at 0 and keeps at most 16 bits.
_CODED = frozenset({"u8", "u16", "i16"})
_TILE_PARTS_BY_RESOLUTION = 1
_TLM, _SOT, _EOC, _COD = 0x55, 0x90, 0xD9, 0x52


class UnsupportedValuesError(RenderError):
    """Values of a type that no typed array of a browser holds."""

    code = "values.unsupported"
    message = {"zh": "这种像素类型不能以原始数据显示", "en": "Pixel values of this type cannot be delivered"}


class UnequalCodestreamError(RenderError):
    """A codestream that does not decode to the values it was made from: never stored, never sent."""

    code = "values.unequal"
    message = {"zh": "无损压缩校验未通过", "en": "The lossless codestream did not decode to the same values"}


@dataclass(frozen=True, slots=True)
class Codestream:
    """HTJ2K bytes. ``ends``: after how many bytes each resolution is complete, coarsest first; () = only as a whole."""

    data: bytes
    ends: tuple[int, ...]


def dtype_code(values: Values) -> str:
    """``u8`` … ``f64``. Raises UnsupportedValuesError."""
    code = DTYPES.get(values.dtype.newbyteorder("="))
    if code is None:
        raise UnsupportedValuesError(dtype=str(values.dtype))
    return code


def packed(values: Values) -> bytes:
    """The array's bytes: C order, little endian. Raises UnsupportedValuesError."""
    dtype_code(values)
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()


def fingerprint(values: Values) -> str:
    """SHA-256 of ``packed(values)``, hexadecimal. Raises UnsupportedValuesError."""
    dtype_code(values)
    return sha256(np.ascontiguousarray(values, values.dtype.newbyteorder("<")).data.cast("B")).hexdigest()


def deflated(data: bytes) -> bytes:
    """gzip of raw values: level 1, because the next levels cost four times as much for 4 % (docs/values.md)."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def can_code(values: Values) -> bool:
    """Whether the values are coded as HTJ2K: one or three samples of u8, u16 or i16; everything else goes raw."""
    return DTYPES.get(values.dtype) in _CODED and (values.ndim == 2 or values.shape[2] == 3)


def encode_htj2k(values: Values) -> Codestream:
    """Reversible HTJ2K in RPCL order, a tile-part for each resolution, TLM first (ITU-T T.814; PS3.5 8.2.15).

    Decoded and compared before it is returned. Raises UnequalCodestreamError.
    """
    data = bytes(
        imagecodecs.htj2k_encode(
            np.ascontiguousarray(values), reversible=True, tlm=True, tilepart=_TILE_PARTS_BY_RESOLUTION
        )
    )
    coded = Codestream(data, resolution_ends(data))
    if not decodes_to(coded.data, values):
        raise UnequalCodestreamError(shape=values.shape, dtype=str(values.dtype))
    return coded


def decodes_to(data: bytes, values: Values) -> bool:
    """Whether an HTJ2K codestream decodes to exactly these values, type and shape."""
    decoded = np.asarray(imagecodecs.htj2k_decode(data))
    return decoded.dtype == values.dtype and decoded.shape == values.shape and bool(np.array_equal(decoded, values))


def resolution_ends(data: bytes) -> tuple[int, ...]:
    """Where each resolution ends, coarsest first, when every one has a tile-part of its own (ITU-T T.800 A.4.2, A.7.1).

    () where the codestream is not laid out so: it is decoded as a whole then.
    """
    position = j2k_start(data) + 2
    resolutions, progression = 0, -1
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != _SOT:
        if data[position + 1] == _COD:
            progression, resolutions = data[position + 5], data[position + 9] + 1
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    ends: list[int] = []
    while position + 12 <= len(data) and data[position : position + 2] == bytes((0xFF, _SOT)):
        length = int.from_bytes(data[position + 6 : position + 10], "big")
        if length < 12:
            return ()
        position += length
        ends.append(position)
    resolution_first = progression in (1, 2)  # RLCP, RPCL
    return tuple(ends) if resolution_first and len(ends) == resolutions and len(ends) > 1 else ()
