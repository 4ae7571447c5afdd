from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnet.dimse import command as dimse

CT = "1.2.840.10008.5.1.4.1.1.2"

ECHO_RQ = bytes.fromhex(
    "0000 0000 04000000 38000000"  # group length 56
    "0000 0200 12000000 312e322e3834302e31303030382e312e3100"  # affected SOP class: verification
    "0000 0001 02000000 3000"  # command field C-ECHO-RQ
    "0000 1001 02000000 0700"  # message id 7
    "0000 0008 02000000 0101"  # no data set
)


def test_echo_request_golden_bytes() -> None:
    command = dimse.decode_command(ECHO_RQ)
    assert command == dimse.Command(
        command_field=dimse.C_ECHO_RQ, affected_sop_class_uid="1.2.840.10008.1.1", message_id=7
    )
    assert not command.has_data_set
    assert dimse.encode_command(command) == ECHO_RQ


def test_response_names_the_request_and_cuts_the_comment() -> None:
    request = dimse.Command(
        command_field=dimse.C_STORE_RQ,
        affected_sop_class_uid=CT,
        affected_sop_instance_uid="1.2.3",
        message_id=9,
        command_data_set_type=0,
    )
    answer = dimse.decode_command(dimse.encode_command(dimse.response_to(request, 0xA700, "x" * 80)))
    assert answer.command_field == dimse.C_STORE_RSP
    assert answer.message_id_being_responded_to == 9
    assert answer.status == 0xA700
    assert answer.affected_sop_instance_uid == "1.2.3"
    assert answer.error_comment == "x" * 64


@pytest.mark.parametrize("lacking", ["affected_sop_class_uid", "affected_sop_instance_uid", "message_id"])
def test_store_request_without_a_required_field_is_refused(lacking: str) -> None:
    values: dict[str, Any] = {"affected_sop_class_uid": CT, "affected_sop_instance_uid": "1.2.3", "message_id": 1}
    del values[lacking]
    data = dimse.encode_command(dimse.Command(command_field=dimse.C_STORE_RQ, command_data_set_type=0, **values))
    with pytest.raises(dimse.CommandError):
        dimse.decode_command(data)


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_raise_the_stable_error(data: bytes) -> None:
    try:
        dimse.decode_command(data)
    except dimse.CommandError as error:
        assert error.code == "dimse.malformed_command"
