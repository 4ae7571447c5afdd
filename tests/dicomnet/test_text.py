from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_charset_files
from pydicom.dataset import Dataset
from pydicom.filereader import dcmread
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName

from dicomnet.text import decode_text

NAME = "张小明"
Declared = str | Sequence[str] | None


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


def names(dataset: Dataset, inherited: Declared = None) -> Iterator[tuple[PersonName, Declared]]:
    """Every name with the character set that holds for it: a sequence item may have its own (PS3.3 C.12.1.1.2)."""
    declared = dataset.get("SpecificCharacterSet", inherited)
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from names(item, declared)
        elif element.VR == "PN" and element.value:
            values = element.value if isinstance(element.value, MultiValue) else [element.value]
            yield from ((value, declared) for value in values)


def test_names_of_every_character_set_file_of_the_wheel() -> None:
    paths = sorted(set(get_charset_files("*.dcm")))
    assert len(paths) >= 15
    checked = 0
    for path in paths:
        for name, declared in names(dcmread(path)):
            raw = name.original_string
            assert decode_text(raw, declared) == str(name), path
            checked += not raw.isascii() or b"\x1b" in raw
    assert checked >= 15
