"""The scalpel: every cut against its definition voxel by voxel, what pictures show of it, undo and redo."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from render.camera import Camera, facing
from render.cuts import BoxCut, BrushCut, CurveCut, Cut, CutHistory, PlaneCut
from render.errors import InvalidViewError
from render.raycast import VolumeRenderer
from render.transfer import TransferFunction, TransferPoint
from render.volume import Volume
from render.volume_view import VolumeView
from tests.support.ray_oracle import render as oracle

SOLID = TransferFunction((TransferPoint(100, 0.0, (255, 0, 0)), TransferPoint(400, 0.9, (255, 255, 255))))


@pytest.fixture
def renderer() -> Iterator[VolumeRenderer]:
    made = VolumeRenderer(2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def volume() -> Volume:
    rng = np.random.default_rng(4)
    matrix = np.eye(4)
    matrix[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] * np.array((0.9, 0.9, 1.4))
    matrix[:3, 3] = (3, -7, 11)
    z, y, x = np.meshgrid(*(np.arange(n) for n in (20, 25, 30)), indexing="ij")
    values = 500 + 150 * np.sin(x * 0.9) * np.cos(y * 0.7) * np.sin(z * 0.8 + 1)
    return Volume(np.ascontiguousarray(values.astype(np.int16)), matrix)


def places(volume: Volume) -> NDArray[np.float64]:
    """(z, y, x, 3): every voxel's centre in LPS."""
    k, j, i = np.meshgrid(*(np.arange(n, dtype=np.float64) for n in volume.shape), indexing="ij")
    return np.stack([i, j, k, np.ones_like(i)], -1) @ volume.index_to_lps_mm[:3].T


