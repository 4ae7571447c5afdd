"""Rule 27 of docs/stream-protocol.md: cuts that stay, undone and redone; and 3D slices of rule 25."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.errors import BadRequestError
from app.rendering.volume_fields import cut_fields, parse_cut
from app.viewing.cuts import MOST_POINTS, changed, with_kept_cuts
from render.camera import Camera
from render.cuts import MOST_CUTS, BoxCut, BrushCut, CurveCut, CutHistory, PlaneCut
from render.errors import InvalidViewError
from tests.support.house import House, Viewer
from tests.support.series import ct_series

pytestmark = pytest.mark.asyncio(loop_scope="module")
COUNT, SIDE = 12, 32
POINTS = [[-1024, 0.0, [0, 0, 0]], [0, 0.05, [200, 100, 50]], [1500, 0.9, [255, 255, 255]]]
VIEW: dict[str, Any] = {"t": "view", "viewport": "v", "kind": "volume", "width": 64, "height": 48, "transfer": POINTS}
LEFT = {"kind": "plane", "point": [7.75, 0, 0], "normal": [1, 0, 0]}
EVERYTHING = {"kind": "box", "low": [-999, -999, -999], "high": [999, 999, 999]}


@asynccontextmanager
async def viewing(house: House) -> AsyncIterator[tuple[Viewer, int]]:
    study, series = await house.store(*ct_series(COUNT, SIDE))
    async with house.dial(await house.staff()) as socket:
        viewer = Viewer(socket)
        await viewer.hello()
        await viewer.open(study)
        yield viewer, series


async def refined(viewer: Viewer, **wish: Any) -> Any:
    """(y, x, 3) of the refined picture of a view."""
    await viewer.send(**VIEW, answer="refined", **wish)
    return np.asarray(Image.open(io.BytesIO((await viewer.picture())[1])), int)


async def test_rule_27_cuts_that_stay(house: House) -> None:
    async with viewing(house) as (viewer, series):
        whole = await refined(viewer, series=series, generation=1)
        assert whole[:, 40:].max() > 30 and whole[:, :24].max() > 30
        await viewer.send(t="cuts", viewport="v", do="add", cuts=[LEFT])
        assert await viewer.text("cuts") == {"t": "cuts", "viewport": "v", "cuts": 1, "undone": 0}
        # From the front the patient's left is at the right.
        half = await refined(viewer, series=series, generation=2, cuts="kept")
        assert half[:, 36:].max() <= 8 and np.abs(half - whole)[:, :24].max() <= 20
        # A curve over the picture that just came, and brushes: their union.
        camera = viewer.pictures[-1][0]["camera"]
        curve = {
            "kind": "curve",
            "camera": camera,
            "width": 64,
            "height": 48,
            "points": [[0, 0], [64, 0], [64, 24], [0, 24]],
        }
        brush = {"kind": "brush", "centers": [[4, y, 13.75] for y in range(0, 16, 2)], "radius_mm": 2}
        await viewer.send(t="cuts", viewport="v", do="add", cuts=[curve, brush])
        assert (await viewer.text("cuts"))["cuts"] == 3
        rest = await refined(viewer, series=series, generation=3, cuts="kept")
        assert rest[:20].max() <= 8 < 30 < rest[30:].max()
        # Undone step by step and redone: the same pictures.
        for _ in range(2):
            await viewer.send(t="cuts", viewport="v", do="undo")
            await viewer.text("cuts")
        assert np.array_equal(await refined(viewer, series=series, generation=4, cuts="kept"), half)
        for undone in (1, 0):
            await viewer.send(t="cuts", viewport="v", do="redo")
            assert (await viewer.text("cuts"))["undone"] == undone
        assert np.array_equal(await refined(viewer, series=series, generation=5, cuts="kept"), rest)
        # Another viewport has its own; without "kept" nothing is cut.
        assert np.array_equal(await refined(viewer, series=series, generation=6), whole)
        await viewer.send(t="cuts", viewport="v", do="clear")
        assert await viewer.text("cuts") == {"t": "cuts", "viewport": "v", "cuts": 0, "undone": 0}
        assert np.array_equal(await refined(viewer, series=series, generation=7, cuts="kept"), whole)


async def test_rule_27_errors_change_nothing(house: House) -> None:
    async with viewing(house) as (viewer, series):
        await viewer.send(t="cuts", viewport="v", do="add", cuts=[LEFT])
        await viewer.text("cuts")
        for wrong, code in (
            ({"do": "add", "cuts": [EVERYTHING, {"kind": "star"}]}, "render.invalid_view"),
            ({"do": "add", "cuts": [{"kind": "box", "low": [0, 0]}]}, "render.invalid_view"),
            ({"do": "add", "cuts": [3]}, "render.invalid_view"),
            ({"do": "add", "cuts": []}, "http.bad_request"),
            ({"do": "add"}, "http.bad_request"),
            ({"do": "sharpen"}, "http.bad_request"),
        ):
            await viewer.send(t="cuts", viewport="v", **wrong)
            error = await viewer.text("error")
            assert (error["code"], error["of"], error["viewport"]) == (code, "cuts", "v"), wrong
        await viewer.send(t="cuts", viewport="v", do="redo")
        assert await viewer.text("cuts") == {"t": "cuts", "viewport": "v", "cuts": 1, "undone": 0}
        assert (await refined(viewer, series=series, generation=1, cuts="kept"))[:, 36:].max() <= 8


async def test_rule_25_slices_within_the_volume(house: House) -> None:
    nothing = [[5000, 0.0, [0, 0, 0]], [6000, 1.0, [255, 255, 255]]]
    async with viewing(house) as (viewer, series):
        camera = {"position": [200, -260, 150], "focal_point": [7.75, 7.75, 13.75], "view_up": [0, 0, 1]}
        wish = {"series": series, "transfer": nothing, "camera": {**camera, "parallel_scale_mm": 20}}
        await viewer.send(**{**VIEW, **wish, "generation": 1, "answer": "refined"})
        assert np.asarray(Image.open(io.BytesIO((await viewer.picture())[1]))).max() <= 2
        await viewer.send(**{**VIEW, **wish, "generation": 2, "answer": "refined", "slices": True})
        three = np.asarray(Image.open(io.BytesIO((await viewer.picture())[1])), int)
        assert (three.max(axis=2) > 20).sum() > 150 and np.ptp(three, axis=2).max() <= 12  # gray
        one = {
            "center_mm": [7.75, 7.75, 3],
            "normals": [[0, 0, 1]],
            "voi": "window",
            "window_center": 0,
            "window_width": 900,
        }
        await viewer.send(**{**VIEW, **wish, "generation": 3, "answer": "refined", "slices": one})
        axial = np.asarray(Image.open(io.BytesIO((await viewer.picture())[1])), int)
        assert 20 < (axial.max(axis=2) > 20).sum() < (three.max(axis=2) > 20).sum()
        for wrong, code in (
            ({"slices": 3}, "http.bad_request"),
            ({"slices": {"normals": []}}, "render.invalid_view"),
            ({"slices": {"normals": [[0, 0, 0]]}}, "render.invalid_view"),
            ({"slices": {"center_mm": [1]}}, "render.invalid_view"),
            ({"slices": {"voi": "window"}}, "render.invalid_view"),
            ({"slices": True, "transfer": "mip"}, "render.invalid_view"),
            ({"cuts": "mine"}, "http.bad_request"),
        ):
            await viewer.send(**{**VIEW, **wish, "generation": 9, **wrong})
            assert (await viewer.text("error"))["code"] == code, wrong


async def test_rule_28_pick(house: House) -> None:
    solid = [[-1100, 0.0, [0, 0, 0]], [-1000, 1.0, [200, 100, 50]], [3000, 1.0, [255, 255, 255]]]
    async with viewing(house) as (viewer, series):
        wish = {**VIEW, "t": "pick", "series": series, "transfer": solid, "camera": "A"}
        await viewer.send(**wish, generation=4, column=31.5, row=23.5)
        answer = await viewer.text("picked")
        assert (answer["viewport"], answer["generation"]) == ("v", 4)
        # The front of the middle: the volume begins at y = 0.
        assert answer["place"] == pytest.approx([7.75, 0, 13.75], abs=0.6)
        await viewer.send(**wish, generation=5, column=0, row=0)
        assert (await viewer.text("picked"))["place"] is None
        # What is cut away is not met: the rest begins behind it.
        await viewer.send(
            t="cuts", viewport="v", do="add", cuts=[{"kind": "plane", "point": [0, 6, 0], "normal": [0, -1, 0]}]
        )
        await viewer.text("cuts")
        await viewer.send(**wish, generation=6, column=31.5, row=23.5, cuts="kept")
        assert (await viewer.text("picked"))["place"][1] == pytest.approx(6, abs=0.8)
        for wrong, code in (
            ({"column": "left"}, "http.bad_request"),
            ({"column": None}, "http.bad_request"),
            ({"transfer": "mip"}, "render.invalid_view"),
            ({"series": 1 << 40}, "viewing.not_found"),
        ):
            await viewer.send(**{**wish, "generation": 7, "column": 1, "row": 1, **wrong})
            error = await viewer.text("error")
            assert (error["code"], error["of"]) == (code, "pick"), wrong


# The value ------------------------------------------------------------------------------------------------------


async def test_cuts_survive_the_way_to_fields_and_back() -> None:
    camera = Camera((0, -100, 0), (0, 0, 0), (0, 0, 1), 50.0)
    for cut in (
        BoxCut((0, 0, 0), (1, 2, 3), "outside"),
        PlaneCut((0, 1, 0), (0, 0, 2)),
        BrushCut(((1, 2, 3), (4, 5, 6)), 7.0),
        CurveCut(camera, 30, 20, ((0, 0), (5, 5), (0, 9)), "outside"),
    ):
        assert parse_cut(cut_fields(cut)) == cut


async def test_a_history_is_bounded() -> None:
    history = CutHistory()
    full = changed(history, {"do": "add", "cuts": [LEFT] * MOST_CUTS})
    with pytest.raises(InvalidViewError):
        changed(full, {"do": "add", "cuts": [LEFT]})
    stroke = {"kind": "brush", "centers": [[0, 0, 0]] * 2000, "radius_mm": 1}
    many = changed(history, {"do": "add", "cuts": [stroke] * (MOST_POINTS // 2000)})
    with pytest.raises(InvalidViewError):
        changed(many, {"do": "add", "cuts": [LEFT]})
    with pytest.raises(BadRequestError):
        changed(history, {"do": None})
    assert with_kept_cuts({"cuts": [LEFT]}, full) == {"cuts": [LEFT]}
    assert len(with_kept_cuts({"cuts": "kept"}, full)["cuts"]) == MOST_CUTS
