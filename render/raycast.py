"""Shaded volume rendering: a VolumeView of a prepared volume becomes a picture. Synchronous and pure.

The kernels are those of kernels/raycast.h, as packets of rays; threads take tiles of 16 x 16 pixels from a common
counter, so that a picture can be cancelled within one tile.
"""

from __future__ import annotations

import ctypes
import itertools
import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.backend import RayDevice
from render.camera import Camera, Point
from render.errors import InvalidViewError
from render.fallback import DeviceGuard
from render.native import library, raycast
from render.native.pool import CancelledPictureError
from render.scene import Bounds, EmptySpace, PreparedVolume, Range, RayLayer, Shape
from render.slices import put_behind, stop_at
from render.transfer import TransferFunction, TransferTables, make_tables
from render.volume import Volume
from render.volume_view import VolumeView

_a = library.address


class Cancel:
    """A flag that another thread raises; the kernels look at it before every tile."""

    def __init__(self) -> None:
        self.flag = np.zeros(1, np.int32)

    def cancel(self) -> None:
        """The picture is no longer wanted."""
        self.flag[0] = 1

    def __call__(self) -> bool:
        """Whether it was raised."""
        return bool(self.flag[0])


@dataclass(frozen=True)
class VolumePicture:
    """``pixels`` (y, x, 3) uint8. ``opacity`` (y, x) 0 … 1 and ``depth_mm`` (y, x): distance from the camera's plane
    (perspective: from the camera) to where half of the light is held back, NaN where it never is."""

    pixels: NDArray[np.uint8]
    opacity: NDArray[np.float32]
    depth_mm: NDArray[np.float32]
    backend: str
    quality: str
    step_mm: float
    complete_percent: int


