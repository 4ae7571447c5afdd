"""DIMSE command sets: implicit VR little endian, group 0000 (DICOM PS3.7, section 6.3.1 and annex E)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from dicomnet.errors import DicomnetError

C_STORE_RQ, C_STORE_RSP = 0x0001, 0x8001
C_ECHO_RQ, C_ECHO_RSP = 0x0030, 0x8030
C_CANCEL_RQ = 0x0FFF
NO_DATA_SET = 0x0101

# Element numbers of group 0000 and how their values are written.
_UIDS = {0x0002: "affected_sop_class_uid", 0x1000: "affected_sop_instance_uid"}
_SHORTS = {
    0x0100: "command_field",
    0x0110: "message_id",
    0x0120: "message_id_being_responded_to",
    0x0800: "command_data_set_type",
    0x0900: "status",
}
_TEXTS = {0x0902: "error_comment", 0x1030: "move_originator_ae_title"}
_NAMES = {**_UIDS, **_SHORTS, **_TEXTS}
_NUMBERS = {name: number for number, name in _NAMES.items()}


class CommandError(DicomnetError):
    """A command set that cannot be read or lacks what its command field demands."""

    code = "dimse.malformed_command"
    message = {"zh": "DIMSE 命令无效", "en": "The DIMSE command set is not valid"}


@dataclass(frozen=True, slots=True)
class Command:
    """The fields of a command set that a storage or verification SCP reads or writes; None = absent."""

    command_field: int
    affected_sop_class_uid: str | None = None
    affected_sop_instance_uid: str | None = None
    message_id: int | None = None
    message_id_being_responded_to: int | None = None
    command_data_set_type: int = NO_DATA_SET
    status: int | None = None
    error_comment: str | None = None
    move_originator_ae_title: str | None = None

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows (PS3.7, E.1: any value but 0101H)."""
        return self.command_data_set_type != NO_DATA_SET


def decode_command(data: bytes) -> Command:
    """Elements ``group (2) | element (2) | length (4) | value``, little endian. Raises CommandError."""
    values: dict[str, str | int] = {}
    offset = 0
    while offset < len(data):
        if offset + 8 > len(data):
            raise CommandError(what="element header")
        group, element, length = struct.unpack_from("<HHI", data, offset)
        offset += 8
        if group != 0 or offset + length > len(data):
            raise CommandError(what=f"({group:04x},{element:04x})")
        value = data[offset : offset + length]
        offset += length
        name = _NAMES.get(element)
        if name is None:
            continue
        if element in _SHORTS:
            if length != 2:
                raise CommandError(what=name)
            values[name] = int.from_bytes(value, "little")
        else:
            values[name] = value.decode("ascii", "replace").strip("\0 ")
    if "command_field" not in values:
        raise CommandError(what="command_field")
    command = Command(**values)  # pyright: ignore[reportArgumentType]  # names and kinds come from the tables above
    if command.command_field in (C_STORE_RQ, C_ECHO_RQ) and command.message_id is None:
        raise CommandError(what="message_id")
    if command.command_field == C_STORE_RQ and not (
        command.affected_sop_class_uid and command.affected_sop_instance_uid and command.has_data_set
    ):
        raise CommandError(what="affected_sop_instance_uid")
    return command


def encode_command(command: Command) -> bytes:
    """The command set with its group length (0000,0000) in front; elements in ascending order."""
    body = b""
    for number in sorted(_NAMES):
        value = getattr(command, _NAMES[number])
        if value is None:
            continue
        if number in _SHORTS:
            raw = struct.pack("<H", value)
        else:
            raw = str(value).encode("ascii", "replace")
            raw += (b"\0" if number in _UIDS else b" ") * (len(raw) % 2)
        body += struct.pack("<HHI", 0, number, len(raw)) + raw
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def response_to(request: Command, status: int, error_comment: str = "") -> Command:
    """C-STORE-RSP or C-ECHO-RSP (PS3.7, 9.3.1.2 and 9.3.5.2); the comment is cut to the 64 bytes of LO."""
    return Command(
        command_field=request.command_field | 0x8000,
        affected_sop_class_uid=request.affected_sop_class_uid,
        affected_sop_instance_uid=request.affected_sop_instance_uid,
        message_id_being_responded_to=request.message_id,
        status=status,
        error_comment=error_comment[:64] or None,
    )
