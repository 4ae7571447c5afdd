"""The open record: everything a viewer needs of one stored instance, so that opening a series parses no DICOM.

It is made once, at ingest, and kept beside the index row as compact JSON (orjson, zlib). Field names are DICOM
keywords in snake case; lengths in mm, angles in degrees, patient coordinates LPS (PS3.3 C.7.6.2).
"""

from __future__ import annotations

import base64
import itertools
import math
import zlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass, field, fields
from operator import attrgetter, mul
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import orjson

from dicomnet.archive.inflated import inflated_files
from dicomnet.archive.lut import Lut, Palette
from dicomnet.archive.objects import Objects
from dicomnet.archive.suv import PetDose
from dicomnet.database import Database

if TYPE_CHECKING:
    from render.codec import FrameSpec

VoiWindow = tuple[float, float, str]  # center, width, explanation
Fragment = tuple[int, int]  # offset, length in bytes

RECORD_VERSION = 1


@dataclass(frozen=True, slots=True)
class FrameOverride:
    """What the functional groups say of one frame (PS3.3 C.7.6.16); None = as in the record."""

    image_position_patient: tuple[float, ...] | None = None
    image_orientation_patient: tuple[float, ...] | None = None
    pixel_spacing_mm: tuple[float, ...] | None = None
    slice_thickness_mm: float | None = None
    rescale_slope: float | None = None
    rescale_intercept: float | None = None
    rescale_type: str | None = None
    voi_windows: tuple[VoiWindow, ...] | None = None
    voi_lut_function: str | None = None
    stack_id: str | None = None
    in_stack_position_number: int | None = None
    temporal_position_index: int | None = None


@dataclass(frozen=True, slots=True)
class UltrasoundRegion:
    """One calibrated region (PS3.3 C.8.5.5). Bounds in pixels; deltas in the unit of the code, per pixel."""

    x0: int
    y0: int
    x1: int
    y1: int
    spatial_format: int
    data_type: int
    units_x: int
    units_y: int
    delta_x: float
    delta_y: float


