"""Volume renderings in the render process: from the message's fields to an encoded picture and what is told of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
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
from render.slab import choose_volume_voi, corners_mm, render_slab
from render.slices import CrossingSlices
from render.transfer import TransferFunction, TransferPoint, preset
from render.volume import Volume
from render.volume_view import FusionLayer, VolumeView

_THROUGH_MM = 1e5
_OVERLAY_OPACITY, _OVERLAY_POWER = 0.2, 4.0  # of 1 mm where the window ends, and how it falls below
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


@contextmanager
def prepared_volume(volume: Volume) -> Iterator[PreparedVolume]:
    """A volume as renderings use it, while nobody else does. Raises VolumeTooSmallError, VolumeTooLargeError."""
    kept = _prepared(volume)
    with kept.lock:
        yield kept.volume


@contextmanager
def _both(first: _Prepared, second: _Prepared | None) -> Iterator[PreparedVolume | None]:
    """Holds both; always in one order, so that two pictures of the same two volumes never wait for each other."""
    wanted = [first] if second is None else sorted((first, second), key=id)
    with ExitStack() as held:
        for kept in wanted:
            held.enter_context(kept.lock)
        yield second and second.volume


def make_volume(
    ready: ReadyVolume,
    fields: Mapping[str, Any],
    coding: dict[str, Any],
    cancel: Cancel | None = None,
    overlay: ReadyVolume | None = None,
) -> tuple[dict[str, Any], bytes]:
    """(what is told of the picture, its bytes). ``overlay``: in colour within the first.

    Raises InvalidViewError, VolumeTooSmallError, CancelledPictureError.
    """
    started = time.perf_counter()
    prepared = _prepared(ready.volume)
    view, told = _with_overlay(volume_view(fields, ready.volume), fields, ready, overlay)
    if view.transfer.blend == "maximum":
        pixels, step_mm, backend = _projection(prepared, view, cancel)
    else:
        with _both(prepared, _prepared(overlay.volume) if overlay else None) as fused:
            picture = _renderer().render(prepared.volume, view, fused=fused, cancel=cancel)
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
        "complete": min(one.volume.report.complete_percent for one in (ready, overlay) if one is not None),
        **told,
        "stacks": ready.stacks,
        "report": describe_report(ready.volume.report),
        "render_ms": round((rendered - started) * 1000, 2),
        "encode_ms": round((time.perf_counter() - rendered) * 1000, 2),
    }, coded.data


def pick_place(
    ready: ReadyVolume, fields: Mapping[str, Any], column: float, row: float, overlay: ReadyVolume | None = None
) -> Point | None:
    """Where (LPS, mm) the view holds back half of the light at a pixel, or None. Raises InvalidViewError."""
    prepared = _prepared(ready.volume)
    view, _ = _with_overlay(volume_view(fields, ready.volume), fields, ready, overlay)
    if view.transfer.blend == "maximum":
        raise InvalidViewError(what="a place in a maximum")
    with _both(prepared, _prepared(overlay.volume) if overlay else None) as fused:
        return _renderer().pick(prepared.volume, view, column, row, fused=fused)


@dataclass(frozen=True)
class _Window:
    """Fields that choose a window, as views of planes have them."""

    voi: str
    window_center: float | None
    window_width: float | None


def _with_overlay(
    view: VolumeView, fields: Mapping[str, Any], ready: ReadyVolume, overlay: ReadyVolume | None
) -> tuple[VolumeView, dict[str, Any]]:
    """The view with its second volume, and what the header tells of that. Raises InvalidViewError."""
    if overlay is None:
        return view, {}
    if view.transfer.blend == "maximum" or overlay.volume is ready.volume:
        raise InvalidViewError(what="overlay")
    wanted: Mapping[str, Any] = fields.get("overlay") or {}
    window = _Window(wanted.get("voi", "file"), wanted.get("window_center"), wanted.get("window_width"))
    if window.voi not in ("file", "auto", "window") or (
        window.voi == "window" and None in (window.window_center, window.window_width)
    ):
        raise InvalidViewError(what="overlay_voi")
    voi = choose_volume_voi(overlay.volume, window)
    center, width = voi.center or 0.0, voi.width or 1.0
    name, opacity = str(wanted.get("colour_map", "hot")), float(wanted.get("opacity", _OVERLAY_OPACITY))
    layer = FusionLayer(center - width / 2, center + width / 2, name, opacity, _OVERLAY_POWER)
    told = {
        "stacks": overlay.stacks,
        "window_center": center,
        "window_width": width,
        "voi": voi.kind,
        "unit": overlay.volume.unit,
        "colour_map": name,
        "opacity": opacity,
        "report": describe_report(overlay.volume.report),
    }
    return replace(view, fusion=layer), {"overlay": told}


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
    """A preset by name, or the points of the person's own: [value, opacity of 1 mm, [red, green, blue]], alone or as
    ``points`` of an object whose ``light`` is the preset that they are lit like."""
    if isinstance(value, str):
        return preset(value)
    given: Mapping[str, Any] = cast("Mapping[str, Any]", value) if isinstance(value, dict) else {"points": value}
    points = tuple(TransferPoint(float(at), float(opacity), point(colour)) for at, opacity, colour in given["points"])
    if given.get("light") is None:
        return TransferFunction(points)
    return replace(preset(given["light"]), points=points, name="custom", values="HU", blend="shaded")
