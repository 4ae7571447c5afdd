"""Data elements of a DICOM file as (VR, offset, length) over its bytes: nothing is decoded before it is asked for.

The archive reads each header once, from bytes that a stranger sent. This scanner therefore checks every length
against the end of the data, bounds nesting and the number of elements, and knows the exact place of the pixel
data. Sources: PS3.5 section 7 (data set encoding), annex A (transfer syntaxes), PS3.10 section 7.1 (file meta).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from mmap import mmap
from typing import NamedTuple

from pydicom.datadict import dictionary_VR

from dicomnet.archive.errors import NotDicomError, TooComplexError, TruncatedError

Buffer = bytes | bytearray | memoryview | mmap

UNDEFINED_LENGTH = 0xFFFFFFFF
MAX_DEPTH = 48
MAX_ELEMENTS = 2_000_000

PIXEL_DATA = 0x7FE00010
FLOAT_PIXEL_DATA = 0x7FE00008
DOUBLE_FLOAT_PIXEL_DATA = 0x7FE00009
SPECIFIC_CHARACTER_SET = 0x00080005

_ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD
_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_SHORT_VRS = frozenset(
    (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
     b"ST", b"TM", b"UI", b"UL", b"US")
)  # fmt: skip
_KNOWN_VRS = _LONG_VRS | _SHORT_VRS

_EXPLICIT_HEAD = {True: struct.Struct("<HH2sH"), False: struct.Struct(">HH2sH")}
_IMPLICIT_HEAD = {True: struct.Struct("<HHI"), False: struct.Struct(">HHI")}
_LONG = {True: struct.Struct("<I"), False: struct.Struct(">I")}
_BINARY = {b"US": "H", b"SS": "h", b"UL": "I", b"SL": "i", b"FL": "f", b"FD": "d", b"UV": "Q", b"SV": "q", b"AT": "HH",
           b"OB": "B", b"OW": "H", b"OF": "f", b"OD": "d", b"OL": "I", b"OV": "Q"}  # fmt: skip


class Element(NamedTuple):
    """Place of one element's value. ``length`` counts bytes up to the delimiter when ``undefined``."""

    vr: bytes  # two letters, or b"" where the syntax is implicit
    offset: int
    length: int
    undefined: bool
    implicit: bool  # encoding of the items inside, when it is a sequence


# NamedTuple's own __new__ is a Python function; most of a scan would be spent in it.
_new_element = partial(tuple.__new__, Element)


