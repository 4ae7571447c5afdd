"""Only the script of the value workers may compile WebAssembly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from app.operations import static


def _request(name: str) -> Request:
    scope: dict[str, Any] = {"type": "http", "headers": [], "path_params": {"name": name}}
    return Request(scope)


@pytest.mark.asyncio
async def test_the_policy_of_the_value_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "assets").mkdir()
    for name in ("values-worker-1.js", "values-1.js", "openjph-1.wasm"):
        (tmp_path / "assets" / name).write_bytes(b"1")
    monkeypatch.setattr(static, "STATIC", tmp_path)
    static._load.cache_clear()
    policies: dict[str, str | None] = {}
    kinds: dict[str, str] = {}
    for name in ("values-worker-1.js", "values-1.js", "openjph-1.wasm"):
        answer = await static.asset(_request(name), None, None)  # pyright: ignore[reportArgumentType]
        policies[name] = answer.headers.get("content-security-policy")
        kinds[name] = answer.headers["content-type"]
    static._load.cache_clear()
    assert "'wasm-unsafe-eval'" in (policies.pop("values-worker-1.js") or "")
    assert set(policies.values()) == {None}
    assert kinds["openjph-1.wasm"] == "application/wasm"
