"""Volume rendering: packets against the definition ray by ray, both against a float64 oracle; invariants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from render.camera import Camera, facing
from render.errors import InvalidViewError
from render.native import library, raycast
from render.native.pool import CancelledPictureError
from render.raycast import Cancel, VolumeRenderer
from render.scene import VolumeTooSmallError
from render.transfer import TransferFunction, TransferPoint, preset
from render.volume import Volume
from render.volume_view import FusionLayer, VolumeView
from tests.support.backends import BACKENDS, kernels_of
from tests.support.ray_oracle import render as oracle

DTYPES = [np.int16, np.uint16, np.float32]
SOFT = TransferFunction(
    (
        TransferPoint(100, 0.0, (255, 0, 0)),
        TransferPoint(300, 0.2, (200, 180, 40)),
        TransferPoint(900, 0.7, (250, 250, 255)),
    ),
    "soft",
)


def _variants() -> list[str]:
    return [name for name in library.variants() if (library.LIBRARIES / f"kernels-{name}.so").is_file()]


@pytest.fixture(scope="module", params=[*_variants(), "cuda source", "cuda"])
def renderer(request: pytest.FixtureRequest) -> Any:
    """Every native variant this processor runs; CUDA's source on this machine, and on a device where one answers."""
    if request.param in BACKENDS:
        yield kernels_of(request.param).renderer
        return
    made = VolumeRenderer(2, raycast.load(library.LIBRARIES / f"kernels-{request.param}.so"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def by_definition() -> Any:
    made = VolumeRenderer(2, definition=True)
    yield made
    made.close()


def turned_matrix(spacing: tuple[float, float, float] = (0.8, 0.8, 1.3)) -> Any:
    """A rotated frame: no axis of the volume is an axis of the patient."""
    rng = np.random.default_rng(3)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    matrix = np.eye(4)
    matrix[:3, :3] = turn * np.array(spacing)
    matrix[:3, 3] = (-10, 20, 5)
    return matrix


def blob(shape: tuple[int, int, int] = (30, 34, 38), dtype: Any = np.int16, matrix: Any = None) -> Volume:
    """A ball with a rod through it and smooth noise, touching the border on one side."""
    z, y, x = np.meshgrid(*(np.arange(n, dtype=np.float64) for n in shape), indexing="ij")
    ball = np.hypot(np.hypot(x - shape[2] * 0.45, y - shape[1] * 0.5), z - shape[0] * 0.5)
    values = 600 / (1 + np.exp((ball - 9) / 1.2)) + 700 / (1 + np.exp((np.hypot(y - 12, z - 20) - 4) / 1.0))
    values += 25 * np.sin(x * 0.7) * np.cos(y * 0.5 + z * 0.9)
    return Volume(np.ascontiguousarray(values.clip(0).astype(dtype)), turned_matrix() if matrix is None else matrix)


def camera_of(volume: Volume, angle: float | None = None, turn: tuple[float, float] = (0.21, 0.13)) -> Camera:
    return facing("A", volume.center_lps_mm, 27.0, view_angle_degrees=angle).rotated(*turn)


def start_of(volume: Volume, camera: Camera, step_mm: float) -> float:
    """Where orthographic rays have their first sample: the last whole step before the volume."""
    if camera.parallel_scale_mm is None:
        return 0.0
    depth, rows, columns = volume.shape
    corners = np.array([[i, j, k, 1] for i in (0, columns - 1) for j in (0, rows - 1) for k in (0, depth - 1)])
    along = ((corners @ volume.index_to_lps_mm.T)[:, :3] - np.asarray(camera.position)) @ camera.axes()[2]
    return max(0.0, float(np.floor(along.min() / step_mm)) * step_mm)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("angle", [None, 40.0])
def test_packets_equal_the_definition(
    renderer: VolumeRenderer, by_definition: VolumeRenderer, dtype: Any, angle: Any
) -> None:
    volume = blob(dtype=dtype)
    view = VolumeView(61, 47, camera_of(volume, angle), SOFT)
    fast, plain = (r.render(r.prepare(volume), view) for r in (renderer, by_definition))
    assert plain.opacity.max() > 0.9
    np.testing.assert_array_equal(fast.pixels, plain.pixels)
    np.testing.assert_array_equal(fast.opacity, plain.opacity)
    np.testing.assert_array_equal(fast.depth_mm, plain.depth_mm)


@pytest.mark.parametrize("angle", [None, 40.0])
@pytest.mark.parametrize("spacing", [(0.8, 0.8, 1.3), (1.0, 1.0, 1.0)])
def test_pictures_agree_with_the_oracle(renderer: VolumeRenderer, angle: Any, spacing: Any) -> None:
    volume = blob(matrix=turned_matrix(spacing))
    camera = camera_of(volume, angle)
    step = 0.5
    view = VolumeView(56, 44, camera, SOFT, step_mm=step, jitter=False)
    seen = renderer.render(renderer.prepare(volume), view)
    wanted = oracle(volume, camera, SOFT, 56, 44, step, start_mm=start_of(volume, camera, step))
    difference = np.abs(seen.pixels - wanted.rgb)
    # 1 % of light is left out (2.5 levels at most), samples of together 2 % may share a gradient; a sample on the
    # very border of the volume may fall to either side in float32.
    assert difference.mean() < 0.6
    assert np.quantile(difference, 0.999) < 6
    assert np.quantile(np.abs(seen.opacity - np.minimum(wanted.opacity, 1)), 0.995) < 0.012
    both = ~np.isnan(seen.depth_mm) & ~np.isnan(wanted.depth_mm)
    assert both.sum() > 200
    assert np.quantile(np.abs(seen.depth_mm - wanted.depth_mm)[both], 0.99) <= step * 1.01


def test_two_volumes_fused_agree_with_the_oracle(renderer: VolumeRenderer, by_definition: VolumeRenderer) -> None:
    volume = blob()
    coarse = np.zeros((10, 12, 9), np.float32)
    coarse[3:7, 4:9, 2:6] = 4.0
    matrix = turned_matrix((3.2, 2.6, 3.4))
    matrix[:3, 3] = volume.index_to_lps_mm[:3, 3]
    hot = Volume(coarse, matrix)
    camera, fusion = camera_of(volume), FusionLayer(0.5, 5.0, "hot", 0.3)
    view = VolumeView(48, 48, camera, SOFT, fusion=fusion, step_mm=0.5, jitter=False)
    seen = renderer.render(renderer.prepare(volume), view, fused=renderer.prepare(hot))
    plain = by_definition.render(by_definition.prepare(volume), view, fused=by_definition.prepare(hot))
    np.testing.assert_array_equal(seen.pixels, plain.pixels)
    wanted = oracle(
        volume, camera, SOFT, 48, 48, 0.5, start_mm=start_of(volume, camera, 0.5), other=(hot, fusion.function())
    )
    alone = renderer.render(renderer.prepare(volume), replace(view, fusion=None))
    assert np.abs(seen.pixels.astype(int) - alone.pixels).max() > 60
    assert np.abs(seen.pixels - wanted.rgb).mean() < 0.6
    assert np.quantile(np.abs(seen.pixels - wanted.rgb), 0.999) < 6


def test_a_fused_layer_without_opacity_changes_nothing(renderer: VolumeRenderer) -> None:
    volume = blob()
    prepared = renderer.prepare(volume)
    view = VolumeView(48, 40, camera_of(volume), SOFT)
    clear = replace(view, fusion=FusionLayer(100.0, 900.0, "pet", 0.0))
    np.testing.assert_array_equal(
        renderer.render(prepared, clear, fused=prepared).pixels, renderer.render(prepared, view).pixels
    )


def test_opacity_does_not_depend_on_the_step(renderer: VolumeRenderer) -> None:
    # A slab of constant haze: 1 - (1 - a) ** thickness, whatever the step.
    values = np.full((40, 40, 40), 500, np.int16)
    haze = TransferFunction((TransferPoint(400, 0.05, (255, 255, 255)), TransferPoint(600, 0.05, (255, 255, 255))))
    volume = Volume(values, np.eye(4))
    prepared = renderer.prepare(volume)
    camera = facing("A", volume.center_lps_mm, 15.0)
    for step in (0.25, 0.5, 1.0, 2.0):
        view = VolumeView(16, 16, camera, haze, step_mm=step, jitter=False)
        opacity = renderer.render(prepared, view).opacity
        # The number of samples may be off by one at either end.
        low, high = 1 - 0.95 ** (39 - step) - 1e-5, 1 - 0.95 ** (39 + step) + 1e-5
        assert low <= opacity.min() <= opacity.max() <= high


def test_skipping_empty_space_changes_nothing(renderer: VolumeRenderer) -> None:
    rng = np.random.default_rng(9)
    values = np.zeros((70, 50, 60), np.int16)
    for _ in range(25):
        z, y, x = (int(rng.integers(0, n)) for n in values.shape)
        values[z : z + 3, y : y + 2, x : x + 4] = int(rng.integers(200, 900))
    volume = Volume(values, np.diag([0.7, 0.7, 1.1, 1.0]))
    prepared = renderer.prepare(volume)
    everything = replace(
        SOFT,
        points=(TransferPoint(-1, 1e-30, (0, 0, 0)), *(replace(p, opacity=max(p.opacity, 1e-30)) for p in SOFT.points)),
    )
    for preset_name in "APLRHF":
        camera = facing(preset_name, volume.center_lps_mm, 40.0)
        sparse = renderer.render(prepared, VolumeView(64, 64, camera, SOFT))
        dense = renderer.render(prepared, VolumeView(64, 64, camera, everything))
        assert sparse.opacity.max() > 0.5
        assert np.abs(sparse.pixels.astype(int) - dense.pixels).max() <= 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_function_of_many_ranges_is_seen_in_all_of_them(
    renderer: VolumeRenderer, by_definition: VolumeRenderer, dtype: Any
) -> None:
    """More visible ranges than the map of empty space tells apart, a last one of a single value."""
    volume = blob(dtype=dtype)
    spikes = [
        TransferPoint(at + way, 0.8 if way == 4 else 0.0, (at % 255, 255 - at % 255, 90))
        for at in range(40, 1000, 120)
        for way in (0, 4, 8)
    ]
    shells = replace(SOFT, points=(*spikes, TransferPoint(1200, 0.0, (0, 0, 0)), TransferPoint(1300, 0.9, (9, 9, 9))))
    everything = replace(shells, points=tuple(replace(p, opacity=max(p.opacity, 1e-30)) for p in shells.points))
    camera = camera_of(volume)
    views = [VolumeView(61, 47, camera, function) for function in (shells, everything)]
    prepared = renderer.prepare(volume)
    fast, dense = (renderer.render(prepared, view) for view in views)
    plain = by_definition.render(by_definition.prepare(volume), views[0])
    assert plain.opacity.max() > 0.5
    np.testing.assert_array_equal(fast.pixels, plain.pixels)
    np.testing.assert_array_equal(fast.opacity, plain.opacity)
    assert np.abs(fast.pixels.astype(int) - dense.pixels).max() <= 1


def test_picking_finds_the_surface_in_patient_coordinates(renderer: VolumeRenderer) -> None:
    z, y, x = np.meshgrid(*(np.arange(40.0),) * 3, indexing="ij")
    ball = np.sqrt((x - 20) ** 2 + (y - 18) ** 2 + (z - 22) ** 2)
    matrix = turned_matrix((1.0, 1.0, 1.0))
    volume = Volume((1000 * (ball < 10)).astype(np.int16), matrix)
    prepared = renderer.prepare(volume)
    middle = (matrix @ np.array([20, 18, 22, 1.0]))[:3]
    for angle in (None, 30.0):
        camera = facing(
            "L", (float(middle[0]), float(middle[1]), float(middle[2])), 30.0, view_angle_degrees=angle
        ).rotated(0.1, 0.2)
        view = VolumeView(101, 101, camera, preset("bone"), step_mm=0.25)
        picked = renderer.pick(prepared, view, 50, 50)
        assert picked is not None
        toward = -camera.axes()[2]
        assert np.linalg.norm(np.array(picked) - (middle + 10 * toward)) < 1.0
        assert renderer.pick(prepared, view, 0, 0) is None


def test_a_preview_is_half_the_size(renderer: VolumeRenderer) -> None:
    volume = blob()
    prepared = renderer.prepare(volume)
    view = VolumeView(61, 40, camera_of(volume), SOFT, quality="preview")
    picture = renderer.render(prepared, view)
    assert picture.pixels.shape == (20, 31, 3)
    assert picture.quality == "preview"
    assert picture.step_mm == pytest.approx(1.6)


def test_a_cancelled_picture_ends_before_its_next_tile(renderer: VolumeRenderer) -> None:
    volume = blob()
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(CancelledPictureError):
        renderer.render(renderer.prepare(volume), VolumeView(512, 512, camera_of(volume), SOFT), cancel=cancel)


def test_what_cannot_be_seen_is_a_stable_error_or_an_empty_picture(renderer: VolumeRenderer) -> None:
    with pytest.raises(VolumeTooSmallError) as small:
        renderer.prepare(Volume(np.zeros((1, 8, 8), np.int16), np.eye(4)))
    assert small.value.code == "volume.too_small"
    volume = blob()
    prepared = renderer.prepare(volume)
    camera = camera_of(volume)
    beside = Camera((500.0, 500.0, 500.0), (501.0, 500.0, 500.0), (0, 0, 1), 10.0)
    nothing = replace(SOFT, points=(TransferPoint(5000, 0.0, (9, 9, 9)), TransferPoint(6000, 1.0, (9, 9, 9))))
    for view in (
        VolumeView(33, 20, beside, SOFT, background=(10, 20, 30)),
        VolumeView(33, 20, camera, nothing, background=(10, 20, 30)),
        VolumeView(33, 20, camera, SOFT, clip_box=((900, 900, 900), (901, 901, 901)), background=(10, 20, 30)),
    ):
        picture = renderer.render(prepared, view)
        assert (picture.pixels == (10, 20, 30)).all()
        assert picture.opacity.max() == 0
        assert np.isnan(picture.depth_mm).all()
    with pytest.raises(InvalidViewError):
        renderer.render(prepared, VolumeView(8, 8, camera, SOFT, fusion=FusionLayer(0, 1)))


def test_values_that_are_not_numbers_do_no_harm(renderer: VolumeRenderer) -> None:
    values = np.full((12, 12, 12), 500, np.float32)
    values[3:6, 3:6, 3:6] = np.nan
    values[8, 8, 8], values[8, 8, 9] = np.inf, -np.inf
    volume = Volume(values, np.eye(4))
    picture = renderer.render(renderer.prepare(volume), VolumeView(24, 24, facing("A", volume.center_lps_mm, 8), SOFT))
    assert picture.opacity.max() > 0.9
    assert np.isfinite(picture.opacity).all()