@dataclass(frozen=True, slots=True)
class OpenRecord:
    """One instance, ready for a viewer. ``number_of_frames`` 0 = no pixels.

    Offsets count in the stored object, or in the inflated data set when ``deflated`` (which begins at
    ``dataset_offset`` of the object).
    """

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    modality: str = ""
    instance_number: int | None = None
    acquisition_number: int | None = None
    object_key: str = ""
    object_size: int = 0
    instance_key: int = 0
    frame_trial: str = "pending"
    frame_faults: dict[str, str] = field(default_factory=dict[str, str])
    deflated: bool = False
    little_endian: bool = True
    swapped_words: bool = False  # big endian bytes of 8 bits sent as 16-bit words (OW)
    dataset_offset: int = 0
    pixel_element: str = ""
    rows: int = 0
    columns: int = 0
    number_of_frames: int = 0
    samples_per_pixel: int = 1
    photometric_interpretation: str = ""
    bits_allocated: int = 0
    bits_stored: int = 0
    high_bit: int = 0
    pixel_representation: int = 0
    planar_configuration: int = 0
    native_offset: int = 0
    native_frame_bits: int = 0
    frames: tuple[tuple[Fragment, ...], ...] = ()
    rescale_slope: float | None = None
    rescale_intercept: float | None = None
    rescale_type: str = ""
    modality_lut: Lut | None = None
    voi_windows: tuple[VoiWindow, ...] = ()
    voi_lut_function: str = ""
    voi_luts: tuple[Lut, ...] = ()
    palette: Palette | None = None
    pixel_padding_value: int | None = None
    pixel_padding_range_limit: int | None = None
    smallest_image_pixel_value: int | None = None
    largest_image_pixel_value: int | None = None
    presentation_lut_shape: str = ""
    image_type: tuple[str, ...] = ()
    image_position_patient: tuple[float, ...] | None = None
    image_orientation_patient: tuple[float, ...] | None = None
    pixel_spacing_mm: tuple[float, ...] | None = None
    imager_pixel_spacing_mm: tuple[float, ...] | None = None
    nominal_scanned_pixel_spacing_mm: tuple[float, ...] | None = None
    pixel_spacing_calibration_type: str = ""
    estimated_radiographic_magnification_factor: float | None = None
    pixel_aspect_ratio: tuple[float, ...] | None = None
    slice_thickness_mm: float | None = None
    spacing_between_slices_mm: float | None = None
    slice_location_mm: float | None = None
    gantry_detector_tilt_degrees: float | None = None
    frame_of_reference_uid: str = ""
    patient_orientation: tuple[str, ...] = ()
    patient_position: str = ""
    image_laterality: str = ""
    view_position: str = ""
    frame_time_ms: float | None = None
    frame_time_vector_ms: tuple[float, ...] | None = None
    recommended_display_frame_rate: float | None = None
    burned_in_annotation: str = ""
    lossy_image_compression: str = ""
    per_frame: tuple[FrameOverride, ...] | None = None
    ultrasound_regions: tuple[UltrasoundRegion, ...] = ()
    pet_dose: PetDose | None = None
    acquisition: dict[str, str] = field(default_factory=dict[str, str])

    def fragments(self, frame_index: int) -> tuple[Fragment, ...]:
        """(offset, length) of the pieces of one frame; () where the file does not hold it. Raises IndexError.

        A native frame whose bits do not begin on a byte is given with the bytes it shares.
        """
        if not 0 <= frame_index < self.number_of_frames:
            raise IndexError(frame_index)
        if self.frames:
            return self.frames[frame_index]
        first_bit = frame_index * self.native_frame_bits
        begin, end = first_bit // 8, (first_bit + self.native_frame_bits + 7) // 8
        return ((self.native_offset + begin, end - begin),) if end > begin else ()

    @property
    def sort_position_mm(self) -> float | None:
        """Distance of the (first) image plane along its normal, mm; None without geometry."""
        first = self.per_frame[0] if self.per_frame else FrameOverride()
        position = first.image_position_patient or self.image_position_patient
        orientation = first.image_orientation_patient or self.image_orientation_patient
        if position is None or orientation is None:
            return None
        ax, ay, az, bx, by, bz = orientation
        normal = (ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)
        length = math.hypot(*normal)
        return sum(map(mul, position, normal)) / length if length > 1e-6 else None


# Columns of the index row: not repeated inside the record.
_OF_THE_ROW = ("instance_key", "object_key", "object_size", "frame_trial", "frame_faults")
_DEFAULTS: dict[str, Any] = {
    spec.name: spec.default for spec in fields(OpenRecord) if spec.name not in (*_OF_THE_ROW, "acquisition")
}
_values = attrgetter(*_DEFAULTS)
_NOT_PLAIN = (tuple, Lut, Palette, PetDose)
_SMALL_RECORD_BYTES = 4096


def encode(record: OpenRecord) -> bytes:
    """Compact bytes of the record, without what stands in the index row."""
    document: dict[str, Any] = {"v": RECORD_VERSION}
    for (name, default), value in zip(_DEFAULTS.items(), _values(record), strict=True):
        if value is not default and value != default:
            document[name] = _plain(name, value) if isinstance(value, _NOT_PLAIN) else value
    if record.acquisition:
        document["acquisition"] = record.acquisition
    plain = orjson.dumps(document)
    # The deflater clears its tables first: with those for 4 kB that takes a fifth of the time of those for 32 kB.
    small = len(plain) <= _SMALL_RECORD_BYTES
    deflater = zlib.compressobj(1, zlib.DEFLATED, 12, 5) if small else zlib.compressobj(1)
    return deflater.compress(plain) + deflater.flush()


