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
import statistics
import tempfile
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, generate_uid

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
_CASES = {"CT raw": 1.5, "CT JPEG-LS": 5.0, "CT JPEG 2000": 4.0, "DX to 1081": 4.0}


def encode_jpeg_2000(dataset: Dataset) -> None:
    """Pixels as one reversible JPEG 2000 codestream."""
    import imagecodecs
    from pydicom.encaps import encapsulate

    frame = imagecodecs.jpeg2k_encode(dataset.pixel_array, codecformat="j2k", reversible=True)
    dataset.PixelData = encapsulate([bytes(frame)])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless


def _datasets(case: str, quick: bool) -> list[Dataset]:
    """More than there are clients, so that no two ask for the same one at once; under UIDs of this case alone.

    The phantoms' own UIDs never change: both servers would keep the first case's objects and show those in every case.
    """
    if case.startswith("DX"):
        first = phantom_dx(3000)
        found = [first, *(deepcopy(first) for _ in range(_CLIENTS + 1))]
    else:
        found = list(phantom_ct(2 * _CLIENTS if quick else 4 * _CLIENTS, 512))
    study, series = generate_uid(), generate_uid()
    encode = {"CT JPEG-LS": encode_jpeg_ls, "CT JPEG 2000": encode_jpeg_2000}.get(case)
    for number, dataset in enumerate(found, 1):
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.InstanceNumber = study, series, number
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        if encode is not None:
            encode(dataset)
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
        kept = str(orthanc.get(f"/instances/{known}/metadata/TransferSyntax"))
        if kept != dataset.file_meta.TransferSyntaxUID:
            raise BenchmarkError(f"rendered_frames {case}: Orthanc holds {kept}")
        theirs.append(f"/instances/{known}/rendered{f'?width={_WIDE}' if wide else ''}")
    ours.settle()
    headers = {"Accept": "image/jpeg", "Authorization": f"Bearer {token}"}
    plain = {"Accept": "image/jpeg"}
    for one, other in zip(mine, theirs, strict=True):
        _check_alike(case, _look(ours.url, one, headers), _look(orthanc.url, other, plain))
    sides: list[_Side] = []
    for program, paths, sent in ((ours, mine, headers), (orthanc, theirs, plain)):
        sides.append(_Side(program, itertools.cycle(requests_of(program.url, paths, sent))))
        sides[-1].sample(2.0)
    for _ in range(3 if options.quick else 6):
        for side in sides:
            side.sample(2.0 if options.quick else 4.0)
    result = summarize("rendered_frames", case, "pictures/s", sides[0].rates[1:])
    pair_with(result, [peer_of("Orthanc /rendered", orthanc.version, sides[1].rates[1:], result.unit)])
    roles = {f"{role or 'other'}_cpu_ms": sides[0].cpu_ms(role) for role in ours.cpu_s_of_roles()}
    result.steps = {"cpu_ms": sides[0].cpu_ms(), "peer_cpu_ms": sides[1].cpu_ms(), **roles}
    wanted = _CASES[case]
    return against(result, f">= {wanted} x Orthanc", (result.ratio or 0) >= wanted)


@dataclass(slots=True)
class _Side:
    """One server under load: pictures per second, and the processor time that each picture took (wherever it ran)."""

    program: CloudFilm | Orthanc
    turn: Iterator[bytes]
    rates: list[float] = field(default_factory=list[float])
    costs: list[dict[str, float]] = field(default_factory=list[dict[str, float]])

    def sample(self, seconds: float) -> None:
        before = self.program.cpu_s_of_roles()
        rate = answers_per_s(self.program.url, self.turn, _CLIENTS, seconds)
        self.rates.append(rate)
        after = self.program.cpu_s_of_roles()
        self.costs.append({role: (after[role] - before.get(role, 0.0)) / (rate * seconds) * 1000 for role in after})

    def cpu_ms(self, role: str | None = None) -> float:
        """Median over all samples but the first, ms a picture; of all or of one role."""
        spent = [sum(cost.values()) if role is None else cost.get(role, 0.0) for cost in self.costs[1:]]
        return round(statistics.median(spent), 3)


def run(options: Options) -> list[Result]:
    """CT raw, JPEG-LS and JPEG 2000, DX to 1081 wide."""
    with CloudFilm(tls=False) as ours, Orthanc() as orthanc:
        token = str(ours.run("token", "create", "--role", "dicomweb-read", "--hours", "2")["token"])
        return [_case(case, ours, orthanc, token, options) for case in _CASES if options.wants(case)]


BENCHMARK = Benchmark(
    "rendered_frames", "rendered pictures over HTTP, 16 clients, against Orthanc", (ORTHANC, DCMTK), run
)
