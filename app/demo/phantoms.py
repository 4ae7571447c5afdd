"""The demo's volumes as DICOM series, made one instance at a time: CT of the torso, MR of the head, PET with CT.

Each function yields complete data sets (with file meta) in order of position; sizes can be made small for tests.
``write_dicom`` and ``dicom_bytes`` turn one into a Part 10 file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pydicom.uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from app.demo.anatomy import BODY_LENGTH_MM
from app.demo.body_ct import FIELD_OF_VIEW_MM, body_slice
from app.demo.body_pet import PET_FIELD_OF_VIEW_MM, pet_slice
from app.demo.datasets import (
    Exam,
    Person,
    code_sequence,
    decimal,
    demo_uid,
    new_instance,
    set_pixels,
    set_plane,
    set_windows,
)
from app.demo.head_mr import HEAD_MM, head_slice

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)

ZHANG = Person("CF-DEMO-0001", "Zhang^Wei=张^伟", "19680412", "M", "056Y", 68.0, 1.72)
WANG = Person("CF-DEMO-0002", "Wang^Xiuying=王^秀英", "19750923", "F", "048Y", 57.5, 1.61)
OUYANG = Person("CF-DEMO-0003", "Ouyang^Haitao=欧阳^海涛", "19590118", "M", "065Y", 72.0, 1.70)

CT_EXAM = Exam("ct", ZHANG, "20240311", "093012", "胸腹盆增强 CT", "CFD2403110001")
MR_EXAM = Exam("mr", WANG, "20240312", "141530", "头颅 MR 平扫", "CFD2403120002")
PETCT_EXAM = Exam("petct", OUYANG, "20240314", "100500", "体部 PET/CT", "CFD2403140005")


def write_dicom(dataset: Dataset, path: Path) -> None:
    """Write one instance as a Part 10 file."""
    path.write_bytes(dicom_bytes(dataset))


def dicom_bytes(dataset: Dataset) -> bytes:
    """One instance as the bytes of a Part 10 file (PS3.10 7)."""
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def _ct_instance(
    exam: Exam, u: float, index: int, *, matrix: int, spacing_mm: float, series: str, contrast: bool, frame: str
) -> Dataset:
    """One slice in the CT Image IOD (PS3.3 A.3)."""
    ds = new_instance(
        exam,
        sop_class_uid=pydicom.uid.CTImageStorage,
        modality="CT",
        series=series,
        series_number=2,
        instance_number=index + 1,
        series_description="门静脉期 1 mm" if contrast else "低剂量 CT 衰减校正",
        body_part="CHESTABDPELVIS",
    )
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    pixel_mm = FIELD_OF_VIEW_MM / matrix
    corner = -(matrix - 1) / 2 * pixel_mm
    set_plane(
        ds,
        position_mm=(corner, corner, -u),
        orientation=AXIAL,
        spacing_mm=(pixel_mm, pixel_mm),
        thickness_mm=spacing_mm,
        frame_of_reference=frame,
        slice_location_mm=-u,
    )
    ds.SpacingBetweenSlices = decimal(spacing_mm)
    ds.AcquisitionNumber = 1
    ds.KVP = "120" if contrast else "100"
    ds.XRayTubeCurrent, ds.ExposureTime, ds.Exposure = (220, 500, 110) if contrast else (60, 500, 30)
    ds.ScanOptions = "HELICAL MODE"
    ds.DataCollectionDiameter = ds.ReconstructionDiameter = decimal(FIELD_OF_VIEW_MM)
    ds.GantryDetectorTilt, ds.TableHeight, ds.RotationDirection = "0", "150", "CW"
    ds.ConvolutionKernel = "STANDARD"
    if contrast:
        ds.ContrastBolusAgent = "Iohexol"
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-1024", "1", "HU"
    set_windows(ds, (50, 350, "WINDOW1"), (-600, 1500, "WINDOW2"))
    values = body_slice(u, matrix, noise_hu=9.0 if contrast else 20.0, contrast=contrast)
    set_pixels(ds, (values + 1024).astype("uint16"), bits_stored=12)
    return ds


def phantom_ct(slices: int = 300, matrix: int = 512, spacing_mm: float | None = None) -> Iterator[Dataset]:
    """A contrast-enhanced CT of the torso, from the head end down; 512 x 512 unsigned 12 bit, HU by rescale.

    Without ``spacing_mm`` the slices are spread over the whole 400 mm of the phantom.
    """
    step = BODY_LENGTH_MM / slices if spacing_mm is None else spacing_mm
    frame = demo_uid(CT_EXAM.key, "frame", slices, matrix)
    series = f"ct{slices}x{matrix}"
    for index in range(slices):
        yield _ct_instance(
            CT_EXAM, index * step, index, matrix=matrix, spacing_mm=step, series=series, contrast=True, frame=frame
        )


def phantom_mr(slices: int = 160, matrix: int = 256) -> Iterator[Dataset]:
    """A sagittal T1-weighted gradient echo of a head, from the patient's right to the left (PS3.3 A.4)."""
    pixel_mm, step = HEAD_MM[1] / matrix, HEAD_MM[0] / slices
    frame = demo_uid(MR_EXAM.key, "frame", slices, matrix)
    for index in range(slices):
        x = (index - (slices - 1) / 2) * step
        ds = new_instance(
            MR_EXAM,
            sop_class_uid=pydicom.uid.MRImageStorage,
            modality="MR",
            series=f"mr{slices}x{matrix}",
            series_number=3,
            instance_number=index + 1,
            series_description="T1 MPRAGE 矢状位",
            body_part="HEAD",
        )
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"]
        half = (matrix - 1) / 2 * pixel_mm
        set_plane(
            ds,
            position_mm=(x, -half, half),
            orientation=SAGITTAL,
            spacing_mm=(pixel_mm, pixel_mm),
            thickness_mm=step,
            frame_of_reference=frame,
            slice_location_mm=x,
        )
        ds.SpacingBetweenSlices = decimal(step)
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = ["GR", "IR"], ["SK", "SP", "MP"], "IR"
        ds.MRAcquisitionType, ds.SequenceName = "3D", "*tfl3d1"
        ds.RepetitionTime, ds.EchoTime, ds.InversionTime = "2300", "2.98", "900"
        ds.FlipAngle, ds.NumberOfAverages, ds.EchoTrainLength = "9", "1", "1"
        ds.MagneticFieldStrength, ds.ImagingFrequency, ds.ImagedNucleus = "3", "123.2", "1H"
        ds.EchoNumbers, ds.AcquisitionNumber = "1", 1
        set_windows(ds, (360, 760, "T1"))
        set_pixels(ds, head_slice(x, matrix), bits_stored=12)
        yield ds


