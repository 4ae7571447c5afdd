"""The studies of ``cloudfilm demo``: our own phantoms, the files of pydicom's package, or a folder of somebody's own."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pydicom
import pydicom.data
import pydicom.uid
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from app.demo.echo_cine import US_EXAM, phantom_us
from app.demo.phantoms import (
    CT_EXAM,
    MR_EXAM,
    PETCT_EXAM,
    phantom_ct,
    phantom_mr,
    phantom_pet,
    phantom_petct_ct,
)
from app.demo.radiographs import DX_EXAM, MG_EXAM, phantom_dx, phantom_mg
from dicomnet.dimse.scu import LARGEST_CONTEXT_COUNT
from dicomnet.sop_classes import storage_classes, transfer_syntaxes


@dataclass(frozen=True, slots=True)
class DemoStudy:
    """Something to send: ``instances()`` makes or names the instances one at a time, ``count`` of them."""

    title: str
    count: int
    contexts: frozenset[tuple[str, str]]
    instances: Callable[[], Iterator[Dataset | Path]]
    study_instance_uid: str = ""


def demo_studies(*, small: bool = False) -> list[DemoStudy]:
    """The six demo studies, CT first. ``small`` ones have few small images (for tests)."""
    explicit = str(pydicom.uid.ExplicitVRLittleEndian)
    ct, mr, pet = (
        (str(uid), explicit)
        for uid in (
            pydicom.uid.CTImageStorage,
            pydicom.uid.MRImageStorage,
            pydicom.uid.PositronEmissionTomographyImageStorage,
        )
    )
    dx = (str(pydicom.uid.DigitalXRayImageStorageForPresentation), explicit)
    mg = (str(pydicom.uid.DigitalMammographyXRayImageStorageForPresentation), explicit)
    us = (str(pydicom.uid.UltrasoundMultiFrameImageStorage), str(pydicom.uid.JPEGBaseline8Bit))
    ct_count, mr_count, pair_count = (6, 5, 4) if small else (400, 160, 100)
    matrix, head, film = (64, 64, 96) if small else (512, 256, 3000)
    frames, rows, columns = (4, 48, 64) if small else (60, 480, 640)

    def pair() -> Iterator[Dataset]:
        return chain(phantom_petct_ct(pair_count, matrix), phantom_pet(pair_count, 32 if small else 128))

    rows_of_table: list[tuple[str, int, set[tuple[str, str]], Callable[[], Iterator[Dataset]], str]] = [
        ("CT 体部", ct_count, {ct}, lambda: phantom_ct(ct_count, matrix), CT_EXAM.study_instance_uid),
        ("MR 头颅", mr_count, {mr}, lambda: phantom_mr(mr_count, head), MR_EXAM.study_instance_uid),
        ("DX 胸片", 1, {dx}, lambda: iter([phantom_dx(film)]), DX_EXAM.study_instance_uid),
        ("MG 乳腺", 2, {mg}, lambda: phantom_mg(film), MG_EXAM.study_instance_uid),
        ("US 心脏", 1, {us}, lambda: iter([phantom_us(frames, rows, columns)]), US_EXAM.study_instance_uid),
        ("PET/CT", 2 * pair_count, {ct, pet}, pair, PETCT_EXAM.study_instance_uid),
    ]
    return [
        DemoStudy(title, count, frozenset(pairs), make, str(uid)) for title, count, pairs, make, uid in rows_of_table
    ]


def packaged_files() -> list[DemoStudy]:
    """The storable images inside pydicom's installed package (nothing is downloaded)."""
    return files_of(Path(pydicom.data.__file__).parent / "test_files", "pydicom")


def files_of(folder: Path, title: str | None = None) -> list[DemoStudy]:
    """Every storable DICOM file below ``folder``, in batches that fit one association.

    A file is storable when it is Part 10, has a storage SOP class, the three UIDs, and a transfer syntax of images.
    """
    classes, syntaxes = storage_classes(), transfer_syntaxes()
    batches: list[tuple[list[Path], set[tuple[str, str]]]] = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        pair = _pair_of(path)
        if pair is None or pair[0] not in classes or pair[1] not in syntaxes:
            continue
        if not batches or len(batches[-1][1] | {pair}) > LARGEST_CONTEXT_COUNT:
            batches.append(([], set()))
        batches[-1][0].append(path)
        batches[-1][1].add(pair)
    return [DemoStudy(title or folder.name, len(paths), frozenset(pairs), _paths(paths)) for paths, pairs in batches]


def _paths(paths: Iterable[Path]) -> Callable[[], Iterator[Dataset | Path]]:
    return lambda: iter(list(paths))


def _pair_of(path: Path) -> tuple[str, str] | None:
    """(SOP class, transfer syntax) of a file that can be stored, None of any other."""
    tags = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the packaged files are odd on purpose
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
            values = [str(header.get(tag, "")) for tag in tags]
            syntax = str(header.file_meta.get("TransferSyntaxUID", ""))
    except (InvalidDicomError, OSError, ValueError, AttributeError, KeyError, TypeError, EOFError, NotImplementedError):
        return None
    return (values[0], syntax) if all(values) and syntax else None


def study_uid_of(path: Path) -> str:
    """StudyInstanceUID of a file."""
    return str(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["StudyInstanceUID"]).StudyInstanceUID)
