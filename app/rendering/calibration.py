"""How far pixels are apart, and in which plane that is true (PS3.3 10.7.1.3, C.8.5.5).

A projection's spacing holds at the detector unless the file says that it was corrected for magnification. Nothing is
guessed: without a spacing there is none.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from app.rendering.frames import FramePlace
from dicomnet.archive.open_record import OpenRecord, UltrasoundRegion

PROJECTIONS = frozenset({"CR", "DX", "MG", "RF", "XA", "PX", "IO", "RG"})
_CORRECTED = {"GEOMETRY": "geometry", "FIDUCIAL": "fiducial"}
_SAME = 1e-3
_PLANE_FORMAT = 1  # Region Spatial Format: 2D (tissue or flow)
_CENTIMETRES = 3  # Physical Units X and Y Direction
_MOST_REGIONS = 32

# x0, y0, x1, y1 (the last pixels inside), and mm per column and per row; None where the region is no plane of space.
Region: TypeAlias = list[float | None]


def spacing_of(place: FramePlace) -> tuple[list[float] | None, str]:
    """(row, column) spacing in mm, and what it is true of.

    ``patient``: in the plane of a section. ``geometry``, ``fiducial``: a projection, corrected by known distances or by an
    object of known size. ``calibrated``: corrected in a way that the file does not name. ``detector``: in the detector's
    plane, larger than the body. ``projection``: a projection's spacing of which the file does not say whether it was
    corrected. ``scanned``: on the scanned film or paper. "" without a spacing.
    """
    record = place.record
    own = _pair(place.value("pixel_spacing_mm"))
    imager = _pair(record.imager_pixel_spacing_mm)
    if own is not None:
        return own, _meaning(record, own, imager)
    if imager is not None:
        return imager, "detector"
    scanned = _pair(record.nominal_scanned_pixel_spacing_mm)
    return scanned, "scanned" if scanned is not None else ""


def _meaning(record: OpenRecord, own: list[float], imager: list[float] | None) -> str:
    if corrected := _CORRECTED.get(record.pixel_spacing_calibration_type):
        return corrected
    if imager is not None:
        same = all(math.isclose(a, b, rel_tol=_SAME) for a, b in zip(own, imager, strict=True))
        return "detector" if same else "calibrated"
    return "projection" if record.modality in PROJECTIONS else "patient"


def _pair(values: tuple[float, ...] | None) -> list[float] | None:
    """Two lengths above zero; None for anything else."""
    if values is None or len(values) < 2 or not all(math.isfinite(v) and v > 0 for v in values[:2]):
        return None
    return [float(values[0]), float(values[1])]


def described_regions(record: OpenRecord) -> list[Region]:
    """An ultrasound image's calibrated regions; [] for any other."""
    return [_region(region) for region in record.ultrasound_regions[:_MOST_REGIONS]]


def _region(region: UltrasoundRegion) -> Region:
    across, down = abs(region.delta_x) * 10, abs(region.delta_y) * 10
    is_plane = (
        region.spatial_format == _PLANE_FORMAT
        and region.units_x == region.units_y == _CENTIMETRES
        and 0 < across < math.inf
        and 0 < down < math.inf
    )
    deltas: list[float | None] = [across, down] if is_plane else [None, None]
    return [region.x0, region.y0, region.x1, region.y1, *deltas]
