"""The render socket's messages."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest

from app.rendering import wire


def _reader(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


async def test_what_is_packed_is_read() -> None:
    reader = _reader(wire.pack({"id": 1}, b"picture") + wire.pack({"id": 2}))
    assert await wire.read(reader) == ({"id": 1}, b"picture")
    assert await wire.read(reader) == ({"id": 2}, b"")
    with pytest.raises(asyncio.IncompleteReadError):
        await wire.read(reader)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">II", wire.LARGEST_MESSAGE + 1, 2),
        struct.pack(">II", 2, 3) + b"{}",
        struct.pack(">II", 4, 4) + b"oops",
        struct.pack(">II", 2, 2) + b"[]",
    ],
)
async def test_garbage_is_an_error(data: bytes) -> None:
    with pytest.raises(wire.WireError):
        await wire.read(_reader(data))


class _Wire(asyncio.Transport):
    """What a transport is told."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.aborted or self.closed

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closed = True


class _Side:
    """One side of a connection and what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[dict[str, Any], bytes]] = []
        self.ends = 0
        self.wire = _Wire()
        self.messages = wire.Messages(self._received, self._ended)
        self.messages.connection_made(self.wire)

    def _received(self, _: wire.Messages, header: dict[str, Any], body: bytes) -> None:
        self.told.append((header, body))

    def _ended(self, _: wire.Messages) -> None:
        self.ends += 1


@pytest.mark.parametrize("step", [1, 3, 8, 11, 10_000])
async def test_messages_are_told_whole_however_they_come(step: int) -> None:
    side = _Side()
    sent = [({"id": 1}, b"picture" * 40), ({"id": 2}, b""), ({"id": 3, "op": "x"}, b"\x00" * 9)]
    data = b"".join(wire.pack(*message) for message in sent)
    for begin in range(0, len(data), step):
        side.messages.data_received(data[begin : begin + step])
    assert side.told == sent


@pytest.mark.parametrize("before", [b"", wire.pack({"id": 1})])
async def test_garbage_ends_the_connection_after_what_was_whole(before: bytes) -> None:
    side = _Side()
    side.messages.data_received(before + struct.pack(">II", 2, 3) + b"{}")
    assert side.wire.aborted
    assert len(side.told) == bool(before)
    side.messages.connection_lost(None)
    assert side.ends == 1


async def test_who_sends_waits_for_one_who_reads_slowly() -> None:
    side = _Side()
    side.messages.send({"id": 1}, b"a")
    await side.messages.drain()
    side.messages.pause_writing()
    waiting = asyncio.create_task(side.messages.drain())
    await asyncio.sleep(0)
    assert not waiting.done()
    side.messages.resume_writing()
    await waiting
    side.messages.pause_writing()
    waiting = asyncio.create_task(side.messages.drain())
    side.messages.connection_lost(None)
    await waiting
    assert side.wire.written == wire.pack({"id": 1}, b"a")
    side.wire.closed = True
    with pytest.raises(ConnectionResetError):
        side.messages.send({"id": 2})
