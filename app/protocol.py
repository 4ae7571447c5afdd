"""HTTP/1.1 with bounds that uvicorn's fast parser lacks: the size and the time of a request's head."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class BoundedHttp(HttpToolsProtocol):
    """A peer that never ends its head, or never begins one, is sent away (slowloris).

    A connection may stay silent for ``idle_s`` before its first request, because browsers open some ahead; once a
    head has begun it must be complete within ``head_s`` seconds and ``head_bytes`` bytes.
    """

    head_bytes = 64 << 10
    head_s = 20.0
    idle_s = 180.0

    _in_head = False
    _received = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Start the clock of the first request."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.idle_s, self._too_slow)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is complete; it may not be the last on this connection."""
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Count what belongs to an unfinished head."""
        first = self._received == 0
        super().data_received(data)
        if not self._in_head:
            self._received = 0
            self._stop_clock()
            return
        self._received += len(data)
        if self._received > self.head_bytes:
            self._stop_clock()
            self.send_400_response("The request's head is too large.")
        elif first:
            self._stop_clock()
            self._timer = self.loop.call_later(self.head_s, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing left to watch."""
        self._stop_clock()
        super().connection_lost(exc)

    def _stop_clock(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        transport: Any = self.transport
        if not transport.is_closing():
            transport.close()
