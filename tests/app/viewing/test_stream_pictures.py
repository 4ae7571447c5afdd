"""The stream, rules 20 to 22: what is answered, tiles, the measured way."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from PIL import Image

from app.viewing import flow
from tests.support.house import House, Viewer
from tests.support.series import ct_series

pytestmark = pytest.mark.asyncio(loop_scope="module")
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "stream-protocol.md"


@asynccontextmanager
async def viewing(house: House, cookie: str, **hello: Any) -> AsyncIterator[Viewer]:
    """A viewer that has said hello."""
    async with house.dial(cookie) as socket:
        viewer = Viewer(socket)
        await viewer.hello(**hello)
        yield viewer


async def test_rule_20_one_of_the_two(house: House) -> None:
    study, series = await house.store(*ct_series(3))
    async with viewing(house, await house.staff()) as viewer:
        await viewer.open(study)
        await viewer.view(series, 1, answer="refined")
        assert (await viewer.picture())[0]["quality"] == "refined"
        await viewer.view(series, 2, frame=1, answer="preview")
        # Another viewport's two pictures take its stillness: time in which the first would have been refined.
        await viewer.view(series, 3, frame=2, viewport="b")
        seen = [(await viewer.picture())[0] for _ in range(3)]
        assert {(p["generation"], p["quality"]) for p in seen} == {(2, "preview"), (3, "preview"), (3, "refined")}
        await viewer.view(series, 4, answer="all")
        assert (await viewer.text("error"))["code"] == "http.bad_request"


def big_image(rows: int = 1100, columns: int = 1600) -> list[bytes]:
    """One image that is large enough for tiles."""
    values = np.add.outer(np.arange(rows), np.arange(columns)).astype(np.uint16)
    return ct_series(1, Rows=rows, Columns=columns, PixelData=values.tobytes(), WindowCenter=326, WindowWidth=2700)


async def test_rule_21_tiles(house: House) -> None:
    study, series = await house.store(*big_image())
    async with viewing(house, await house.staff()) as viewer:
        await viewer.open(study)
        wish: dict[str, Any] = {"t": "tiles", "viewport": "t", "series": series, "frame": 0, "size": 512}
        order = [[1, 1], [0, 0], [3, 2], [2, 0]]
        await viewer.send(**wish, generation=1, level=0, tiles=order)
        found = {tuple(h["tile"]): (h, d) for h, d in [await viewer.picture() for _ in order]}
        assert set(found) == {(1, 1), (0, 0), (3, 2), (2, 0)}
        header, data = found[(1, 1)]
        assert (header["quality"], header["level"], header["size"]) == ("tile", 0, 512)
        assert header["source_rect"] == [512, 512, 512, 512]
        seen = np.asarray(Image.open(io.BytesIO(data)), np.float64)
        ramp = np.add.outer(np.arange(512, 1024), np.arange(512, 1024)) * (255 / 2699)
        assert np.abs(seen - ramp).mean() < 2
        assert found[(3, 2)][0]["source_rect"] == [1536, 1024, 64, 76]
        assert Image.open(io.BytesIO(found[(3, 2)][1])).size == (64, 76)
        # A level shows more image on as many pixels; a window is of the tile's picture.
        await viewer.send(
            **wish, generation=2, level=1, tiles=[[0, 0]], voi="window", window_center=100, window_width=50
        )
        header, data = await viewer.picture()
        assert header["source_rect"] == [0, 0, 1024, 1024]
        assert (header["window_center"], header["window_width"]) == (100, 50)
        assert Image.open(io.BytesIO(data)).size == (512, 512)
        # An empty list asks for nothing; a wrong one is told once, and the tiles behind it are dropped.
        await viewer.send(**wish, generation=3, level=0, tiles=[])
        await viewer.send(**wish, generation=4, level=0, tiles=[[40, 40], [0, 0], [0, 1], [1, 0], [1, 1], [2, 2]])
        error = await viewer.text("error")
        assert (error["of"], error["generation"], error["code"]) == ("tiles", 4, "render.invalid_view")
        for bad in ({"level": 0, "tiles": [[0]]}, {"level": -1, "tiles": []}, {"level": 0, "tiles": [[0, 0]] * 129}):
            await viewer.send(**wish, generation=5, **bad)
            while (error := await viewer.text("error"))["generation"] != 5:
                pass
            assert error["code"] == "http.bad_request"


async def test_rule_21_the_newest_list_wins_and_nothing_is_sent_twice(house: House) -> None:
    study, series = await house.store(*big_image(2048, 2048))
    async with viewing(house, await house.staff()) as viewer:
        await viewer.open(study)
        viewer.acknowledges = False
        wish: dict[str, Any] = {"t": "tiles", "viewport": "t", "series": series, "frame": 0, "size": 256, "level": 0}
        everything = [[column, row] for row in range(8) for column in range(8)]
        await viewer.send(**wish, generation=1, tiles=everything)
        first = [await viewer.picture()]
        while True:  # what the first window holds
            try:
                message = await viewer.next(0.5)
            except TimeoutError:
                break
            assert isinstance(message, tuple)
            first.append(message)
        assert 0 < len(first) < 64
        near = everything[: len(first) + flow.TILES_AT_ONCE]  # those made together may change places
        assert all(h["tile"] in near for h, _ in first)
        # They are under way as far as the server knows: asked for again they are not sent again.
        viewer.acknowledges = True
        under_way = [h["tile"] for h, _ in first]
        last = [[7, 7], [6, 7]]
        await viewer.send(**wish, generation=2, tiles=[*under_way, *last])
        await viewer.send(t="credit", bytes=sum(len(d) + 4 + len(orjson.dumps(h)) for h, d in first))
        got = [(await viewer.picture())[0] for _ in last]
        assert sorted(h["tile"] for h in got) == sorted(last)
        assert {h["generation"] for h in got} == {2}
        # Acknowledged and asked for again (the page dropped it): sent again.
        await viewer.send(**wish, generation=3, tiles=[under_way[0]])
        assert (await viewer.picture())[0]["tile"] == under_way[0]


async def test_rule_22_the_way_is_measured(house: House) -> None:
    noise = np.random.default_rng(1).integers(800, 2400, (512, 512), np.uint16)
    study, series = await house.store(*ct_series(6, 512, PixelData=noise.tobytes()))
    async with viewing(house, await house.staff()) as viewer:
        await viewer.open(study)
        await viewer.send(t="ping", at=1)
        way = (await viewer.text("pong"))["way"]
        assert (way["round_trip_ms"], way["bytes_per_s"], way["window"]) == (None, None, 14_000)
        await viewer.send(t="ping", at=2, rtt_ms=5)
        assert (await viewer.text("pong"))["way"]["round_trip_ms"] == 5
        viewer.acknowledges = False
        sizes: list[tuple[int, int]] = []
        for generation in range(1, 12):
            await viewer.view(series, generation, frame=generation % 6, width=512, height=512)
            received = 0
            while True:
                header, data = await viewer.picture()
                received += len(data) + 4 + len(orjson.dumps(header))
                if (header["generation"], header["quality"]) == (generation, "preview"):
                    break
            sizes.append((len(data), header["width"]))
            await asyncio.sleep(0.1)  # the slow way of this client: every picture comes late
            await viewer.send(t="credit", bytes=received)
        assert sizes[-1][0] < sizes[0][0]
        assert sizes[-1][1] < 512
        await viewer.send(t="ping", at=3)
        way = (await viewer.text("pong"))["way"]
        assert way["preview_bytes"] < 10_000
        assert way["bytes_per_s"] < 1_000_000