def inside_curve(cut: CurveCut, at: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Pixel under each place, then even-odd over the curve's edges."""
    shown = np.concatenate([at, np.ones((*at.shape[:3], 1))], -1) @ cut.camera.project(cut.width, cut.height).T
    front = shown[..., 2] > 0
    column = np.floor(shown[..., 0] / np.where(front, shown[..., 2], 1) + 0.5)
    row = np.floor(shown[..., 1] / np.where(front, shown[..., 2], 1) + 0.5)
    odd = np.zeros(column.shape, bool)
    for (x0, y0), (x1, y1) in zip(cut.points, (*cut.points[1:], cut.points[0]), strict=True):
        crossed = (y0 <= row) != (y1 <= row)
        odd ^= crossed & (column < x0 + (row - y0) * (x1 - x0) / (y1 - y0 if y1 != y0 else 1))
    return odd & front & (column >= 0) & (row >= 0) & (column < cut.width) & (row < cut.height)


def removed(cut: Cut, at: Any) -> NDArray[np.bool_]:
    """The definition."""
    if isinstance(cut, BrushCut):
        near: Any = np.stack([((at - c) ** 2).sum(-1) <= cut.radius_mm**2 for c in cut.centers])
        return near.any(axis=0)
    if isinstance(cut, PlaneCut):
        return (at - cut.point) @ np.asarray(cut.normal) >= 0
    if isinstance(cut, BoxCut):
        inside = ((at >= np.minimum(cut.low, cut.high)) & (at <= np.maximum(cut.low, cut.high))).all(-1)
    else:
        inside = inside_curve(cut, at)
    return inside if cut.remove == "inside" else ~inside


def cuts_of(volume: Volume) -> list[Cut]:
    x, y, z = volume.center_lps_mm
    star = ((20.0, 5.0), (50.0, 60.0), (5.0, 25.0), (58.0, 22.0), (12.0, 57.0))
    parallel = facing("A", volume.center_lps_mm, 20.0).rotated(0.2, 0.3)
    near = facing("L", volume.center_lps_mm, 20.0, view_angle_degrees=50.0)
    return [
        BoxCut((x - 4, y - 5, z - 6), (x + 5, y + 4, z + 3)),
        BoxCut((x + 5, y + 4, z + 3), (x - 9, y - 9, z - 9), "outside"),
        PlaneCut((x, y, z), (0.3, -2.0, 0.5)),
        BrushCut(((x, y, z), (x + 3, y + 2, z), (x + 400, y, z)), 5.5),
        CurveCut(parallel, 64, 64, star),
        CurveCut(near, 64, 48, star, "outside"),
    ]


@pytest.mark.parametrize("number", range(6))
def test_a_cut_removes_exactly_its_voxels(renderer: VolumeRenderer, volume: Volume, number: int) -> None:
    cut = cuts_of(volume)[number]
    keep = renderer.prepare(volume).mask((cut,))
    assert keep is not None
    wanted = ~removed(cut, places(volume))
    assert 0 < wanted.sum() < wanted.size
    np.testing.assert_array_equal(keep[: volume.values.size].reshape(volume.shape).astype(bool), wanted)


def test_cuts_unite_and_undo_brings_back_the_same_picture(renderer: VolumeRenderer, volume: Volume) -> None:
    prepared = renderer.prepare(volume)
    camera = facing("A", volume.center_lps_mm, 22.0).rotated(0.1, 0.1)

    def picture(history: CutHistory) -> Any:
        return renderer.render(prepared, VolumeView(60, 60, camera, SOLID, cuts=history.cuts)).pixels

    history = CutHistory()
    pictures = [picture(history)]
    box, _, plane, stroke, *_ = cuts_of(volume)
    for cut in (plane, stroke, box):  # the plane opens the block, so that the others are seen
        history = history.add(cut)
        pictures.append(picture(history))
    assert all((a != b).any() for a, b in itertools.pairwise(pictures))
    keep = prepared.mask(history.cuts)
    assert keep is not None
    union = np.any([removed(cut, places(volume)) for cut in history.cuts], axis=0)
    np.testing.assert_array_equal(keep[: volume.values.size].reshape(volume.shape) == 0, union)
    for earlier in pictures[-2::-1]:
        history = history.undo()
        np.testing.assert_array_equal(picture(history), earlier)
    assert history.undo() == history
    for later in pictures[1:]:
        history = history.redo()
        np.testing.assert_array_equal(picture(history), later)
    assert history.redo() == history
    assert history.undo().add(cuts_of(volume)[4]).undone == ()


def test_a_picture_shows_what_the_mask_leaves(renderer: VolumeRenderer, volume: Volume) -> None:
    prepared = renderer.prepare(volume)
    camera = facing("R", volume.center_lps_mm, 22.0).rotated(0.15, 0.05)
    cuts = (cuts_of(volume)[3], cuts_of(volume)[2])
    seen = renderer.render(prepared, VolumeView(50, 50, camera, SOLID, cuts=cuts, step_mm=0.45, jitter=False))
    keep = ~np.any([removed(cut, places(volume)) for cut in cuts], axis=0)
    wanted = oracle(volume, camera, SOLID, 50, 50, 0.45, start_mm=0.0, keep=keep.astype(np.uint8))
    # The oracle's samples begin elsewhere on the ray: compare what is seen at all.
    differs = np.abs(seen.opacity - wanted.opacity) > 0.3
    assert wanted.opacity.mean() > 0.1
    assert differs.mean() < 0.03


def test_cutting_everything_leaves_an_empty_picture(renderer: VolumeRenderer, volume: Volume) -> None:
    view = VolumeView(
        20, 20, facing("A", volume.center_lps_mm, 22.0), SOLID, cuts=(BoxCut((-500, -500, -500), (500, 500, 500)),)
    )
    assert renderer.render(renderer.prepare(volume), view).pixels.max() == 0


def test_senseless_cuts_are_refused() -> None:
    camera = Camera((0, -10, 0), (0, 0, 0), (0, 0, 1), 5.0)
    with pytest.raises(InvalidViewError):
        PlaneCut((0, 0, 0), (0, 0, 0))
    with pytest.raises(InvalidViewError):
        BrushCut((), 3.0)
    with pytest.raises(InvalidViewError):
        BrushCut(((0, 0, 0),), 0.0)
    with pytest.raises(InvalidViewError):
        BoxCut((float("nan"), 0, 0), (1, 1, 1))
    with pytest.raises(InvalidViewError):
        CurveCut(camera, 10, 10, ((0, 0), (1, 1)))
