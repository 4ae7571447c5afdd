"""What the first segments of a compressed frame say, read before a decoder allocates anything."""

from __future__ import annotations

from dataclasses import dataclass

from render.errors import CodecError, TruncatedFrameError

_J2K_START = b"\xff\x4f\xff\x51"  # SOC, SIZ
_JPEG_START = b"\xff\xd8"
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Codestream:
    """Size by the codestream's own header. ``rows`` is 0 where a JPEG gives it only after the scan (DNL)."""

    columns: int
    rows: int
    components: int
    precision: int
    signed: bool = False


def jpeg_markers(data: bytes) -> dict[str, int]:
    """What the segments before the first scan say (ITU-T T.81 B.2).

    ``components``, ``precision``, ``rows``, ``columns``, ``sof`` (marker), ``adobe`` (its transform), ``jfif``.
    """
    found: dict[str, int] = {}
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        segment = data[position + 4 : position + 2 + length]
        if marker == 0xEE and segment[:5] == b"Adobe" and len(segment) >= 12:
            found["adobe"] = segment[11]
        elif marker == 0xE0 and segment[:4] == b"JFIF":
            found["jfif"] = 1
        elif (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            if len(segment) >= 6:
                found["sof"], found["precision"], found["components"] = marker, segment[0], segment[5]
                found["rows"] = int.from_bytes(segment[1:3], "big")
                found["columns"] = int.from_bytes(segment[3:5], "big")
        elif marker == 0xDA:
            break
        position += 2 + length
    return found


def jpeg_with_plain_scans(data: bytes) -> bytes:
    """A sequential JPEG whose scan header names another spectral selection than 0-63, put right.

    Some devices write 1-63 or 0-0 there (ITU-T T.81 B.2.3 allows only 0-63 for sequential scans); decoders that check
    refuse such frames although the scan itself is as it should be.
    """
    position = 2
    sequential = False
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if marker in (0xC0, 0xC1):
            sequential = True
        elif marker == 0xDA:
            at = position + 2 + length - 3
            if sequential and at + 3 <= len(data) and data[at : at + 3] != b"\x00\x3f\x00":
                return data[:at] + b"\x00\x3f\x00" + data[at + 3 :]
            break
        position += 1 if marker == 0xFF else 2 + length
    return data


def jpeg_has_end(data: bytes) -> bool:
    """Whether an end-of-image marker stands at the end (padding behind it allowed)."""
    return b"\xff\xd9" in data[-_TAIL_BYTES:]


def j2k_start(data: bytes) -> int:
    """Where the codestream begins, inside JP2 boxes or bare. Raises CodecError."""
    start = data.find(_J2K_START)
    if start < 0:
        raise CodecError(what="no JPEG 2000 codestream")
    return start


def j2k_component_transform(data: bytes) -> int:
    """1 when the codestream carries a multiple component transform (RCT or ICT), which decoders undo."""
    position = j2k_start(data) + 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0x52 and position + 8 < len(data):  # COD: Scod, progression order, layers (2), transform
            return data[position + 8]
        if marker in (0x90, 0xD9):
            break
        position += 2 + length
    return 0


def j2k_check_complete(data: bytes) -> None:
    """Every tile-part lies inside the bytes (ITU-T T.800 A.4.2). Raises TruncatedFrameError, CodecError."""
    position = j2k_start(data) + 2
    while position + 4 <= len(data) and data[position] == 0xFF and data[position + 1] != 0x90:
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    while position + 12 <= len(data) and data[position : position + 2] == b"\xff\x90":
        length = int.from_bytes(data[position + 6 : position + 10], "big")
        if length == 0:  # the last tile-part, up to the end of the codestream
            return
        if length < 12:
            raise CodecError(what="tile-part length")
        position += length
    if position > len(data):
        raise TruncatedFrameError(length_bytes=len(data), expected_bytes=position)


def measure(data: bytes) -> Codestream | None:
    """Size of a JPEG, JPEG-LS or JPEG 2000 codestream; None where the bytes do not say."""
    if data[:2] == _JPEG_START:
        found = jpeg_markers(data)
        if "columns" not in found:
            return None
        return Codestream(found["columns"], found["rows"], found["components"], found["precision"])
    start = data.find(_J2K_START, 0, _TAIL_BYTES)
    if start < 0 or len(data) < start + 43:
        return None
    siz = start + 2
    x1, y1, x0, y0 = (int.from_bytes(data[siz + 6 + 4 * i : siz + 10 + 4 * i], "big") for i in range(4))
    components = int.from_bytes(data[siz + 38 : siz + 40], "big")
    depth = data[siz + 40]
    return Codestream(max(x1 - x0, 0), max(y1 - y0, 0), components, (depth & 0x7F) + 1, bool(depth & 0x80))
