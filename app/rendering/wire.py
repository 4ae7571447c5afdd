"""Messages between the web role and the render process: ``total (4) | header length (4) | JSON header | body``."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any, cast

import orjson

LARGEST_MESSAGE = 64 << 20
_HEAD = struct.Struct(">II")


class WireError(Exception):
    """The other side sent something that is no message."""


def pack(header: dict[str, Any], body: bytes = b"") -> bytes:
    """One message."""
    text = orjson.dumps(header)
    return _HEAD.pack(len(text) + len(body), len(text)) + text + body


def _lengths(data: bytes | bytearray, begin: int, most: int) -> tuple[int, int]:
    """(total, header) of the message that begins there. Raises WireError."""
    total, header_length = _HEAD.unpack_from(data, begin)
    if total > most or header_length > total:
        raise WireError(f"{total} bytes, header {header_length}")
    return total, header_length


def _parse(text: bytes) -> dict[str, Any]:
    """A header. Raises WireError."""
    try:
        header = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise WireError(str(error)) from None
    if not isinstance(header, dict):
        raise WireError("header")
    return cast("dict[str, Any]", header)


async def read(reader: asyncio.StreamReader, most: int = LARGEST_MESSAGE) -> tuple[dict[str, Any], bytes]:
    """The next message, of at most ``most`` bytes. Raises WireError, asyncio.IncompleteReadError at the end."""
    total, header_length = _lengths(await reader.readexactly(_HEAD.size), 0, most)
    text = await reader.readexactly(header_length)
    body = await reader.readexactly(total - header_length)
    return _parse(text), body


class Messages(asyncio.Protocol):
    """One side of a connection that carries many messages: each is told to ``received`` as soon as it is whole.

    A stream's reader would wake a task for each of the three parts of a message. What is no message ends the
    connection; ``ended`` is told once.
    """

    def __init__(
        self, received: Callable[[Messages, dict[str, Any], bytes], None], ended: Callable[[Messages], None]
    ) -> None:
        self._received = received
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._room = asyncio.Event()
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport, which is one that writes."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Part of a message, one, or many."""
        whole: bytes | bytearray = data
        if self._buffer:
            self._buffer += data
            whole = self._buffer
        try:
            end = self._tell(whole)
        except WireError:
            self._buffer.clear()
            if self._transport is not None:
                self._transport.abort()
            return
        if whole is self._buffer:
            del self._buffer[:end]
        elif end < len(data):
            self._buffer += memoryview(data)[end:]

    def _tell(self, data: bytes | bytearray) -> int:
        """Tell all that is whole; where the rest begins. Raises WireError."""
        begin = 0
        while len(data) - begin >= _HEAD.size:
            total, header_length = _lengths(data, begin, LARGEST_MESSAGE)
            body_begin = begin + _HEAD.size + header_length
            end = begin + _HEAD.size + total
            if len(data) < end:
                break
            with memoryview(data) as view:
                header, body = _parse(bytes(view[begin + _HEAD.size : body_begin])), bytes(view[body_begin:end])
            begin = end
            self._received(self, header, body)
        return begin

    def pause_writing(self) -> None:
        """The other side reads more slowly than we write."""
        self._room.clear()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing comes any more."""
        self._room.set()
        self._buffer.clear()
        if not self._gone.done():
            self._gone.set_result(None)
        self._ended(self)

    @property
    def is_closing(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._transport is None or self._transport.is_closing()

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Queue one message. Raises ConnectionResetError."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("render socket")
        self._transport.write(pack(header, body))

    async def drain(self) -> None:
        """Until the other side has read enough that more may be queued."""
        if not self._room.is_set():
            await self._room.wait()

    async def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()
            await self._gone
