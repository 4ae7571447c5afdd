"""Slab views in the render process: from the message's fields to an encoded picture and what is told of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.rendering.volumes import ReadyVolume
from render.encode import Encoded, encode, encode_quickly, encode_to_similarity, encode_to_size
from render.errors import InvalidViewError
from render.raycast import Cancel
from render.request import SlabView
from render.slab import SlabPicture, render_slab
from render.volume import VolumeReport

_VECTORS = ("row_direction", "column_direction", "center_mm")


def slab_view(fields: Mapping[str, Any]) -> SlabView:
    """The view of ``dataclasses.asdict`` after JSON. Raises InvalidViewError."""
    values: dict[str, Any] = dict(fields)
    try:
        for name in _VECTORS:
            if values.get(name) is not None:
                values[name] = tuple(values[name])
        return SlabView(**values)
    except TypeError:
        raise InvalidViewError(what="fields") from None


def make_slab(
    ready: ReadyVolume, view: SlabView, coding: dict[str, Any], cancel: Cancel | None = None
) -> tuple[dict[str, Any], bytes]:
    """(what is told of the picture, its bytes). Places in LPS mm. Raises InvalidViewError, CancelledPictureError."""
    started = time.perf_counter()
    picture = render_slab(ready.volume, view, cancelled=cancel)
    rendered = time.perf_counter()
    coded = code_pixels(picture.pixels, view.media_type, coding)
    return {
        **describe_slab(ready, picture),
        **describe_coded(coded),
        "complete": picture.complete_percent,
        "render_ms": round((rendered - started) * 1000, 2),
        "encode_ms": round((time.perf_counter() - rendered) * 1000, 2),
    }, coded.data


def describe_coded(coded: Encoded) -> dict[str, Any]:
    """How the picture's bytes were made."""
    return {"media_type": coded.media_type, "coding_quality": coded.quality, "ssim": coded.ssim}


def describe_slab(ready: ReadyVolume, picture: SlabPicture) -> dict[str, Any]:
    """Size, window and place of a plane or slab."""
    height, width = picture.pixels.shape
    return {
        "width": width,
        "height": height,
        "window_center": picture.voi.center,
        "window_width": picture.voi.width,
        "voi": picture.voi.kind,
        "backend": picture.backend,
        "quality": picture.quality,
        "center_mm": picture.center_mm,
        "row_direction": picture.row_direction,
        "column_direction": picture.column_direction,
        "pixel_spacing_mm": picture.pixel_spacing_mm,
        "thickness_mm": picture.thickness_mm,
        "samples": picture.samples,
        "stacks": ready.stacks,
        "report": describe_report(ready.volume.report),
    }


def describe_report(report: VolumeReport) -> dict[str, Any]:
    """What was done to the slices, for the picture's header; long lists are cut."""
    told = asdict(report)
    told["missing_mm"] = list(report.missing_mm[:32])
    return {**told, "missing": len(report.missing_mm)}


def code_pixels(pixels: NDArray[np.uint8], media_type: str, coding: dict[str, Any]) -> Encoded:
    """By similarity, by size, or by a plain quality."""
    if "min_ssim" in coding:
        similar = encode_quickly if coding.get("quick") else encode_to_similarity
        return similar(pixels, media_type, coding["min_ssim"], coding["max_bytes"])
    if "max_bytes" in coding:
        return encode_to_size(pixels, media_type, coding["max_bytes"])
    quality = int(coding.get("quality", 80))
    return Encoded(encode(pixels, media_type, quality, effort=int(coding.get("effort", 2))), media_type, quality)
