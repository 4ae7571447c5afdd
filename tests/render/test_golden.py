"""Golden pictures: what the kernels drew of one phantom when people had looked at it, kept as small PNG files.

Tolerance: another order of float32 sums moves a value by less than a level and, next to a step of the opacity or of the
window, single pixels by more. So nine pixels of ten must be within ``NEAR`` levels, the picture's mean within ``MEAN``,
and no block of 8 x 8 pixels may differ by more than ``BLOCK`` in its mean: a thing at another place, of another colour or
lit in another way fails by that. Deliberate faults of views and of kernels prove it below.

``CLOUDFILM_WRITE_GOLDEN=1 pytest tests/render/test_golden.py`` writes them anew; look at them before you keep them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from benchmarks.render.phantom import body_volume
from render.camera import facing
from render.cuda.device import Device
from render.cuda.rays import CudaRays
from render.cuda.slabs import CudaSlabs
from render.cuts import BoxCut
from render.raycast import VolumeRenderer
from render.request import PLANES, SlabView
from render.scene import PreparedVolume
from render.slab import render_slab
from render.transfer import preset, preset_names
from render.volume import Volume
from render.volume_view import FusionLayer, VolumeView
from tests.support.backends import BACKENDS, Kernels, NoFallback, kernels_of
from tests.support.cuda_host_build import with_a_fault
from tests.support.cuda_stand_in import StandInCupy

GOLDEN = Path(__file__).parent / "golden"
WRITE = os.environ.get("CLOUDFILM_WRITE_GOLDEN") == "1"
SIDE = 128
NEAR, MEAN, BLOCK = 2, 0.35, 2.0
OBLIQUE = ((0.8, 0.36, 0.48), (-0.6, 0.48, 0.64))
WINDOW: dict[str, Any] = {"voi": "window", "window_center": 60.0, "window_width": 700.0}


@lru_cache(maxsize=1)
def phantom() -> Volume:
    """Body, lungs, spine, ribs and vessels with noise; 96 x 96 x 72."""
    return body_volume(72, 96)


@lru_cache(maxsize=1)
def hot_spot() -> Volume:
    """A coarse volume over the phantom's chest with two warm places, for fusion."""
    z, y, x = np.mgrid[:24, :32, :32].astype(np.float32)
    values = 9 * np.exp(-((x - 11) ** 2 + (y - 15) ** 2 + (z - 9) ** 2) / 12)
    values += 6 * np.exp(-((x - 20) ** 2 + (y - 13) ** 2 + (z - 15) ** 2) / 20)
    matrix = phantom().index_to_lps_mm @ np.diag([3.0, 3.0, 3.0, 1.0])
    return Volume(np.ascontiguousarray(values.astype(np.float32)), matrix)


def slab_view(thickness_mm: float = 0.0, kind: str = "maximum", interpolation: str = "linear") -> SlabView:
    return SlabView(SIDE, SIDE, *OBLIQUE, None, 3.2, thickness_mm, kind, interpolation, **WINDOW)


SLABS: dict[str, SlabView] = {
    "mpr-coronal": SlabView(SIDE, SIDE, *PLANES["coronal"], None, 3.2, **WINDOW),
    "mpr-oblique": slab_view(),
    "mpr-oblique-cubic": slab_view(interpolation="cubic"),
    "slab-mean": slab_view(30.0, "mean"),
    "slab-minimum": slab_view(30.0, "minimum"),
    "mip": slab_view(1e4),
}


def volume_views() -> dict[str, VolumeView]:
    """Every preset that is drawn by rays, and what else the ray kernel does."""
    volume = phantom()
    camera = facing("A", volume.center_lps_mm, 215.0).rotated(0.17, 0.08)
    bone = VolumeView(SIDE, SIDE, camera, preset("bone"))
    shaded = [name for name in preset_names() if preset(name).blend == "shaded"]
    views = {f"vr-{name}": replace(bone, transfer=preset(name)) for name in shaded}
    views["vr-cut"] = replace(views["vr-muscle"], cuts=(BoxCut((180.0, -50.0, 0.0), (400.0, 200.0, 400.0)),))
    near = facing("A", volume.center_lps_mm, 190.0, view_angle_degrees=45.0).rotated(-0.2, 0.1)
    views["vr-perspective"] = replace(bone, camera=near)
    views["vr-fusion"] = replace(bone, transfer=preset("muscle"), fusion=FusionLayer(0.5, 8.0, "hot", 0.6))
    views["vr-fusion"] = replace(views["vr-fusion"], cuts=(BoxCut((0.0, 0.0, 0.0), (400.0, 150.0, 400.0)),))
    return views


VOLUMES = volume_views()


@pytest.fixture(scope="module", params=BACKENDS)
def kernels(request: pytest.FixtureRequest) -> Kernels:
    """Each backend; that of a device where one answers."""
    return kernels_of(request.param)


_prepared: dict[VolumeRenderer, tuple[PreparedVolume, PreparedVolume]] = {}


def rendered(renderer: VolumeRenderer, view: VolumeView) -> NDArray[np.uint8]:
    """Of the phantom; its cells are made once for each renderer."""
    if renderer not in _prepared:
        _prepared[renderer] = renderer.prepare(phantom()), renderer.prepare(hot_spot())
    volume, spot = _prepared[renderer]
    return renderer.render(volume, view, fused=spot if view.fusion is not None else None).pixels


