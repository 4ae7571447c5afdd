"""Frames for render from a pydicom data set: what the app does from open records, done here from the elements."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.multival import MultiValue
from pydicom.pixels.utils import get_expected_length
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from render.codec import NATIVE, DecodedFrame, FrameSpec, decode_frame
from render.frame import Frame, Lut
from render.stack import SlicePlane

_FLOAT = {"FloatPixelData": "float32", "DoubleFloatPixelData": "float64"}


def read_dataset(path: Path) -> Any:
    """The data set, also of files without meta information."""
    ds: Any = pydicom.dcmread(path, force=True)
    if "TransferSyntaxUID" not in ds.file_meta:
        implicit = ds.original_encoding[0]
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        if ds.original_encoding[1] is False:
            ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.2"
    return ds


def pixel_element(ds: Any) -> str:
    """The element that holds the pixels, '' without."""
    return next((name for name in ("PixelData", *_FLOAT) if name in ds), "")


def spec_of(ds: Any) -> FrameSpec:
    """What the header says of a frame's bytes."""
    allocated = int(ds.BitsAllocated)
    return FrameSpec(
        transfer_syntax_uid=str(ds.file_meta.TransferSyntaxUID),
        rows=int(ds.Rows),
        columns=int(ds.Columns),
        samples_per_pixel=int(ds.get("SamplesPerPixel", 1)),
        bits_allocated=allocated,
        bits_stored=int(ds.get("BitsStored", allocated)),
        high_bit=int(ds.get("HighBit", int(ds.get("BitsStored", allocated)) - 1)),
        pixel_representation=int(ds.get("PixelRepresentation", 0) or 0),
        planar_configuration=int(ds.get("PlanarConfiguration", 0) or 0),
        photometric_interpretation=str(ds.PhotometricInterpretation),
        float_kind=_FLOAT.get(pixel_element(ds), ""),
        swapped_words=not ds.original_encoding[1] and allocated <= 8 and ds[pixel_element(ds)].VR == "OW",
    )


def frame_count(ds: Any) -> int:
    """Number of frames, at least 1."""
    return max(1, int(ds.get("NumberOfFrames", 1) or 1))


def frame_bytes(ds: Any, frame_index: int) -> bytes:
    """The bytes of one frame as they stand in the file."""
    data = ds[pixel_element(ds)].value
    if str(ds.file_meta.TransferSyntaxUID) not in NATIVE:
        return get_frame(data, frame_index, number_of_frames=frame_count(ds))
    if ds.BitsAllocated == 1:
        size = int(ds.Rows) * int(ds.Columns)
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return np.packbits(bits[frame_index * size : (frame_index + 1) * size], bitorder="little").tobytes()
    size = get_expected_length(ds, unit="bytes") // frame_count(ds)
    if size % 2 and frame_count(ds) == 1:
        return data  # a word may hold the last pixel in its other half
    return data[frame_index * size : (frame_index + 1) * size]


def decode(ds: Any, frame_index: int = 0) -> DecodedFrame:
    """Our decoder on one frame of a data set."""
    return decode_frame(frame_bytes(ds, frame_index), spec_of(ds))


def groups(ds: Any, frame_index: int, name: str) -> Any:
    """One macro of the functional groups of a frame (PS3.3 C.7.6.16), else the data set itself."""
    for owner in (ds.get("PerFrameFunctionalGroupsSequence"), ds.get("SharedFunctionalGroupsSequence")):
        if not owner:
            continue
        item = owner[frame_index] if owner is ds.get("PerFrameFunctionalGroupsSequence") else owner[0]
        if item.get(name):
            return item[name].value[0]
    return ds


def lut_of(item: Dataset, prefix: str = "", *, signed_first: bool = False) -> Lut:
    """A look-up table of PS3.3 C.11.1.1 from its descriptor and data."""
    entries, first, bits = (int(v) for v in item[f"{prefix}LUTDescriptor" if prefix else "LUTDescriptor"].value)
    raw = item["LUTData" if not prefix else f"{prefix}LUTData"].value
    if isinstance(raw, bytes):
        packed = len(raw) < 2 * (entries or 65536)
        values = np.frombuffer(raw, np.uint8 if packed else np.uint16)
    else:
        values = np.atleast_1d(np.asarray(raw, np.uint16))
    if signed_first and first >= 32768:
        first -= 65536
    return Lut(first, bits, values[: entries or 65536].astype(np.uint16))


