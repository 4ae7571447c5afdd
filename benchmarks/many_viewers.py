"""``many_viewers``: 300 open viewers, 30 of them scroll: from input to picture, on this machine without a link.

Each scrolling viewer asks for the next slice ten times a second; what it waits for is the picture of each input that
was answered (a newer one replaces an older one that waits). The others sit with a picture open, as viewers do.

Cold: 500 series that the server, started anew, has not opened yet. Thirty people at a time open one each and keep it
open: from ``open`` (on a connected socket) to the picture.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
import pydicom.uid
from websockets.asyncio.client import connect

from app.demo.phantoms import phantom_ct, write_dicom
from benchmarks.harness import Benchmark, BenchmarkError, Options, Result, against, noise_of, percentile, summarize
from benchmarks.needs import DCMTK
from benchmarks.people import Viewer, ask, doctor, studies
from benchmarks.programs import CloudFilm, dcmsend

_OPEN, _SCROLLING, _STUDIES, _INPUTS_PER_S = 300, 30, 10, 10
_LIMIT_MS = 300.0
_COLD, _COLD_QUICK, _COLD_SLICES, _AT_ONCE = 500, 60, 2, 30
_QUIET_PERCENT, _QUIET_FOR, _QUIET_WITHIN_S = 10.0, 4, 180.0


def _store(ours: CloudFilm, folder: Path, slices: int, count: int = _STUDIES) -> None:
    """The same slices as several studies."""
    datasets = list(phantom_ct(slices, 512))
    for study in range(count):
        study_uid, series_uid = pydicom.uid.generate_uid(), pydicom.uid.generate_uid()
        for index, dataset in enumerate(datasets):
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study_uid, series_uid
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
            write_dicom(dataset, folder / f"{study}-{index}.dcm")
    dcmsend(folder, ours.dicom_port, "CLOUDFILM")


async def _scroll(viewer: Viewer, seconds: float, waits_ms: list[float], first: int) -> None:
    """``first``: the generation of the first input, above all that were asked for before."""
    sent_at: dict[int, float] = {}

    async def read() -> None:
        while True:
            header, count = await viewer.next()
            if count and header["quality"] == "preview" and header["generation"] in sent_at:
                waits_ms.append((time.perf_counter() - sent_at[header["generation"]]) * 1000)

    reading = asyncio.create_task(read())
    begin = time.perf_counter()
    for number in range(int(seconds * _INPUTS_PER_S)):
        await asyncio.sleep(max(0.0, begin + number / _INPUTS_PER_S - time.perf_counter()))
        sent_at[first + number] = time.perf_counter()
        view: dict[str, Any] = {"width": 512, "height": 512, "viewport": "main", "series": viewer.series}
        await viewer.send(t="view", generation=first + number, frame=number % viewer.frames, **view)
    await asyncio.sleep(1.0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def _measure(ours: CloudFilm, cookie: str, seconds: float) -> tuple[list[float], float]:
    """(waiting times in ms, memory of the server in MB)."""
    keys = studies(ours, cookie, _STUDIES)
    uri = ours.url.replace("http", "ws") + "/api/stream"
    headers = {"Cookie": cookie, "Origin": ours.url}
    async with AsyncExitStack() as stack:
        viewers: list[Viewer] = []
        for number in range(_OPEN):
            line = connect(uri, additional_headers=headers, compression=None, ping_interval=None)
            viewer = Viewer(await stack.enter_async_context(line))
            await viewer.open(keys[number % _STUDIES])
            first = {"width": 512, "height": 512, "frame": 0, "series": viewer.series, "answer": "preview"}
            await viewer.send(t="view", viewport="main", generation=1, **first)
            while not (await viewer.next())[1]:
                pass
            viewers.append(viewer)
        scrolling = viewers[:_SCROLLING]
        await asyncio.gather(*(_scroll(viewer, 3.0, [], 10) for viewer in scrolling))  # warms their series
        waits: list[float] = []
        await asyncio.gather(*(_scroll(viewer, seconds, waits, 1000) for viewer in scrolling))
        assert ours.process is not None  # started
        server = psutil.Process(ours.process.pid)
        memory = sum(one.memory_info().rss for one in (server, *server.children(recursive=True))) / 2**20
    return waits, memory


async def _measure_cold(ours: CloudFilm, cookie: str, keys: list[int]) -> list[float]:
    """ms from opening each study to its first picture."""
    uri = ours.url.replace("http", "ws") + "/api/stream"
    headers = {"Cookie": cookie, "Origin": ours.url}
    waits: list[float] = []
    left = iter(keys)
    async with AsyncExitStack() as stack:

        async def person() -> None:
            for key in left:
                line = connect(uri, additional_headers=headers, compression=None, ping_interval=None)
                viewer = Viewer(await stack.enter_async_context(line))
                begin = time.perf_counter()
                await viewer.open(key)
                wanted = {"width": 512, "height": 512, "frame": 0, "series": viewer.series, "answer": "preview"}
                await viewer.send(t="view", viewport="main", generation=1, **wanted)
                while not (answer := await viewer.next())[1]:
                    if answer[0]["t"] == "error":
                        raise BenchmarkError(f"many_viewers: no picture: {answer[0]['code']}")
                waits.append((time.perf_counter() - begin) * 1000)

        await asyncio.gather(*(person() for _ in range(_AT_ONCE)))
    return waits


def _wait_for_quiet(ours: CloudFilm) -> None:
    """Until the jobs of what was stored are done and nothing uses the processor."""
    assert ours.process is not None  # started
    server = psutil.Process(ours.process.pid)
    processes = [server, *server.children(recursive=True)]
    quiet, end = 0, time.monotonic() + _QUIET_WITHIN_S
    while quiet < _QUIET_FOR and time.monotonic() < end:
        time.sleep(0.5)
        used = 0.0
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                used += process.cpu_percent()
        quiet = quiet + 1 if used < _QUIET_PERCENT else 0


def _cpu_s(ours: CloudFilm) -> dict[str, float]:
    """Seconds of processor time that each role, the database and this client have used."""
    assert ours.process is not None  # started
    used = {"web": 0.0, "render": 0.0, "postgres": 0.0}
    children = psutil.Process(ours.process.pid).children(recursive=True)
    for process in {*children, *_database(str(ours.folder))}:
        with suppress(psutil.NoSuchProcess):
            words = process.cmdline()
            role = "postgres" if "postgres" in words[0] else next((name for name in used if name in words), "")
            if role:
                times = process.cpu_times()
                used[role] += float(times.user + times.system)
    own = psutil.Process().cpu_times()
    return {**used, "client": float(own.user + own.system)}


def _database(folder: str) -> list[psutil.Process]:
    """The server whose data lie under the folder (it is no child of the supervisor), and what it started."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() == "postgres" and any(folder in word for word in process.cmdline()):
                found += [process, *process.children()]
    return found


