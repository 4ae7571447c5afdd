"""What a viewer is told of a series: sizes, geometry for letters and scale, windows, timing. No names or dates.

Of UIDs only the images' own, to which measurements are bound.
"""

from __future__ import annotations

from typing import Any

from app.rendering.calibration import Region, described_regions, spacing_of
from app.rendering.frames import FramePlace, pixel_aspect
from app.rendering.series import OpenSeries
from dicomnet.archive.suv import suv_factor

_PER_FRAME_LIMIT = 20_000


def describe_frame(place: FramePlace, regions: list[Region]) -> dict[str, Any]:
    """Fields of one frame that may differ within a series. ``regions``: of its instance."""
    record = place.record
    spacing, calibration = spacing_of(place)
    windows = place.value("voi_windows") or ()
    return {
        "rows": record.rows,
        "columns": record.columns,
        "position": place.value("image_position_patient"),
        "orientation": place.value("image_orientation_patient"),
        "spacing_mm": spacing,
        "calibration": calibration,
        "pixel_aspect": pixel_aspect(place),
        "regions": regions,
        "patient_orientation": list(record.patient_orientation),
        "thickness_mm": place.value("slice_thickness_mm"),
        "windows": [[w[0], w[1]] for w in windows][:4],
        "instance_number": record.instance_number,
        "frame_number": place.frame_index + 1,
        "sop_instance_uid": record.sop_instance_uid,
        "fault": record.frame_faults.get(str(place.frame_index)),
    }


def _suv(series: OpenSeries) -> dict[str, Any]:
    """Of a PET series: the factor that makes SUV of its values, or the reason why there is none."""
    if series.frames[0].record.modality != "PT":
        return {}
    found = suv_factor([place.record.pet_dose for place in series.frames])
    return {"suv": {"factor": found.factor, "reason": found.reason}}


def _common_start(texts: list[str]) -> str:
    """What all texts begin with: the first and the last in order differ soonest."""
    first, last = min(texts), max(texts)
    same = (index for index, letter in enumerate(first) if letter != last[index : index + 1])
    return first[: next(same, len(first))]


def describe_series(series: OpenSeries) -> dict[str, Any]:
    """The manifest: shared fields once, per-frame differences as a list of objects holding only what changes."""
    if not series.frames:
        return {"series": series.series_key, "version": series.version, "frame_count": 0}
    first = series.frames[0]
    regions: dict[str, list[Region]] = {}

    def told(place: FramePlace) -> dict[str, Any]:
        uid = place.record.sop_instance_uid
        if uid not in regions:
            regions[uid] = described_regions(place.record)
        return describe_frame(place, regions[uid])

    described = [told(place) for place in series.frames[:_PER_FRAME_LIMIT]]
    root = _common_start([frame["sop_instance_uid"] for frame in described])
    for frame in described:
        frame["sop_instance_uid"] = frame["sop_instance_uid"][len(root) :]
    shared = described[0]
    frames = [{name: value for name, value in own.items() if value != shared[name]} for own in described]
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
        "sop_instance_uid_root": root,
        "shared": shared,
        "frames": frames,
    }