class VolumeRenderer:
    """Pictures of volumes on an own pool of threads. ``definition``: ray by ray (for tests). ``device``: what draws in
    place of the native kernels, which stay at hand for when it cannot (``guard``)."""

    def __init__(
        self,
        threads: int = 0,
        kernels: Any = None,
        *,
        definition: bool = False,
        device: RayDevice | None = None,
        guard: DeviceGuard | None = None,
    ) -> None:
        self._kernels = kernels or raycast.load()
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads, "raycast") if self._threads > 1 else None
        self._march = self._kernels.cf_raycast_definition if definition else self._kernels.cf_raycast
        self._device, self._guard = device, guard or DeviceGuard()

    @property
    def name(self) -> str:
        """Who draws now; every picture names who made it."""
        return "native" if self._device is None or self._guard.failed else self._device.name

    def close(self) -> None:
        """Stop the pool's threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def prepare(self, volume: Volume) -> PreparedVolume:
        """Cells of a volume, once for all its pictures. Raises RenderError."""
        return PreparedVolume(volume, self._kernels, self._layers, self._bounds)

    def _bounds(self, volume: Volume, shape: Shape, native: Bounds) -> Range:
        if self._device is None:
            return native(volume, shape)
        device = self._device
        return self._guard.run(lambda: device.bounds(volume, shape), lambda: native(volume, shape))

    def _layers(self, work: Callable[[int, int], int], count: int) -> None:
        parts = max(1, min(self._threads * 2, count))
        edges = [count * part // parts for part in range(parts + 1)]
        shares = list(itertools.pairwise(edges))
        if self._pool is None:
            statuses = [work(a, b) for a, b in shares]
        else:
            statuses = list(self._pool.map(lambda share: work(*share), shares))
        if any(statuses):
            raise MemoryError("native kernel")

    def render(
        self,
        prepared: PreparedVolume,
        view: VolumeView,
        *,
        fused: PreparedVolume | None = None,
        cancel: Cancel | None = None,
    ) -> VolumePicture:
        """One picture. Raises RenderError (CancelledPictureError when ``cancel`` was raised)."""
        if (view.fusion is None) != (fused is None):
            raise InvalidViewError(what="fusion needs a second volume")
        if view.quality == "preview":
            view = replace(view, width=(view.width + 1) // 2, height=(view.height + 1) // 2)
        step_mm = view.step_mm or min(prepared.volume.spacing_mm)
        step_mm *= 2.0 if view.quality == "preview" else 1.0
        layers = _layers(prepared, view, step_mm, fused)
        scene = _scene(prepared, view, step_mm, fused)
        if view.slices is not None:
            stop_at(scene, prepared.volume, view.slices)
            scene.background[:] = (0.0, 0.0, 0.0)
        pixels, seen, backend = self._drawn(scene, layers, cancel or Cancel())
        if view.slices is not None:
            opacity, depth = seen[..., 0], seen[..., 1]
            pixels, met = put_behind(scene, prepared.volume, view.slices, pixels, opacity, view.background)
            seen[..., 1] = np.where(np.isnan(depth), scene.start_mm + met * scene.step_mm, depth)
            seen[..., 0] = np.where(np.isnan(met), opacity, 1)
        complete = prepared.volume.report.complete_percent
        return VolumePicture(pixels, seen[..., 0], seen[..., 1], backend, view.quality, step_mm, complete)

    def _drawn(
        self, scene: raycast.Scene, layers: tuple[RayLayer, ...], cancel: Cancel
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], str]:
        """(picture, opacity and depth_mm, who drew them). Raises CancelledPictureError."""
        if cancel.flag[0]:
            raise CancelledPictureError

        def native() -> tuple[NDArray[np.uint8], NDArray[np.float32], str]:
            return *self._draw(scene, layers, cancel), "native"

        if self._device is None:
            return native()
        device = self._device
        return self._guard.run(lambda: (*device.draw(scene, layers), device.name), native)

    def _draw(
        self, scene: raycast.Scene, layers: tuple[RayLayer, ...], cancel: Cancel
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        pixels = np.empty((scene.height, scene.width, 3), np.uint8)
        seen = np.empty((scene.height, scene.width, 2), np.float32)
        spaces = [layer.prepared.empty_space(layer.tables) for layer in layers]
        keep = layers[0].keep
        scene.keep = None if keep is None else _a(keep)
        scene.layer = _here(layers[0], spaces[0])
        if len(layers) > 1:
            scene.other = _here(layers[1], spaces[1])
        scene.rgb, scene.seen = _a(pixels), _a(seen)
        counter = np.zeros(1, np.int32)
        arguments = (ctypes.addressof(scene), _a(counter), _a(cancel.flag))
        if self._pool is None:
            statuses = [self._march(*arguments)]
        else:
            statuses = list(self._pool.map(lambda _: self._march(*arguments), range(self._threads)))
        if raycast.CANCELLED in statuses:
            raise CancelledPictureError
        return pixels, seen

    def pick(
        self,
        prepared: PreparedVolume,
        view: VolumeView,
        column: float,
        row: float,
        *,
        fused: PreparedVolume | None = None,
    ) -> Point | None:
        """Where (LPS, mm) half of the light through this pixel of the view is held back; None where it never is."""
        if not (-0.5 <= column <= view.width - 0.5 and -0.5 <= row <= view.height - 0.5):
            return None
        right, up, forward = view.camera.axes()
        half, camera = view.camera.half_height_mm(), view.camera
        x = (column + 0.5 - view.width / 2) * 2 / view.height
        y = (row + 0.5 - view.height / 2) * 2 / view.height
        offset = (right * x - up * y) * half
        if camera.parallel_scale_mm is not None:
            eye, way = np.add(camera.position, offset), forward
        else:
            eye = np.asarray(camera.position, np.float64)
            way = forward * camera.distance_mm + offset
            way = way / np.linalg.norm(way)
        ray = Camera(
            (float(eye[0]), float(eye[1]), float(eye[2])),
            (float(eye[0] + way[0]), float(eye[1] + way[1]), float(eye[2] + way[2])),
            (float(up[0]), float(up[1]), float(up[2])),
            1.0,
        )
        one = replace(view, width=1, height=1, camera=ray, jitter=False, quality="refined")
        depth = float(self.render(prepared, one, fused=fused).depth_mm[0, 0])
        if math.isnan(depth):
            return None
        place = eye + way * depth
        return float(place[0]), float(place[1]), float(place[2])


def choose_renderer() -> VolumeRenderer:
    """Volume rendering by CUDA where a device answers (and the CPU behind it), else by the native kernels."""
    from render.cuda import choice

    return VolumeRenderer(device=choice.rays(), guard=choice.guard())


def _here(layer: RayLayer, space: EmptySpace) -> raycast.Layer:
    """A layer with addresses in this process."""
    prepared, tables = layer.prepared, layer.tables
    return raycast.Layer(
        *(_a(prepared.volume.values), _a(space.distance), _a(space.sights), _a(tables.opacity), _a(tables.colour)),
        *(tuple(prepared.size.tolist()), space.grid, raycast.CELL_SHIFT - 1),
        *(len(tables.opacity), prepared.kind, tables.first, tables.steps),
    )


def _layers(
    prepared: PreparedVolume, view: VolumeView, step_mm: float, fused: PreparedVolume | None
) -> tuple[RayLayer, ...]:
    """The volumes of a picture with their tables; the cuts are of the first."""
    keep = prepared.mask(view.cuts)
    first = RayLayer(prepared, _tables(prepared, view.transfer, step_mm), view.cuts, keep)
    if fused is None or view.fusion is None:
        return (first,)
    fused.mask(())
    return first, RayLayer(fused, _tables(fused, view.fusion.function(), step_mm))


def _tables(prepared: PreparedVolume, function: TransferFunction, step_mm: float) -> TransferTables:
    return make_tables(function, step_mm, prepared.scale(function.values))


def _scene(prepared: PreparedVolume, view: VolumeView, step_mm: float, fused: PreparedVolume | None) -> raycast.Scene:
    """The kernels' scene without its addresses."""
    scene = raycast.Scene()
    if fused is not None:
        scene.to_other[:] = (fused.volume.lps_to_index @ prepared.volume.index_to_lps_mm)[:3].ravel().tolist()
    scene.start_mm, scene.never_mm = _place_rays(scene, prepared.volume, view, step_mm), math.nan
    _clip(scene, prepared, view)
    inverse = prepared.volume.lps_to_index[:3, :3]
    q = inverse @ inverse.T
    scene.metric[:] = (q[0, 0], q[1, 1], q[2, 2], 2 * q[0, 1], 2 * q[0, 2], 2 * q[1, 2])
    function = view.transfer
    scene.step_mm, scene.ambient, scene.diffuse, scene.specular = (
        step_mm,
        function.ambient,
        function.diffuse,
        function.specular,
    )
    scene.background[:] = [channel / 255 for channel in view.background]
    scene.shininess = function.specular_power.bit_length() - 1
    scene.shade = int(function.diffuse > 0 or function.specular > 0)
    scene.jitter = int(view.jitter)
    scene.width, scene.height = view.width, view.height
    return scene


