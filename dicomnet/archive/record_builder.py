"""Make the open record of a header (PS3.3: Image Plane, Image Pixel, Modality LUT, VOI LUT, functional groups)."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from dicomnet.archive.elements import PIXEL_DATA, Elements
from dicomnet.archive.frames import PixelShape, lay_out_frames
from dicomnet.archive.header import Header
from dicomnet.archive.lut import read_lut, read_palette
from dicomnet.archive.open_record import FrameOverride, OpenRecord, UltrasoundRegion, VoiWindow
from dicomnet.archive.suv import read_pet_dose
from dicomnet.text import decode_text

_MAX_WINDOWS = 32
_REMEMBERED_BYTES = 128
_MAX_REGIONS = 64

# What the corners of a viewer show: keyword -> (tag, needs a character set).
_ACQUISITION = {
    "manufacturer": (0x00080070, True),
    "manufacturer_model_name": (0x00081090, True),
    "station_name": (0x00081010, True),
    "series_description": (0x0008103E, True),
    "protocol_name": (0x00181030, True),
    "body_part_examined": (0x00180015, False),
    "acquisition_date": (0x00080022, False),
    "acquisition_time": (0x00080032, False),
    "content_date": (0x00080023, False),
    "content_time": (0x00080033, False),
    "kvp": (0x00180060, False),
    "x_ray_tube_current_ma": (0x00181151, False),
    "exposure_time_ms": (0x00181150, False),
    "exposure_mas": (0x00181152, False),
    "convolution_kernel": (0x00181210, False),
    "contrast_bolus_agent": (0x00180010, True),
    "repetition_time_ms": (0x00180080, False),
    "echo_time_ms": (0x00180081, False),
    "inversion_time_ms": (0x00180082, False),
    "flip_angle_degrees": (0x00181314, False),
    "magnetic_field_strength_t": (0x00180087, False),
    "sequence_name": (0x00180024, False),
    "series_number": (0x00200011, False),
    "units": (0x00541001, False),
}


def build_record(header: Header, sop_class_uid: str, sop_instance_uid: str) -> OpenRecord:
    """The open record of one object under its identity, without its index row.

    Raises PixelDataShortError, TruncatedError, TooComplexError.
    """
    ds = header.dataset
    rows, columns = ds.integer(0x00280010, 0) or 0, ds.integer(0x00280011, 0) or 0
    samples = ds.integer(0x00280002, 1) or 1
    bits_allocated = ds.integer(0x00280100, 0) or 0
    photometric = ds.text(0x00280004)
    layout = lay_out_frames(
        header, PixelShape(rows, columns, samples, bits_allocated, photometric), ds.integer(0x00280008, 1) or 1
    )
    bits_stored = ds.integer(0x00280101, bits_allocated) or bits_allocated
    pixel_representation = ds.integer(0x00280103, 0) or 0
    signed = pixel_representation == 1
    values: dict[str, Any] = {
        "sop_instance_uid": sop_instance_uid,
        "sop_class_uid": sop_class_uid,
        "transfer_syntax_uid": header.transfer_syntax_uid,
        "modality": ds.text(0x00080060)[:16],
        "instance_number": ds.integer(0x00200013),
        "acquisition_number": ds.integer(0x00200012),
        "deflated": header.deflated,
        "little_endian": ds.little,
        "swapped_words": not ds.little and bits_allocated <= 8 and _is_words(ds),
        "dataset_offset": header.dataset_offset,
        "pixel_element": layout.pixel_element,
        "rows": rows,
        "columns": columns,
        "number_of_frames": layout.number_of_frames,
        "samples_per_pixel": samples,
        "photometric_interpretation": photometric,
        "bits_allocated": bits_allocated,
        "bits_stored": bits_stored,
        "high_bit": ds.integer(0x00280102, bits_stored - 1) or 0,
        "pixel_representation": pixel_representation,
        "planar_configuration": ds.integer(0x00280006, 0) or 0,
        "native_offset": layout.native_offset,
        "native_frame_bits": layout.native_frame_bits,
        "frames": layout.frames,
        "frame_of_reference_uid": ds.text(0x00200052)[:64],
        "image_type": tuple(ds.strings(0x00080008, 8)),
        "acquisition": _acquisition(ds),
    }
    if values["modality"] == "PT":
        values["pet_dose"] = read_pet_dose(ds)
    if layout.pixel_element:
        values.update(_gray_scale(ds, signed, photometric))
        values.update(_geometry(ds, layout.number_of_frames))
        values.update(per_frame=_per_frame(ds, layout.number_of_frames), ultrasound_regions=_ultrasound_regions(ds))
    return OpenRecord(**values)


def _is_words(ds: Elements) -> bool:
    return PIXEL_DATA in ds and ds.vr(PIXEL_DATA) == b"OW"


def _acquisition(ds: Elements) -> dict[str, str]:
    texts: dict[str, str] = {}
    elements = ds.elements
    for keyword, (tag, encoded) in _ACQUISITION.items():
        if tag not in elements:
            continue
        text = read_text(ds, tag) if encoded else "\\".join(ds.strings(tag, 4))
        if text:
            texts[keyword] = text[:64]
    return texts


def read_text(ds: Elements, tag: int) -> str:
    """Text of a VR with a character set, repaired where the declaration is wrong; "" where absent."""
    raw = ds.raw(tag, 1 << 16)
    if not raw:
        return ""
    return (_text if len(raw) <= _REMEMBERED_BYTES else _text_anew)(raw, ds.character_sets)


def _text_anew(raw: bytes, character_sets: tuple[str, ...]) -> str:
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii").strip(" \0\t\r\n")
    return decode_text(raw, character_sets).strip(" \0\t\r\n")


_text = lru_cache(maxsize=4096)(_text_anew)  # the objects of a series repeat their texts


def _gray_scale(ds: Elements, signed: bool, photometric_interpretation: str) -> dict[str, Any]:
    modality_item = ds.first_item(0x00283000)
    modality_lut = read_lut(modality_item, signed) if modality_item else None
    # The VOI LUT takes what the modality transform gives, which may be negative even for unsigned pixels.
    intercept = ds.number(0x00281052)
    voi_signed = modality_lut is None and (signed or (intercept is not None and intercept < 0))
    luts = [read_lut(item, voi_signed) for _, item in zip(range(8), ds.items(0x00283010), strict=False)]
    return {
        "rescale_slope": ds.number(0x00281053),
        "rescale_intercept": intercept,
        "rescale_type": ds.text(0x00281054)[:16],
        "modality_lut": modality_lut,
        "voi_windows": _windows(ds),
        "voi_lut_function": ds.text(0x00281056),
        "voi_luts": tuple(lut for lut in luts if lut is not None),
        "palette": read_palette(ds, signed) if photometric_interpretation == "PALETTE COLOR" else None,
        "pixel_padding_value": _stored_value(ds, 0x00280120, signed),
        "pixel_padding_range_limit": _stored_value(ds, 0x00280121, signed),
        "smallest_image_pixel_value": _stored_value(ds, 0x00280106, signed),
        "largest_image_pixel_value": _stored_value(ds, 0x00280107, signed),
        "presentation_lut_shape": ds.text(0x20500020),
        "burned_in_annotation": ds.text(0x00280301),
        "lossy_image_compression": ds.text(0x00282110),
    }


def _stored_value(ds: Elements, tag: int, signed: bool) -> int | None:
    """A US-or-SS value: Pixel Representation decides, whatever VR the sender wrote."""
    raw = ds.raw(tag)
    if raw is None or len(raw) != 2:
        return ds.integer(tag)
    return int.from_bytes(raw, "little" if ds.little else "big", signed=signed)


def _windows(ds: Elements) -> tuple[VoiWindow, ...]:
    centers, widths = ds.floats(0x00281050), ds.floats(0x00281051)
    if not centers or not widths:
        return ()
    explanations = read_text(ds, 0x00281055).split("\\") if 0x00281055 in ds else []
    pairs = list(zip(centers, widths, strict=False))[:_MAX_WINDOWS]
    return tuple(
        (center, width, explanations[index].strip()[:64] if index < len(explanations) else "")
        for index, (center, width) in enumerate(pairs)
    )


def _vector(ds: Elements, tag: int, count: int) -> tuple[float, ...] | None:
    values = ds.floats(tag)
    return tuple(values[:count]) if len(values) >= count else None


def _geometry(ds: Elements, number_of_frames: int) -> dict[str, Any]:
    return {
        "image_position_patient": _vector(ds, 0x00200032, 3),
        "image_orientation_patient": _vector(ds, 0x00200037, 6),
        "pixel_spacing_mm": _vector(ds, 0x00280030, 2),
        "imager_pixel_spacing_mm": _vector(ds, 0x00181164, 2),
        "nominal_scanned_pixel_spacing_mm": _vector(ds, 0x00182010, 2),
        "pixel_spacing_calibration_type": ds.text(0x00280A02),
        "estimated_radiographic_magnification_factor": ds.number(0x00181114),
        "pixel_aspect_ratio": _vector(ds, 0x00280034, 2),
        "slice_thickness_mm": ds.number(0x00180050),
        "spacing_between_slices_mm": ds.number(0x00180088),
        "slice_location_mm": ds.number(0x00201041),
        "gantry_detector_tilt_degrees": ds.number(0x00181120),
        "patient_orientation": tuple(ds.strings(0x00200020, 2)),
        "patient_position": ds.text(0x00185100)[:16],
        "image_laterality": ds.text(0x00200062) or ds.text(0x00200060),
        "view_position": ds.text(0x00185101)[:16],
        "frame_time_ms": ds.number(0x00181063),
        "frame_time_vector_ms": tuple(ds.floats(0x00181065)[:number_of_frames]) or None,
        "recommended_display_frame_rate": ds.number(0x00082144),
    }


def _per_frame(ds: Elements, number_of_frames: int) -> tuple[FrameOverride, ...] | None:
    """Shared and per-frame functional groups, merged; None where there are none."""
    shared_item = ds.first_item(0x52009229)
    shared = _override(shared_item, FrameOverride()) if shared_item else FrameOverride()
    overrides = [
        _override(item, shared) for _, item in zip(range(number_of_frames), ds.items(0x52009230), strict=False)
    ]
    if not overrides and shared == FrameOverride():
        return None
    overrides.extend([shared] * (number_of_frames - len(overrides)))
    return tuple(overrides)


def _override(groups: Elements, base: FrameOverride) -> FrameOverride:
    """``base`` with what one functional groups item says."""
    override = base
    if plane := groups.first_item(0x00209113):
        override = replace(
            override, image_position_patient=_vector(plane, 0x00200032, 3) or override.image_position_patient
        )
    if orientation := groups.first_item(0x00209116):
        override = replace(
            override,
            image_orientation_patient=_vector(orientation, 0x00200037, 6) or override.image_orientation_patient,
        )
    if measures := groups.first_item(0x00289110):
        override = replace(
            override,
            pixel_spacing_mm=_vector(measures, 0x00280030, 2) or override.pixel_spacing_mm,
            slice_thickness_mm=measures.number(0x00180050) or override.slice_thickness_mm,
        )
    if rescale := groups.first_item(0x00289145):
        override = replace(
            override,
            rescale_slope=rescale.number(0x00281053),
            rescale_intercept=rescale.number(0x00281052),
            rescale_type=rescale.text(0x00281054)[:16] or None,
        )
    if voi := groups.first_item(0x00289132):
        override = replace(
            override, voi_windows=_windows(voi) or override.voi_windows, voi_lut_function=voi.text(0x00281056) or None
        )
    if content := groups.first_item(0x00209111):
        override = replace(
            override,
            stack_id=content.text(0x00209056)[:16] or None,
            in_stack_position_number=content.integer(0x00209057),
            temporal_position_index=content.integer(0x00209128),
        )
    return override


def _ultrasound_regions(ds: Elements) -> tuple[UltrasoundRegion, ...]:
    regions: list[UltrasoundRegion] = []
    for _, item in zip(range(_MAX_REGIONS), ds.items(0x00186011), strict=False):
        corners = [item.integer(tag) for tag in (0x00186018, 0x0018601A, 0x0018601C, 0x0018601E)]
        delta_x, delta_y = item.number(0x0018602C), item.number(0x0018602E)
        if any(corner is None for corner in corners) or delta_x is None or delta_y is None:
            continue
        codes = [item.integer(tag, 0) or 0 for tag in (0x00186012, 0x00186014, 0x00186024, 0x00186026)]
        x0, y0, x1, y1 = (corner or 0 for corner in corners)
        spatial_format, data_type, units_x, units_y = codes
        regions.append(UltrasoundRegion(x0, y0, x1, y1, spatial_format, data_type, units_x, units_y, delta_x, delta_y))
    return tuple(regions)
