from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomnet.keyring import Keyring, KeyringError, fold_name, name_matches

RING = Keyring(bytes(range(32)))
NAMES = st.text(st.sampled_from("张王李明小华AbcZ^= ·"), min_size=1, max_size=12)


def found(name: str, pattern: str) -> bool:
    tokens = set(RING.blind_tokens_for_name(name))
    return set(RING.blind_query(pattern)) <= tokens and name_matches(name, pattern)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*王*", True),
        ("张*", True),
        ("王*", False),
        ("张小王", True),
        ("张小", False),
        ("zhang*", True),
        ("zxw", True),
        ("ZhangXiaoWang", True),
        ("*xiao*", True),
        ("张?王", True),
        ("*李*", False),
        ("", True),
    ],
)
def test_a_chinese_name_is_found_by_characters_and_pinyin(pattern: str, expected: bool) -> None:
    assert found("张小王", pattern) is expected


def test_component_groups_are_searched_each() -> None:
    assert found("Zhang^XiaoDong=张^小东=", "张小*")
    assert found("Zhang^XiaoDong=张^小东=", "zhangxiaodong")
    assert found("Doe^Jane", "jane*")


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("单雄信", "shanxiongxin"),
        ("单雄信", "dan*"),
        ("单雄信", "sxx"),
        ("尉迟恭", "yuchi*"),
        ("曾小贤", "zeng*"),
        ("吕布", "lvbu"),
        ("吕布", "lubu"),
        ("吕^布", "lyu*"),
        ("张　三", "张三"),
        ("ＺＨＡＮＧ^San", "zhangsan"),
    ],
)
def test_surnames_by_their_own_reading_and_the_spellings_of_one_sound(name: str, pattern: str) -> None:
    assert found(name, pattern)
    assert not found("王五", pattern)


@given(NAMES, st.data())
def test_wildcards_anywhere_keep_the_name(name: str, data: st.DataObject) -> None:
    marks = st.sampled_from("=?*")
    pattern = "".join({"=": c, "?": "?", "*": "*"}[data.draw(marks)] for c in fold_name(name.split("=")[0]))
    if name_matches(name, pattern):
        assert set(RING.blind_query(pattern)) <= set(RING.blind_tokens_for_name(name)), pattern


@given(NAMES, st.data())
def test_every_name_that_matches_has_the_patterns_tokens(name: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(name)))
    end = data.draw(st.integers(start, len(name)))
    for pattern in (f"*{name[start:end]}*", f"{name[:end]}*", name):
        if name_matches(name, pattern):
            assert set(RING.blind_query(pattern)) <= set(RING.blind_tokens_for_name(name)), pattern


def test_seal_opens_only_in_its_context_and_is_never_the_same_twice() -> None:
    sealed = RING.seal("张小王", b"patient/1")
    assert RING.open(sealed, b"patient/1") == "张小王"
    assert RING.seal("张小王", b"patient/1") != sealed
    assert "张小王".encode() not in sealed
    for wrong in (sealed[:-1] + b"x", b"\x02" + sealed[1:], b"", sealed[:5]):
        with pytest.raises(KeyringError):
            RING.open(wrong, b"patient/1")
    with pytest.raises(KeyringError):
        RING.open(sealed, b"patient/2")
    with pytest.raises(KeyringError):
        Keyring(bytes(32)).open(sealed, b"patient/1")


def test_the_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "master.key"
    first = Keyring.load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Keyring.load_or_create(path).hmac("x", b"y") == first.hmac("x", b"y")
    assert first.hmac("x", b"y") != first.hmac("z", b"y")
    assert [p.name for p in path.parent.iterdir()] == ["master.key"]
    path.write_text("no key")
    with pytest.raises(KeyringError):
        Keyring.load_or_create(path)
