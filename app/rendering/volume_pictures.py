"""Volume renderings in the render process: from the message's fields to an encoded picture and what is told of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from app.rendering.slabs import code_pixels, describe_report
from app.rendering.volume_fields import camera, parse_cut, point
from app.rendering.volumes import ReadyVolume
from render.camera import Camera, Point, facing
from render.errors import InvalidViewError
from render.raycast import Cancel, VolumeRenderer, choose_renderer
from render.request import JPEG, SlabView
from render.scene import PreparedVolume
from render.slab import corners_mm, render_slab
from render.slices import CrossingSlices
from render.transfer import TransferFunction, TransferPoint, preset
from render.volume import Volume
from render.volume_view import VolumeView

_THROUGH_MM = 1e5
_AROUND = 1.05  # a preset camera shows this much more than the volume


@dataclass
class _Prepared:
    """A volume's cells and cut mask, used by one picture at a time."""

    volume: PreparedVolume
    lock: threading.Lock


@lru_cache(maxsize=1)
def _renderer() -> VolumeRenderer:
    return choose_renderer()


_preparing = threading.Lock()


def _prepared(volume: Volume) -> _Prepared:
    with _preparing:
        kept = volume.extra.get("prepared")
        if kept is None:
            kept = volume.extra["prepared"] = _Prepared(_renderer().prepare(volume), threading.Lock())
        return kept


def make_volume(
    ready: ReadyVolume, fields: Mapping[str, Any], coding: dict[str, Any], cancel: Cancel | None = None
) -> tuple[dict[str, Any], bytes]:
    """(what is told of the picture, its bytes). Raises InvalidViewError, VolumeTooSmallError, CancelledPictureError."""
    started = time.perf_counter()
    prepared = _prepared(ready.volume)
    view = volume_view(fields, ready.volume)
    if view.transfer.blend == "maximum":
        pixels, step_mm, backend = _projection(prepared, view, cancel)
    else:
        with prepared.lock:
            picture = _renderer().render(prepared.volume, view, cancel=cancel)
        pixels, step_mm, backend = picture.pixels, picture.step_mm, picture.backend
    rendered = time.perf_counter()
    coded = code_pixels(pixels, view.media_type, coding)
    height, width = pixels.shape[:2]
    return {
        "media_type": coded.media_type,
        "coding_quality": coded.quality,
        "ssim": coded.ssim,
        "width": width,
        "height": height,
        "window_center": None,
        "window_width": None,
        "voi": "transfer",
        "backend": backend,
        "quality": view.quality,
        "camera": asdict(view.camera),
        "transfer": view.transfer.name,
        "step_mm": step_mm,
        "complete": ready.volume.report.complete_percent,
        "stacks": ready.stacks,
        "report": describe_report(ready.volume.report),
        "render_ms": round((rendered - started) * 1000, 2),
        "encode_ms": round((time.perf_counter() - rendered) * 1000, 2),
    }, coded.data


def pick_place(ready: ReadyVolume, fields: Mapping[str, Any], column: float, row: float) -> Point | None:
    """Where (LPS, mm) the view holds back half of the light at a pixel, or None. Raises InvalidViewError."""
    prepared = _prepared(ready.volume)
    view = volume_view(fields, ready.volume)
    if view.transfer.blend == "maximum":
        raise InvalidViewError(what="a place in a maximum")
    with prepared.lock:
        return _renderer().pick(prepared.volume, view, column, row)


def _projection(prepared: _Prepared, view: VolumeView, cancel: Cancel | None) -> tuple[NDArray[np.uint8], float, str]:
    """(picture, mm between samples, who made it) of the largest values along the camera's way, by the slab kernels: gray,
    parallel.

    The transfer function's ends are the window. Raises InvalidViewError for cuts and perspective, which it has not.
    """
    if view.cuts or view.slices or view.clip_box is not None or view.camera.parallel_scale_mm is None:
        raise InvalidViewError(what="cuts, slices or perspective of a maximum")
    function, scale = view.transfer, (0.0, 1.0)
    if function.values != "HU":
        with prepared.lock:
            scale = prepared.volume.scale(function.values)
    low, high = (scale[0] + function.points[end].value * (scale[1] - scale[0]) for end in (0, -1))
    right, up, _ = view.camera.axes()
    shrink = 2 if view.quality == "preview" else 1
    slab = SlabView(
        -(-view.width // shrink),
        -(-view.height // shrink),
        point(right),
        point(-up),
        view.camera.focal_point,
        2 * view.camera.parallel_scale_mm / view.height * shrink,
        _THROUGH_MM,
        "maximum",
        voi="window",
        window_center=(low + high) / 2,
        window_width=max(high - low, 1e-3),
        quality=view.quality,
    )
    picture = render_slab(prepared.volume.volume, slab, cancelled=cancel)
    return picture.pixels, picture.thickness_mm / max(1, picture.samples - 1), picture.backend


def volume_view(fields: Mapping[str, Any], volume: Volume) -> VolumeView:
    """The view of a message's fields; a camera by letter looks at all of the volume. Raises InvalidViewError."""
    try:
        box = fields.get("clip_box")
        return VolumeView(
            int(fields["width"]),
            int(fields["height"]),
            _camera(fields.get("camera", "A"), volume),
            _transfer(fields.get("transfer", "bone")),
            tuple(parse_cut(cut, partial(_camera, volume=volume)) for cut in fields.get("cuts") or ()),
            clip_box=(point(box[0]), point(box[1])) if box is not None else None,
            slices=_slices(fields.get("slices")),
            quality=fields.get("quality", "refined"),
            media_type=fields.get("media_type", JPEG),
        )
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError):
        raise InvalidViewError(what="fields") from None


def _camera(value: Any, volume: Volume) -> Camera:
    if isinstance(value, str):
        corners = corners_mm(volume)
        radius_mm = float(np.linalg.norm(corners - corners.mean(axis=0), axis=1).max())
        return facing(value, volume.center_lps_mm, radius_mm * _AROUND)
    return camera(value)


def _slices(value: Any) -> CrossingSlices | None:
    """True: the three planes of the patient's axes through the middle. An object: its fields."""
    if value is None or value is False:
        return None
    given = cast("Mapping[str, Any]", {} if value is True else value)
    values: dict[str, Any] = {}
    if given.get("center_mm") is not None:
        values["center_mm"] = point(given["center_mm"])
    if given.get("normals") is not None:
        values["normals"] = tuple(point(normal) for normal in given["normals"][:8])
    for name in ("window_center", "window_width"):
        if given.get(name) is not None:
            values[name] = float(given[name])
    return CrossingSlices(voi=str(given.get("voi", "file")), **values)


def _transfer(value: Any) -> TransferFunction:
    """A preset by name, or the points of the person's own: [value, opacity of 1 mm, [red, green, blue]]."""
    if isinstance(value, str):
        return preset(value)
    points = tuple(TransferPoint(float(at), float(opacity), point(colour)) for at, opacity, colour in value)
    return TransferFunction(points)