@dataclass(slots=True)
class _Budget:
    left: int = MAX_ELEMENTS

    def take(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise TooComplexError(limit=MAX_ELEMENTS)


@lru_cache(maxsize=4096)
def _dictionary_vr(tag: int) -> bytes:
    try:
        return dictionary_VR(tag)[:2].encode("ascii")
    except KeyError:
        return b"UN"


def looks_explicit(buffer: Buffer, position: int) -> bool:
    """Whether the element at ``position`` carries a VR."""
    return bytes(buffer[position + 4 : position + 6]) in _KNOWN_VRS


class _Scanner:
    """Walks one encoding of a buffer; raises TruncatedError, TooComplexError or NotDicomError."""

    __slots__ = ("budget", "buffer", "little")

    def __init__(self, buffer: Buffer, little: bool, budget: _Budget) -> None:
        self.buffer = buffer
        self.little = little
        self.budget = budget

    def head(self, position: int, end: int, implicit: bool) -> tuple[int, bytes, int, int]:
        """(tag, VR, offset of the value, length) of the element at ``position``."""
        if position + 8 > end:
            raise TruncatedError(offset=position)
        if implicit:
            group, number, length = _IMPLICIT_HEAD[self.little].unpack_from(self.buffer, position)
            return group << 16 | number, b"", position + 8, length
        group, number, vr, length = _EXPLICIT_HEAD[self.little].unpack_from(self.buffer, position)
        if vr in _SHORT_VRS:
            return group << 16 | number, vr, position + 8, length
        if vr in _LONG_VRS:
            if position + 12 > end:
                raise TruncatedError(offset=position)
            return group << 16 | number, vr, position + 12, _LONG[self.little].unpack_from(self.buffer, position + 8)[0]
        if group == 0xFFFE or not (vr.isalpha() and vr.isupper()):
            # Delimiters have no VR; some writers slip implicit elements into explicit data sets.
            (length,) = _LONG[self.little].unpack_from(self.buffer, position + 4)
            return group << 16 | number, b"", position + 8, length
        return group << 16 | number, b"UN", position + 8, length  # a VR of the future, 16-bit length

    def element(self, position: int, end: int, implicit: bool, depth: int) -> tuple[int, Element, int]:
        """(tag, element, position after it)."""
        self.budget.take()
        tag, vr, offset, length = self.head(position, end, implicit)
        if length != UNDEFINED_LENGTH:
            if offset + length > end:
                raise TruncatedError(offset=position, tag=f"{tag:08X}", length=length)
            return tag, Element(vr, offset, length, False, implicit), offset + length
        inner_implicit = implicit or vr in (b"UN", b"")
        after = self.skip_sequence(offset, end, inner_implicit, depth + 1)
        return tag, Element(vr, offset, after - 8 - offset, True, inner_implicit), after

    def skip_sequence(self, position: int, end: int, implicit: bool, depth: int) -> int:
        """Position after the sequence delimiter of a sequence (or encapsulated value) of undefined length."""
        if depth > MAX_DEPTH:
            raise TooComplexError(depth=depth)
        head = _IMPLICIT_HEAD[self.little]
        while True:
            if position + 8 > end:
                raise TruncatedError(offset=position)
            self.budget.take()
            group, number, length = head.unpack_from(self.buffer, position)
            tag = group << 16 | number
            position += 8
            if tag == _SEQUENCE_END:
                return position
            if tag != _ITEM:
                raise NotDicomError(offset=position - 8, reason="no item in a sequence")
            if length == UNDEFINED_LENGTH:
                position = self.skip_item(position, end, implicit, depth)
            elif position + length > end:
                raise TruncatedError(offset=position, length=length)
            else:
                position += length

    def skip_item(self, position: int, end: int, implicit: bool, depth: int) -> int:
        """Position after the item delimiter of an item of undefined length."""
        implicit = not looks_explicit(self.buffer, position) if position + 8 < end else implicit
        while True:
            tag, _, after = self.element(position, end, implicit, depth)
            if tag == _ITEM_END:
                return after
            position = after


@dataclass(slots=True)
class Elements:
    """One data set (or sequence item): tag -> Element, with typed readers. Values are read lazily.

    ``character_sets`` are the raw values of Specific Character Set, inherited by items (PS3.3 C.12.1.1.2).
    """

    buffer: Buffer
    little: bool
    elements: dict[int, Element] = field(default_factory=dict[int, Element])
    character_sets: tuple[str, ...] = ()
    depth: int = 0
    _budget: _Budget = field(default_factory=_Budget)

    def __contains__(self, tag: int) -> bool:
        return tag in self.elements

    def scan(self, position: int, end: int, implicit: bool, *, stop_after_pixels: bool = False) -> int:
        """Index the elements from ``position`` to ``end`` or an item delimiter; returns the position after the last.

        With ``stop_after_pixels`` faults behind the pixel data (trailing padding, cut private groups) end the scan.
        """
        scanner = _Scanner(self.buffer, self.little, self._budget)
        elements = self.elements
        buffer, unpack = self.buffer, _EXPLICIT_HEAD[self.little].unpack_from
        unpack_implicit = _IMPLICIT_HEAD[self.little].unpack_from
        pixels_seen = False
        budget = self._budget
        while position + 8 <= end:
            budget.left -= 1
            if budget.left < 0:
                raise TooComplexError(limit=MAX_ELEMENTS)
            if not implicit:  # most elements of most files: a value of defined length
                group, number, vr, length = unpack(buffer, position)
                after = position + 8 + length
                if vr in _SHORT_VRS and after <= end:
                    elements[group << 16 | number] = _new_element((vr, position + 8, length, False, False))
                    position = after
                    continue
            else:
                group, number, length = unpack_implicit(buffer, position)
                after = position + 8 + length
                if group != 0xFFFE and length != UNDEFINED_LENGTH and after <= end and group != 0x7FE0:
                    elements[group << 16 | number] = _new_element((b"", position + 8, length, False, True))
                    position = after
                    continue
            try:
                tag, element, after = scanner.element(position, end, implicit, self.depth)
            except (TruncatedError, NotDicomError):
                if pixels_seen and stop_after_pixels:
                    break
                raise
            if tag in (_ITEM_END, _SEQUENCE_END):
                position = after
                break
            elements[tag] = element
            pixels_seen = pixels_seen or tag == PIXEL_DATA
            position = after
        if SPECIFIC_CHARACTER_SET in elements:
            self.character_sets = tuple(self.strings(SPECIFIC_CHARACTER_SET))
        return position

    def scan_one(self, position: int, end: int, implicit: bool) -> int:
        """Index the one element at ``position``; returns the position after it."""
        scanner = _Scanner(self.buffer, self.little, self._budget)
        tag, element, after = scanner.element(position, end, implicit, self.depth)
        self.elements[tag] = element
        return after

    def vr(self, tag: int) -> bytes:
        """VR as sent; the dictionary's where the syntax is implicit or the sender wrote UN."""
        vr = self.elements[tag].vr
        return vr if vr and vr != b"UN" else _dictionary_vr(tag)

    def raw(self, tag: int, limit: int = 1 << 26) -> bytes | None:
        """Bytes of the value, at most ``limit``; None where the element is absent or empty."""
        element = self.elements.get(tag)
        if element is None or element.length == 0:
            return None
        offset, length = element.offset, element.length
        return bytes(self.buffer[offset : offset + (length if length < limit else limit)])

    def text(self, tag: int) -> str:
        """Value of a VR without character set (UI, CS, DA, TM, AE, IS, DS), first value, trimmed; "" where absent."""
        raw = self.raw(tag, 1 << 20)
        return "" if raw is None else _split(raw)[0] if len(raw) <= _REMEMBERED_BYTES else _split_anew(raw)[0]

    def strings(self, tag: int, at_most: int = 4096) -> list[str]:
        """Backslash-separated values, each trimmed; [""] for an empty value, [] where absent."""
        if tag not in self.elements:
            return []
        raw = self.raw(tag, 1 << 20) or b""
        return list((_split(raw) if len(raw) <= _REMEMBERED_BYTES else _split_anew(raw))[:at_most])

    def floats(self, tag: int) -> list[float]:
        """All numbers of a DS, IS, FD, FL or integer element; values that are no number are left out."""
        if tag not in self.elements:
            return []
        vr = self.vr(tag)
        if vr in _BINARY:
            return [float(value) for value in self._binary(tag, vr)]
        raw = self.raw(tag, 1 << 20) or b""
        if len(raw) <= _REMEMBERED_BYTES:
            return list(_numbers(raw))
        return [number for value in _split_anew(raw)[:4096] if (number := _to_float(value)) is not None]

    def number(self, tag: int) -> float | None:
        """First number or None."""
        values = self.floats(tag)
        return values[0] if values else None

    def integer(self, tag: int, default: int | None = None) -> int | None:
        """First value as an integer, or ``default``."""
        if tag not in self.elements:
            return default
        vr = self.vr(tag)
        if vr in _BINARY and vr not in (b"FL", b"FD"):
            values = self._binary(tag, vr)
            return int(values[0]) if values else default
        number = self.number(tag)
        return default if number is None or not abs(number) < 1 << 63 else int(number)

    def _binary(self, tag: int, vr: bytes) -> tuple[int | float, ...]:
        raw = self.raw(tag) or b""
        if vr == b"US" and len(raw) == 2:
            return (int.from_bytes(raw, "little" if self.little else "big"),)
        code = _BINARY[vr]
        size = struct.calcsize("<" + code[0])
        count = len(raw) // size
        return struct.unpack_from(f"{'<' if self.little else '>'}{count}{code[0]}", raw)

    def items(self, tag: int) -> Iterator[Elements]:
        """Items of a sequence; nothing where it is absent or is no sequence. Raises like ``scan``."""
        element = self.elements.get(tag)
        if element is None:
            return
        if self.depth >= MAX_DEPTH:
            raise TooComplexError(depth=self.depth)
        position, end = element.offset, element.offset + element.length
        head = _IMPLICIT_HEAD[self.little]
        while position + 8 <= end:
            group, number, length = head.unpack_from(self.buffer, position)
            if group << 16 | number != _ITEM:
                return
            position += 8
            item = Elements(self.buffer, self.little, {}, self.character_sets, self.depth + 1, self._budget)
            implicit = not looks_explicit(self.buffer, position)
            if length == UNDEFINED_LENGTH:
                position = item.scan(position, end, implicit)
            else:
                if position + length > end:
                    raise TruncatedError(offset=position, length=length)
                item.scan(position, position + length, implicit)
                position += length
            yield item

    def first_item(self, tag: int) -> Elements | None:
        """First item of a sequence or None."""
        return next(self.items(tag), None)


# The objects of a series repeat most of their values: short ones are decoded once.
_REMEMBERED_BYTES = 128


def _split_anew(raw: bytes) -> tuple[str, ...]:
    return tuple([value.strip(" \0\t\r\n") for value in raw.decode("latin-1").split("\\")])


_split = lru_cache(maxsize=8192)(_split_anew)


@lru_cache(maxsize=8192)
def _numbers(raw: bytes) -> tuple[float, ...]:
    return tuple([number for value in _split_anew(raw) if (number := _to_float(value)) is not None])


def _to_float(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e300 else None  # also drops NaN and infinities


def encapsulated_fragments(buffer: Buffer, element: Element) -> tuple[list[tuple[int, int]], bytes]:
    """([(offset, length) of each fragment], Basic Offset Table) of encapsulated pixel data (PS3.5 A.4).

    Raises NotDicomError when the value is not a run of items.
    """
    fragments: list[tuple[int, int]] = []
    position, end = element.offset, element.offset + element.length
    unpack = _IMPLICIT_HEAD[True].unpack_from
    while position + 8 <= end:
        group, number, length = unpack(buffer, position)
        if group << 16 | number != _ITEM or position + 8 + length > end:
            raise NotDicomError(offset=position, reason="bad fragment")
        fragments.append((position + 8, length))
        position += 8 + length
    if not fragments:
        return [], b""
    table_offset, table_length = fragments[0]
    return fragments[1:], bytes(buffer[table_offset : table_offset + table_length])


def first_fragment_offset(buffer: Buffer, element: Element) -> int:
    """Offset that the offset tables count from: the first byte of the first item tag behind the table."""
    (length,) = _LONG[True].unpack_from(buffer, element.offset + 4)
    return element.offset + 8 + length
