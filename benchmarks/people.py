"""People of a benchmark on this machine: who is logged in, what they may open, a socket of the stream."""

from __future__ import annotations

import json
import struct
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection

from benchmarks.harness import BenchmarkError
from benchmarks.programs import CloudFilm


def ask(url: str, body: dict[str, Any] | None = None, cookie: str = "") -> tuple[Any, str]:
    """(JSON answer, the cookie it set)."""
    origin = "/".join(url.split("/")[:3])
    headers = {"Content-Type": "application/json", "Cookie": cookie, "Origin": origin}
    request = urllib.request.Request(url, json.dumps(body).encode() if body is not None else None, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        set_cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
        return json.loads(answer.read() or b"null"), set_cookie


def doctor(ours: CloudFilm) -> str:
    """The session cookie of a doctor made for this run."""
    made = ours.run("user", "create", "bench", "--role", "doctor")
    password = str(made["one_time_password"])
    _, cookie = ask(f"{ours.url}/api/login", {"username": "bench", "password": password})
    ask(f"{ours.url}/api/password", {"old": password, "new": "Bench-" + password}, cookie)
    _, cookie = ask(f"{ours.url}/api/login", {"username": "bench", "password": "Bench-" + password})
    return cookie


def studies(ours: CloudFilm, cookie: str, count: int) -> list[int]:
    """Keys of the newest studies. Raises BenchmarkError when there are fewer."""
    listed, _ = ask(f"{ours.url}/api/studies?limit={count}", cookie=cookie)
    keys = [int(study["study_key"]) for study in listed["studies"]]
    if len(keys) < count:
        raise BenchmarkError(f"only {len(keys)} of {count} studies arrived")
    return keys


@dataclass(slots=True)
class Viewer:
    """One open viewer; every picture is acknowledged when it is there."""

    socket: ClientConnection
    series: int = 0
    frames: int = 0
    headers: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    async def send(self, **fields: Any) -> None:
        """One message."""
        await self.socket.send(json.dumps(fields))

    async def next(self) -> tuple[dict[str, Any], int]:
        """(text, or header of a picture; its bytes)."""
        message = await self.socket.recv()
        if isinstance(message, str):
            return json.loads(message), 0
        await self.send(t="credit", bytes=len(message))
        (length,) = struct.unpack_from(">I", message)
        return json.loads(message[4 : 4 + length]), len(message)

    async def open(self, study: int) -> None:
        """Hello and open; the study's first series is taken. Raises BenchmarkError."""
        await self.send(t="hello", v=1, window=512 << 10, webp=True)
        await self.send(t="open", study=study)
        while (answer := (await self.next())[0])["t"] != "opened":
            if answer["t"] == "error":
                raise BenchmarkError(f"the study was not opened: {answer['code']}")
        self.series, self.frames = int(answer["series"][0]["series"]), int(answer["series"][0]["frame_count"])
