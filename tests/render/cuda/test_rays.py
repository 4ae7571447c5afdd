"""Volume rendering on a device: launches against the recording stand-in; its CUDA source, run here, equals the
native definition."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from render.camera import Camera, facing
from render.cuda import cells
from render.cuda.device import Device
from render.cuda.rays import CudaRays
from render.cuts import BoxCut, Cut
from render.native import raycast
from render.native.pool import CancelledPictureError
from render.raycast import Cancel, VolumeRenderer
from render.transfer import TransferFunction, TransferPoint, make_tables
from render.volume import Volume
from render.volume_view import FusionLayer, VolumeView
from tests.support.cuda_host_build import execute
from tests.support.cuda_stand_in import StandInCupy

SOFT = TransferFunction(
    (
        TransferPoint(200, 0.0, (255, 0, 0)),
        TransferPoint(300, 0.2, (200, 180, 40)),
        TransferPoint(900, 0.7, (250, 250, 255)),
    ),
    "soft",
)


def blob(dtype: Any = np.int16, shape: tuple[int, int, int] = (28, 35, 42)) -> Volume:
    z, y, x = np.meshgrid(*(np.arange(n, dtype=np.float64) for n in shape), indexing="ij")
    ball = np.hypot(np.hypot(x - shape[2] * 0.45, y - shape[1] * 0.5), z - shape[0] * 0.5)
    values = 700 / (1 + np.exp((ball - 8) / 1.2)) + 40 * (1 + np.sin(x * 0.7) * np.cos(y * 0.5 + z * 0.9))
    return Volume(np.ascontiguousarray(values.astype(dtype)), np.diag([0.8, 0.9, 1.3, 1.0]))


def camera_of(volume: Volume, angle: float | None = None) -> Camera:
    return facing("A", volume.center_lps_mm, 24.0, view_angle_degrees=angle).rotated(0.21, 0.13)


def on_device(cupy: StandInCupy) -> VolumeRenderer:
    return VolumeRenderer(1, device=CudaRays(Device(cupy)))


def pictures(volume: Volume, view: VolumeView, other: Volume | None = None) -> list[Any]:
    made: list[Any] = []
    for renderer in (on_device(StandInCupy(execute=execute)), VolumeRenderer(1, definition=True)):
        fused = renderer.prepare(other) if other is not None else None
        made.append(renderer.render(renderer.prepare(volume), view, fused=fused))
    return made


def assert_same(made: list[Any]) -> None:
    ours, expected = made
    assert expected.opacity.max() > 0.5
    np.testing.assert_array_equal(ours.pixels, expected.pixels)
    np.testing.assert_array_equal(ours.opacity, expected.opacity)
    np.testing.assert_array_equal(ours.depth_mm, expected.depth_mm)
    assert (ours.backend, expected.backend) == ("cuda", "native")


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32])
@pytest.mark.parametrize("angle", [None, 40.0])
def test_the_cuda_source_gives_the_native_picture(dtype: Any, angle: float | None) -> None:
    volume = blob(dtype)
    assert_same(pictures(volume, VolumeView(47, 39, camera_of(volume, angle), SOFT)))


def test_cuts_are_the_native_ones() -> None:
    volume = blob()
    cut: tuple[Cut, ...] = (BoxCut((-10, -10, -10), (18, 40, 20)),)
    assert_same(pictures(volume, VolumeView(47, 39, camera_of(volume), SOFT, cut)))


def test_a_fused_volume_is_the_native_one() -> None:
    volume = blob()
    other = Volume(np.ascontiguousarray(blob(np.float32, (14, 17, 20)).values), np.diag([1.6, 1.8, 2.6, 1.0]))
    view = VolumeView(47, 39, camera_of(volume), SOFT, fusion=FusionLayer(150.0, 700.0, "hot", 0.4))
    assert_same(pictures(volume, view, other))


def test_pictures_of_one_volume_upload_it_once_and_build_a_map_per_transfer_function() -> None:
    cupy = StandInCupy()
    renderer, volume = on_device(cupy), blob()
    prepared = renderer.prepare(volume)
    view = VolumeView(50, 40, camera_of(volume), SOFT)
    for turned in (view, replace(view, camera=view.camera.rotated(0.1, 0.0))):
        renderer.render(prepared, turned)
    assert len(cupy.launched("cf_cells_empty")) == 1
    assert [launch.arguments[3] for launch in cupy.launched("cf_cells_spread")] == [0, 1, 2]
    bright = replace(SOFT, points=(replace(SOFT.points[0], value=250), *SOFT.points[1:]))
    renderer.render(prepared, replace(view, transfer=bright))
    assert len(cupy.launched("cf_cells_empty")) == 2
    assert [copy.nbytes for copy in cupy.copies if copy.pinned] == [volume.values.nbytes]
    assert [(launch.grid, launch.block) for launch in cupy.launched("cf_raycast_i16")] == [((2, 5), (32, 8))] * 3


def test_the_scene_points_at_arrays_of_the_right_size() -> None:
    cupy = StandInCupy()
    renderer, volume = on_device(cupy), blob()
    cut: tuple[Cut, ...] = (BoxCut((0, 0, 0), (9, 9, 9)),)
    renderer.render(renderer.prepare(volume), VolumeView(50, 40, camera_of(volume), SOFT, cut))
    (launch,) = cupy.launched("cf_raycast_i16")
    scene = raycast.Scene.from_buffer_copy(launch.arguments[0].tobytes())
    assert tuple(scene.layer.size) == (42, 35, 28)
    assert tuple(scene.layer.cells) == (6, 5, 4)
    assert (scene.width, scene.height, scene.other.values) == (50, 40, None)
    assert len({scene.layer.values, scene.layer.distance, scene.keep, scene.rgb, scene.seen}) == 5


def test_a_mask_is_uploaded_when_its_cuts_change() -> None:
    cupy = StandInCupy()
    renderer, volume = on_device(cupy), blob()
    prepared = renderer.prepare(volume)
    view = VolumeView(30, 30, camera_of(volume), SOFT)
    one, two = BoxCut((0, 0, 0), (9, 9, 9)), BoxCut((12, 0, 0), (19, 9, 9))
    for cuts in ((one,), (one,), (one, two), (one,)):
        renderer.render(prepared, replace(view, cuts=cuts))
    masks = [copy.nbytes for copy in cupy.copies if copy.pinned and copy.nbytes == volume.values.size]
    assert len(masks) == 3
    assert len(cupy.launched("cf_cells_kept")) == 3


def test_a_cancelled_picture_is_not_launched() -> None:
    cupy, cancel = StandInCupy(), Cancel()
    renderer, volume = on_device(cupy), blob()
    cancel.cancel()
    with pytest.raises(CancelledPictureError):
        renderer.render(renderer.prepare(volume), VolumeView(64, 64, camera_of(volume), SOFT), cancel=cancel)
    assert not cupy.launched("cf_raycast_i16")


def distances(
    values: NDArray[np.int16], left: NDArray[np.uint8] | None, shape: tuple[int, int, int]
) -> NDArray[np.int64]:
    """Of each cell to the nearest that holds a visible value and something that the cuts left; by the definition."""
    seen = np.zeros(shape, bool)
    for cell in np.ndindex(shape):
        place = tuple(slice(8 * n, 8 * n + 9) for n in cell)
        seen[cell] = values[place].max() > 100 and (left is None or left[place].any())
    cells_at = np.moveaxis(np.indices(shape), 0, -1)[..., None, :]
    return np.abs(cells_at - np.argwhere(seen)).max(axis=-1).min(axis=-1)


def test_maps_of_empty_space_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(6)
    values = np.zeros((70, 50, 90), np.int16)
    for _ in range(9):
        z, y, x = (int(rng.integers(0, n)) for n in values.shape)
        values[z : z + 3, y : y + 2, x : x + 4] = 900
    volume, cut = Volume(values, np.eye(4)), (BoxCut((0, 0, 0), (30, 30, 30)),)
    device = Device(StandInCupy(execute=execute))
    tables = make_tables(SOFT, 1.0, (0.0, 1.0))
    prepared = VolumeRenderer(1).prepare(volume)
    shape = (int(prepared.cells[2]), int(prepared.cells[1]), int(prepared.cells[0]))
    for cuts in ((), cut):
        mask = prepared.mask(cuts)
        with device.pictures():
            keep = None if mask is None else device.cupy.asarray(mask[: values.size])
            ours = cells.distance_map(device, volume, shape, tables, keep, cuts).get()
        left = None if mask is None else mask[: values.size].reshape(values.shape)
        assert 2 < ours.max() < 255
        np.testing.assert_array_equal(ours.reshape(shape), distances(values, left, shape))
