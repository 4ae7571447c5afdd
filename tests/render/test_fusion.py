"""Fusion of two volumes in a plane: the kernel bit by bit, an oracle over both samplers, invariants, wrong requests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from render.errors import InvalidViewError
from render.fusion import FusionView, fusion_tables, render_fusion
from render.native import library
from render.native.fusion import SIGNATURES, fuse
from render.request import PLANES, SlabView
from render.slab import render_slab, slab_values
from render.transfer import colour_maps, colour_maps_by_name
from render.volume import Volume
from tests.support.kernel_builds import ARCHITECTURES, compile_cuda


def volume_of(values: NDArray[Any], spacing: tuple[float, float, float], origin: tuple[float, float, float]) -> Volume:
    """(z, y, x) values on an upright grid (mm)."""
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = origin
    return Volume(np.ascontiguousarray(values), matrix)


def ct() -> Volume:
    """48 mm cubed at 1 x 1 x 2 mm, noise around a ramp."""
    ramp = np.linspace(-200, 200, 48)[None, None, :] + np.zeros((24, 48, 1))
    return volume_of((ramp + np.random.default_rng(1).normal(0, 30, ramp.shape)).astype(np.int16), (1, 1, 2), (0, 0, 0))


def pet() -> Volume:
    """Coarser, shifted and smaller than the CT: a hot ball at (24, 24, 24) mm, Bq/ml as float32."""
    z, y, x = np.mgrid[:9, :9, :9] * 4.0 + 8.0
    distance = np.sqrt((x - 24) ** 2 + (y - 24) ** 2 + (z - 24) ** 2)
    return volume_of((20_000 * np.exp(-((distance / 8) ** 2))).astype(np.float32), (4, 4, 4), (8, 8, 8))


def variants() -> list[str]:
    return [name for name in library.variants() if (library.LIBRARIES / f"kernels-{name}.so").is_file()]


@pytest.mark.parametrize("variant", variants())
def test_the_kernel_mixes_by_its_tables(variant: str) -> None:
    kernels = library.load(library.LIBRARIES / f"kernels-{variant}.so")
    library.declare(kernels, SIGNATURES)
    base, index = np.divmod(np.arange(65536, dtype=np.int64).reshape(256, 256), 256)
    keep, colour = fusion_tables("pet", 0.7, 0.3)
    seen = fuse(base.astype(np.uint8), index.astype(np.uint8), keep, colour, kernels)
    want = (base[..., None] * keep[index][..., None].astype(np.int64) + colour[index]) // 255
    assert want.max() <= 255
    assert np.array_equal(seen, want.astype(np.uint8))


@pytest.mark.parametrize("plane", ["axial", "coronal", "oblique"])
@pytest.mark.parametrize(("opacity", "fade"), [(0.6, 0.25), (1.0, 0.0), (0.4, 1.0)])
def test_each_pixel_is_a_mixture_of_both_samplers(plane: str, opacity: float, fade: float) -> None:
    directions = PLANES.get(plane, ((0.9, 0.1, 0.3), (0.0, 0.8, -0.6)))
    base = SlabView(
        60,
        52,
        *directions,
        center_mm=(24, 22, 25),
        pixel_spacing_mm=0.8,
        voi="window",
        window_center=0,
        window_width=400,
    )
    view = FusionView(base, "window", 9_000, 18_000, colour_map="hot", opacity=opacity, fade=fade)
    picture = render_fusion(ct(), pet(), view)
    below, hot = render_slab(ct(), base).pixels.astype(float), slab_values(pet(), base)
    assert np.isnan(hot).any() and (np.nan_to_num(hot) > 9_000).any()
    # PS3.3 C.11.2.1.2: the window runs from centre - 0.5 - (width - 1) / 2 over width - 1.
    share = np.clip((np.nan_to_num(hot) - (9_000 - 0.5 - 17_999 / 2)) / 17_999, 0, 1)
    cover = opacity * (np.minimum(share / fade, 1) if fade else 1.0) * ~np.isnan(hot)
    places, colours = zip(*colour_maps_by_name("hot").points, strict=True)
    for channel in range(3):
        colour = np.interp(share, places, [c[channel] for c in colours])
        want = below * (1 - cover) + colour * cover
        # The overlay has 254 levels, cut off and rounded: up to two of them, of 2.5 in the steepest part of the map.
        assert np.abs(picture.pixels[..., channel] - want).max() <= 6
    assert picture.base.center_mm == (24, 22, 25) and picture.overlay_voi.width == 18_000


def test_outside_of_the_overlay_the_base_is_untouched() -> None:
    base = SlabView(48, 48, center_mm=(23.5, 23.5, 2.0), pixel_spacing_mm=1.0)  # below the overlay's first slice
    picture = render_fusion(ct(), pet(), FusionView(base, opacity=1.0, fade=0.0))
    gray = render_slab(ct(), base).pixels
    assert all(np.array_equal(picture.pixels[..., channel], gray) for channel in range(3))


def test_a_volume_fused_with_itself_in_gray_is_itself() -> None:
    volume = ct()
    base = SlabView(50, 50, *PLANES["sagittal"], voi="window", window_center=0, window_width=500)
    for opacity in (0.3, 1.0):
        view = FusionView(base, "window", 0, 500, colour_map="gray", opacity=opacity, fade=0.0)
        picture = render_fusion(volume, volume, view)
        gray = render_slab(volume, base).pixels.astype(int)
        # 254 levels instead of 255, and one rounding more.
        assert np.abs(picture.pixels.astype(int) - gray[..., None]).max() <= 2


def test_a_slab_of_the_base_and_the_largest_of_the_overlay() -> None:
    base = SlabView(48, 48, thickness_mm=40, kind="mean", center_mm=(24, 24, 24), pixel_spacing_mm=1.0)
    mean = render_fusion(ct(), pet(), FusionView(base, "window", 5_000, 10_000))
    most = render_fusion(ct(), pet(), FusionView(base, "window", 5_000, 10_000, overlay_projection="maximum"))
    assert np.array_equal(mean.base.pixels, most.base.pixels)
    # Beyond the window's upper end: white, which the mean over the slab is not.
    assert int(most.pixels[24, 24].sum()) > int(mean.pixels[24, 24].sum()) + 60


def test_every_colour_map_has_tables_that_stay_in_range() -> None:
    assert {"hot", "pet", "cool", "gray"} <= set(colour_maps())
    for name in colour_maps():
        for opacity, fade in ((0.0, 0.0), (1.0, 0.0), (0.5, 1.0)):
            keep, colour = fusion_tables(name, opacity, fade)
            assert keep[0] == 255 and (colour[0] == 127).all()
            assert (255 * keep.astype(int)[:, None] + colour).max() <= 255 * 255 + 127
            assert (np.diff(keep.astype(int)) <= 0).all()  # more of it never covers less


@pytest.mark.parametrize(
    "wrong",
    [
        {"opacity": 1.5},
        {"opacity": float("nan")},
        {"fade": -0.1},
        {"colour_map": "none"},
        {"overlay_voi": "window"},
        {"overlay_voi": "hot"},
        {"overlay_projection": "sum"},
    ],
)
def test_wrong_requests_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidViewError):
        FusionView(SlabView(8, 8), **wrong)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_cuda_source_compiles(architecture: str) -> None:
    assert b"cf_fuse_u8" in compile_cuda("fusion.cu", architecture)
