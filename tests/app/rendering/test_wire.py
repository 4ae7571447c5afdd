"""The render socket's messages."""

from __future__ import annotations

import asyncio
import struct

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