def palette_of(ds: Any) -> tuple[Lut, Lut, Lut] | None:
    """Red, green, blue tables of PALETTE COLOR; segmented ones are expanded by pydicom."""
    if str(ds.PhotometricInterpretation) != "PALETTE COLOR":
        return None
    names = ("Red", "Green", "Blue")
    if f"Segmented{names[0]}PaletteColorLookupTableData" in ds:
        from pydicom.pixels.processing import _expand_segmented_lut

        return tuple(  # pyright: ignore[reportReturnType]
            Lut(
                int(ds[f"{name}PaletteColorLookupTableDescriptor"].value[1]),
                int(ds[f"{name}PaletteColorLookupTableDescriptor"].value[2]),
                np.asarray(
                    _expand_segmented_lut(
                        tuple(np.frombuffer(ds[f"Segmented{name}PaletteColorLookupTableData"].value, "<u2").tolist()),
                        "<H",
                    ),
                    np.uint16,
                ),
            )
            for name in names
        )
    tables: list[Lut] = []
    for name in names:
        entries, first, bits = (int(v) for v in ds[f"{name}PaletteColorLookupTableDescriptor"].value)
        raw = ds[f"{name}PaletteColorLookupTableData"].value
        entries = entries or 65536
        values = np.frombuffer(raw, "<u2" if len(raw) >= 2 * entries else np.uint8)[:entries]
        tables.append(Lut(first, bits, values.astype(np.uint16)))
    return tables[0], tables[1], tables[2]


def _tables(ds: Any, name: str) -> list[Any]:
    """Items of a LUT sequence that hold a table."""
    return [item for item in ds.get(name) or [] if item.get("LUTDescriptor") and item.get("LUTData")]


def _numbers(value: Any) -> list[float]:
    if value is None or value == "":
        return []
    return [float(v) for v in (value if isinstance(value, (list, MultiValue)) else [value])]


def frame_of(ds: Any, frame_index: int = 0) -> Frame:
    """One decoded frame with the look-up tables and windows of its data set."""
    decoded = decode(ds, frame_index)
    rescale = groups(ds, frame_index, "PixelValueTransformationSequence")
    voi = groups(ds, frame_index, "FrameVOILUTSequence")
    windows = tuple(
        zip(_numbers(voi.get("WindowCenter")), _numbers(voi.get("WindowWidth")), strict=False),
    )
    signed = bool(ds.get("PixelRepresentation", 0)) or float(rescale.get("RescaleIntercept", 0) or 0) < 0
    modality, voi_luts = _tables(ds, "ModalityLUTSequence"), _tables(ds, "VOILUTSequence")
    spacing = groups(ds, frame_index, "PixelMeasuresSequence").get("PixelSpacing") or ds.get("PixelAspectRatio")
    pair = _numbers(spacing)
    padding = ds.get("PixelPaddingValue")
    limit = ds.get("PixelPaddingRangeLimit")
    inverse = ds.get("PresentationLUTShape", "") == "INVERSE" and decoded.photometric_interpretation != "MONOCHROME1"
    return Frame(
        decoded.values,
        photometric_interpretation=decoded.photometric_interpretation,
        bits_stored=int(ds.get("BitsStored", ds.BitsAllocated)),
        rescale_slope=float(rescale.get("RescaleSlope", 1) or 1),
        rescale_intercept=float(rescale.get("RescaleIntercept", 0) or 0),
        modality_lut=lut_of(modality[0], signed_first=bool(ds.get("PixelRepresentation", 0))) if modality else None,
        voi_windows=windows,
        voi_lut_function=str(voi.get("VOILUTFunction", "LINEAR") or "LINEAR"),
        voi_lut=lut_of(voi_luts[0], signed_first=signed) if voi_luts else None,
        palette=palette_of(ds),
        padding_value=int(padding) if isinstance(padding, int) else None,
        padding_range_limit=int(limit) if isinstance(limit, int) else None,
        presentation_inverse=inverse,
        pixel_aspect=pair[0] / pair[1] if len(pair) > 1 and pair[1] else 1.0,
        modality=str(ds.get("Modality", "")),
        decoder=decoded.decoder,
    )


def slices_of(paths: list[Path]) -> tuple[list[SlicePlane], dict[int, Frame]]:
    """Planes and frames of single-frame and enhanced files, for render.stack."""
    planes: list[SlicePlane] = []
    frames: dict[int, Frame] = {}
    for path in paths:
        ds = read_dataset(path)
        for index in range(frame_count(ds)):
            key = len(frames)
            position = groups(ds, index, "PlanePositionSequence").ImagePositionPatient
            orientation = [float(v) for v in groups(ds, index, "PlaneOrientationSequence").ImageOrientationPatient]
            spacing = groups(ds, index, "PixelMeasuresSequence").PixelSpacing
            x, y, z = (float(v) for v in position)
            planes.append(
                SlicePlane(
                    key,
                    (x, y, z),
                    (orientation[0], orientation[1], orientation[2]),
                    (orientation[3], orientation[4], orientation[5]),
                    (float(spacing[0]), float(spacing[1])),
                    int(ds.Rows),
                    int(ds.Columns),
                    order=(float(ds.get("InstanceNumber", 0) or 0), float(index)),
                )
            )
            frames[key] = frame_of(ds, index)
    return planes, frames
