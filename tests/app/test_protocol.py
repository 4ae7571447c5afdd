from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from app.protocol import BoundedHttp


class Quick(BoundedHttp):
    head_bytes = 4096
    head_s = 0.5
    idle_s = 0.5


made: list[Quick] = []


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def peer(kind: type[Quick] = Quick) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    config = uvicorn.Config(hello, http=kind, ws="none", log_config=None, timeout_keep_alive=5)
    config.load()
    made.clear()

    def make() -> Quick:
        made.append(kind(config, ServerState(), {}))
        return made[-1]

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.close()
        server.close()
        await server.wait_closed()


async def test_a_silent_peer_and_an_endless_head_in_time() -> None:
    for begin in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n"):
        async with peer() as (reader, writer):
            writer.write(begin)
            assert await asyncio.wait_for(reader.read(), 10) == b""


@pytest.mark.parametrize("filler", [b"X-A: " + b"a" * 9000, b"X-A: b\r\n" * 900])
async def test_an_endless_head_in_bytes(filler: bytes) -> None:
    async with peer() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n" + filler)
        assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 400")


async def test_garbage_is_answered_and_closed() -> None:
    async with peer() as (reader, writer):
        writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 400")


async def test_a_usual_peer_is_not_watched_between_its_requests() -> None:
    class Patient(Quick):
        head_s = idle_s = 60.0

    async with peer(Patient) as (reader, writer):
        for _ in range(3):
            for piece in (b"GET / HT", b"TP/1.1\r\nHo", b"st: x\r\n", b"\r\n"):
                writer.write(piece)
                await asyncio.sleep(0)
            answer = await asyncio.wait_for(reader.readuntil(b"ok"), 10)
            assert answer.startswith(b"HTTP/1.1 200")
            assert [protocol._timer for protocol in made] == [None]
