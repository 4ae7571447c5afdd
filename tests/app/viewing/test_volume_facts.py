"""Rules 29 to 31 of docs/stream-protocol.md: the spread of values, stacks and phases, a second volume in a rendering."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import generate_uid

from render.transfer import preset
from tests.support.house import House, Viewer
from tests.support.phases import LATER_S, phased_series
from tests.support.series import ct_series, values_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
COUNT, SIDE = 8, 32
SOLID = [[-1100, 0.0, [0, 0, 0]], [-1000, 1.0, [200, 200, 200]], [3000, 1.0, [255, 255, 255]]]
RAMP = [[-1024, 0.0, [0, 0, 0]], [2000, 1.0, [255, 255, 255]]]
CLEAR = [[-1100, 0.0, [0, 0, 0]], [3000, 0.0, [255, 255, 255]]]


@asynccontextmanager
async def viewing(house: House, *studies: int, cookie: str = "") -> AsyncIterator[Viewer]:
    async with house.dial(cookie or await house.staff()) as socket:
        viewer = Viewer(socket)
        await viewer.hello()
        for study in studies:
            await viewer.open(study)
        yield viewer


def pixels(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), int)


async def refined(viewer: Viewer) -> tuple[dict[str, Any], Any]:
    while True:
        header, data = await viewer.picture()
        if header["quality"] == "refined":
            return header, pixels(data)


async def audited(house: House, study: int, quality: str) -> list[int]:
    rows = await house.services.database.fetch(
        house.institution,
        "select series_key from audit.entry where study_key = $1 and quality = $2 order by entry_id",
        study,
        quality,
    )
    return [row["series_key"] for row in rows]


async def test_rule_29_the_spread_of_values(house: House) -> None:
    study, series = await house.store(*ct_series(COUNT, SIDE, RescaleType="HU"))
    async with viewing(house, study) as viewer:
        await viewer.send(t="histogram", series=series)
        told = await viewer.text("histogram")
        assert (told["series"], told["stack"], told["stacks"], told["complete"]) == (series, 0, 1, 100)
        assert told["unit"] == "HU" and 100 < len(told["counts"]) <= 256
        values = np.stack([values_of(index, SIDE) for index in range(COUNT)]).astype(int) - 1024
        assert told["low"] >= values.min() - 1 and told["high"] <= values.max() + 12
        assert sum(told["counts"]) == pytest.approx((values > values.min()).sum(), rel=0.01)
        # The bin of a value that a quarter of a slice has.
        at = int((97 - 1024 - told["low"]) / (told["high"] - told["low"]) * len(told["counts"]))
        assert max(told["counts"][max(0, at - 1) : at + 2]) >= SIDE * SIDE / 4
        # Presets are told in the volume's own values: bone counts in HU, MR in shares of the range.
        bone = preset("bone").points
        assert told["presets"]["bone"] == [[p.value, p.opacity, [*p.colour]] for p in bone]
        shares = [point[0] for point in told["presets"]["mr"]]
        assert shares == sorted(shares) and values.min() <= shares[0] < shares[-1] <= values.max()
        assert await audited(house, study, "histogram") == [series]
        for wrong, code in (
            ({"series": 1 << 40}, "viewing.not_found"),
            ({"stack": 5}, "volume.wrong_stack"),
            ({"stack": "0"}, "http.bad_request"),
        ):
            await viewer.send(**{"t": "histogram", "series": series, **wrong})
            error = await viewer.text("error")
            assert (error["code"], error["of"]) == (code, "histogram"), wrong


async def test_rule_30_stacks_and_phases(house: House) -> None:
    study, series = await house.store(*phased_series(COUNT, SIDE, AcquisitionDate="20240229"))
    async with viewing(house, study) as viewer:
        await viewer.send(t="stacks", series=series)
        told = await viewer.text("stacks")
        first, second = told["stacks"]
        assert (told["series"], told["count"]) == (series, 2)
        assert (first["slices"], first["size"]) == (COUNT, [SIDE, SIDE, COUNT])
        assert first["spacing_mm"] == [0.5, 0.5, 2.5]
        edge = (SIDE - 1) * 0.5
        assert first["bounds_mm"] == [[0, 0, 0], [edge, edge, (COUNT - 1) * 2.5]] == second["bounds_mm"]
        assert (first["time_s"], second["time_s"]) == (0, LATER_S)
        assert (first["acquisition_number"], second["acquisition_number"]) == (1, 2)
        assert first["normal"] == [0, 0, 1]
        # Each is shown by its number: plane, rendering, spread of values.
        for kind, more in (("slab", {"plane": "axial"}), ("volume", {"transfer": RAMP})):
            seen: list[Any] = []
            for stack in (0, 1):
                wish = {"series": series, "viewport": "p", "kind": kind, "width": 64, "height": 64, "stack": stack}
                await viewer.send(t="view", generation=stack + len(kind) * 10, answer="refined", **wish, **more)
                header, picture = await refined(viewer)
                assert (header["stack"], header["stacks"]) == (stack, 2)
                seen.append(picture)
            assert (seen[1] - seen[0]).max() > 20, kind
        spread: list[float] = []
        for stack in (0, 1):
            await viewer.send(t="histogram", series=series, stack=stack)
            spread.append((await viewer.text("histogram"))["high"])
        assert spread[1] > spread[0] + 300
        await viewer.send(t="stacks", series=1 << 40)
        assert (await viewer.text("error"))["code"] == "viewing.not_found"
    # Without times none is told; a share that hides identity hears no date in either case.
    study, series = await house.store(*phased_series(COUNT, SIDE, AcquisitionTime="noon"))
    link, _ = await house.share(study)
    async with viewing(house, study, cookie=link) as viewer:
        await viewer.send(t="stacks", series=series)
        told = await viewer.text("stacks")
        assert [stack["time_s"] for stack in told["stacks"]] == [None, None]
        assert "20240229" not in str(told)


async def test_rule_31_a_second_volume_in_a_rendering(house: House) -> None:
    study_uid, frame = str(generate_uid()), str(generate_uid())
    shared: dict[str, Any] = {"StudyInstanceUID": study_uid, "FrameOfReferenceUID": frame}
    pet: dict[str, Any] = {**shared, "Modality": "PT", "RescaleIntercept": 0, "RescaleType": "BQML"}
    study, ct = await house.store(*ct_series(COUNT, SIDE, **shared))
    _, pt = await house.store(*ct_series(COUNT, SIDE, **pet))
    pet["FrameOfReferenceUID"] = generate_uid()
    _, elsewhere = await house.store(*ct_series(COUNT, SIDE, **pet))
    look = {"overlay_voi": "window", "overlay_window_center": 1000, "overlay_window_width": 2000, "opacity": 1}
    wish: dict[str, Any] = {"t": "view", "viewport": "v", "kind": "volume", "width": 64, "height": 64, "series": ct}
    async with viewing(house, study) as viewer:
        await viewer.send(**wish, generation=1, transfer=CLEAR)
        assert (await refined(viewer))[1].max() <= 2
        await viewer.send(**wish, generation=2, transfer=CLEAR, overlay=pt, **look, colour_map="hot")
        header, hot = await refined(viewer)
        told = header["overlay"]
        assert (header["kind"], header["complete"], told["series"], told["stack"]) == ("volume", 100, pt, 0)
        assert (told["window_center"], told["window_width"], told["unit"]) == (1000, 2000, "BQML")
        assert (told["colour_map"], told["opacity"], told["voi"]) == ("hot", 1, "window")
        assert hot.max() > 60 and (hot[..., 0] - hot[..., 2]).max() > 50
        await viewer.send(**wish, generation=3, transfer=CLEAR, overlay=pt, **look, colour_map="cool")
        cool = (await refined(viewer))[1]
        assert (cool[..., 2] - cool[..., 0]).max() > 50
        # Behind what is opaque nothing of it is seen.
        await viewer.send(**wish, generation=4, transfer=SOLID)
        plain = (await refined(viewer))[1]
        await viewer.send(**wish, generation=5, transfer=SOLID, overlay=pt, **{**look, "opacity": 0})
        assert np.abs((await refined(viewer))[1] - plain).mean() < 1
        # It is met by a pick where the first volume lets the light through.
        await viewer.send(**{**wish, "t": "pick"}, generation=6, column=32, row=32, transfer=CLEAR)
        assert (await viewer.text("picked"))["place"] is None
        pick = {**wish, "t": "pick", "transfer": CLEAR, "overlay": pt, **look}
        await viewer.send(**pick, generation=7, column=20, row=40)
        assert (await viewer.text("picked"))["place"] is not None
        assert sorted(await audited(house, study, "refined")) == sorted([ct, pt])
        assert sorted(await audited(house, study, "pick")) == sorted([ct, pt])
        for wrong, code in (
            ({"overlay": elsewhere}, "volume.other_frame_of_reference"),
            ({"overlay": 1 << 40}, "viewing.not_found"),
            ({"overlay_stack": 3}, "volume.wrong_stack"),
            ({"colour_map": "none"}, "render.invalid_view"),
            ({"opacity": 2}, "render.invalid_view"),
            ({"opacity": "much"}, "http.bad_request"),
            ({"overlay_voi": "window"}, "render.invalid_view"),
            ({"overlay": ct}, "render.invalid_view"),
            ({"transfer": "mip"}, "render.invalid_view"),
        ):
            await viewer.send(**{**wish, "overlay": pt, "generation": 9, **wrong})
            assert (await viewer.text("error"))["code"] == code, wrong


async def test_rule_25_points_of_ones_own(house: House) -> None:
    """Lit like a preset; what is no transfer function has a stable code."""
    study, series = await house.store(*ct_series(COUNT, SIDE))
    wish: dict[str, Any] = {"t": "view", "viewport": "v", "kind": "volume", "width": 64, "height": 64, "series": series}
    bone = [[p.value, p.opacity, [*p.colour]] for p in preset("bone").points]
    async with viewing(house, study) as viewer:
        await viewer.send(**wish, generation=1, transfer="bone")
        as_preset = (await refined(viewer))[1]
        await viewer.send(**wish, generation=2, transfer={"points": bone, "light": "bone"})
        header, own = await refined(viewer)
        assert header["transfer"] == "custom" and (own == as_preset).all()
        await viewer.send(**wish, generation=3, transfer={"points": bone, "light": "pet_hot"})
        assert ((await refined(viewer))[1] != as_preset).any()
        for points in (
            [bone[1], bone[0]],
            bone[:1],
            [],
            [*bone, [1e300, 0, [0, 0, 0]]],
            [[0, 0, [0, 0, 0]], [1, 2, [0, 0, 0]]],
            [[0, 0, [0, 0, 0]], [1, 1, [0, 0, 256]]],
            [[0, 0, [0, 0, 0]], [1, 1, "red"]],
            [[n, 0.5, [0, 0, 0]] for n in range(65)],
            [[0, 0, [0, 0, 0]], [None, 1, [0, 0, 0]]],
        ):
            for transfer in (points, {"points": points, "light": "bone"}):
                await viewer.send(**wish, generation=9, transfer=transfer)
                assert (await viewer.text("error"))["code"] == "render.invalid_view", points
        for transfer in ({"light": "bone"}, {"points": bone, "light": "nobody"}, {"points": bone, "light": 7}):
            await viewer.send(**wish, generation=9, transfer=transfer)
            assert (await viewer.text("error"))["code"] == "render.invalid_view", transfer