def decode(
    data: bytes,
    *,
    instance_key: int = 0,
    object_key: str = "",
    object_size: int = 0,
    frame_trial: str = "pending",
    frame_faults: dict[str, str] | None = None,
) -> OpenRecord:
    """The record of ``encode``'s bytes and its index row."""
    document = cast(dict[str, Any], orjson.loads(zlib.decompress(data)))
    document.pop("v", None)
    for name, value in document.items():
        if isinstance(value, (list, dict)):
            document[name] = _typed(name, cast(Any, value))
    return OpenRecord(
        **document,
        instance_key=instance_key,
        object_key=object_key,
        object_size=object_size,
        frame_trial=frame_trial,
        frame_faults=frame_faults or {},
    )


def _plain(name: str, value: Any) -> Any:
    if name == "frames":
        return [[number for fragment in frame for number in fragment] for frame in value]
    if isinstance(value, Lut):
        return _plain_lut(value)
    if isinstance(value, PetDose):
        return astuple(value)
    if name == "palette":
        return [_plain_lut(table) for table in (value.red, value.green, value.blue)]
    if name == "voi_luts":
        return [_plain_lut(table) for table in value]
    if name == "per_frame":
        return _plain_overrides(value)
    if name == "ultrasound_regions":
        return [[getattr(region, spec.name) for spec in fields(UltrasoundRegion)] for region in value]
    return value


def _plain_overrides(overrides: Sequence[FrameOverride]) -> dict[str, list[Any]]:
    """One list per field that any frame sets: names are not repeated for thousands of frames."""
    columns: dict[str, list[Any]] = {}
    for spec in fields(FrameOverride):
        column = [getattr(override, spec.name) for override in overrides]
        if any(value is not None for value in column):
            columns[spec.name] = column
    return columns or {"stack_id": [None] * len(overrides)}


def _plain_lut(lut: Lut) -> list[Any]:
    return [lut.first_mapped, lut.bits, base64.b64encode(lut.data).decode("ascii"), lut.explanation, lut.kind]


def _lut(plain: Sequence[Any]) -> Lut:
    return Lut(plain[0], plain[1], base64.b64decode(plain[2]), plain[3], plain[4])


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _typed(name: str, value: Any) -> Any:
    if name == "frames":
        return tuple(tuple(zip(flat[::2], flat[1::2], strict=True)) for flat in value)
    if name == "modality_lut":
        return _lut(value)
    if name == "palette":
        return Palette(*(_lut(table) for table in value))
    if name == "pet_dose":
        return PetDose(*value)
    if name == "voi_luts":
        return tuple(_lut(table) for table in value)
    if name == "per_frame":
        names = list(value)
        return tuple(
            FrameOverride(**dict(zip(names, (_tuples(cell) for cell in row), strict=True)))
            for row in zip(*value.values(), strict=True)
        )
    if name == "ultrasound_regions":
        return tuple(UltrasoundRegion(*region) for region in value)
    return value if name == "acquisition" else _tuples(value)


async def load_series(database: Database, institution_id: int, series_key: int) -> list[OpenRecord]:
    """All instances of a series in display order: one query, no DICOM parsing. [] where there is none."""
    rows = await database.fetch(
        institution_id,
        "select instance_key, object_key, object_size, open_record, frame_trial, frame_faults"
        " from archive.instance where series_key = $1 order by instance_key",
        series_key,
    )
    return display_order([_from_row(row) for row in rows])


async def load_instance(database: Database, institution_id: int, instance_key: int) -> OpenRecord | None:
    """One instance; None where the institution has none of that key."""
    row = await database.fetchrow(
        institution_id,
        "select instance_key, object_key, object_size, open_record, frame_trial, frame_faults"
        " from archive.instance where instance_key = $1",
        instance_key,
    )
    return None if row is None else _from_row(row)


async def load_instances(database: Database, institution_id: int, instance_keys: Sequence[int]) -> list[OpenRecord]:
    """The named instances that the institution has, in the order named: one query."""
    rows = await database.fetch(
        institution_id,
        "select instance_key, object_key, object_size, open_record, frame_trial, frame_faults"
        " from archive.instance where instance_key = any($1::bigint[])",
        list(instance_keys),
    )
    found = {int(row["instance_key"]): _from_row(row) for row in rows}
    return [found[key] for key in instance_keys if key in found]


