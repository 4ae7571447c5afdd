"""``rendered_frames``: rendered pictures per second over HTTP with 16 clients, against Orthanc on the same files.

Ours are WADO-RS ``/rendered``, Orthanc's its REST ``/rendered`` (windowed) of the same instances, both as JPEG and as
wide where the case says so. Both are warm: every instance was asked for once. Clients are threads of this process.
"""

from __future__ import annotations

import http.client
import io
import itertools
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset

from app.demo.phantoms import phantom_ct, write_dicom
from app.demo.radiographs import phantom_dx
from benchmarks.harness import (
    Benchmark,
    BenchmarkError,
    Options,
    Result,
    against,
    pair_with,
    peer_of,
    summarize,
)
from benchmarks.ingest import encode_jpeg_ls
from benchmarks.needs import DCMTK, ORTHANC
from benchmarks.programs import CloudFilm, Orthanc, dcmsend

_CLIENTS = 16
_WIDE = 1081
_CASES = {"CT raw": (1.5, False), "CT JPEG-LS": (5.0, True), "DX to 1081": (4.0, False)}


def _datasets(case: str, quick: bool) -> list[Dataset]:
    if case.startswith("DX"):
        return [phantom_dx(3000)]
    found = list(phantom_ct(12 if quick else 30, 512))
    if _CASES[case][1]:
        for dataset in found:
            encode_jpeg_ls(dataset)
    return found


def _get(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> bytes:
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    data = answer.read()
    if answer.status != 200:
        raise BenchmarkError(f"rendered_frames: {answer.status} for {path.partition('?')[0][-60:]}")
    return data


def _rate(url: str, paths: list[str], headers: dict[str, str], seconds: float) -> float:
    """Pictures per second of all clients together."""
    host = urlsplit(url).netloc
    turn, counts, errors = itertools.cycle(paths), [0] * _CLIENTS, list[BaseException]()
    begun = time.perf_counter()

    def client(number: int) -> None:
        try:
            connection = http.client.HTTPConnection(host, timeout=60)
            while time.perf_counter() - begun < seconds:
                _get(connection, next(turn), headers)
                counts[number] += 1
            connection.close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return sum(counts) / (time.perf_counter() - begun)


def _look(url: str, path: str, headers: dict[str, str]) -> np.ndarray[Any, Any]:
    data = _get(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60), path, headers)
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"), np.float64)


def _case(case: str, ours: CloudFilm, orthanc: Orthanc, token: str, options: Options) -> Result:
    datasets = _datasets(case, options.quick)
    with tempfile.TemporaryDirectory(prefix="cloudfilm-bench-") as name:
        for index, dataset in enumerate(datasets):
            write_dicom(dataset, Path(name) / f"{index}.dcm")
        dcmsend(Path(name), ours.dicom_port, "CLOUDFILM")
        dcmsend(Path(name), orthanc.dicom_port, "ORTHANC")
    wide = case.startswith("DX")
    mine: list[str] = []
    theirs: list[str] = []
    for dataset in datasets:
        instance = f"series/{dataset.SeriesInstanceUID}/instances/{dataset.SOPInstanceUID}"
        ending = f"?viewport={_WIDE},{_WIDE}" if wide else ""
        mine.append(f"/dicom-web/studies/{dataset.StudyInstanceUID}/{instance}/rendered{ending}")
        known = orthanc.find(str(dataset.SOPInstanceUID))
        theirs.append(f"/instances/{known}/rendered{f'?width={_WIDE}' if wide else ''}")
    headers = {"Accept": "image/jpeg", "Authorization": f"Bearer {token}"}
    plain = {"Accept": "image/jpeg"}
    one, other = _look(ours.url, mine[0], headers), _look(orthanc.url, theirs[0], plain)
    if one.shape != other.shape or np.abs(one - other).mean() > 6:
        raise BenchmarkError(f"rendered_frames {case}: {one.shape} and {other.shape} are not the same picture")
    works: list[Callable[[float], float]] = [
        lambda seconds: _rate(ours.url, mine, headers, seconds),
        lambda seconds: _rate(orthanc.url, theirs, plain, seconds),
    ]
    for work in works:
        work(2.0)
    samples: list[list[float]] = [[], []]
    for _ in range(3 if options.quick else 6):
        for index, work in enumerate(works):
            samples[index].append(work(2.0 if options.quick else 4.0))
    result = summarize("rendered_frames", case, "pictures/s", samples[0])
    pair_with(result, [peer_of("Orthanc /rendered", orthanc.version, samples[1], result.unit)])
    wanted = _CASES[case][0]
    return against(result, f">= {wanted} x Orthanc", (result.ratio or 0) >= wanted)


def run(options: Options) -> list[Result]:
    """CT raw, CT JPEG-LS, DX to 1081 wide."""
    with CloudFilm(tls=False) as ours, Orthanc() as orthanc:
        token = str(ours.run("token", "create", "--role", "dicomweb-read", "--hours", "2")["token"])
        return [_case(case, ours, orthanc, token, options) for case in _CASES if options.wants(case)]


BENCHMARK = Benchmark(
    "rendered_frames", "rendered pictures over HTTP, 16 clients, against Orthanc", (ORTHANC, DCMTK), run
)
