"""A lean HTTP/1.1 load: many keep-alive connections in one thread, so that the client's own work hides no server.

With ``http.client`` in 16 threads this process took half of a two-core machine at 400 answers a second.
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from benchmarks.harness import BenchmarkError

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def requests_of(url: str, paths: Sequence[str], headers: dict[str, str]) -> list[bytes]:
    """GET requests as they are sent."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in {"Host": urlsplit(url).netloc, **headers}.items())
    return [f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode() for path in paths]


class _Client:
    """One connection: sends, reads one answer, sends the next."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._end = 0

    def send(self, request: bytes) -> None:
        self._received.clear()
        self._end = 0
        self.socket.sendall(request)

    def read(self) -> bool:
        """Whether the answer is whole. Raises BenchmarkError for anything but 200."""
        data = self.socket.recv(1 << 18)
        if not data:
            raise BenchmarkError("the server closed a connection")
        self._received += data
        if not self._end and (head := self._received.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self._received, 0, head + 2)
            if not self._received.startswith(b"HTTP/1.1 200") or found is None:
                raise BenchmarkError(f"answer {bytes(self._received[:60])!r}")
            self._end = head + 4 + int(found[1])
        return 0 < self._end <= len(self._received)


def answers_per_s(url: str, requests: Iterator[bytes], clients: int, seconds: float) -> float:
    """Whole answers per second of all connections together. Raises BenchmarkError."""
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 80
    selector = selectors.DefaultSelector()
    every = [_Client(host, port) for _ in range(clients)]
    try:
        for client in every:
            selector.register(client.socket, selectors.EVENT_READ, client)
        begun, count = time.perf_counter(), 0
        for client in every:
            client.send(next(requests))
        while (now := time.perf_counter()) - begun < seconds:
            ready = selector.select(30)
            if not ready:
                raise BenchmarkError("no answer within 30 s")
            for key, _ in ready:
                if key.data.read():
                    count += 1
                    key.data.send(next(requests))
        return count / (now - begun)
    finally:
        selector.close()
        for client in every:
            client.socket.close()