def _from_row(row: Any) -> OpenRecord:
    faults = row["frame_faults"]
    return decode(
        row["open_record"],
        instance_key=row["instance_key"],
        object_key=row["object_key"],
        object_size=row["object_size"],
        frame_trial=row["frame_trial"],
        frame_faults=orjson.loads(faults) if isinstance(faults, str) else dict(faults),
    )


def display_order(records: Sequence[OpenRecord]) -> list[OpenRecord]:
    """Order for scrolling: along the normal when every plane is parallel and at a place of its own.

    The direction is the one in which instance numbers grow. Repeated places (phases, echoes), scouts and images
    without geometry keep acquisition and instance number order.
    """
    by_number = sorted(
        records,
        key=lambda record: (
            record.instance_number is None,
            record.instance_number or 0,
            record.acquisition_number or 0,
            record.instance_key,
            record.sop_instance_uid,
        ),
    )
    positions = [record.sort_position_mm for record in by_number]
    known = [position for position in positions if position is not None]
    if len(by_number) < 2 or len(known) < len(by_number) or not _parallel(by_number):
        return by_number
    ordered = sorted(range(len(known)), key=known.__getitem__)
    if any(known[later] - known[earlier] < 1e-3 for earlier, later in itertools.pairwise(ordered)):
        return by_number
    ranks = np.argsort(ordered)
    if float(np.dot(ranks - ranks.mean(), np.arange(len(ranks)) - ranks.mean())) < 0:
        ordered.reverse()
    return [by_number[index] for index in ordered]


def _parallel(records: Sequence[OpenRecord]) -> bool:
    orientations = [record.image_orientation_patient for record in records]
    if any(orientation is None for orientation in orientations):
        return False
    spread = np.ptp(np.array(orientations, dtype=np.float64), axis=0)
    return bool(np.all(spread < 1e-2))


def frame_spec(record: OpenRecord) -> FrameSpec:
    """What ``render.codec`` has to know of a frame's bytes."""
    from render.codec import FrameSpec  # the decoders behind it stay out of processes that only receive

    kinds = {"FloatPixelData": "float32", "DoubleFloatPixelData": "float64"}
    return FrameSpec(
        transfer_syntax_uid=_codec_syntax(record),
        rows=record.rows,
        columns=record.columns,
        samples_per_pixel=record.samples_per_pixel,
        bits_allocated=record.bits_allocated,
        bits_stored=record.bits_stored,
        high_bit=record.high_bit,
        pixel_representation=record.pixel_representation,
        planar_configuration=record.planar_configuration,
        photometric_interpretation=record.photometric_interpretation,
        float_kind=kinds.get(record.pixel_element, ""),
        swapped_words=record.swapped_words,
    )


def _codec_syntax(record: OpenRecord) -> str:
    """Frames of a deflated data set come inflated, so they are plain explicit little endian."""
    return "1.2.840.10008.1.2.1" if record.deflated else record.transfer_syntax_uid


def _read(objects: Objects, record: OpenRecord, offset: int, length: int) -> bytes:
    if record.deflated:
        return inflated_files.read(objects, record.object_key, record.dataset_offset, offset, length)
    return objects.read_range(record.object_key, offset, length)


def read_frame_bytes(objects: Objects, record: OpenRecord, frame_index: int) -> bytes:
    """The bytes of one frame as they were sent (b"" where the file lacks it), by ranged reads.

    1-bit frames are shifted so that the first pixel is the lowest bit of the first byte.
    Raises IndexError, ObjectError.
    """
    fragments = record.fragments(frame_index)
    data = b"".join(_read(objects, record, offset, length) for offset, length in fragments)
    shift = frame_index * record.native_frame_bits % 8 if not record.frames else 0
    if shift or (not record.frames and record.native_frame_bits % 8):
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return np.packbits(bits[shift : shift + record.native_frame_bits], bitorder="little").tobytes()
    return data
