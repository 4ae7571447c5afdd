"""Messages between the web role and the render process: ``total (4) | header length (4) | JSON header | body``."""

from __future__ import annotations

import asyncio
import struct
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


async def read(reader: asyncio.StreamReader, most: int = LARGEST_MESSAGE) -> tuple[dict[str, Any], bytes]:
    """The next message, of at most ``most`` bytes. Raises WireError, asyncio.IncompleteReadError at the end."""
    total, header_length = _HEAD.unpack(await reader.readexactly(_HEAD.size))
    if total > most or header_length > total:
        raise WireError(f"{total} bytes, header {header_length}")
    text = await reader.readexactly(header_length)
    body = await reader.readexactly(total - header_length)
    try:
        header = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise WireError(str(error)) from None
    if not isinstance(header, dict):
        raise WireError("header")
    return cast("dict[str, Any]", header), body
