"""Built files go in the best coding that the client takes."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.requests import Request

from app.operations import static

CONTENT, BROTLI = b"let a = 1;" * 50, b"as the build packed it"


@pytest.mark.parametrize(
    ("name", "accepted", "coding"),
    [
        ("made.js", "gzip, deflate, br", "br"),
        ("made.js", "gzip;q=1.0", "gzip"),
        ("made.js", "", None),
        ("bare.js", "gzip, deflate, br", "gzip"),
        ("made.png", "gzip, deflate, br", None),
    ],
)
async def test_the_best_coding_that_the_client_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, accepted: str, coding: str | None
) -> None:
    (tmp_path / "assets").mkdir()
    for file, content in ((name, CONTENT), ("made.js.br", BROTLI)):
        (tmp_path / "assets" / file).write_bytes(content)
    monkeypatch.setattr(static, "STATIC", tmp_path)
    static._load.cache_clear()
    headers = [(b"accept-encoding", accepted.encode())]
    request = Request({"type": "http", "headers": headers, "path_params": {"name": name}})
    try:
        answer = await static.asset(request, cast(Any, None), cast(Any, None))
    finally:
        static._load.cache_clear()
    assert answer.headers.get("content-encoding") == coding
    body = bytes(answer.body)
    expected = BROTLI if coding == "br" else CONTENT
    assert (gzip.decompress(body) if coding == "gzip" else body) == expected
    assert answer.headers["vary"] == "Accept-Encoding"
