"""``scroll``: pages of a warm CT series over the stream: pictures per second, and input to picture.

A client of the stream protocol asks for the next frame 40 times a second, as a finger on the slider does, gives
credit for what it receives, and notes when the picture of each request is there. Local and over both 4G links.
"""

from __future__ import annotations

import json
import socket
import ssl
import statistics
import struct
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from app.demo.phantoms import phantom_ct, write_dicom
from benchmarks.first_picture_rig import log_in, request_json
from benchmarks.harness import Benchmark, BenchmarkError, Options, Result, against, noise_of, percentile, summarize
from benchmarks.link import PROFILES, Link, inside
from benchmarks.needs import DCMTK, NAMESPACES
from benchmarks.programs import CloudFilm, dcmsend

_INPUTS_PER_S = 40
_WIDTH, _HEIGHT = 512, 512
_WINDOW = 192_000  # bytes under way on 9 Mbit/s with 170 ms


@dataclass(slots=True)
class Scrolling:
    """What one stretch of scrolling gave: arrival times (s), waiting times (ms), bytes of each picture."""

    arrivals: list[float] = field(default_factory=list[float])
    waits_ms: list[float] = field(default_factory=list[float])
    sizes: list[int] = field(default_factory=list[int])
    frames: set[int] = field(default_factory=set[int])
    trips_ms: list[float] = field(default_factory=list[float])
    way: dict[str, Any] = field(default_factory=dict[str, Any])  # as the server measured it, at the end


def _read(stream: ClientConnection, sent_at: dict[int, float], found: Scrolling) -> None:
    """Take pictures in until the socket closes."""
    try:
        for message in stream:
            now = time.perf_counter()
            if isinstance(message, str):
                told: dict[str, Any] = json.loads(message)
                if told.get("t") == "pong":
                    found.trips_ms.append(now * 1000 - float(told["at"]))
                    found.way = told.get("way", {})
                continue
            (length,) = struct.unpack(">I", message[:4])
            header: dict[str, Any] = json.loads(message[4 : 4 + length])
            stream.send(json.dumps({"t": "credit", "bytes": len(message)}))
            start = sent_at.get(int(header["generation"]))
            if start is not None and header["quality"] == "preview":
                found.arrivals.append(now)
                found.waits_ms.append((now - start) * 1000)
                found.sizes.append(len(message))
                found.frames.add(int(header["frame"]))
    except ConnectionClosed:
        return


def _scroll(stream: ClientConnection, series: int, count: int, seconds: float) -> Scrolling:
    found, sent_at = Scrolling(), dict[int, float]()
    reader = threading.Thread(target=_read, args=(stream, sent_at, found), daemon=True)
    reader.start()
    begin = time.perf_counter()
    for number in range(int(seconds * _INPUTS_PER_S)):
        due = begin + number / _INPUTS_PER_S
        time.sleep(max(0.0, due - time.perf_counter()))
        generation = number + 1
        sent_at[generation] = time.perf_counter()
        wave = number % (2 * count)  # to the end and back
        view = {"viewport": "main", "generation": generation, "series": series, "width": _WIDTH, "height": _HEIGHT}
        frame = wave if wave < count else 2 * count - 1 - wave
        stream.send(json.dumps({"t": "view", "frame": frame, **view}))
        if number % _INPUTS_PER_S == 0:  # as the page does while pictures come
            ping: dict[str, Any] = {"t": "ping", "at": time.perf_counter() * 1000}
            if found.trips_ms:
                ping["rtt_ms"] = min(found.trips_ms[-8:])
            stream.send(json.dumps(ping))
    time.sleep(1.0)
    stream.close()
    reader.join(10)
    return found


