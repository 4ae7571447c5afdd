"""The decoders behind ``render.codec``: each takes (bytes, FrameSpec), returns (stored values, photometric)."""

from __future__ import annotations

import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from render.codestream import (
    j2k_check_complete,
    j2k_component_transform,
    jpeg_has_end,
    jpeg_markers,
    jpeg_with_plain_scans,
)
from render.errors import CodecError, TruncatedFrameError

if TYPE_CHECKING:
    from render.codec import FrameSpec

Values = NDArray[Any]

_BIG_ENDIAN = "1.2.840.10008.1.2.2"


# Stored values ------------------------------------------------------------------------------------------------


def stored_values(values: Values, spec: FrameSpec) -> Values:
    """Bits above ``high_bit`` cut off, sign extended from ``bits_stored`` (PS3.5 8.1.1)."""
    if spec.float_kind or spec.bits_allocated == 1:
        return values
    bits = spec.bits_allocated
    stored = spec.bits_stored if 0 < spec.bits_stored <= bits else bits
    shift_down = max(0, spec.high_bit + 1 - stored) if spec.high_bit < bits else 0
    width = values.dtype.itemsize * 8
    if stored == width and shift_down == 0:
        return values.view(spec.dtype) if values.dtype.itemsize == spec.dtype.itemsize else values.astype(spec.dtype)
    unsigned = values.view(np.dtype(f"u{values.dtype.itemsize}"))
    if shift_down:
        unsigned = unsigned >> np.uint8(shift_down)
    if not spec.pixel_representation:
        mask = (1 << stored) - 1
        if int(unsigned.max(initial=0)) > mask:
            unsigned = unsigned & unsigned.dtype.type(mask)
        return unsigned.astype(spec.dtype, copy=False)
    lift = width - stored
    signed = (unsigned << np.uint8(lift)).view(np.dtype(f"i{values.dtype.itemsize}")) >> np.int8(lift)
    return signed.astype(spec.dtype, copy=False)


def ybr_full_to_rgb(values: Values) -> Values:
    """YBR_FULL, 8 bits, (y, x, 3) -> RGB (PS3.3 C.7.6.3.1.2, the inverse of ITU-T T.871)."""
    ycc = values.astype(np.float32)
    cb, cr = ycc[..., 1] - 128.0, ycc[..., 2] - 128.0
    rgb = np.empty_like(ycc)
    rgb[..., 0] = ycc[..., 0] + 1.402 * cr
    rgb[..., 1] = ycc[..., 0] - 0.344136286 * cb - 0.714136286 * cr
    rgb[..., 2] = ycc[..., 0] + 1.772 * cb
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def _colour(values: Values, spec: FrameSpec, *, converted: bool) -> tuple[Values, str]:
    """RGB exactly once: YBR of the header is converted unless the decoder did so."""
    photometric = spec.photometric_interpretation
    if spec.samples_per_pixel < 3:
        return values, photometric
    if values.shape[-1] == 4:
        values = values[..., :3]
    if photometric.startswith("YBR") and not converted and values.dtype == np.uint8:
        return ybr_full_to_rgb(values), "RGB"
    return values, "RGB"


# Uncompressed -------------------------------------------------------------------------------------------------


