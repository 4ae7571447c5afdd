"""``many_viewers``: 300 open viewers, 30 of them scroll: from input to picture, on this machine without a link.

Each scrolling viewer asks for the next slice ten times a second; what it waits for is the picture of each input that
was answered (a newer one replaces an older one that waits). The others sit with a picture open, as viewers do.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import psutil
import pydicom.uid
from websockets.asyncio.client import connect

from app.demo.phantoms import phantom_ct, write_dicom
from benchmarks.harness import Benchmark, BenchmarkError, Options, Result, against, noise_of, percentile, summarize
from benchmarks.needs import DCMTK
from benchmarks.people import Viewer, doctor, studies
from benchmarks.programs import CloudFilm, dcmsend

_OPEN, _SCROLLING, _STUDIES, _INPUTS_PER_S = 300, 30, 10, 10
_LIMIT_MS = 300.0


def _store(ours: CloudFilm, folder: Path, slices: int) -> None:
    """The same slices as several studies."""
    datasets = list(phantom_ct(slices, 512))
    for study in range(_STUDIES):
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


def run(options: Options) -> list[Result]:
    """One case."""
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
    return [against(result, f"p95 <= {_LIMIT_MS:.0f} ms", percentile(waits, 0.95) <= _LIMIT_MS)]


BENCHMARK = Benchmark("many_viewers", "300 open viewers, 30 of them scrolling: input to picture", (DCMTK,), run)
