"""Headers as JSON: what foreign programs wrote is told, whatever it is."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from app.archive_api.header_json import bulk_value, header_json
from tests.support.dicom_files import as_bytes, make_ct, packaged_files


def described(data: bytes) -> dict[str, Any]:
    return orjson.loads(header_json(data, "http://h/i", "PixelData", "OW"))


def test_long_binary_values_are_named_and_can_be_had() -> None:
    ds = make_ct(ICCProfile=bytes(range(256)) * 8)
    ds.add_new(0x00291010, "OB", b"ab")
    found = described(as_bytes(ds))
    assert found["00282000"] == {"vr": "OB", "BulkDataURI": "http://h/i/bulkdata/00282000"}
    assert found["00291010"] == {"vr": "OB", "InlineBinary": "YWI="}
    assert bulk_value(as_bytes(ds), 0x00282000) == ds.ICCProfile
    assert bulk_value(as_bytes(ds), 0x00100010) is None
    assert bulk_value(as_bytes(ds), 0x00999999) is None


def test_names_in_a_set_that_was_not_declared_are_repaired() -> None:
    data = as_bytes(make_ct(SpecificCharacterSet="GB18030", PatientName="王^小明"))
    undeclared = data.replace(b"CS\x08\x00GB18030 ", b"CS\x08\x00ISO_IR 6")
    assert undeclared != data
    assert described(undeclared)["00100010"]["Value"] == [{"Alphabetic": "王^小明"}]


@pytest.mark.parametrize("path", [p for p in packaged_files() if p.suffix == ".dcm"], ids=lambda path: path.name)
def test_no_file_of_the_wheel_defeats_it(path: Any) -> None:
    data = path.read_bytes()
    found = orjson.loads(header_json(data, "u", "", ""))
    assert found["00080005"]["Value"] == ["ISO_IR 192"]
    assert all(value["vr"] for value in found.values())
