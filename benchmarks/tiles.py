"""``tiles``: a DX of 3000 x 3000 at 1:1 on a phone's screen: until all visible tiles are there, and again after a window.

The client asks as the page does: the visible tiles, nearest first; the floor is the round trip and the time that the
bytes take on the link. Asserted: only the tiles that were asked for come, and together they cover the screen.
"""

from __future__ import annotations

import json
import struct
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection

from app.demo.phantoms import write_dicom
from app.demo.radiographs import phantom_dx
from benchmarks.first_picture_rig import log_in, request_json
from benchmarks.harness import Benchmark, BenchmarkError, Options, Result, summarize
from benchmarks.link import PROFILES, Link
from benchmarks.needs import DCMTK, NAMESPACES
from benchmarks.programs import CloudFilm, dcmsend
from benchmarks.scroll import open_stream

_SIDE, _SIZE = 3000, 512
_SCREEN = (1080, 1920)  # device pixels
_LIMIT_S = 60.0


def visible(left: int, top: int) -> list[list[int]]:
    """Tiles of a screen whose corner is at (left, top) of the image, the middle first."""
    columns = range(left // _SIZE, (min(left + _SCREEN[0], _SIDE) - 1) // _SIZE + 1)
    rows = range(top // _SIZE, (min(top + _SCREEN[1], _SIDE) - 1) // _SIZE + 1)
    middle = (left + _SCREEN[0] / 2) / _SIZE - 0.5, (top + _SCREEN[1] / 2) / _SIZE - 0.5
    found = [[column, row] for column in columns for row in rows]
    return sorted(found, key=lambda tile: (tile[0] - middle[0]) ** 2 + (tile[1] - middle[1]) ** 2)


def _wait(stream: ClientConnection, generation: int, wanted: list[list[int]]) -> tuple[float, int]:
    """(seconds from now until every tile was there, bytes). Raises BenchmarkError for anything else that comes."""
    begun, total, missing = time.perf_counter(), 0, [tuple(tile) for tile in wanted]
    while missing:
        message = stream.recv(_LIMIT_S)
        if isinstance(message, str):
            told: dict[str, Any] = json.loads(message)
            if told["t"] == "error":
                raise BenchmarkError(f"tiles: {told['code']}")
            continue
        stream.send(json.dumps({"t": "credit", "bytes": len(message)}))
        (length,) = struct.unpack_from(">I", message)
        header: dict[str, Any] = json.loads(message[4 : 4 + length])
        if header["quality"] != "tile" or header["generation"] != generation:
            raise BenchmarkError("tiles: a picture came that was not asked for")
        missing.remove(tuple(header["tile"]))
        total += len(message)
    return time.perf_counter() - begun, total


def _sample(stream: ClientConnection, series: int, generation: int, width: float) -> tuple[float, int]:
    wanted = visible(900, 500)
    look = {"voi": "window", "window_center": 8000, "window_width": width}
    where = {"viewport": "t", "series": series, "frame": 0, "level": 0, "size": _SIZE, "tiles": wanted}
    stream.send(json.dumps({"t": "tiles", "generation": generation, **where, **look}))
    return _wait(stream, generation, wanted)


def run(options: Options) -> list[Result]:
    """local, wpt4g, fast4g: the first screen of a new socket, and each new window after it."""
    results: list[Result] = []
    with ExitStack() as stack:
        link = stack.enter_context(Link(next(iter(PROFILES.values()))))
        ours = stack.enter_context(CloudFilm(link.server, link.server_address))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cloudfilm-bench-")))
        write_dicom(phantom_dx(_SIDE), folder / "dx.dcm")
        dcmsend(folder, ours.dicom_port, "CLOUDFILM", link.server)
        cookie = "=".join(log_in(link, ours))
        listed, _ = request_json(link.server, f"{ours.url}/api/studies?limit=5", cookie=cookie)
        study = int(listed["studies"][0]["study_key"])
        for where in ("local", *PROFILES):
            if options.wants(where):
                results += _case(where, link, ours, cookie, study, 3 if options.quick else 8)
    return results


def _case(where: str, link: Link, ours: CloudFilm, cookie: str, study: int, count: int) -> list[Result]:
    if where in PROFILES and link.profile.name != where:
        link.set_profile(PROFILES[where])
    first: list[float] = []
    windows: list[float] = []
    counted: list[int] = []
    for number in range(count):
        stream, series, _ = open_stream(link, ours, cookie, study, where)
        with stream:
            seconds, _ = _sample(stream, series, 1, 14_000.0 + number)
            first.append(seconds * 1000)
            for step in range(3):
                seconds, received = _sample(stream, series, 2 + step, 9_000.0 + 100 * step + number)
                windows.append(seconds * 1000)
                counted.append(received)
    mbit = PROFILES[where].down_mbit if where in PROFILES else 0.0
    mean = sum(counted) / len(counted)
    floor = link.measured_rtt_ms + mean * 8 / (mbit * 1000) if mbit else None
    results: list[Result] = []
    for name, samples in (("first screen", first), ("new window", windows)):
        result = summarize("tiles", f"{where}/DX/{name}", "ms", samples)
        result.bytes, result.floor = round(mean), floor
        result.steps = {"tiles": float(len(visible(900, 500)))}
        results.append(result)
    return results


BENCHMARK = Benchmark("tiles", "the visible tiles of a DX at 1:1, and after a window", (NAMESPACES, DCMTK), run)
