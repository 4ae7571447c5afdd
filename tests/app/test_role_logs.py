from __future__ import annotations

from pathlib import Path

from app.role_logs import RoleLog, last_line


def test_a_log_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    log = RoleLog(tmp_path / "web.log", largest_bytes=100)
    for number in range(100):
        log.write(b"line %03d\n" % number)
    log.close()
    kept = (tmp_path / "web.log.1").read_text() + (
        (tmp_path / "web.log").read_text() if (tmp_path / "web.log").exists() else ""
    )
    assert kept.endswith("line 099\n")
    assert len(kept) < 250
    assert {p.name for p in tmp_path.iterdir()} <= {"web.log", "web.log.1"}


def test_it_goes_on_where_it_ended(tmp_path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        log = RoleLog(tmp_path / "web.log")
        log.write(text)
        log.close()
    assert (tmp_path / "web.log").read_bytes() == b"one\ntwo\n"
    assert last_line(tmp_path / "web.log") == "two"
    assert last_line(tmp_path / "none.log") == ""


def test_a_folder_that_is_gone_costs_lines_and_nothing_else(tmp_path: Path) -> None:
    log = RoleLog(tmp_path / "gone" / "web.log")
    log.write(b"lost\n")
    (tmp_path / "gone").mkdir()
    log.write(b"kept\n")
    log.close()
    assert (tmp_path / "gone" / "web.log").read_bytes() == b"kept\n"
