"""DICOM data sets of the demo: the modules that the images of one study share, complete to type 1 and 2.

Every UID comes from a name (``2.25.<uuid5>``, PS3.5 B.2) and every date is fixed, so a second start makes
the same bytes and an archive sees duplicates, not new images.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import numpy as np
import pydicom.uid
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence

NAMESPACE = uuid.UUID("6f3c5b1e-6a53-5a0c-9d43-0c4f2b7a91de")
IMPLEMENTATION_VERSION = "CLOUDFILM_DEMO"
INSTITUTION = "云胶片示范医院"


def demo_uid(*names: object) -> pydicom.uid.UID:
    """The UID that belongs to these names, always the same: 2.25.<uuid5 as a decimal number>."""
    return pydicom.uid.UID("2.25." + str(uuid.uuid5(NAMESPACE, "/".join(map(str, names))).int))


@dataclass(frozen=True, slots=True)
class Person:
    """An invented patient: name as a DICOM PN with its ideographic group, demographics as DICOM writes them."""

    patient_id: str
    name: str
    birth_date: str
    sex: str
    age: str
    weight_kg: float
    size_m: float


@dataclass(frozen=True, slots=True)
class Exam:
    """One study: who, when, what."""

    key: str
    person: Person
    date: str
    time: str
    description: str
    accession_number: str
    referring: str = "Chen^Yi=陈^医生"

    @property
    def study_instance_uid(self) -> pydicom.uid.UID:
        """StudyInstanceUID (0020,000D)."""
        return demo_uid(self.key, "study")


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def code_sequence(value: str, scheme: str, meaning: str) -> DicomSequence:
    """A code sequence of one item (PS3.3 8.8)."""
    return DicomSequence([_code(value, scheme, meaning)])


def new_instance(
    exam: Exam,
    *,
    sop_class_uid: str,
    modality: str,
    series: str,
    series_number: int,
    instance_number: int,
    series_description: str,
    transfer_syntax_uid: str = pydicom.uid.ExplicitVRLittleEndian,
    body_part: str = "",
    model: str = "Phantom 1",
) -> Dataset:
    """A data set with the Patient, General Study, General Series, General Equipment, SOP Common modules
    (PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, C.7.5.1, C.12.1) and its file meta information."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.SpecificCharacterSet = "GB18030"
    ds.SOPClassUID = pydicom.uid.UID(sop_class_uid)
    ds.SOPInstanceUID = demo_uid(exam.key, series, instance_number)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = pydicom.uid.UID(transfer_syntax_uid)
    ds.file_meta.ImplementationClassUID = demo_uid("implementation")
    ds.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    ds.InstanceCreationDate, ds.InstanceCreationTime = exam.date, exam.time
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = exam.date
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = exam.time
    ds.AccessionNumber = exam.accession_number
    ds.Modality = modality
    ds.Manufacturer = "CloudFilm Demo"
    ds.InstitutionName = INSTITUTION
    ds.ReferringPhysicianName = exam.referring
    ds.StationName = f"DEMO_{modality}"
    ds.StudyDescription = exam.description
    ds.SeriesDescription = series_description
    ds.ManufacturerModelName = model
    ds.DeviceSerialNumber = "0001"
    ds.SoftwareVersions = "1"
    person = exam.person
    ds.PatientName, ds.PatientID = person.name, person.patient_id
    ds.PatientBirthDate, ds.PatientSex, ds.PatientAge = person.birth_date, person.sex, person.age
    ds.PatientWeight, ds.PatientSize = person.weight_kg, person.size_m
    ds.StudyInstanceUID = exam.study_instance_uid
    ds.SeriesInstanceUID = demo_uid(exam.key, series, "series")
    ds.StudyID = exam.accession_number[-4:]
    ds.SeriesNumber, ds.InstanceNumber = series_number, instance_number
    if body_part:
        ds.BodyPartExamined = body_part
    ds.BurnedInAnnotation = "NO"
    ds.LossyImageCompression = "00"
    return ds


def set_pixels(ds: Dataset, pixels: NDArray[np.generic], *, bits_stored: int, photometric: str = "MONOCHROME2") -> None:
    """The Image Pixel module (PS3.3 C.7.6.3) from (y, x), (y, x, 3) or (frames, y, x) native values, little endian."""
    colour = pixels.ndim >= 3 and pixels.shape[-1] == 3 and photometric != "MONOCHROME2"
    rows, columns = pixels.shape[-3:-1] if colour else pixels.shape[-2:]
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = photometric
    if colour:
        ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = rows, columns
    ds.BitsAllocated = pixels.dtype.itemsize * 8
    ds.BitsStored, ds.HighBit = bits_stored, bits_stored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    little = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<"))
    payload = little.tobytes()
    ds.add_new(0x7FE00010, "OB" if pixels.dtype.itemsize == 1 else "OW", payload + b"\0" * (len(payload) & 1))


def set_plane(
    ds: Dataset,
    *,
    position_mm: tuple[float, float, float],
    orientation: tuple[float, float, float, float, float, float],
    spacing_mm: tuple[float, float],
    thickness_mm: float,
    frame_of_reference: str,
    slice_location_mm: float | None = None,
    patient_position: str = "HFS",
) -> None:
    """The Frame of Reference and Image Plane modules (PS3.3 C.7.4.1, C.7.6.2); spacing is (between rows, columns)."""
    ds.PatientPosition = patient_position
    ds.FrameOfReferenceUID = pydicom.uid.UID(frame_of_reference)
    ds.PositionReferenceIndicator = ""
    ds.ImagePositionPatient = [decimal(value) for value in position_mm]
    ds.ImageOrientationPatient = [decimal(value) for value in orientation]
    ds.PixelSpacing = [decimal(value) for value in spacing_mm]
    ds.SliceThickness = decimal(thickness_mm)
    if slice_location_mm is not None:
        ds.SliceLocation = decimal(slice_location_mm)


def decimal(value: float) -> str:
    """A DS value (PS3.5 6.2: at most 16 characters) of a number."""
    return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.9g}"


def set_windows(ds: Dataset, *windows: tuple[float, float, str]) -> None:
    """VOI LUT windows (PS3.3 C.11.2): (centre, width, explanation) each."""
    ds.WindowCenter = [decimal(c) for c, _, _ in windows]
    ds.WindowWidth = [decimal(w) for _, w, _ in windows]
    ds.WindowCenterWidthExplanation = [text for _, _, text in windows]
