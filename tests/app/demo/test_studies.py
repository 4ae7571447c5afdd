"""What the demo sends: every instance complete for its IOD, packaged files only where they can be stored."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from app.demo.phantoms import dicom_bytes, phantom_ct, write_dicom
from app.demo.radiographs import phantom_dx
from app.demo.studies import DemoStudy, demo_studies, files_of, packaged_files

# Type 1 attributes (a value is needed) and type 2 (may be empty) of the IODs, PS3.3.
COMMON_1 = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
    "ImageType",
]
COMMON_2 = [
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
    "SeriesNumber",
    "InstanceNumber",
    "Manufacturer",
]
PLANE_1 = ["FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]
PROJECTION_1 = [
    "PresentationIntentType",
    "PixelIntensityRelationship",
    "PixelIntensityRelationshipSign",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "PresentationLUTShape",
    "LossyImageCompression",
    "ImageLaterality",
    "PatientOrientation",
    "BurnedInAnnotation",
    "ImagerPixelSpacing",
    "ViewCodeSequence",
    "AnatomicRegionSequence",
]
MODALITY_1 = {
    "CT": [*PLANE_1, "RescaleIntercept", "RescaleSlope"],
    "MR": [*PLANE_1, "ScanningSequence", "SequenceVariant"],
    "PT": [
        *PLANE_1,
        "Units",
        "CountsSource",
        "SeriesType",
        "DecayCorrection",
        "ImageIndex",
        "RescaleSlope",
        "CorrectedImage",
        "NumberOfSlices",
        "FrameReferenceTime",
        "ActualFrameDuration",
        "DecayFactor",
    ],
    "DX": PROJECTION_1,
    "MG": [*PROJECTION_1, "PositionerType", "OrganExposed"],
    "US": [
        "NumberOfFrames",
        "FrameTime",
        "FrameIncrementPointer",
        "LossyImageCompression",
        "SequenceOfUltrasoundRegions",
    ],
}
MODALITY_2 = {
    "CT": ["KVP", "AcquisitionNumber", "PositionReferenceIndicator", "SliceThickness"],
    "MR": ["ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength", "SliceThickness"],
    "PT": ["PatientOrientationCodeSequence", "PatientGantryRelationshipCodeSequence", "CollimatorType"],
    "DX": ["DetectorType", "AcquisitionContextSequence"],
    "MG": ["DetectorType", "AcquisitionContextSequence"],
    "US": ["PatientOrientation"],
}


def _reread(study: DemoStudy) -> list[Dataset]:
    read: list[Dataset] = []
    for item in study.instances():
        assert isinstance(item, Dataset)
        read.append(pydicom.dcmread(io.BytesIO(dicom_bytes(item))))
    return read


@pytest.mark.parametrize("study", demo_studies(small=True), ids=lambda s: s.title)
def test_attributes_of_type_1_and_2_are_there(study: DemoStudy) -> None:
    read = _reread(study)
    assert len(read) == study.count
    for ds in read:
        assert (str(ds.SOPClassUID), str(ds.file_meta.TransferSyntaxUID)) in study.contexts
        assert ds.StudyInstanceUID == study.study_instance_uid
        for keyword in (*COMMON_1, *MODALITY_1[ds.Modality]):
            assert keyword in ds and not ds[keyword].is_empty, f"{ds.Modality} {keyword}"
        for keyword in (*COMMON_2, *MODALITY_2[ds.Modality]):
            assert keyword in ds, f"{ds.Modality} {keyword}"
        assert ds.pixel_array.std() > 0


@pytest.mark.parametrize("study", demo_studies(small=True), ids=lambda s: s.title)
def test_a_second_start_sends_the_same_instances(study: DemoStudy) -> None:
    first, second = ([dicom_bytes(d) for d in study.instances() if isinstance(d, Dataset)] for _ in range(2))
    assert first == second


def test_the_full_set_is_as_large_as_promised() -> None:
    counts = {study.title: study.count for study in demo_studies()}
    assert counts["CT 体部"] >= 300
    assert counts["MR 头颅"] == 160


def test_chest_radiograph_is_dark_over_the_lungs_and_bright_over_the_spine() -> None:
    ds = phantom_dx(300)
    values = ds.pixel_array.astype(float)
    lung, spine = values[110:150, 80:110].mean(), values[150:200, 145:155].mean()
    assert ds.PhotometricInterpretation == "MONOCHROME1"
    assert lung > spine + 1000  # high values are dark in MONOCHROME1
    assert values.max() < 2**14


def test_packaged_files_are_found_and_storable() -> None:
    studies = packaged_files()
    assert sum(study.count for study in studies) > 50
    assert all(len(study.contexts) <= 128 for study in studies)


def test_a_folder_keeps_only_what_can_be_stored(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    for index, ds in enumerate(phantom_ct(2, 32)):
        write_dicom(ds, deep / f"{index}.dcm")
    (tmp_path / "notes.txt").write_text("not DICOM")
    (study,) = files_of(tmp_path)
    assert study.count == 2
    assert sorted(p.name for p in study.instances() if isinstance(p, Path)) == ["0.dcm", "1.dcm"]


def test_ultrasound_frames_move() -> None:
    (us,) = _reread(next(s for s in demo_studies(small=True) if s.title.startswith("US")))
    frames = us.pixel_array.astype(float)
    assert frames.shape[0] == int(us.NumberOfFrames) == 4
    assert np.abs(np.diff(frames, axis=0)).mean() > 1
