"""Fusion views in the render process: from the message's fields to an encoded picture and what is told of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from app.rendering.slabs import code_pixels, describe_coded, describe_report, describe_slab, slab_view
from app.rendering.volumes import ReadyVolume
from render.errors import InvalidViewError
from render.fusion import FusionView, render_fusion
from render.raycast import Cancel


def fusion_view(fields: Mapping[str, Any]) -> FusionView:
    """The view of ``dataclasses.asdict`` after JSON. Raises InvalidViewError."""
    try:
        values: dict[str, Any] = {**fields, "base": slab_view(fields["base"])}
        return FusionView(**values)
    except (TypeError, KeyError):
        raise InvalidViewError(what="fields") from None


def make_fusion(
    base: ReadyVolume, overlay: ReadyVolume, view: FusionView, coding: dict[str, Any], cancel: Cancel | None = None
) -> tuple[dict[str, Any], bytes]:
    """(what is told of the picture, its bytes). Places in LPS mm. Raises InvalidViewError, CancelledPictureError."""
    started = time.perf_counter()
    picture = render_fusion(base.volume, overlay.volume, view, cancelled=cancel)
    rendered = time.perf_counter()
    coded = code_pixels(picture.pixels, view.base.media_type, coding)
    return {
        **describe_slab(base, picture.base),
        **describe_coded(coded),
        "complete": picture.complete_percent,
        "overlay": {
            "stacks": overlay.stacks,
            "window_center": picture.overlay_voi.center,
            "window_width": picture.overlay_voi.width,
            "voi": picture.overlay_voi.kind,
            "unit": overlay.volume.unit,
            "colour_map": view.colour_map,
            "opacity": view.opacity,
            "fade": view.fade,
            "report": describe_report(overlay.volume.report),
        },
        "render_ms": round((rendered - started) * 1000, 2),
        "encode_ms": round((time.perf_counter() - rendered) * 1000, 2),
    }, coded.data
