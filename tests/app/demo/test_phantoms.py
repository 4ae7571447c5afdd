"""The demo volumes are proper DICOM, the same at every start, and look like what they claim to be."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from app.demo.body_ct import body_slice
from app.demo.phantoms import dicom_bytes, phantom_ct, phantom_mr, phantom_pet, phantom_petct_ct

SERIES: list[Callable[[int, int], Iterator[Dataset]]] = [phantom_ct, phantom_mr, phantom_pet, phantom_petct_ct]


@pytest.mark.parametrize("make", SERIES)
def test_a_second_start_makes_the_same_bytes(make: Callable[[int, int], Iterator[Dataset]]) -> None:
    first, second = ([dicom_bytes(ds) for ds in make(3, 48)] for _ in range(2))
    assert first == second
    assert len(set(first)) == 3


@pytest.mark.parametrize("make", SERIES)
def test_instances_of_a_series_agree_and_are_read_back(make: Callable[[int, int], Iterator[Dataset]]) -> None:
    read = [pydicom.dcmread(io.BytesIO(dicom_bytes(ds))) for ds in make(4, 48)]
    assert len({ds.SOPInstanceUID for ds in read}) == 4
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID", "SOPClassUID"):
        assert len({ds[keyword].value for ds in read}) == 1
    assert all(str(ds.SOPInstanceUID).startswith("2.25.") and len(ds.SOPInstanceUID) <= 64 for ds in read)
    assert all(ds.pixel_array.shape == (48, 48) for ds in read)
    row, column = np.array(read[0].ImageOrientationPatient, float).reshape(2, 3)
    normal = np.cross(row, column)
    along = [float(normal @ np.array(ds.ImagePositionPatient, float)) for ds in read]
    assert np.allclose(
        np.abs(np.diff(along)),
        float(read[0].SpacingBetweenSlices if "SpacingBetweenSlices" in read[0] else read[0].SliceThickness),
        atol=1e-3,
    )


def test_chinese_name_is_written_in_gb18030() -> None:
    data = dicom_bytes(next(phantom_ct(1, 32)))
    assert "Zhang^Wei=张^伟".encode("gb18030") in data
    read = pydicom.dcmread(io.BytesIO(data))
    assert read.SpecificCharacterSet == "GB18030"
    assert str(read.PatientName) == "Zhang^Wei=张^伟"


def test_hounsfield_units_of_tissues() -> None:
    """Mean of a small square well inside each tissue, against the anatomy's value."""
    matrix, pixel_mm = 256, 400 / 256

    def mean_hu(x: float, y: float, u: float) -> float:
        values = body_slice(u, matrix)
        column, row = (round(v / pixel_mm + (matrix - 1) / 2) for v in (x, y))
        return float(values[row - 2 : row + 3, column - 2 : column + 3].mean())

    assert mean_hu(0, -190, 100) == pytest.approx(-1000, abs=12)
    assert mean_hu(-105, 5, 125) == pytest.approx(-870, abs=45)
    assert mean_hu(-90, -10, 190) == pytest.approx(112, abs=20)
    assert mean_hu(20, 38, 150) == pytest.approx(265, abs=25)
    assert mean_hu(-86, 18, 212) == pytest.approx(6, abs=20)


def test_pet_and_ct_of_the_pair_share_their_frame_of_reference_and_lesion() -> None:
    pet, ct = list(phantom_pet(100, 64)), list(phantom_petct_ct(2, 32))
    assert pet[0].FrameOfReferenceUID == ct[0].FrameOfReferenceUID
    assert pet[0].StudyInstanceUID == ct[0].StudyInstanceUID
    tracer = pet[0].RadiopharmaceuticalInformationSequence[0]
    dose_at_scan = float(tracer.RadionuclideTotalDose) * 0.5 ** (3600 / float(tracer.RadionuclideHalfLife))
    lesion = pet[18]  # u = 72 mm: the lung nodule
    suv = lesion.pixel_array * float(lesion.RescaleSlope) / dose_at_scan * float(lesion.PatientWeight) * 1000
    assert 5 < suv.max() < 12
    assert len({float(ds.RescaleSlope) for ds in pet}) > 50