def _place_rays(scene: raycast.Scene, volume: Volume, view: VolumeView, step_mm: float) -> float:
    """Rays of the camera in voxel indices. Orthographic ones begin near the volume, for the sake of float32."""
    camera, inverse = view.camera, volume.lps_to_index
    right, up, forward = camera.axes()
    eye, start_mm = np.asarray(camera.position, np.float64), 0.0
    if camera.parallel_scale_mm is not None:
        pixel = 2 * camera.parallel_scale_mm / view.height
        depth, rows, columns = volume.shape
        corners = np.array(
            [[i, j, k, 1] for i in (0, columns - 1) for j in (0, rows - 1) for k in (0, depth - 1)], np.float64
        )
        nearest = float((((corners @ volume.index_to_lps_mm.T)[:, :3] - eye) @ forward).min())
        start_mm = max(0.0, math.floor(nearest / step_mm) * step_mm)
        corner = (right * (0.5 - view.width / 2) - up * (0.5 - view.height / 2)) * pixel
        origin, across, down = eye + forward * start_mm + corner, right * pixel, -up * pixel
        ahead = forward * step_mm
    else:
        pixel = 2 * math.tan(math.radians(camera.view_angle_degrees or 0.0) / 2) / view.height
        x0, y0 = (0.5 - view.width / 2) * pixel, (0.5 - view.height / 2) * pixel
        scene.perspective = 1
        scene.plane[:] = (x0, y0, pixel, pixel)
        # forward + x right + y down, all of one step: the kernel divides by the length.
        origin, across, down = eye, right * pixel * step_mm, -up * pixel * step_mm
        ahead = (forward + right * x0 - up * y0) * step_mm
    turn = inverse[:3, :3]
    scene.origin[:] = (turn @ origin + inverse[:3, 3]).tolist()
    scene.across[:], scene.down[:], scene.forward[:] = (
        (turn @ across).tolist(),
        (turn @ down).tolist(),
        (turn @ ahead).tolist(),
    )
    return start_mm


def _clip(scene: raycast.Scene, prepared: PreparedVolume, view: VolumeView) -> None:
    scene.box_low[:] = (0.0, 0.0, 0.0)
    scene.box_high[:] = [float(n - 1) for n in prepared.size]
    matrix = prepared.volume.index_to_lps_mm
    planes = [-plane.planes()[0] for plane in view.clip_planes]
    if view.clip_box is not None:
        low, high = np.minimum(*view.clip_box), np.maximum(*view.clip_box)
        planes += [np.array([*row, -edge]) for row, edge in zip(np.eye(3), low, strict=True)]
        planes += [np.array([*row, edge]) for row, edge in zip(-np.eye(3), high, strict=True)]
    scene.planes = len(planes)
    for index, plane in enumerate(planes):
        scene.clip[index][:] = (plane @ matrix).tolist()
