"""Rules 23 to 25 of docs/stream-protocol.md: planes, slabs and volume renderings over the stream."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.errors import BadRequestError
from app.viewing.slab_views import parse_slab
from app.viewing.volume_views import check_volume_view, is_volume_view
from render.errors import InvalidViewError
from render.request import JPEG, PLANES, WEBP
from tests.support.house import House, Viewer
from tests.support.series import ct_series

pytestmark = pytest.mark.asyncio(loop_scope="module")
COUNT, SIDE = 26, 32
SLAB: dict[str, Any] = {"viewport": "m", "kind": "slab", "width": 64, "height": 64}


@asynccontextmanager
async def viewing(house: House, cookie: str, study: int) -> AsyncIterator[Viewer]:
    """A viewer that has opened the study."""
    async with house.dial(cookie) as socket:
        viewer = Viewer(socket)
        await viewer.hello()
        await viewer.open(study)
        yield viewer


async def refined(viewer: Viewer) -> tuple[dict[str, Any], bytes]:
    """The next refined picture."""
    while True:
        header, data = await viewer.picture()
        if header["quality"] == "refined":
            return header, data


async def test_rule_23_planes_and_slabs(house: House) -> None:
    study, series = await house.store(*reversed(ct_series(COUNT, SIDE)))
    async with viewing(house, await house.staff(), study) as viewer:
        await viewer.send(t="view", series=series, generation=1, **SLAB, plane="coronal")
        header, data = await refined(viewer)
        assert (header["kind"], header["stack"], header["stacks"], header["generation"]) == ("slab", 0, 1, 1)
        assert header["center_mm"] == pytest.approx([7.75, 7.75, (COUNT - 1) * 2.5 / 2])
        assert (header["row_direction"], header["column_direction"]) == ([1, 0, 0], [0, 0, -1])
        assert header["pixel_spacing_mm"] == pytest.approx(COUNT * 2.5 / 64)
        assert (header["thickness_mm"], header["samples"], header["complete"]) == (0, 1, 100)
        assert header["report"]["missing"] == 0 and header["report"]["resampled"] == []
        coronal = np.asarray(Image.open(io.BytesIO(data)))
        assert coronal.shape[:2] == (64, 64) and coronal.std() > 10
        # Through everything, the largest values: nowhere darker than a plane.
        await viewer.send(
            t="view", series=series, generation=2, **SLAB, plane="coronal", thickness_mm=1000, projection="maximum"
        )
        header, data = await refined(viewer)
        assert header["samples"] == SIDE and header["thickness_mm"] == pytest.approx((SIDE - 1) * 0.5)
        assert np.asarray(Image.open(io.BytesIO(data)), int).mean() > coronal.mean() + 5
        # Frames and slabs of one series go beside each other.
        await viewer.view(series, 3, 4)
        header, _ = await refined(viewer)
        assert "kind" not in header and header["frame"] == 4
        entries = await house.services.database.fetch(
            house.institution, "select action, quality from audit.entry where study_key = $1 order by entry_id", study
        )
        told = [(row["action"], row["quality"]) for row in entries]
        assert told == [("study.open", ""), ("series.view", "preview"), ("series.view", "refined")]


async def test_rule_23_errors_harm_no_other_view(house: House) -> None:
    study, series = await house.store(*ct_series(3, SIDE))
    scout, alone = await house.store(*ct_series(2, SIDE, ImagePositionPatient=[0, 0, 0]))
    async with viewing(house, await house.staff(), study) as viewer:
        await viewer.open(scout)
        for wrong, code in (
            ({"kind": "surface"}, "http.bad_request"),
            ({"plane": "oblique"}, "http.bad_request"),
            ({"center_mm": [0, 0]}, "http.bad_request"),
            ({"thickness_mm": "much"}, "http.bad_request"),
            ({"row_direction": [0, 0, 0]}, "render.invalid_view"),
            ({"stack": 5}, "volume.wrong_stack"),
            ({"series": alone}, "volume.wrong_stack"),
        ):
            await viewer.send(**{"t": "view", "series": series, "generation": 7, **SLAB, **wrong})
            error = await viewer.text("error")
            assert (error["code"], error["viewport"], error["generation"]) == (code, "m", 7), wrong
        assert error["data"]["what"] == "one place"
        await viewer.send(t="view", series=series, generation=8, **SLAB)
        assert (await refined(viewer))[0]["generation"] == 8


async def test_rule_23_latest_wins(house: House) -> None:
    study, series = await house.store(*ct_series(COUNT, SIDE))
    async with viewing(house, await house.staff(), study) as viewer:
        last = 60
        for generation in range(1, last + 1):
            center = [7.75, 7.75, generation]
            await viewer.send(t="view", series=series, generation=generation, **SLAB, center_mm=center)
        header, _ = await refined(viewer)
        assert header["generation"] == last and header["center_mm"] == [7.75, 7.75, last]
        generations = [picture["generation"] for picture, _ in viewer.pictures]
        assert generations == sorted(generations) and len(generations) < last


async def test_rule_23_of_a_share(house: House) -> None:
    study, series = await house.store(*ct_series(COUNT, SIDE))
    _, other_series = await house.store(*ct_series(3, SIDE))
    cookie, _ = await house.share(study)
    async with viewing(house, cookie, study) as viewer:
        await viewer.send(t="view", series=other_series, generation=1, **SLAB)
        assert (await viewer.text("error"))["code"] == "viewing.not_found"
        await viewer.send(t="view", series=series, generation=2, **SLAB, answer="preview")
        header, _ = await viewer.picture()
        assert (header["quality"], header["generation"]) == ("preview", 2)


async def test_rule_24_incomplete_volumes(house: House) -> None:
    study, series = await house.store(*ct_series(COUNT, SIDE, frames={9: b"no picture"}))
    async with viewing(house, await house.staff(), study) as viewer:
        await viewer.send(t="view", series=series, generation=1, **SLAB)
        header, _ = await viewer.picture()
        assert header["quality"] == "preview" and header["complete"] < 100
        header, _ = await refined(viewer)
        assert header["complete"] == 100 * (COUNT - 1) // COUNT
        assert header["report"]["missing_mm"] == [9 * 2.5]


async def test_rule_25_volume_renderings(house: House) -> None:
    study, series = await house.store(*ct_series(COUNT, SIDE))
    points = [[-1024, 0.0, [0, 0, 0]], [0, 0.05, [200, 100, 50]], [1500, 0.9, [255, 255, 255]]]
    wish: dict[str, Any] = {"t": "view", "series": series, "viewport": "v", "kind": "volume", "width": 64, "height": 48}
    async with viewing(house, await house.staff(), study) as viewer:
        await viewer.send(**wish, generation=1, transfer=points)
        header, data = await refined(viewer)
        front = np.asarray(Image.open(io.BytesIO(data)), int)
        assert front.shape == (48, 64, 3) and front.std() > 10
        assert (header["kind"], header["complete"], header["stacks"], header["transfer"]) == (
            "volume",
            100,
            1,
            "custom",
        )
        camera = header["camera"]
        assert camera["focal_point"] == pytest.approx([7.75, 7.75, (COUNT - 1) * 2.5 / 2])
        assert camera["position"][1] < 0 and camera["view_up"] == [0, 0, 1]
        preview = next(picture for picture, _ in viewer.pictures if picture["quality"] == "preview")
        assert (preview["width"], preview["height"]) == (32, 24)
        # The camera that came back makes the same picture; a cut of everything an empty one.
        await viewer.send(**wish, generation=2, transfer=points, camera=camera)
        assert np.abs(np.asarray(Image.open(io.BytesIO((await refined(viewer))[1])), int) - front).max() <= 2
        everything = {"kind": "box", "low": [-999, -999, -999], "high": [999, 999, 999]}
        await viewer.send(**wish, generation=3, transfer=points, cuts=[everything])
        assert np.asarray(Image.open(io.BytesIO((await refined(viewer))[1]))).max() <= 2
        for wrong, code in (
            ({"camera": "Q"}, "render.invalid_view"),
            ({"camera": {"position": [0, 0]}}, "render.invalid_view"),
            ({"camera": 3}, "http.bad_request"),
            ({"transfer": "nothing"}, "render.invalid_view"),
            ({"transfer": [[1, 2]]}, "render.invalid_view"),
            ({"cuts": [{"kind": "star"}]}, "render.invalid_view"),
            ({"cuts": [7]}, "render.invalid_view"),
            ({"clip_box": [1]}, "render.invalid_view"),
            ({"transfer": "mip", "cuts": [everything]}, "render.invalid_view"),
        ):
            await viewer.send(**{**wish, "generation": 9, **wrong})
            assert (await viewer.text("error"))["code"] == code, wrong


# Fields ---------------------------------------------------------------------------------------------------------


async def test_fields_become_a_view() -> None:
    fields = {
        "kind": "slab",
        "width": 10,
        "height": 20,
        "row_direction": [0, 1, 0],
        "column_direction": [0, 0, -1],
        "center_mm": [1, 2.5, -3],
        "pixel_spacing_mm": 0.5,
        "thickness_mm": 20,
        "projection": "minimum",
        "interpolation": "cubic",
        "voi": "window",
        "window_center": 40,
        "window_width": 400,
        "invert": True,
    }
    view = parse_slab(fields, quality="refined", webp=True)
    assert (view.row_direction, view.center_mm, view.kind) == ((0, 1, 0), (1, 2.5, -3), "minimum")
    assert (view.interpolation, view.voi, view.window_width, view.invert) == ("cubic", "window", 400, True)
    assert view.media_type == WEBP
    plain = parse_slab({"width": 8, "height": 8, "plane": "sagittal"}, quality="preview", webp=True)
    assert (plain.row_direction, plain.column_direction) == PLANES["sagittal"]
    assert plain.media_type == JPEG and plain.center_mm is None and plain.pixel_spacing_mm is None
    assert is_volume_view(fields) and not is_volume_view({}) and not is_volume_view({"kind": "stack"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": None},
        {"width": "10"},
        {"width": True},
        {"height": 0},
        {"height": 70_000},
        {"stack": -1},
        {"stack": "0"},
        {"pixel_spacing_mm": True},
        {"pixel_spacing_mm": 1e300},
        {"center_mm": ["0", 0, 0]},
        {"center_mm": {"x": 0}},
        {"row_direction": [1, 0, 0, 0]},
        {"projection": ["mean"]},
        {"voi": "window"},
    ],
)
async def test_wrong_fields_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((BadRequestError, InvalidViewError)):
        check_volume_view({"kind": "slab", "width": 8, "height": 8, **wrong})