def difference(pixels: NDArray[np.uint8], golden: NDArray[np.uint8]) -> str:
    """Why the picture is another one, or nothing."""
    if pixels.shape != golden.shape:
        return f"shape {pixels.shape}"
    signed = pixels.astype(np.float64) - golden
    far = float((np.abs(signed) > NEAR).mean())
    mean = float(np.abs(signed).mean())
    blocks = signed.reshape(SIDE // 8, 8, SIDE // 8, 8, -1).mean(axis=(1, 3))
    if far > 0.1 or mean > MEAN or np.abs(blocks).max() > BLOCK:
        return f"{far:.1%} beyond {NEAR}, mean {mean:.2f}, worst block {np.abs(blocks).max():.2f}"
    return ""


def golden(name: str) -> NDArray[np.uint8]:
    """The kept picture."""
    with Image.open(GOLDEN / f"{name}.png") as image:
        return np.asarray(image)


def compare(name: str, pixels: NDArray[np.uint8]) -> str:
    """See ``difference``; the picture is kept first where that is asked for."""
    if WRITE:
        GOLDEN.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(GOLDEN / f"{name}.png", optimize=True)
    return difference(pixels, golden(name))


@pytest.mark.parametrize("name", SLABS)
def test_planes_and_slabs(kernels: Kernels, name: str) -> None:
    pixels = render_slab(phantom(), SLABS[name], kernels.slabs).pixels
    assert pixels.std() > 20  # a picture of something
    assert compare(name, pixels) == ""


@pytest.mark.parametrize("name", VOLUMES)
def test_volume_renderings(kernels: Kernels, name: str) -> None:
    pixels = rendered(kernels.renderer, VOLUMES[name])
    assert pixels.std() > 8
    assert compare(name, pixels) == ""


def _turned(view: VolumeView) -> VolumeView:
    return replace(view, camera=view.camera.rotated(0.01, 0.0))


def _unlit(view: VolumeView) -> VolumeView:
    return replace(view, transfer=replace(view.transfer, diffuse=0.0, specular=0.0))


def _without_gloss(view: VolumeView) -> VolumeView:
    return replace(view, transfer=replace(view.transfer, specular=0.0))


def _fainter(view: VolumeView) -> VolumeView:
    points = tuple(replace(point, opacity=point.opacity * 0.85) for point in view.transfer.points)
    return replace(view, transfer=replace(view.transfer, points=points))


def _shifted(view: VolumeView) -> VolumeView:
    points = tuple(replace(point, value=point.value + 15) for point in view.transfer.points)
    return replace(view, transfer=replace(view.transfer, points=points))


def _other_map(view: VolumeView) -> VolumeView:
    return replace(view, fusion=FusionLayer(0.5, 8.0, "pet", 0.6))


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("vr-bone", _turned),  # by 1.8 degrees
        ("vr-bone", _unlit),
        ("vr-bone", _without_gloss),
        ("vr-bone", _fainter),  # an opacity that forgets a sixth of the step
        ("vr-bone", _shifted),  # by 15 HU
        ("vr-skin", _turned),
        ("vr-fusion", _other_map),
        ("vr-cut", lambda view: replace(view, cuts=())),
        ("vr-perspective", _turned),
    ],
)
def test_a_wrong_rendering_is_noticed(name: str, fault: Callable[[VolumeView], VolumeView]) -> None:
    renderer = kernels_of("native").renderer
    assert difference(rendered(renderer, fault(VOLUMES[name])), golden(name)) != ""


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("mpr-oblique", {"window_center": 67.0}),  # a hundredth of the window
        ("mpr-oblique", {"center_mm": (180.5, 179.2, 201.0)}),
        ("mpr-oblique-cubic", {"pixel_spacing_mm": 3.3}),
        ("slab-mean", {"thickness_mm": 22.0}),  # one sample less on either side
        ("slab-minimum", {"kind": "mean"}),
        ("mip", {"thickness_mm": 200.0}),
        ("mpr-coronal", {"column_direction": (0.0, 0.0, 1.0)}),
    ],
)
def test_a_wrong_plane_is_noticed(name: str, fault: dict[str, Any]) -> None:
    slabs = kernels_of("native").slabs
    wrong = render_slab(phantom(), replace(SLABS[name], **fault), slabs).pixels
    assert difference(wrong, golden(name)) != ""


@pytest.mark.parametrize(
    ("unit", "right", "wrong", "name"),
    [
        # The nearest voxel in place of a mixture.
        ("slab.cu", "{ return a + f * (b - a); }", "{ return f < 0.5f ? a : b; }", "mpr-oblique"),
        # Every surface lit as if it faced the viewer.
        ("raycast.cu", "facing = cf_min<L>(facing, L::splat(1.0f));", "facing = L::splat(1.0f);", "vr-bone"),
    ],
)
def test_a_fault_in_a_kernel_is_noticed(unit: str, right: str, wrong: str, name: str) -> None:
    there = Device(StandInCupy(execute=with_a_fault(unit, right, wrong)))
    if name in SLABS:
        pixels = render_slab(phantom(), SLABS[name], CudaSlabs(there)).pixels
    else:
        pixels = rendered(VolumeRenderer(1, device=CudaRays(there), guard=NoFallback()), VOLUMES[name])
    assert difference(pixels, golden(name)) != ""


def test_linear_and_cubic_planes_are_told_apart() -> None:
    slabs = kernels_of("native").slabs
    linear = render_slab(phantom(), SLABS["mpr-oblique"], slabs).pixels
    assert difference(linear, golden("mpr-oblique-cubic")) != ""


def test_they_are_few_bytes() -> None:
    files = list(GOLDEN.glob("*.png"))
    assert {path.stem for path in files} == {*SLABS, *VOLUMES}
    assert sum(path.stat().st_size for path in files) < 300_000
