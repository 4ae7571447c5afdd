"""A mobile network in user space: two network namespaces joined by two TUN devices and this process as the wire.

Kernel netem is often missing in containers, and a browser's own throttling does not delay WebSockets. Each direction
has a rate, a one-way delay and a queue of 250 ms. ``Link`` checks its round trip and throughput before it is used.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from benchmarks.harness import BenchmarkError

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 1, 0x1000
_CLONE_NEWNET = 0x40000000
_QUEUE_S = 0.25
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Profile:
    """Rates in Mbit/s towards and from the phone, round-trip time in ms."""

    name: str
    down_mbit: float
    up_mbit: float
    rtt_ms: float


PROFILES = {
    # WebPageTest "4G" and Chrome DevTools "Fast 4G" (its rates and latency as the tool applies them).
    "wpt4g": Profile("wpt4g", 9, 9, 170),
    "fast4g": Profile("fast4g", 8.1, 1.35, 165),
}


class _Direction:
    """Packets on their way one way: a bottleneck, then a delay."""

    def __init__(self, out: int, mbit: float, delay_s: float) -> None:
        self._out, self._bits_per_s, self._delay_s = out, mbit * 1e6, delay_s
        self._free = 0.0
        self._number = 0
        self._waiting: list[tuple[float, int, bytes]] = []

    def put(self, packet: bytes, now: float) -> None:
        if self._free - now > _QUEUE_S:
            return  # the bottleneck's queue is full: dropped
        self._free = max(now, self._free) + len(packet) * 8 / self._bits_per_s
        self._number += 1
        heapq.heappush(self._waiting, (self._free + self._delay_s, self._number, packet))

    def next_at(self) -> float:
        return self._waiting[0][0] if self._waiting else float("inf")

    def flush(self, now: float) -> None:
        while self._waiting and self._waiting[0][0] <= now:
            with suppress(BlockingIOError):
                os.write(self._out, heapq.heappop(self._waiting)[2])


def _tun(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return device


def _ip(*arguments: str, namespace: str = "") -> None:
    inside = ["-n", namespace] if namespace else []
    subprocess.run(["ip", *inside, *arguments], check=True, capture_output=True)


def _wire(server: str, phone: str, profile: Profile) -> None:
    """Carry packets until SIGTERM or until the parent is gone. Prints "up" when the devices are."""
    fds: list[int] = []
    names = (f"{server}t", f"{phone}t")
    for device, namespace, own, other in (
        (names[0], server, "10.99.0.1", "10.99.0.2"),
        (names[1], phone, "10.99.0.2", "10.99.0.1"),
    ):
        fds.append(_tun(device))
        _ip("link", "set", device, "netns", namespace)
        _ip("addr", "add", own, "peer", other, "dev", device, namespace=namespace)
        _ip("link", "set", device, "mtu", "1500", "txqueuelen", "2000", "up", namespace=namespace)
    delay_s = profile.rtt_ms / 2000
    ways = {
        fds[0]: _Direction(fds[1], profile.down_mbit, delay_s),
        fds[1]: _Direction(fds[0], profile.up_mbit, delay_s),
    }
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()
    print("up", flush=True)
    while not stopped and os.getppid() == parent:
        now = time.monotonic()
        pause = max(0.0, min(min(way.next_at() for way in ways.values()) - now, 0.5))
        readable, _, _ = select.select(list(ways), [], [], pause)
        now = time.monotonic()
        for fd in readable:
            with suppress(BlockingIOError):
                for _ in range(64):
                    ways[fd].put(os.read(fd, 2048), now)
        for way in ways.values():
            way.flush(now)


class Link:
    """``with Link(PROFILES["wpt4g"]) as link``: namespaces ``link.server`` and ``link.phone``, gone at the end."""

    server_address, phone_address = "10.99.0.1", "10.99.0.2"

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.server = f"cf{os.getpid() % 100000}s"
        self.phone = f"cf{os.getpid() % 100000}p"
        self.measured_rtt_ms = 0.0
        self.measured_down_mbit = 0.0
        self._wire: subprocess.Popen[str] | None = None

    def __enter__(self) -> Link:
        try:
            for name in (self.server, self.phone):
                _ip("netns", "add", name)
                _ip("link", "set", "lo", "up", namespace=name)
            self.set_profile(self.profile)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def set_profile(self, profile: Profile) -> None:
        """Another network between the same two namespaces. Raises BenchmarkError when it is not what it says."""
        self._end_wire()
        self.profile = profile
        code = "from benchmarks.link import wire_main; wire_main()"
        root = str(Path(__file__).resolve().parents[1])
        self._wire = subprocess.Popen(
            [sys.executable, "-c", code, self.server, self.phone, profile.name],
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
        )
        output = self._wire.stdout
        if output is None or output.readline().strip() != "up":
            raise BenchmarkError("the link did not come up")
        self._verify()

    def close(self) -> None:
        """Take everything down; safe to call twice."""
        self._end_wire()
        for name in (self.server, self.phone):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def _end_wire(self) -> None:
        if self._wire is not None:
            self._wire.terminate()
            self._wire.wait(5)
            if self._wire.stdout is not None:
                self._wire.stdout.close()
            self._wire = None

    def command(self, namespace: str, *arguments: str) -> list[str]:
        """A command line that runs inside a namespace."""
        return ["ip", "netns", "exec", namespace, *arguments]

    def _verify(self) -> None:
        """Round trip by an echo, rate by a 4 MB download."""
        size = 4_000_000
        listener = inside(self.server, lambda: socket.create_server((self.server_address, 0)))
        port = listener.getsockname()[1]

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for _ in range(5):
                    connection.sendall(connection.recv(1))
                connection.recv(1)
                connection.sendall(bytes(size))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = (self.server_address, port)
        with listener, inside(self.phone, lambda: socket.create_connection(address, 10)) as client:
            times: list[float] = []
            for _ in range(5):
                start = time.monotonic()
                client.sendall(b"x")
                client.recv(1)
                times.append((time.monotonic() - start) * 1000)
            client.sendall(b"g")
            received, half, half_at = 0, 0, 0.0
            while received < size:
                received += len(client.recv(65536))
                if not half_at and received > size // 5:
                    half_at, half = time.monotonic(), received
            seconds = time.monotonic() - half_at
            self.measured_down_mbit = (size - half) * 8 / 1e6 / seconds
            self.measured_rtt_ms = sorted(times)[2]
        thread.join(5)
        if not 0.97 <= self.measured_rtt_ms / self.profile.rtt_ms <= 1.15:
            raise BenchmarkError(f"link round trip is {self.measured_rtt_ms:.0f} ms, not {self.profile.rtt_ms:.0f}")
        if not 0.70 <= self.measured_down_mbit / self.profile.down_mbit <= 1.12:
            raise BenchmarkError(f"link carries {self.measured_down_mbit:.1f} Mbit/s, not {self.profile.down_mbit}")


def inside(namespace: str, work: Callable[[], T]) -> T:
    """Run ``work`` in a thread of its own that has entered the namespace; sockets made there stay in it."""
    found: list[T] = []
    errors: list[BaseException] = []

    def enter() -> None:
        try:
            with Path(f"/run/netns/{namespace}").open("rb") as handle:
                if ctypes.CDLL(None, use_errno=True).setns(handle.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
            found.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return found[0]


def wire_main() -> None:
    """The wire's own process: server namespace, phone namespace, profile."""
    server, phone, profile = sys.argv[1:4]
    _wire(server, phone, PROFILES[profile])
