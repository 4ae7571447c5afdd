"""``ingest``: durable C-STORE of CT slices, raw and JPEG-LS, by one and by four associations at once.

Every receiver gets the same files from DCMTK's ``dcmsend``; each transfer has new UIDs. Counted are instances per
second from the start of the senders to their end, after the count at the receiver is proven. Orthanc runs with
SyncStorageArea=true (equal durability); DCMTK's storescp does not fsync and is printed as the ceiling.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

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
    slices, rounds = (40, 2) if options.quick else (120, 5)
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
        work()
    samples: list[list[float]] = [[], [], []]
    for _ in range(rounds):
        for index, work in enumerate(works):
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