def native(data: bytes, spec: FrameSpec) -> tuple[Values, str]:
    """Bytes as in the data set, little or big endian (PS3.5 8.1, A.1-A.3). Raises TruncatedFrameError."""
    samples = spec.rows * spec.columns * spec.samples_per_pixel
    if spec.bits_allocated == 1:
        if len(data) * 8 < samples:
            raise TruncatedFrameError(length_bytes=len(data), expected_bytes=(samples + 7) // 8)
        bits = np.unpackbits(np.frombuffer(data, np.uint8), count=samples, bitorder="little")
        return bits.reshape(spec.shape), spec.photometric_interpretation
    if spec.photometric_interpretation == "YBR_FULL_422" and spec.samples_per_pixel == 3:
        return _native_422(data, spec)
    size = spec.dtype.itemsize
    if len(data) < samples * size:
        raise TruncatedFrameError(length_bytes=len(data), expected_bytes=samples * size)
    big = spec.transfer_syntax_uid == _BIG_ENDIAN
    if spec.swapped_words and size == 1:
        data = _swap_words(data)
        if len(data) < samples:
            raise TruncatedFrameError(length_bytes=len(data), expected_bytes=samples)
    kind = spec.dtype.newbyteorder(">" if big else "<")
    values: Values = np.frombuffer(data, kind, samples)
    if big:
        values = values.astype(spec.dtype)
    values = stored_values(values, spec)
    if spec.samples_per_pixel > 1 and spec.planar_configuration == 1:
        planes = values.reshape(spec.samples_per_pixel, spec.rows, spec.columns)
        values = np.moveaxis(planes, 0, -1)
    else:
        values = values.reshape(spec.shape)
    return _colour(values, spec, converted=False)


def _swap_words(data: bytes) -> bytes:
    words = np.frombuffer(data, np.uint16, len(data) // 2).byteswap().tobytes()
    return words + data[len(words) :]


def _native_422(data: bytes, spec: FrameSpec) -> tuple[Values, str]:
    """Y1 Y2 Cb Cr for two pixels (PS3.3 C.7.6.3.1.2)."""
    pairs = spec.rows * spec.columns // 2
    if len(data) < pairs * 4:
        raise TruncatedFrameError(length_bytes=len(data), expected_bytes=pairs * 4)
    groups = np.frombuffer(data, np.uint8, pairs * 4).reshape(pairs, 4)
    full = np.empty((pairs, 2, 3), np.uint8)
    full[:, :, 0] = groups[:, :2]
    full[:, :, 1] = groups[:, 2:3]
    full[:, :, 2] = groups[:, 3:4]
    return ybr_full_to_rgb(full.reshape(spec.shape)), "RGB"


def deflated_frame(data: bytes, spec: FrameSpec) -> tuple[Values, str]:
    """Deflated Image Frame Compression (PS3.5 A.4.13): a raw deflate stream of the native frame, bounded."""
    expected = (spec.rows * spec.columns * spec.samples_per_pixel * spec.bits_allocated + 7) // 8
    inflated = zlib.decompressobj(-15).decompress(data, expected + 2)
    return native(inflated, spec)


def rle(data: bytes, spec: FrameSpec) -> tuple[Values, str]:
    """RLE Lossless (PS3.5 annex G)."""
    from rle.utils import decode_frame

    raw = decode_frame(data, spec.rows * spec.columns, spec.bits_allocated, "<")
    values: Values = np.frombuffer(raw, spec.dtype.newbyteorder("<"))
    values = stored_values(values, spec)
    if spec.samples_per_pixel > 1:
        values = np.moveaxis(values.reshape(spec.samples_per_pixel, spec.rows, spec.columns), 0, -1)
    else:
        values = values.reshape(spec.shape)
    return _colour(values, spec, converted=False)


# JPEG family --------------------------------------------------------------------------------------------------


def jpeg(data: bytes, spec: FrameSpec) -> tuple[Values, str]:
    """JPEG processes 1, 2 and 4 (8 and 12 bit), and lossless, by libjpeg-turbo."""
    markers = jpeg_markers(data)
    precision = markers.get("precision", 8)
    data = jpeg_with_plain_scans(data)
    if not jpeg_has_end(data):
        data = _ended(data, precision)
    if markers.get("components", 1) == 1 or spec.samples_per_pixel == 1:
        values = imagecodecs.jpeg8_decode(data)
        return stored_values(np.asarray(values), spec), spec.photometric_interpretation
    if "adobe" in markers:
        space = "YCBCR" if markers["adobe"] == 1 else "RGB"
    elif "jfif" in markers:
        space = "YCBCR"
    else:
        space = "RGB" if spec.photometric_interpretation == "RGB" else "YCBCR"
    values = imagecodecs.jpeg8_decode(data, colorspace=space, outcolorspace="RGB")
    return np.asarray(values), "RGB"


def _ended(data: bytes, precision: int) -> bytes:
    """The frame with the end marker it lacks, when nothing else is missing. Raises TruncatedFrameError."""
    if data[:2] != b"\xff\xd8":
        raise CodecError(what="not a JPEG")
    ended = data + b"\xff\xd9"
    if precision != 8:
        raise TruncatedFrameError(length_bytes=len(data))
    try:
        simplejpeg.decode_jpeg(ended, strict=True)  # libjpeg-turbo's warnings are errors here
    except ValueError as error:
        raise TruncatedFrameError(length_bytes=len(data)) from error
    return ended


def lossless_jpeg(data: bytes, spec: FrameSpec) -> tuple[Values, str]:
    """JPEG lossless, process 14 (ITU-T T.81 H): one component by liblj92, several by jpegsof3."""
    markers = jpeg_markers(data)
    if markers.get("sof") != 0xC3:
        raise CodecError(what="not a lossless JPEG")
    if not jpeg_has_end(data):
        raise CodecError(what="no end of image")  # liblj92 would fill what is missing
    if spec.samples_per_pixel == 1:
        values = np.asarray(imagecodecs.ljpeg_decode(data))
    else:
        values = np.asarray(imagecodecs.jpegsof3_decode(data))
    values = stored_values(_sized(values, spec), spec)
    return _colour(values, spec, converted=False)


def jpeg_ls(data: bytes, spec: FrameSpec) -> tuple[Values, str]:
    """JPEG-LS (ITU-T T.87) by CharLS."""
    values = np.asarray(imagecodecs.jpegls_decode(data))
    if values.ndim == 3 and values.shape[0] == spec.samples_per_pixel and values.shape[1:] == (spec.rows, spec.columns):
        values = np.moveaxis(values, 0, -1)
    values = stored_values(np.ascontiguousarray(_sized(values, spec)), spec)
    return _colour(values, spec, converted=False)


def _sized(values: Values, spec: FrameSpec) -> Values:
    """The decoder's type in the width that the header allocates."""
    size = spec.dtype.itemsize
    if values.dtype.itemsize == size:
        return values
    return values.astype(np.dtype(f"{'i' if values.dtype.kind == 'i' else 'u'}{size}"))


def _from_j2k(values: Values, data: bytes, spec: FrameSpec) -> tuple[Values, str]:
    transform = j2k_component_transform(data)
    values = stored_values(np.ascontiguousarray(_sized(values, spec)), spec)
    converted = bool(transform) or spec.photometric_interpretation in ("YBR_RCT", "YBR_ICT")
    return _colour(values, spec, converted=converted)


def jpeg_2000(data: bytes, spec: FrameSpec) -> tuple[Values, str]:
    """JPEG 2000 (ITU-T T.800) by OpenJPEG."""
    j2k_check_complete(data)
    return _from_j2k(np.asarray(imagecodecs.jpeg2k_decode(data)), data, spec)


_watching = threading.local()


@contextmanager
def _swallowed_errors() -> Iterator[list[str]]:
    """Errors that imagecodecs cannot raise (its copy loop returns no status): the picture would lack lines.

    Python tells such errors to ``sys.unraisablehook`` in the thread they happen in.
    """
    if sys.unraisablehook is not _note_swallowed:
        _chained.append(sys.unraisablehook)
        sys.unraisablehook = _note_swallowed
    found: list[str] = []
    _watching.found = found
    try:
        yield found
    finally:
        _watching.found = None


_chained: list[Callable[[Any], object]] = []


def _note_swallowed(unraisable: Any) -> None:
    found: list[str] | None = getattr(_watching, "found", None)
    if found is not None:
        found.append(str(unraisable.exc_value))
    elif _chained and not getattr(_watching, "inside", False):  # a later hook may call this one
        _watching.inside = True
        try:
            _chained[-1](unraisable)
        finally:
            _watching.inside = False


def htj2k(data: bytes, spec: FrameSpec, reduction: int) -> tuple[Values, str]:
    """High-throughput JPEG 2000 (ITU-T T.814) by OpenJPH, optionally at a reduced resolution."""
    j2k_check_complete(data)
    with _swallowed_errors() as swallowed:
        values = np.asarray(imagecodecs.htj2k_decode(data, skipres=reduction or None))
    if swallowed:
        raise CodecError(what="the codestream breaks off")
    if values.ndim == 3 and values.shape[0] == spec.samples_per_pixel and values.shape[2] != spec.samples_per_pixel:
        values = np.moveaxis(values, 0, -1)
    return _from_j2k(values, data, spec)


def pylibjpeg_2000(data: bytes, spec: FrameSpec) -> tuple[Values, str]:
    """JPEG 2000 by pylibjpeg-openjpeg, which reads some streams that others refuse."""
    from openjpeg.utils import decode

    return _from_j2k(np.asarray(decode(data)), data, spec)
