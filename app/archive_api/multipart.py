"""multipart/related in both directions (RFC 2387, RFC 2046 5.1): parts are streamed, never held."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field

from app.archive_api.errors import MultipartError, PartTooLargeError, UnsupportedMediaTypeError

_LONGEST_HEADERS = 8192
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{1,70}")


@dataclass(frozen=True, slots=True)
class PartHeader:
    """What stands before a part's bytes."""

    content_type: str
    location: str = ""

    def encode(self, boundary: str) -> bytes:
        """Delimiter and header lines, with the empty line."""
        location = f"Content-Location: {self.location}\r\n" if self.location else ""
        return f"\r\n--{boundary}\r\nContent-Type: {self.content_type}\r\n{location}\r\n".encode()


def new_boundary() -> str:
    """Random, so that no stored object can contain it on purpose."""
    return "cloudfilm-" + secrets.token_hex(16)


def closing(boundary: str) -> bytes:
    """The close delimiter."""
    return f"\r\n--{boundary}--\r\n".encode()


def parse_content_type(text: str, part_type: str) -> bytes:
    """The boundary of ``multipart/related; type="…"; boundary=…``. Raises UnsupportedMediaTypeError, MultipartError."""
    media_type = text.partition(";")[0].strip().lower()
    parameters = {
        name.lower(): value.strip('"') for name, value in re.findall(r';\s*([\w-]+)\s*=\s*("[^"]*"|[^;\s]+)', text)
    }
    if media_type != "multipart/related" or parameters.get("type", part_type).lower() != part_type:
        raise UnsupportedMediaTypeError(offered=f'multipart/related; type="{part_type}"')
    boundary = parameters.get("boundary", "")
    if _BOUNDARY.fullmatch(boundary) is None:
        raise MultipartError(reason="boundary")
    return boundary.encode("ascii")


@dataclass(slots=True)
class PartReader:
    """Parts of a request body, one after another; the buffer holds one chunk and a delimiter.

    ``async for`` over ``parts`` gives an iterator of chunks for every part; each must be read to its end.
    """

    body: AsyncIterable[bytes]
    boundary: bytes
    most_parts: int
    most_part_bytes: int
    _buffer: bytearray = field(default_factory=bytearray)
    _source: AsyncIterator[bytes] | None = None

    async def _more(self) -> None:
        """One more chunk in the buffer. Raises MultipartError at the end of the body."""
        if self._source is None:
            self._source = aiter(self.body)
        try:
            chunk = await anext(self._source)
        except StopAsyncIteration:
            raise MultipartError(reason="cut short") from None
        self._buffer += chunk

    async def _until(self, mark: bytes, limit: int) -> bytes:
        """Bytes before ``mark``, which is taken too."""
        while (position := self._buffer.find(mark)) < 0:
            if len(self._buffer) > limit:
                raise MultipartError(reason="header too long")
            await self._more()
        found = bytes(self._buffer[:position])
        del self._buffer[: position + len(mark)]
        return found

    async def parts(self) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
        """(content type, chunks) of every part. Raises MultipartError, PartTooLargeError."""
        await self._until(b"--" + self.boundary, _LONGEST_HEADERS)
        for _ in range(self.most_parts):
            while len(self._buffer) < 2:
                await self._more()
            if self._buffer.startswith(b"--"):
                return
            await self._until(b"\r\n", _LONGEST_HEADERS)  # transport padding
            yield await self._content_type(), self._chunks()
        raise PartTooLargeError(most_parts=self.most_parts)

    async def _content_type(self) -> str:
        for _ in range(32):
            line = await self._until(b"\r\n", _LONGEST_HEADERS)
            if not line:
                return ""
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-type":
                while await self._until(b"\r\n", _LONGEST_HEADERS):
                    pass
                return value.decode("latin-1").strip()
        raise MultipartError(reason="too many header lines")

    async def _chunks(self) -> AsyncIterator[bytes]:
        mark = b"\r\n--" + self.boundary
        size = 0
        while True:
            position = self._buffer.find(mark)
            end = position if position >= 0 else max(0, len(self._buffer) - len(mark) + 1)
            if end:
                size += end
                if size > self.most_part_bytes:
                    raise PartTooLargeError(limit_bytes=self.most_part_bytes)
                yield bytes(self._buffer[:end])
                del self._buffer[:end]
            if position >= 0:
                del self._buffer[: len(mark)]
                return
            await self._more()