def open_stream(link: Link, ours: CloudFilm, cookie: str, study: int, where: str) -> tuple[ClientConnection, int, int]:
    """(the stream after hello and open, series key, number of frames)."""
    namespace = link.server if where == "local" else link.phone
    port = int(ours.url.rpartition(":")[2])
    plain = inside(namespace, lambda: socket.create_connection((link.server_address, port), 10))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    uri = ours.url.replace("https", "wss") + "/api/stream"
    stream = connect(
        uri, sock=plain, ssl=context, additional_headers={"Cookie": cookie, "Origin": ours.url}, compression=None
    )
    stream.send(json.dumps({"t": "hello", "v": 1, "window": _WINDOW, "webp": False}))
    stream.recv(20)
    stream.send(json.dumps({"t": "open", "study": study}))
    opened: dict[str, Any] = json.loads(stream.recv(20))
    if opened.get("t") != "opened":
        raise BenchmarkError(f"scroll: the study was not opened: {opened.get('code', opened.get('t'))}")
    row: dict[str, Any] = opened["series"][0]
    keys = [row[name] for name in ("series", "series_key", "key") if name in row]
    frames = [row[name] for name in ("frames", "frame_count") if name in row]
    return stream, int(keys[0]), int(frames[0])


def _results(where: str, found: Scrolling, rtt_ms: float) -> list[Result]:
    if len(found.arrivals) < 10 or len(found.frames) < 5:
        raise BenchmarkError(f"scroll {where}: only {len(found.arrivals)} pictures came")
    start = found.arrivals[0]
    seconds = [t - start for t in found.arrivals]
    per_second = [float(sum(1 for t in seconds if s <= t < s + 1)) for s in range(int(seconds[-1]))]
    rate = summarize("scroll", f"{where}/CT/rate", "pictures/s", per_second)
    rate.bytes = int(statistics.mean(found.sizes))
    against(rate, ">= 30 pictures/s of <= 34 kB", rate.p50 >= 30 and rate.bytes <= 34_000)
    wait = summarize("scroll", f"{where}/CT/input-to-picture", "ms", found.waits_ms)
    wait.noise = noise_of(found.waits_ms)
    wait.floor, wait.bytes = rtt_ms, rate.bytes
    wait.steps = {f"way_{name}": float(value) for name, value in found.way.items() if value is not None}
    limit = rtt_ms + 60
    against(wait, f"p95 <= round trip + 60 ms = {limit:.0f} ms", percentile(found.waits_ms, 0.95) <= limit)
    return [rate, wait]


def run(options: Options) -> list[Result]:
    """local, wpt4g, fast4g; the first stretch on each warms the series and is not counted."""
    slices, seconds = (60, 5.0) if options.quick else (150, 20.0)
    results: list[Result] = []
    with ExitStack() as stack:
        link = stack.enter_context(Link(next(iter(PROFILES.values()))))
        ours = stack.enter_context(CloudFilm(link.server, link.server_address))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cloudfilm-bench-")))
        for index, dataset in enumerate(phantom_ct(slices, 512)):
            write_dicom(dataset, folder / f"{index}.dcm")
        dcmsend(folder, ours.dicom_port, "CLOUDFILM", link.server)
        cookie = "=".join(log_in(link, ours))
        listed, _ = request_json(link.server, f"{ours.url}/api/studies?limit=5", cookie=cookie)
        study = int(listed["studies"][0]["study_key"])
        for where in ("local", *PROFILES):
            if not options.wants(where):
                continue
            if where in PROFILES and link.profile.name != where:
                link.set_profile(PROFILES[where])
            stream, series, count = open_stream(link, ours, cookie, study, where)
            _scroll(stream, series, count, 2 * count / _INPUTS_PER_S)
            stream, series, count = open_stream(link, ours, cookie, study, where)
            rtt_ms = 0.0 if where == "local" else link.measured_rtt_ms
            results += _results(where, _scroll(stream, series, count, seconds), rtt_ms)
    return results


BENCHMARK = Benchmark("scroll", "paging a warm CT series over the stream, local and over 4G", (NAMESPACES, DCMTK), run)
