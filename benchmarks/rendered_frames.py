"""``rendered_frames``: rendered pictures per second over HTTP with 16 clients, against Orthanc on the same files.

Ours are WADO-RS ``/rendered``, Orthanc's its REST ``/rendered`` (windowed) of the same instances: JPEG of one size and
one quantization (asserted), as wide where the case says so. The instances are asked for in turn, all different. Both are
warm: every instance was asked for before, so ours are decoded in memory as a viewer's series is; Orthanc keeps files
and parsed datasets in memory and decodes each time.
"""

from __future__ import annotations

import http.client
import io
import itertools
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
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
from benchmarks.http_load import answers_per_s, requests_of
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


def _look(url: str, path: str, headers: dict[str, str]) -> Image.Image:
    return Image.open(io.BytesIO(_get(http.client.HTTPConnection(urlsplit(url).netloc, timeout=60), path, headers)))


def _check_alike(case: str, ours: Image.Image, theirs: Image.Image) -> None:
    """One size, one kind, one quantization, and within what two scalers and window rules differ."""
    kinds = [(one.format, one.mode, one.size, getattr(one, "quantization", None)) for one in (ours, theirs)]
    difference = (
        np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)).mean() if kinds[0] == kinds[1] else 0
    )
    if kinds[0] != kinds[1] or difference > 6:
        raise BenchmarkError(f"rendered_frames {case}: not the same picture ({difference:.1f}): {kinds}")


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
    for one, other in zip(mine, theirs, strict=True):
        _check_alike(case, _look(ours.url, one, headers), _look(orthanc.url, other, plain))
    works: list[Callable[[float], float]] = []
    for url, paths, sent in ((ours.url, mine, headers), (orthanc.url, theirs, plain)):
        turn = itertools.cycle(requests_of(url, paths, sent))
        works.append(partial(answers_per_s, url, turn, _CLIENTS))
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
