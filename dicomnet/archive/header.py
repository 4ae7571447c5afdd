"""A DICOM file opened for the archive: meta, data set and the place of its pixel data (PS3.10 section 7, PS3.5)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from dicomnet.archive.elements import Buffer, Elements, looks_explicit
from dicomnet.archive.errors import NotDicomError, TooLargeError, TruncatedError

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPIP_DEFLATED = frozenset(("1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"))
NATIVE = frozenset((IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED, "1.2.840.10008.1.2.1.98"))

IMPLEMENTATION_CLASS_UID = "2.25.190346578215094287411226748152430978541"
IMPLEMENTATION_VERSION_NAME = "CLOUDFILM"
MAX_INFLATED_BYTES = 1 << 30

_PREAMBLE_BYTES = 132


@dataclass(slots=True)
class Header:
    """What one pass over a file gives. Offsets of ``dataset`` count in ``dataset.buffer``.

    ``dataset.buffer`` is the file itself, or the inflated data set when ``deflated``.
    """

    meta: Elements
    dataset: Elements
    transfer_syntax_uid: str
    dataset_offset: int  # in the file
    deflated: bool
    part10: bool  # preamble and "DICM" are there

    def meta_text(self, tag: int) -> str:
        """Value of a file meta element, "" where absent."""
        return self.meta.text(tag)


def read_header(buffer: Buffer, transfer_syntax_uid: str | None = None) -> Header:
    """Index a Part 10 file, a file without preamble, or a bare data set.

    ``transfer_syntax_uid`` wins over the file meta for a bare data set. Reads no pixel data.
    Raises NotDicomError, TruncatedError, TooComplexError, TooLargeError.
    """
    size = len(buffer)
    meta, position = read_meta(buffer)
    part10 = _has_preamble(buffer)
    syntax = meta.text(0x00020010)
    if not meta.elements and transfer_syntax_uid:
        syntax = transfer_syntax_uid
    if syntax in JPIP_DEFLATED or syntax == DEFLATED:
        inflated = inflate(buffer, position)
        dataset = Elements(inflated, little=True)
        dataset.scan(0, len(inflated), implicit=False, stop_after_pixels=True)
        return Header(meta, dataset, syntax, position, True, part10)
    implicit, little = _encoding(buffer, position, size, syntax)
    if not syntax:
        syntax = IMPLICIT_LITTLE if implicit else EXPLICIT_LITTLE if little else EXPLICIT_BIG
    dataset = Elements(buffer, little=little)
    try:
        dataset.scan(position, size, implicit, stop_after_pixels=True)
    except (TruncatedError, NotDicomError) as error:
        if not part10 and not meta.elements and not _has_identity(dataset):
            raise NotDicomError(**error.data) from None
        raise
    if not dataset.elements or (not part10 and not meta.elements and not _has_identity(dataset)):
        raise NotDicomError(size=size)
    return Header(meta, dataset, syntax, position, False, part10)


def read_meta(buffer: Buffer) -> tuple[Elements, int]:
    """(file meta group, offset of the data set); the group is empty where there is none. Raises TruncatedError."""
    size = len(buffer)
    position = _PREAMBLE_BYTES if _has_preamble(buffer) else 4 if bytes(buffer[:4]) == b"DICM" else 0
    meta = Elements(buffer, little=True)
    while position + 8 <= size and bytes(buffer[position : position + 2]) == b"\x02\x00":
        position = _scan_one_meta(meta, position, size)
    return meta, position


def _has_preamble(buffer: Buffer) -> bool:
    return len(buffer) >= _PREAMBLE_BYTES and bytes(buffer[128:132]) == b"DICM" and not starts_with_element(buffer)


def starts_with_element(buffer: Buffer) -> bool:
    """Whether the bytes begin with a data element of group 0002 or 0008, so that there is no preamble."""
    return bytes(buffer[:2]) in (b"\x02\0", b"\x08\0") and looks_explicit(buffer, 0)


def _scan_one_meta(meta: Elements, position: int, size: int) -> int:
    implicit = not bytes(meta.buffer[position + 4 : position + 6]).isalpha()
    return meta.scan_one(position, size, implicit)


def _has_identity(dataset: Elements) -> bool:
    """Whether bare bytes look like a data set and not like chance."""
    return 0x00080016 in dataset or 0x00080018 in dataset or 0x0020000D in dataset


def _encoding(buffer: Buffer, position: int, size: int, syntax: str) -> tuple[bool, bool]:
    """(implicit, little endian), from the syntax and a look at the first element, which is right when they differ."""
    if position + 8 > size:
        raise NotDicomError(size=size)
    head = bytes(buffer[position : position + 8])
    little = syntax != EXPLICIT_BIG
    if not syntax:
        little = not (head[0] == 0 and head[1] != 0)  # groups are small: the zero byte tells the order
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    return not explicit, little


def inflate(buffer: Buffer, offset: int, limit: int = MAX_INFLATED_BYTES) -> bytes:
    """Inflate a deflated data set (PS3.5 A.5, RFC 1951), at most ``limit`` bytes.

    Raises NotDicomError, TooLargeError, TruncatedError.
    """
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    with memoryview(buffer) as view:
        try:
            data = engine.decompress(view[offset:], limit)
        except zlib.error:
            raise NotDicomError(reason="deflated data set") from None
    if engine.unconsumed_tail and not engine.eof:
        raise TooLargeError(limit=limit)
    if not engine.eof:
        raise TruncatedError(reason="deflated data set")
    return data


def file_meta(
    *, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, source_ae_title: str = ""
) -> bytes:
    """Preamble, "DICM" and the file meta group for a data set that came without (PS3.10 section 7.1)."""
    elements = [_meta_element(0x0001, b"OB", b"\x00\x01")]
    texts: Iterable[tuple[int, bytes, str]] = (
        (0x0002, b"UI", sop_class_uid),
        (0x0003, b"UI", sop_instance_uid),
        (0x0010, b"UI", transfer_syntax_uid),
        (0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
        (0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
        (0x0016, b"AE", source_ae_title[:16]),
    )
    for number, vr, text in texts:
        if text:
            elements.append(_meta_element(number, vr, text.encode("latin-1", "replace")))
    group = b"".join(elements)
    return bytes(128) + b"DICM" + _meta_element(0x0000, b"UL", len(group).to_bytes(4, "little")) + group


def _meta_element(number: int, vr: bytes, value: bytes) -> bytes:
    value += (b"\0" if vr in (b"UI", b"OB") else b" ") * (len(value) % 2)
    head = b"\x02\x00" + number.to_bytes(2, "little") + vr
    if vr == b"OB":
        return head + b"\0\0" + len(value).to_bytes(4, "little") + value
    return head + len(value).to_bytes(2, "little") + value
