from __future__ import annotations

import io
import sys
from collections.abc import Iterator

import orjson
import pytest

from app.logging import accepted_correlation_id, configure_logging, correlation_id, get_logger, redact

NAME = "王小明"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    written, before = io.StringIO(), sys.stderr
    sys.stderr = written
    configure_logging("web")
    yield written
    sys.stderr = before
    configure_logging("test", "error")


def test_a_line_is_json_with_role_and_correlation_id(log: io.StringIO) -> None:
    token = correlation_id.set("abcDEF-1234")
    get_logger().info("http.request", path="/s/VERYSECRETTOKEN/pictures?x=1", status=200)
    correlation_id.reset(token)
    line = orjson.loads(log.getvalue())
    assert (line["event"], line["role"], line["correlation_id"]) == ("http.request", "web", "abcDEF-1234")
    assert line["path"] == "/s/…/pictures?x=1"
    assert line["timestamp"].endswith("Z")


def test_a_traceback_names_places_and_kinds_but_quotes_nobody(log: io.StringIO) -> None:
    try:
        try:
            raise KeyError(NAME)
        except KeyError as error:
            raise ValueError(f"patient {NAME}") from error
    except ValueError as error:
        get_logger().error("request.failed", exc_info=error)
    text = log.getvalue()
    assert "builtins.ValueError" in text
    assert "builtins.KeyError" in text
    assert "test_logging.py" in text
    assert NAME not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/s/abc", "/s/…"),
        ("/s/a.b~c-d_e/x", "/s/…/x"),
        ("GET /s/abcdefgh HTTP/1.1", "GET /s/… HTTP/1.1"),
        ("/studies/12", "/studies/12"),
    ],
)
def test_tokens_of_shares_are_cut_out(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_correlation_ids() -> None:
    assert accepted_correlation_id("abcDEF-1234") == "abcDEF-1234"
    made = {accepted_correlation_id(bad) for bad in (None, "", "short", "a" * 65, "x\ny56789")}
    assert len(made) == 5
