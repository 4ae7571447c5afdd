"""What a viewer is told of a series: sizes, geometry for letters and scale, windows, timing. No names, UIDs or dates."""

from __future__ import annotations

from typing import Any

from app.rendering.frames import FramePlace
from app.rendering.series import OpenSeries
from dicomnet.archive.suv import suv_factor

_PER_FRAME_LIMIT = 20_000


def _spacing(place: FramePlace) -> tuple[list[float] | None, str]:
    """(row, column) spacing in mm and where it comes from: 'patient', 'detector' (imager plane) or ''."""
    if own := place.value("pixel_spacing_mm"):
        return [float(v) for v in own], "patient"
    if imager := place.record.imager_pixel_spacing_mm:
        return [float(v) for v in imager], "detector"
    return None, ""


def describe_frame(place: FramePlace) -> dict[str, Any]:
    """Fields of one frame that may differ within a series."""
    record = place.record
    spacing, calibration = _spacing(place)
    windows = place.value("voi_windows") or ()
    return {
        "rows": record.rows,
        "columns": record.columns,
        "position": place.value("image_position_patient"),
        "orientation": place.value("image_orientation_patient"),
        "spacing_mm": spacing,
        "calibration": calibration,
        "patient_orientation": list(record.patient_orientation),
        "thickness_mm": place.value("slice_thickness_mm"),
        "windows": [[w[0], w[1]] for w in windows][:4],
        "instance_number": record.instance_number,
        "fault": record.frame_faults.get(str(place.frame_index)),
    }


def _suv(series: OpenSeries) -> dict[str, Any]:
    """Of a PET series: the factor that makes SUV of its values, or the reason why there is none."""
    if series.frames[0].record.modality != "PT":
        return {}
    found = suv_factor([place.record.pet_dose for place in series.frames])
    return {"suv": {"factor": found.factor, "reason": found.reason}}


def describe_series(series: OpenSeries) -> dict[str, Any]:
    """The manifest: shared fields once, per-frame differences as a list of objects holding only what changes."""
    if not series.frames:
        return {"series": series.series_key, "version": series.version, "frame_count": 0}
    first = series.frames[0]
    shared = describe_frame(first)
    frames: list[dict[str, Any]] = []
    for place in series.frames[:_PER_FRAME_LIMIT]:
        own = describe_frame(place)
        frames.append({name: value for name, value in own.items() if value != shared[name]})
    record = first.record
    rate = record.recommended_display_frame_rate or (1000.0 / record.frame_time_ms if record.frame_time_ms else None)
    return {
        "series": series.series_key,
        "version": series.version,
        "frame_count": len(series.frames),
        "modality": record.modality,
        "colour": record.samples_per_pixel > 1 or record.photometric_interpretation == "PALETTE COLOR",
        "inverse": (record.photometric_interpretation == "MONOCHROME1") or record.presentation_lut_shape == "INVERSE",
        "rescale_type": record.rescale_type,
        "cine_rate_hz": rate,
        "laterality": record.image_laterality,
        "view_position": record.view_position,
        **_suv(series),
        "acquisition": dict(record.acquisition),
        "shared": shared,
        "frames": frames,
    }
