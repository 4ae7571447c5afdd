"""Where each frame lies in a stored object (PS3.5 8.1.1, 8.2, A.4; Extended Offset Table: PS3.3 C.7.6.3.1.8)."""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass, field

from dicomnet.archive.elements import (
    DOUBLE_FLOAT_PIXEL_DATA,
    FLOAT_PIXEL_DATA,
    PIXEL_DATA,
    Buffer,
    Element,
    encapsulated_fragments,
    first_fragment_offset,
)
from dicomnet.archive.errors import PixelDataShortError, TooComplexError
from dicomnet.archive.header import NATIVE, Header

EXTENDED_OFFSET_TABLE = 0x7FE00001
EXTENDED_OFFSET_TABLE_LENGTHS = 0x7FE00002
MAX_FRAMES = 1_000_000

Fragment = tuple[int, int]  # (offset, length) in bytes

_ELEMENTS = (
    (PIXEL_DATA, "PixelData"),
    (FLOAT_PIXEL_DATA, "FloatPixelData"),
    (DOUBLE_FLOAT_PIXEL_DATA, "DoubleFloatPixelData"),
)
_CODESTREAM_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")


@dataclass(frozen=True, slots=True)
class FrameLayout:
    """Places of the frames. Native: frame ``i`` begins ``i * native_frame_bits`` bits behind ``native_offset``.

    Encapsulated: ``frames[i]`` lists the fragments; an empty list is a frame that the file does not hold.
    """

    pixel_element: str = ""
    number_of_frames: int = 0
    native_offset: int = 0
    native_frame_bits: int = 0
    frames: tuple[tuple[Fragment, ...], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class PixelShape:
    """Image Pixel module, as far as the length of a frame depends on it."""

    rows: int
    columns: int
    samples_per_pixel: int
    bits_allocated: int
    photometric_interpretation: str

    @property
    def frame_bits(self) -> int:
        """Bits of one native frame; 0 where the header does not say."""
        samples = self.samples_per_pixel
        if self.photometric_interpretation == "YBR_FULL_422" and samples == 3:
            samples = 2
        return self.rows * self.columns * samples * self.bits_allocated


def lay_out_frames(header: Header, shape: PixelShape, declared_frames: int) -> FrameLayout:
    """Places of all frames.

    Raises PixelDataShortError when native data is shorter than the header says, TooComplexError.
    """
    dataset = header.dataset
    found = next(((tag, name) for tag, name in _ELEMENTS if tag in dataset), None)
    if found is None:
        return FrameLayout()
    tag, name = found
    element = dataset.elements[tag]
    if declared_frames > MAX_FRAMES:
        raise TooComplexError(frames=declared_frames)
    count = max(1, declared_frames)
    encapsulated = element.undefined or (header.transfer_syntax_uid not in NATIVE and tag == PIXEL_DATA)
    if encapsulated and _begins_with_item(dataset.buffer, element):
        return FrameLayout(name, count, frames=_encapsulated(header, element, count))
    if encapsulated:  # compressed bytes without the item structure: the whole value is one frame
        whole = ((element.offset, element.length),)
        return FrameLayout(name, count, frames=(whole, *(() for _ in range(count - 1))))
    bits = shape.frame_bits
    expected = (bits * count + 7) // 8
    if element.length < expected:
        raise PixelDataShortError(expected=expected, found=element.length)
    return FrameLayout(name, count, element.offset, bits)


def _begins_with_item(buffer: Buffer, element: Element) -> bool:
    return bytes(buffer[element.offset : element.offset + 4]) == b"\xfe\xff\x00\xe0"


def _encapsulated(header: Header, element: Element, count: int) -> tuple[tuple[Fragment, ...], ...]:
    buffer = header.dataset.buffer
    fragments, table = encapsulated_fragments(buffer, element)
    if len(fragments) > 8 * MAX_FRAMES:
        raise TooComplexError(fragments=len(fragments))
    if not fragments:
        return tuple(() for _ in range(count))
    base = first_fragment_offset(buffer, element)
    extended = header.dataset.raw(EXTENDED_OFFSET_TABLE)
    if extended and len(extended) >= 8 * count:
        offsets = list(struct.unpack_from(f"<{count}Q", extended))
        grouped = group_by_offsets(fragments, base, offsets)
        if grouped is not None:
            return _trim(grouped, header.dataset.raw(EXTENDED_OFFSET_TABLE_LENGTHS), count)
    if len(table) >= 4 * count and count > 1:
        offsets = list(struct.unpack_from(f"<{count}I", table))
        grouped = group_by_offsets(fragments, base, offsets)
        if grouped is not None:
            return grouped
    return group_by_content(buffer, fragments, count)


def group_by_offsets(
    fragments: list[Fragment], base: int, offsets: list[int]
) -> tuple[tuple[Fragment, ...], ...] | None:
    """Fragments of each frame by an offset table; None when the table does not point at fragments in order."""
    index_of = {offset - 8 - base: index for index, (offset, _) in enumerate(fragments)}
    starts = [index_of.get(offset) for offset in offsets]
    if any(start is None for start in starts):
        return None
    known = [start for start in starts if start is not None]
    if known[0] != 0 or any(later <= earlier for earlier, later in itertools.pairwise(known)):
        return None
    ends = [*known[1:], len(fragments)]
    return tuple(tuple(fragments[start:end]) for start, end in zip(known, ends, strict=True))


def group_by_content(buffer: Buffer, fragments: list[Fragment], count: int) -> tuple[tuple[Fragment, ...], ...]:
    """Fragments of each frame without a table: one each; by codestream; in equal runs; else as they go."""
    if count == 1:
        return (tuple(fragments),)
    if len(fragments) == count:
        return tuple((fragment,) for fragment in fragments)
    if len(fragments) > count:
        starts = [
            index
            for index, (offset, _) in enumerate(fragments)
            if bytes(buffer[offset : offset + 12]).startswith(_CODESTREAM_STARTS)
        ]
        if len(starts) == count and starts[0] == 0:
            return tuple(
                tuple(fragments[start:end]) for start, end in zip(starts, [*starts[1:], len(fragments)], strict=True)
            )
        if len(fragments) % count == 0:
            run = len(fragments) // count
            return tuple(tuple(fragments[start : start + run]) for start in range(0, len(fragments), run))
        return (tuple(fragments), *(() for _ in range(count - 1)))  # a video stream, or a header that is wrong
    return (*((fragment,) for fragment in fragments), *(() for _ in range(count - len(fragments))))


def _trim(
    grouped: tuple[tuple[Fragment, ...], ...], lengths: bytes | None, count: int
) -> tuple[tuple[Fragment, ...], ...]:
    """Take the even-length padding off single-fragment frames where the Extended Offset Table gives the length."""
    if lengths is None or len(lengths) < 8 * count:
        return grouped
    exact = struct.unpack_from(f"<{count}Q", lengths)
    return tuple(
        ((group[0][0], length),) if len(group) == 1 and group[0][1] - 1 <= length <= group[0][1] else group
        for group, length in zip(grouped, exact, strict=True)
    )
