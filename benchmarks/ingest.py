"""``ingest``: durable C-STORE of CT slices, raw and JPEG-LS, by one and by four associations at once.

Every receiver gets the same files from DCMTK's ``dcmsend``; each transfer has new UIDs. Counted are instances per
second from the start of the senders to their end, after the count at the receiver is proven. A transfer begins when
our worker has nothing left to do of the one before; what it does during a transfer is in the figure.

Durability per answered object, as strace shows it: ours fsyncs the file, fsyncs its folder and commits to PostgreSQL
(fsync of the write-ahead log, which concurrent objects share). Orthanc 1.10.1 with SyncStorageArea=true calls
fdatasync once, on the file; it fsyncs no folder, and its SQLite index is not fsynced per object, so after a power cut
an object that it answered with success may be a file without a name or without an index row. Orthanc has no stricter
setting. DCMTK's storescp fsyncs nothing and is printed as the ceiling.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pydicom.uid
from pydicom.dataset import Dataset

from app.demo.phantoms import phantom_ct, write_dicom
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
from benchmarks.needs import DCMTK, ORTHANC
from benchmarks.programs import CloudFilm, Orthanc, Program, Storescp, dcmsend, program_version

_CALLED = {CloudFilm: "CLOUDFILM", Orthanc: "ORTHANC", Storescp: "ANY"}


def encode_jpeg_ls(dataset: Dataset) -> None:
    """Pixels as one JPEG-LS codestream, without loss."""
    import imagecodecs
    from pydicom.encaps import encapsulate

    frame = imagecodecs.jpegls_encode(dataset.pixel_array)
    dataset.PixelData = encapsulate([bytes(frame)])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLSLossless


def _fresh(templates: list[Dataset], folder: Path, associations: int) -> int:
    """Write the slices with new UIDs, spread over one sub-folder per association; returns the bytes."""
    study, total = pydicom.uid.generate_uid(), 0
    for part in range(associations):
        (folder / str(part)).mkdir(parents=True)
    series = [pydicom.uid.generate_uid() for _ in range(associations)]
    for index, dataset in enumerate(templates):
        part = index % associations
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series[part]
        dataset.SOPInstanceUID = pydicom.uid.generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        path = folder / str(part) / f"{index}.dcm"
        write_dicom(dataset, path)
        total += path.stat().st_size
    return total


def _count(program: Program) -> int:
    if isinstance(program, Orthanc):
        return int(program.get("/statistics")["CountInstances"])
    if isinstance(program, Storescp):
        return len(program.stored())
    objects = program.folder / "home" / "blobs" / "objects"
    return sum(1 for path in objects.rglob("*.dcm") if path.is_file())


def _settle(program: CloudFilm, timeout_s: float = 120.0) -> None:
    """Until the processes of ``program`` use less than a twentieth of a core. Raises BenchmarkError."""
    assert program.process is not None  # it was started
    end = time.monotonic() + timeout_s
    before, quiet = -1.0, 0
    while quiet < 3:
        if time.monotonic() > end:
            raise BenchmarkError("our server does not come to rest")
        used = _cpu_s(program.process.pid)
        quiet = quiet + 1 if 0 <= used - before < 0.05 * 0.3 else 0
        before = used
        time.sleep(0.3)


def _cpu_s(pid: int) -> float:
    """Processor time of a process and its descendants, seconds."""
    total = 0.0
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _rate(program: Any, templates: list[Dataset], associations: int) -> Callable[[], float]:
    """A measurement: instances per second of one transfer. Raises BenchmarkError when one is missing afterwards."""

    def work() -> float:
        before = _count(program)
        with tempfile.TemporaryDirectory(prefix="cloudfilm-bench-") as name:
            _fresh(templates, Path(name), associations)
            folders = [Path(name) / str(part) for part in range(associations)]
            with ThreadPoolExecutor(associations) as pool:
                start = time.perf_counter()
                sending = [pool.submit(dcmsend, f, program.dicom_port, _CALLED[type(program)]) for f in folders]
                for future in sending:
                    future.result()
                seconds = time.perf_counter() - start
        arrived = _count(program) - before
        if arrived < len(templates):
            raise BenchmarkError(f"{type(program).__name__}: {arrived} of {len(templates)} instances arrived")
        return len(templates) / seconds

    return work


def run(options: Options) -> list[Result]:
    """Cases raw/1, raw/4, jpegls/1, jpegls/4."""
    slices, rounds = (40, 2) if options.quick else (80, 4)
    raw = list(phantom_ct(slices, 512))
    results: list[Result] = []
    with CloudFilm(tls=False) as ours, Orthanc() as orthanc, Storescp() as ceiling:
        for syntax in ("raw", "jpegls"):
            if syntax == "jpegls":
                for dataset in raw:
                    encode_jpeg_ls(dataset)
            for associations in (1, 4):
                case = f"{syntax}/{associations}"
                if options.wants(case):
                    results.append(_case(case, (ours, orthanc, ceiling), raw, associations, rounds))
    return results


def _case(
    case: str, programs: tuple[CloudFilm, Orthanc, Storescp], templates: list[Dataset], associations: int, rounds: int
) -> Result:
    works = [_rate(program, templates, associations) for program in programs]
    for work in works:
        _settle(programs[0])
        work()
    samples: list[list[float]] = [[], [], []]
    for _ in range(rounds):
        for index, work in enumerate(works):
            _settle(programs[0])
            samples[index].append(work())
    result = summarize("ingest", case, "instances/s", samples[0])
    pair_with(result, [peer_of("Orthanc SyncStorageArea", programs[1].version, samples[1], result.unit)])
    ceiling = peer_of("storescp (no fsync)", program_version("storescp"), samples[2], result.unit)
    result.peers.append(ceiling)
    result.floor = ceiling.p50
    wanted = 1.0 if associations == 1 else 1.2
    return against(result, f">= {wanted} x Orthanc", (result.ratio or 0) >= wanted)


BENCHMARK = Benchmark(
    "ingest", "durable C-STORE against Orthanc (SyncStorageArea) and storescp (ceiling)", (ORTHANC, DCMTK), run
)