def _cold(options: Options) -> Result:
    count = _COLD_QUICK if options.quick else _COLD
    with CloudFilm(tls=False) as ours, tempfile.TemporaryDirectory(prefix="cloudfilm-bench-") as name:
        cookie = doctor(ours)
        _store(ours, Path(name), _COLD_SLICES, count)
        keys = _all_studies(ours, cookie, count)
        _wait_for_quiet(ours)
        ours.restart()
        _wait_for_quiet(ours)
        before, begin = _cpu_s(ours), time.perf_counter()
        waits = asyncio.run(_measure_cold(ours, cookie, keys))
        took, after = time.perf_counter() - begin, _cpu_s(ours)
    result = summarize("many_viewers", f"{count} different series cold, {_AT_ONCE} at a time", "ms", waits)
    spent = {f"{name}_cpu_ms": round((after[name] - before[name]) / count * 1000, 2) for name in after}
    result.steps = {"series_per_s": round(count / took, 1), **spent}
    return result


def _all_studies(ours: CloudFilm, cookie: str, count: int) -> list[int]:
    """Keys of the newest ``count`` studies, page by page. Raises BenchmarkError when there are fewer."""
    keys: list[int] = []
    after = ""
    while len(keys) < count:
        listed, _ = ask(f"{ours.url}/api/studies?limit=100{after}", cookie=cookie)
        keys += [int(study["study_key"]) for study in listed["studies"]]
        if not listed.get("next"):
            break
        after = f"&after={listed['next']}"
    if len(keys) < count:
        raise BenchmarkError(f"only {len(keys)} of {count} studies arrived")
    return keys[:count]


def _scrolled(options: Options) -> Result:
    slices, seconds = (20, 6.0) if options.quick else (40, 20.0)
    with CloudFilm(tls=False) as ours, tempfile.TemporaryDirectory(prefix="cloudfilm-bench-") as name:
        cookie = doctor(ours)
        _store(ours, Path(name), slices)
        waits, memory = asyncio.run(_measure(ours, cookie, seconds))
    asked = _SCROLLING * int(seconds * _INPUTS_PER_S)
    if len(waits) < asked / 4:
        raise BenchmarkError(f"many_viewers: only {len(waits)} of {asked} inputs were answered")
    result = summarize("many_viewers", f"{_OPEN} open, {_SCROLLING} scrolling", "ms", waits)
    result.noise = noise_of(waits)
    result.steps = {"answered_share": round(len(waits) / asked, 3), "server_memory_mb": round(memory)}
    return against(result, f"p95 <= {_LIMIT_MS:.0f} ms", percentile(waits, 0.95) <= _LIMIT_MS)


def run(options: Options) -> list[Result]:
    """Two cases, each on a server of its own."""
    cases = {"scrolling": _scrolled, "cold": _cold}
    return [measure(options) for case, measure in cases.items() if options.wants(case)]


BENCHMARK = Benchmark(
    "many_viewers", "300 open viewers, 30 of them scrolling; 500 different series cold: input to picture", (DCMTK,), run
)
