"""Look-up tables of DICOM objects as plain 16-bit tables (PS3.3 C.11.1, C.11.2, C.7.6.3.1.5, C.7.9)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dicomnet.archive.elements import Elements

LUT_DESCRIPTOR = 0x00283002
LUT_EXPLANATION = 0x00283003
MODALITY_LUT_TYPE = 0x00283004
LUT_DATA = 0x00283006

_PALETTE_DESCRIPTORS = (0x00281101, 0x00281102, 0x00281103)
_PALETTE_DATA = (0x00281201, 0x00281202, 0x00281203)
_PALETTE_SEGMENTED = (0x00281221, 0x00281222, 0x00281223)
_MAX_ENTRIES = 65536


@dataclass(frozen=True, slots=True)
class Lut:
    """One table. ``data``: little-endian uint16 entries; entry 0 belongs to stored value ``first_mapped``.

    Values below the first entry take the first, above the last take the last. ``bits``: bits per entry, 8 to 16.
    """

    first_mapped: int
    bits: int
    data: bytes
    explanation: str = ""
    kind: str = ""  # Modality LUT Type: HU, OD, US …

    @property
    def values(self) -> NDArray[np.uint16]:
        """Entries as uint16, shape (n,)."""
        return np.frombuffer(self.data, dtype="<u2")


@dataclass(frozen=True, slots=True)
class Palette:
    """Red, green and blue tables of PALETTE COLOR, segments expanded."""

    red: Lut
    green: Lut
    blue: Lut


def read_lut(item: Elements, signed: bool) -> Lut | None:
    """The table of one item of a Modality or VOI LUT Sequence; None where it is not usable.

    ``signed``: the stored values are, and so is the first mapped value (the VR in the file may say otherwise).
    """
    descriptor = _descriptor(item, LUT_DESCRIPTOR, signed)
    raw = item.raw(LUT_DATA, 4 * _MAX_ENTRIES)
    if descriptor is None or raw is None:
        return None
    entries, first, bits = descriptor
    data = _words(raw, entries, item.little)
    if data is None:
        return None
    return Lut(first, bits, data, item.text(LUT_EXPLANATION)[:64], item.text(MODALITY_LUT_TYPE)[:16])


def read_palette(dataset: Elements, signed: bool) -> Palette | None:
    """Palette Color Lookup Tables, plain or segmented; None where absent or unusable."""
    tables: list[Lut] = []
    for tag_descriptor, tag_data, tag_segmented in zip(
        _PALETTE_DESCRIPTORS, _PALETTE_DATA, _PALETTE_SEGMENTED, strict=True
    ):
        descriptor = _descriptor(dataset, tag_descriptor, signed)
        if descriptor is None:
            return None
        entries, first, bits = descriptor
        if (raw := dataset.raw(tag_data, 4 * _MAX_ENTRIES)) is not None:
            data = _words(raw, entries, dataset.little)
        elif (raw := dataset.raw(tag_segmented, 1 << 20)) is not None:
            data = expand_segments(raw, entries, bits, dataset.little)
        else:
            return None
        if data is None:
            return None
        tables.append(Lut(first, bits, data))
    return Palette(*tables)


def _descriptor(item: Elements, tag: int, signed: bool) -> tuple[int, int, int] | None:
    """(entries, first mapped value, bits per entry)."""
    raw = item.raw(tag)
    if raw is None or len(raw) < 6:
        return None
    entries, first, bits = struct.unpack_from("<HHH" if item.little else ">HHH", raw)
    if signed and first >= 0x8000:
        first -= 0x10000
    return entries or _MAX_ENTRIES, first, bits if 1 <= bits <= 16 else 16


def _words(raw: bytes, entries: int, little: bool) -> bytes | None:
    """Entries as little-endian uint16. 8-bit entries may come one a byte, or one a word."""
    if len(raw) >= 2 * entries:
        return np.frombuffer(raw, "<u2" if little else ">u2", count=entries).astype("<u2").tobytes()
    if len(raw) >= entries:
        octets = np.frombuffer(raw, np.uint8)
        if not little:  # bytes travel in 16-bit words
            octets = octets[: len(octets) // 2 * 2].reshape(-1, 2)[:, ::-1].reshape(-1)
        return octets[:entries].astype("<u2").tobytes() if len(octets) >= entries else None
    return None


def expand_segments(raw: bytes, entries: int, bits: int, little: bool) -> bytes | None:
    """Expand a segmented palette (PS3.3 C.7.9.2): discrete, linear and indirect segments. None when malformed."""
    if bits == 8:
        words = np.frombuffer(raw, np.uint8).tolist()
        offset_words = 4
    else:
        words = np.frombuffer(raw[: len(raw) // 2 * 2], "<u2" if little else ">u2").tolist()
        offset_words = 2
    values: list[int] = []
    ok = _expand(words, 0, len(words), None, values, entries, bits, offset_words)
    if not ok or len(values) < entries:
        return None
    return np.array(values[:entries], "<u2").tobytes()


def _expand(
    words: list[int],
    position: int,
    end: int,
    segments: int | None,
    values: list[int],
    entries: int,
    bits: int,
    offset_words: int,
) -> bool:
    """Append the entries of ``segments`` segments (all up to ``end`` when None); False when malformed."""
    nested = segments is not None
    while position + 2 <= end and len(values) < entries and segments != 0:
        opcode, length = words[position], words[position + 1]
        position += 2
        if opcode == 0:
            values.extend(words[position : position + length])
            position += length
        elif opcode == 1 and values and position < end:
            values.extend(_ramp(values[-1], words[position], length))
            position += 1
        elif opcode == 2 and not nested and position + offset_words <= end:
            base = 8 if bits == 8 else 16
            offset = sum(words[position + index] << (base * index) for index in range(offset_words))
            start = offset // (1 if bits == 8 else 2)
            position += offset_words
            if not _expand(words, start, end, length, values, entries, bits, offset_words):
                return False
        else:
            return opcode == 0 or len(values) >= entries
        if segments is not None:
            segments -= 1
    return True


def _ramp(start: int, stop: int, length: int) -> list[int]:
    """``length`` entries from behind ``start`` up to and with ``stop``, rounded half up."""
    return [int(start + (stop - start) * (index + 1) / length + 0.5) for index in range(length)] if length else []
