"""Protocol data units of the DICOM upper layer: bytes <-> values, no I/O (DICOM PS3.8, section 9.3).

Every PDU begins ``type (1) | reserved (1) | length (4, big endian) | body``; ``length`` counts the body only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from dicomnet.errors import DicomnetError

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"

ASSOCIATE_RQ = 0x01
ASSOCIATE_AC = 0x02
ASSOCIATE_RJ = 0x03
P_DATA_TF = 0x04
RELEASE_RQ = 0x05
RELEASE_RP = 0x06
ABORT = 0x07
HEADER_LENGTH = 6


class PduError(DicomnetError):
    """Bytes that are no PDU of PS3.8; ``data['what']`` names the field."""

    code = "dimse.malformed_pdu"
    message = {"zh": "收到的不是有效的 DICOM 网络数据", "en": "The bytes are not a valid DICOM PDU"}


@dataclass(frozen=True, slots=True)
class PresentationContext:
    """One proposed context: odd ``context_id``, an abstract syntax and transfer syntaxes in the proposer's order."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ (PS3.8, 9.3.2). ``maximum_length`` is the proposer's limit for our P-DATA; 0 = none."""

    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[PresentationContext, ...]
    maximum_length: int = 0
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    roles: tuple[tuple[str, int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ContextResult:
    """Answer to one context (PS3.8, Table 9-18): 0 accepted, 3 abstract syntax, 4 transfer syntaxes not supported."""

    context_id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Fragment:
    """One presentation data value (PS3.8, 9.3.5.1; control header: annex E.2)."""

    context_id: int
    is_command: bool
    is_last: bool
    data: memoryview = field(repr=False)


def _items(body: memoryview, offset: int, what: str) -> Iterator[tuple[int, memoryview]]:
    """Items ``type (1) | reserved (1) | length (2) | value`` from ``offset`` to the end."""
    while offset < len(body):
        if offset + 4 > len(body):
            raise PduError(what=what)
        kind, _, length = struct.unpack_from(">BBH", body, offset)
        offset += 4
        if offset + length > len(body):
            raise PduError(what=what)
        yield kind, body[offset : offset + length]
        offset += length


def _text(value: memoryview, what: str) -> str:
    try:
        return bytes(value).decode("ascii").strip("\0 ")
    except UnicodeDecodeError:
        raise PduError(what=what) from None


def _presentation_context(item: memoryview) -> PresentationContext:
    """Item 0x20: ``context id (1) | reserved (3) | sub-items 0x30, 0x40 …``."""
    if len(item) < 4:
        raise PduError(what="presentation context")
    abstract_syntax = ""
    transfer_syntaxes: list[str] = []
    for kind, value in _items(item, 4, "presentation context"):
        if kind == 0x30:
            abstract_syntax = _text(value, "abstract syntax")
        elif kind == 0x40:
            transfer_syntaxes.append(_text(value, "transfer syntax"))
    return PresentationContext(item[0], abstract_syntax, tuple(transfer_syntaxes))


def decode_associate_request(body: memoryview) -> AssociateRequest:
    """Body: ``version (2) | reserved (2) | called AE (16) | calling AE (16) | reserved (32) | items``.

    Raises PduError when a length points outside, the version is not 1 or nothing is proposed.
    """
    if len(body) < 68:
        raise PduError(what="A-ASSOCIATE-RQ length")
    (version,) = struct.unpack_from(">H", body, 0)
    if not version & 1:
        raise PduError(what="protocol version")
    contexts: list[PresentationContext] = []
    roles: list[tuple[str, int, int]] = []
    maximum_length, class_uid, version_name = 0, "", ""
    for kind, item in _items(body, 68, "A-ASSOCIATE-RQ item"):
        if kind == 0x20:
            contexts.append(_presentation_context(item))
        elif kind == 0x50:
            for sub_kind, value in _items(item, 0, "user information"):
                if sub_kind == 0x51 and len(value) == 4:
                    (maximum_length,) = struct.unpack(">I", value)
                elif sub_kind == 0x52:
                    class_uid = _text(value, "implementation class UID")
                elif sub_kind == 0x55:
                    version_name = _text(value, "implementation version name")
                elif sub_kind == 0x54 and len(value) >= 4:
                    (uid_length,) = struct.unpack_from(">H", value, 0)
                    if uid_length + 4 > len(value):
                        raise PduError(what="role selection")
                    roles.append(
                        (_text(value[2 : 2 + uid_length], "role"), value[uid_length + 2], value[uid_length + 3])
                    )
    if not contexts:
        raise PduError(what="no presentation context")
    return AssociateRequest(
        called_ae_title=_text(body[4:20], "called AE title"),
        calling_ae_title=_text(body[20:36], "calling AE title"),
        contexts=tuple(contexts),
        maximum_length=maximum_length,
        implementation_class_uid=class_uid,
        implementation_version_name=version_name,
        roles=tuple(roles),
    )


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def encode_associate_accept(
    request: AssociateRequest,
    results: tuple[ContextResult, ...],
    *,
    maximum_length: int,
    implementation_class_uid: str,
    implementation_version_name: str,
) -> bytes:
    """A-ASSOCIATE-AC (PS3.8, 9.3.3): AE titles as received, one item 0x21 per context, user information.

    A proposer that asked for a role gets SCU only: this side is an SCP (PS3.7, D.3.3.4).
    """
    body = struct.pack(">HH", 1, 0)
    body += request.called_ae_title.ljust(16).encode("ascii") + request.calling_ae_title.ljust(16).encode("ascii")
    body += bytes(32) + _item(0x10, APPLICATION_CONTEXT.encode())
    for answer in results:
        head = struct.pack(">BBBB", answer.context_id, 0, answer.result, 0)
        body += _item(0x21, head + _item(0x40, answer.transfer_syntax.encode()))
    user = _item(0x51, struct.pack(">I", maximum_length)) + _item(0x52, implementation_class_uid.encode())
    for uid, scu, _scp in request.roles:
        user += _item(0x54, struct.pack(">H", len(uid)) + uid.encode() + bytes([scu & 1, 0]))
    user += _item(0x55, implementation_version_name.encode())
    body += _item(0x50, user)
    return struct.pack(">BBI", ASSOCIATE_AC, 0, len(body)) + body


def encode_associate_reject(result: int, source: int, reason: int) -> bytes:
    """A-ASSOCIATE-RJ (PS3.8, Table 9-21): result 1 permanent, 2 transient."""
    return struct.pack(">BBIBBBB", ASSOCIATE_RJ, 0, 4, 0, result, source, reason)


def encode_release_response() -> bytes:
    """A-RELEASE-RP (PS3.8, 9.3.7)."""
    return struct.pack(">BBII", RELEASE_RP, 0, 4, 0)


def encode_abort(source: int, reason: int) -> bytes:
    """A-ABORT (PS3.8, 9.3.8): source 0 user, 2 provider; reasons of Table 9-26."""
    return struct.pack(">BBIBBBB", ABORT, 0, 4, 0, 0, source, reason)


def encode_data(context_id: int, data: bytes, *, is_command: bool, maximum_length: int) -> bytes:
    """P-DATA-TF PDUs that carry ``data`` within the peer's ``maximum_length`` (0 = no limit)."""
    room = max(1, (maximum_length or 1 << 20) - 6)
    pdus: list[bytes] = []
    for start in range(0, max(1, len(data)), room):
        part = data[start : start + room]
        control = (1 if is_command else 0) | (2 if start + room >= len(data) else 0)
        pdus.append(struct.pack(">BBIIBB", P_DATA_TF, 0, len(part) + 6, len(part) + 2, context_id, control) + part)
    return b"".join(pdus)


def decode_fragments(body: memoryview) -> Iterator[Fragment]:
    """Fragments of one P-DATA-TF body: ``length (4) | context id (1) | control (1) | data`` each. Raises PduError."""
    offset = 0
    while offset < len(body):
        if offset + 6 > len(body):
            raise PduError(what="presentation data value")
        length, context_id, control = struct.unpack_from(">IBB", body, offset)
        if length < 2 or offset + 4 + length > len(body):
            raise PduError(what="presentation data value length")
        yield Fragment(context_id, bool(control & 1), bool(control & 2), body[offset + 6 : offset + 4 + length])
        offset += 4 + length