def phantom_petct_ct(slices: int = 100, matrix: int = 512) -> Iterator[Dataset]:
    """The low-dose CT of the PET/CT pair, in the same frame of reference as ``phantom_pet``."""
    step = BODY_LENGTH_MM / slices
    for index in range(slices):
        yield _ct_instance(
            PETCT_EXAM,
            index * step,
            index,
            matrix=matrix,
            spacing_mm=step,
            series=f"ct{slices}x{matrix}",
            contrast=False,
            frame=demo_uid(PETCT_EXAM.key, "frame"),
        )


def phantom_pet(slices: int = 100, matrix: int = 128) -> Iterator[Dataset]:
    """The FDG PET of the pair (PS3.3 A.21), Bq/ml with all that body-weight SUV needs, rescaled per slice."""
    step, pixel_mm = BODY_LENGTH_MM / slices, PET_FIELD_OF_VIEW_MM / matrix
    corner = -(matrix - 1) / 2 * pixel_mm
    for index in range(slices):
        u = index * step
        ds = new_instance(
            PETCT_EXAM,
            sop_class_uid=pydicom.uid.PositronEmissionTomographyImageStorage,
            modality="PT",
            series=f"pt{slices}x{matrix}",
            series_number=4,
            instance_number=index + 1,
            series_description="FDG PET 衰减校正",
            body_part="CHESTABDPELVIS",
        )
        ds.ImageType = ["ORIGINAL", "PRIMARY"]
        set_plane(
            ds,
            position_mm=(corner, corner, -u),
            orientation=AXIAL,
            spacing_mm=(pixel_mm, pixel_mm),
            thickness_mm=step,
            frame_of_reference=demo_uid(PETCT_EXAM.key, "frame"),
            slice_location_mm=-u,
        )
        _pet_series(ds, slices, index)
        values, slope = pet_slice(u, matrix, _becquerel_per_ml_of_one_suv(ds))
        ds.RescaleIntercept, ds.RescaleSlope = "0", decimal(slope)
        top = 6.0 * _becquerel_per_ml_of_one_suv(ds)
        set_windows(ds, (top / 2, top, "SUV 0-6"))
        set_pixels(ds, values, bits_stored=16)
        yield ds


def _becquerel_per_ml_of_one_suv(ds: Dataset) -> float:
    """Activity concentration (Bq/ml) of SUV 1: decay-corrected dose at scan time over body weight in grams."""
    tracer = ds.RadiopharmaceuticalInformationSequence[0]
    minutes = 60.0
    decay = 0.5 ** (minutes * 60 / float(tracer.RadionuclideHalfLife))
    return float(tracer.RadionuclideTotalDose) * decay / (float(ds.PatientWeight) * 1000)


def _pet_series(ds: Dataset, slices: int, index: int) -> None:
    """The PET Series, Isotope and Image modules (PS3.3 C.8.9.1, C.8.9.2, C.8.9.4): scanned 60 min after injection."""
    ds.Units, ds.CountsSource, ds.SeriesType = "BQML", "EMISSION", ["WHOLE BODY", "IMAGE"]
    ds.NumberOfSlices, ds.CorrectedImage = slices, ["NORM", "DTIM", "ATTN", "SCAT", "DECY", "RAN"]
    ds.DecayCorrection, ds.CollimatorType, ds.RandomsCorrectionMethod = "START", "NONE", "DLYD"
    ds.AttenuationCorrectionMethod, ds.ScatterCorrectionMethod = "CT", "Model-based"
    ds.ReconstructionMethod, ds.AxialAcceptance = "OSEM", "38"
    ds.ActualFrameDuration, ds.FrameReferenceTime = "120000", "0"
    ds.ImageIndex, ds.DecayFactor, ds.AcquisitionNumber = index + 1, "1", 1
    tracer = Dataset()
    tracer.Radiopharmaceutical = "Fluorodeoxyglucose"
    tracer.RadiopharmaceuticalStartTime = "090500"
    tracer.RadionuclideTotalDose, tracer.RadionuclideHalfLife = "310000000", "6586.2"
    tracer.RadionuclidePositronFraction = "0.9673"
    tracer.RadionuclideCodeSequence = code_sequence("C-111A1", "SRT", "^18^Fluorine")
    tracer.RadiopharmaceuticalCodeSequence = code_sequence("C-B1031", "SRT", "Fluorodeoxyglucose F^18^")
    ds.RadiopharmaceuticalInformationSequence = DicomSequence([tracer])
    ds.PatientOrientationCodeSequence = code_sequence("F-10450", "SRT", "recumbent")
    ds.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = code_sequence(
        "F-10340", "SRT", "supine"
    )
    ds.PatientGantryRelationshipCodeSequence = code_sequence("F-10470", "SRT", "headfirst")
