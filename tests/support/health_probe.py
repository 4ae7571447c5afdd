"""How long ``/healthz`` takes, and in the same moments a bare loop on the same machine.

A machine whose cores are all taken delays every process by its scheduler's time slices, and no product can answer
before it gets a core. So each probe of ``/healthz`` has a twin: the same request, sent right after it to a process
that has nothing but a uvloop and one fixed answer. What the twin needs is the machine's part; what ``/healthz`` needs
beyond that is the product's. The prober is a process of its own with blocking sockets: no loop, no collector and no
decoder of a test can delay its clock.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: probe\r\n\r\n"
_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"ok"}'
_PAUSE_S = 0.03
MOST_S = 0.05
ROUNDS = 3  # other work on the machine only ever adds: what the product itself takes is in every round
_LONGEST_ANSWER_S = 30.0


@dataclass(frozen=True, slots=True)
class Probes:
    """Seconds of each answer in the order of asking: ``/healthz`` and its twin."""

    healthz_s: list[float]
    bare_s: list[float]

    def quantiles_s(self, q: float) -> tuple[float, float]:
        """(healthz, bare loop) at a quantile from 0 to 1."""
        return _quantile(self.healthz_s, q), _quantile(self.bare_s, q)

    def beyond_bare_s(self) -> float:
        """What ``/healthz`` needed beyond a bare loop in the same moments: the larger of median and 95th percentile.

        Quantiles are compared, not pairs, since a time slice that hits one of a pair says nothing about the other.
        """
        return max(ours - bare for ours, bare in (self.quantiles_s(0.5), self.quantiles_s(0.95)))


def _quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


class Prober:
    """A running probe process; ``finish`` ends it and gives what it measured."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def finish(self) -> Probes:
        """What was measured until now."""
        output, _ = self._process.communicate("", 60)
        assert self._process.returncode == 0
        return Probes(**json.loads(output))


@contextmanager
def probing(url: str) -> Iterator[Prober]:
    """Probe ``url``/healthz (plain http) while the block runs, some thirty times a second at most."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__)), url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Prober(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def _ask(connection: socket.socket) -> float:
    """One request over a kept connection; seconds until its whole answer was there."""
    began = time.perf_counter()
    connection.sendall(_REQUEST)
    answer = b""
    while not answer.endswith(b'{"status":"ok"}'):
        received = connection.recv(65536)
        if not received:
            raise ConnectionError(answer)
        answer += received
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise ValueError(answer)
    return time.perf_counter() - began


def _probe(url: str, bare_port: int) -> dict[str, list[float]]:
    """Until standard input ends."""
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    parts = urlsplit(url)
    healthz_s: list[float] = []
    bare_s: list[float] = []
    gc.disable()
    with (
        socket.create_connection((parts.hostname or "", parts.port or 80), _LONGEST_ANSWER_S) as ours,
        socket.create_connection(("127.0.0.1", bare_port), _LONGEST_ANSWER_S) as bare,
    ):
        while not ended.wait(_PAUSE_S):
            healthz_s.append(_ask(ours))
            bare_s.append(_ask(bare))
    return {"healthz_s": healthz_s, "bare_s": bare_s}


class _Bare(asyncio.Protocol):
    """The whole control: a fixed answer to anything."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(_ANSWER)

    def connection_lost(self, exc: Exception | None) -> None:
        asyncio.get_running_loop().stop()


async def _serve_bare() -> None:
    server = await asyncio.get_running_loop().create_server(_Bare, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)


def _main() -> None:
    if sys.argv[1] == "--bare":
        import uvloop

        loop = uvloop.new_event_loop()
        loop.run_until_complete(_serve_bare())
        loop.run_forever()
        return
    with subprocess.Popen([sys.executable, __file__, "--bare"], stdout=subprocess.PIPE, text=True) as bare:
        assert bare.stdout is not None
        try:
            print(json.dumps(_probe(sys.argv[1], int(bare.stdout.readline()))))
        finally:
            bare.kill()


if __name__ == "__main__":
    _main()
