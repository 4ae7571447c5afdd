"""Golden bytes annotated field by field (PS3.8, section 9.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnet.dimse import pdu

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"

ASSOCIATE_RQ_BODY = bytes.fromhex(
    "0001 0000"  # protocol version, reserved
    + "434c4f554446494c4d20202020202020"  # called AE "CLOUDFILM"
    + "4d4f44414c4954592020202020202020"  # calling AE "MODALITY"
    + "00" * 32  # reserved
    + "10 00 0015 312e322e3834302e31303030382e332e312e312e31"  # application context
    + "20 00 002e 01 00 00 00"  # presentation context, id 1
    + "30 00 0011 312e322e3834302e31303030382e312e31"  # abstract syntax: verification
    + "40 00 0011 312e322e3834302e31303030382e312e32"  # transfer syntax: implicit VR LE
    + "50 00 000c 51 00 0004 00004000"  # user information: maximum length 16384
    + "52 00 0000"  # empty implementation class
)


def test_associate_request_golden_bytes() -> None:
    request = pdu.decode_associate_request(memoryview(ASSOCIATE_RQ_BODY))
    assert request.called_ae_title == "CLOUDFILM"
    assert request.calling_ae_title == "MODALITY"
    assert request.contexts == (pdu.PresentationContext(1, VERIFICATION, (IMPLICIT,)),)
    assert request.maximum_length == 16384


@pytest.mark.parametrize("cut", [0, 10, 67, 70, 100, len(ASSOCIATE_RQ_BODY) - 1])
def test_associate_request_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(pdu.PduError):
        pdu.decode_associate_request(memoryview(ASSOCIATE_RQ_BODY[:cut] + b"\x20"))


def test_associate_accept_golden_bytes() -> None:
    request = pdu.decode_associate_request(memoryview(ASSOCIATE_RQ_BODY))
    data = pdu.encode_associate_accept(
        request,
        (pdu.ContextResult(1, 0, IMPLICIT),),
        maximum_length=65536,
        implementation_class_uid="1.2.3",
        implementation_version_name="V1",
    )
    assert data[:2] == b"\x02\x00"
    assert int.from_bytes(data[2:6], "big") == len(data) - 6
    assert data[10:26] == b"CLOUDFILM       "
    assert bytes.fromhex("21 00 0019 01 00 00 00 40 00 0011") + IMPLICIT.encode() in data
    assert bytes.fromhex("51 00 0004 00010000") in data


def test_reject_abort_release_golden_bytes() -> None:
    assert pdu.encode_associate_reject(1, 1, 7) == bytes.fromhex("03 00 00000004 00 01 01 07")
    assert pdu.encode_abort(2, 2) == bytes.fromhex("07 00 00000004 00 00 02 02")
    assert pdu.encode_release_response() == bytes.fromhex("06 00 00000004 00000000")


@given(st.binary(max_size=400), st.integers(8, 64), st.booleans())
def test_data_is_split_within_the_peers_limit_and_comes_back(data: bytes, limit: int, is_command: bool) -> None:
    stream = memoryview(pdu.encode_data(3, data, is_command=is_command, maximum_length=limit))
    collected = b""
    last: list[bool] = []
    while stream:
        length = int.from_bytes(stream[2:6], "big")
        assert stream[0] == pdu.P_DATA_TF
        assert length <= limit
        for fragment in pdu.decode_fragments(stream[6 : 6 + length]):
            assert (fragment.context_id, fragment.is_command) == (3, is_command)
            collected += fragment.data
            last.append(fragment.is_last)
        stream = stream[6 + length :]
    assert collected == data
    assert last == [False] * (len(last) - 1) + [True]


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_raise_the_stable_error(data: bytes) -> None:
    for decode in (pdu.decode_associate_request, lambda body: list(pdu.decode_fragments(body))):
        try:
            decode(memoryview(data))
        except pdu.PduError as error:
            assert error.code == "dimse.malformed_pdu"
