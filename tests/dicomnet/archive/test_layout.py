from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnet.archive.layout import (
    DEFAULT_RULE,
    FIELDS,
    PathRule,
    PathRuleInvalidError,
    clean_value,
    is_storable_uid,
)
from dicomnet.archive.objects import check_key

HASH = bytes(range(32))
VALUES = st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=200))


def test_a_key_follows_the_rule_inside_the_institutions_folder() -> None:
    values = {"StudyDate": "20240101", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3", "SOPInstanceUID": "1.4"}
    key = PathRule.parse(DEFAULT_RULE).key(7, values, HASH)
    assert key == "i7/20240101/1.2/1.3/1.4.000102030405060708090a0b.dcm"


def test_other_content_has_another_key_and_the_same_content_the_same() -> None:
    rule = PathRule.parse("{SOPInstanceUID}")
    values = {"SOPInstanceUID": "1.4"}
    assert rule.key(1, values, HASH) == rule.key(1, values, HASH)
    assert rule.key(1, values, HASH) != rule.key(1, values, bytes(32))
    assert rule.key(1, values, HASH) != rule.key(2, values, HASH)


@given(values=VALUES, template=st.sampled_from((DEFAULT_RULE, "{Modality}/x{StationName}-{SOPInstanceUID}")))
def test_no_value_leaves_the_folder(values: dict[str, str], template: str) -> None:
    key = PathRule.parse(template).key(3, values, HASH)
    assert check_key(key) == key
    assert key.startswith("i3/")
    assert key.count("/") == template.count("/") + 1
    assert ".." not in key.split("/")
    assert all(len(part) <= 128 for part in key.split("/"))


@given(st.text(max_size=300))
def test_a_value_becomes_plain_characters(text: str) -> None:
    cleaned = clean_value(text)
    assert re.fullmatch(r"[0-9A-Za-z_][0-9A-Za-z._-]*", cleaned)
    assert ".." not in cleaned
    assert len(cleaned) <= 64


@given(st.text(max_size=60))
def test_any_template_is_refused_or_gives_safe_keys(template: str) -> None:
    try:
        rule = PathRule.parse(template + "/{SOPInstanceUID}")
    except PathRuleInvalidError:
        return
    check_key(rule.key(1, {"SOPInstanceUID": "../1"}, HASH))


@pytest.mark.parametrize(
    "template",
    ["", "{StudyDate}", "../{SOPInstanceUID}", "/{SOPInstanceUID}", "{PatientName}/{SOPInstanceUID}", "a\\b/{SOPInstanceUID}",
     "{SOPInstanceUID}/x", ".hidden/{SOPInstanceUID}", "{SOPInstanceUID", "a/" * 9 + "{SOPInstanceUID}"],
)  # fmt: skip
def test_rules_that_cannot_be_used_are_refused_when_set(template: str) -> None:
    with pytest.raises(PathRuleInvalidError):
        PathRule.parse(template)


@pytest.mark.parametrize(
    ("uid", "storable"),
    [("1.2.840.10008", True), ("1.02.3", True), ("dccc95", True), ("", False), ("..", False), ("1..2", False),
     ("1.2/3", False), ("1.2 3", False), ("1." * 32 + "1", False), (".1", False), ("1.", False), ("王", False)],
)  # fmt: skip
def test_which_uids_can_be_an_identity(uid: str, storable: bool) -> None:
    assert is_storable_uid(uid) is storable
