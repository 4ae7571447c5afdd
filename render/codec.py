"""Compressed frame -> array of stored values, by an ordered chain of decoders per transfer syntax.

Pure: bytes and a ``FrameSpec`` in, values out. Failures are collected; the decoder that answered is named, because
two decoders may differ in a lossy frame. Colour comes out as RGB exactly once (PS3.3 C.7.6.3.1.2, PS3.5 8.2).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.codestream import measure
from render.errors import CodecError, FrameTooLargeError, TruncatedFrameError, UnsupportedSyntaxError

Values = NDArray[Any]

MAX_SAMPLES = 1 << 30

_IMPLICIT, _EXPLICIT, _BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
_DEFLATED_DATASET, _DEFLATED_FRAME = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.8.1"
_RLE = "1.2.840.10008.1.2.5"
_JPEG = "1.2.840.10008.1.2.4."
NATIVE = frozenset({_IMPLICIT, _EXPLICIT, _BIG_ENDIAN, _DEFLATED_DATASET})


@dataclass(frozen=True, slots=True)
class FrameSpec:
    """What the header says of one frame. ``float_kind``: '', 'float32' or 'float64' (Float Pixel Data).

    ``swapped_words``: samples of 8 bits in big endian words (OW), two bytes exchanged (PS3.5 8.1.1, 7.3).
    """

    transfer_syntax_uid: str
    rows: int
    columns: int
    samples_per_pixel: int = 1
    bits_allocated: int = 16
    bits_stored: int = 16
    high_bit: int = 15
    pixel_representation: int = 0
    planar_configuration: int = 0
    photometric_interpretation: str = "MONOCHROME2"
    float_kind: str = ""
    swapped_words: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns) or (rows, columns, samples)."""
        if self.samples_per_pixel == 1:
            return (self.rows, self.columns)
        return (self.rows, self.columns, self.samples_per_pixel)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest type of the stored values."""
        if self.float_kind:
            return np.dtype(self.float_kind)
        size = (
            1 if self.bits_allocated <= 8 else 2 if self.bits_allocated <= 16 else 4 if self.bits_allocated <= 32 else 8
        )
        return np.dtype(f"{'i' if self.pixel_representation else 'u'}{size}")


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """``values``: (y, x) or (y, x, 3), stored values. ``photometric_interpretation`` after decoding; ``decoder`` by name."""

    values: Values
    photometric_interpretation: str
    decoder: str


Decoder = Callable[[bytes, FrameSpec], tuple[Values, str]]
_plugins: dict[str, list[tuple[str, Decoder]]] = {}


def register_plugins(names: str) -> None:
    """Put decoders of ``module:function,…`` first in the chain.

    ``function()`` returns {transfer syntax UID: decoder}; a decoder takes (bytes, FrameSpec) and returns (values,
    photometric interpretation).
    """
    for name in filter(None, (part.strip() for part in names.split(","))):
        module, _, function = name.partition(":")
        table: dict[str, Decoder] = getattr(importlib.import_module(module), function)()
        for uid, decoder in table.items():
            chain = _plugins.setdefault(uid, [])
            if all(known != name for known, _ in chain):
                chain.insert(0, (name, decoder))


def plugin_syntaxes() -> frozenset[str]:
    """Transfer syntaxes that a plug-in claims."""
    return frozenset(_plugins)


def decode_frame(data: bytes, spec: FrameSpec, *, reduction: int = 0) -> DecodedFrame:
    """Stored values of one frame.

    ``reduction`` n asks for 1/2^n of the size where the codestream offers it (HTJ2K); others ignore it.
    Raises FrameTooLargeError, TruncatedFrameError, UnsupportedSyntaxError, CodecError.
    """
    if spec.rows <= 0 or spec.columns <= 0 or spec.samples_per_pixel not in (1, 3, 4):
        raise CodecError(what="size or samples per pixel")
    if spec.rows * spec.columns * spec.samples_per_pixel > MAX_SAMPLES:
        raise FrameTooLargeError(rows=spec.rows, columns=spec.columns)
    if not data:
        raise TruncatedFrameError(length_bytes=0)
    _check_codestream(data, spec)
    chain = _plugins.get(spec.transfer_syntax_uid, []) + _chain(spec.transfer_syntax_uid, reduction)
    if not chain:
        raise UnsupportedSyntaxError(transfer_syntax_uid=spec.transfer_syntax_uid)
    failures: list[tuple[str, str]] = []
    for name, decoder in chain:
        try:
            values, photometric = decoder(data, spec)
            return DecodedFrame(_checked(values, spec, reduction), photometric, name)
        except TruncatedFrameError:
            raise
        except Exception as error:
            failures.append((name, f"{type(error).__name__}: {error}"))
    raise CodecError(failures)


def _check_codestream(data: bytes, spec: FrameSpec) -> None:
    """The codestream's own size, before a decoder allocates it. Raises FrameTooLargeError, CodecError."""
    if not spec.transfer_syntax_uid.startswith(_JPEG):
        return
    found = measure(data)
    if found is None:
        return
    if found.rows * found.columns * found.components > MAX_SAMPLES:
        raise FrameTooLargeError(rows=found.rows, columns=found.columns)
    if found.columns != spec.columns or found.rows not in (0, spec.rows):
        said = f"{found.columns} x {found.rows}"
        raise CodecError(what=f"the codestream is {said}, the header says {spec.columns} x {spec.rows}")


def _checked(values: Values, spec: FrameSpec, reduction: int) -> Values:
    """The shape that the header promised, contiguous; a reduced frame may be smaller."""
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.shape != spec.shape and not (reduction and values.ndim == len(spec.shape)):
        raise CodecError(what=f"decoded {values.shape}, header says {spec.shape}")
    return np.ascontiguousarray(values)


def _chain(uid: str, reduction: int) -> list[tuple[str, Decoder]]:
    from render import decoders

    if uid in NATIVE:
        return [("native", decoders.native)]
    if uid == _DEFLATED_FRAME:
        return [("deflated-frame", decoders.deflated_frame)]
    if uid == _RLE:
        return [("pylibjpeg-rle", decoders.rle)]
    if not uid.startswith(_JPEG):
        return []
    kind = uid.removeprefix(_JPEG)
    if kind in {"50", "51", "53", "55"}:
        return [("libjpeg-turbo", decoders.jpeg)]
    if kind in {"57", "70"}:
        return [("ljpeg", decoders.lossless_jpeg), ("libjpeg-turbo", decoders.jpeg)]
    if kind in {"80", "81"}:
        return [("charls", decoders.jpeg_ls)]
    if kind in {"90", "91", "92", "93"}:
        return [("openjpeg", decoders.jpeg_2000), ("pylibjpeg-openjpeg", decoders.pylibjpeg_2000)]
    if kind in {"201", "202", "203"}:

        def openjph(data: bytes, spec: FrameSpec) -> tuple[Values, str]:
            return decoders.htj2k(data, spec, reduction)

        return [("openjph", openjph), ("pylibjpeg-openjpeg", decoders.pylibjpeg_2000)]
    return []
