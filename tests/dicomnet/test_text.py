from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_charset_files
from pydicom.filereader import dcmread

from dicomnet.text import decode_text

NAME = "张小明"


@pytest.mark.parametrize(
    ("raw", "declared"),
    [
        (NAME.encode("gb18030"), "GB18030"),
        (NAME.encode("gb18030"), "GBK"),
        (NAME.encode("gb18030"), None),
        (NAME.encode("gb18030"), "ISO_IR 100"),
        (NAME.encode("utf-8"), "ISO_IR 192"),
        (NAME.encode("utf-8"), None),
        (NAME.encode("utf-8"), "GB18030"),
        (NAME.encode("utf-8") + b"\0", ["", ""]),
    ],
)
def test_chinese_names_survive_wrong_declarations(raw: bytes, declared: str | list[str] | None) -> None:
    assert decode_text(raw, declared) == NAME


def test_real_latin_text_is_not_taken_for_chinese() -> None:
    assert decode_text("Müller^Jörg".encode("latin-1"), "ISO_IR 100") == "Müller^Jörg"


@given(st.binary(max_size=40), st.sampled_from([None, "", "ISO_IR 100", "GB18030", "ISO_IR 192", "nonsense"]))
def test_any_bytes_give_text(raw: bytes, declared: str | None) -> None:
    assert isinstance(decode_text(raw, declared), str)


def test_names_of_the_wheels_character_set_files() -> None:
    paths = [
        path for path in get_charset_files("chr*.dcm") if "chrX2" in path or "chrX1" in path or "chrFren.dcm" in path
    ]
    assert len(paths) >= 3
    for path in paths:
        dataset = dcmread(path)
        element = dataset["PatientName"]
        raw = element.value.original_string
        assert decode_text(raw, dataset.SpecificCharacterSet) == str(element.value)
