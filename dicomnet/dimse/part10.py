"""The Part 10 header that is put before a data set received over the network (DICOM PS3.10, section 7.1)."""

from __future__ import annotations

import struct


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    """One explicit VR little endian element of group 0002."""
    if vr in (b"OB", b"UN"):
        return struct.pack("<HH2sHI", 2, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", 2, number, vr, len(value)) + value


def _uid(text: str) -> bytes:
    raw = text.encode("ascii")
    return raw + b"\0" * (len(raw) % 2)


def _title(text: str) -> bytes:
    raw = text.encode("ascii", "replace")[:16]
    return raw + b" " * (len(raw) % 2)


def file_meta(
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    implementation_class_uid: str,
    implementation_version_name: str,
    sending_ae_title: str = "",
) -> bytes:
    """Preamble, ``DICM`` and group 0002; deterministic, so that the same object sent again has the same bytes.

    The source AE title is left out unless given: a re-send from another station must not look like a conflict.
    """
    body = _element(0x0001, b"OB", b"\0\1")
    body += _element(0x0002, b"UI", _uid(sop_class_uid))
    body += _element(0x0003, b"UI", _uid(sop_instance_uid))
    body += _element(0x0010, b"UI", _uid(transfer_syntax_uid))
    body += _element(0x0012, b"UI", _uid(implementation_class_uid))
    body += _element(0x0013, b"SH", _title(implementation_version_name))
    if sending_ae_title:
        body += _element(0x0017, b"AE", _title(sending_ae_title))
    return bytes(128) + b"DICM" + _element(0x0000, b"UL", struct.pack("<I", len(body))) + body
