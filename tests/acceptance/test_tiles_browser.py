"""Large images in a real Chromium: at 1:1 the phone fetches the visible tiles and one ring around them, no more."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocket

from app.demo.radiographs import phantom_dx
from app.demo.studies import demo_studies
from dicomnet.dimse.scu import send
from tests.support.browser import device, line, settled, touch
from tests.support.server import Server, wait_until
from tools.screenshots import chromium_path

pytestmark = pytest.mark.skipif(chromium_path() is None, reason="no chromium (apt install chromium)")
SIDE = 2048


@dataclass
class Wire:
    """What went over the page's WebSocket: lists of tiles that were asked for, headers and bytes of those that came."""

    asked: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    tiles: list[tuple[dict[str, Any], int]] = field(default_factory=list[tuple[dict[str, Any], int]])
    views: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def watch(self, socket: WebSocket) -> None:
        socket.on("framesent", self._sent)
        socket.on("framereceived", self._received)

    def _sent(self, payload: str | bytes) -> None:
        message = json.loads(payload)
        if message["t"] == "tiles":
            self.asked.append(message)
        if message["t"] == "view":
            self.views.append(message)

    def _received(self, payload: str | bytes) -> None:
        if isinstance(payload, str):
            return
        (length,) = struct.unpack_from(">I", payload)
        header = json.loads(payload[4 : 4 + length])
        if header["quality"] == "tile":
            self.tiles.append((header, len(payload)))


@pytest.fixture(scope="module")
def film(server: Server) -> int:
    """The key of a DX study of 2,048 pixels a side."""
    dataset = phantom_dx(SIDE)
    demo = next(study for study in demo_studies(small=True) if study.title.startswith("DX"))
    address = server.dicom
    send(address.host, address.port, iter([dataset]), demo.contexts, called_ae_title=address.ae_title)
    with server.admin() as client:

        def arrived() -> int:
            rows = client.get("/api/studies", params={"modality": "DX"}).json()["studies"]
            return int(rows[0]["study_key"]) if rows else 0

        return wait_until(arrived, 30, "the film's arrival")


@pytest.fixture
def opened(server: Server, film: int) -> Iterator[tuple[Page, Wire]]:
    """A phone on which a share of the film is open."""
    with server.admin() as client:
        made = client.post(f"/api/studies/{film}/shares", json={"days": 1}).raise_for_status().json()
    with device("phone") as context:
        page = context.new_page()
        wire = Wire()
        page.on("websocket", wire.watch)
        page.route("**/values*.js", lambda route: route.abort())  # exact values would window without asking for tiles
        page.goto(server.http + "/s/" + made["url"].rsplit("/", 1)[1])
        page.fill("input[name=code]", made["code"])
        page.click("button")
        settled(page)
        yield page, wire


def heard(page: Page, condition: Callable[[], bool], what: str) -> None:
    """Waits for something that the wire tells: its events arrive only inside a call to the browser."""
    wait_until(lambda: page.evaluate("1") and condition(), 30, what)


@pytest.mark.req("2.8")
def test_only_visible_tiles_and_a_ring_are_fetched(opened: tuple[Page, Wire]) -> None:
    page, wire = opened
    assert not wire.asked  # at zoom 1 the image is one picture
    box = page.locator("#stage").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.click('[data-tool="zoom"]')
    touch(page, line((x - 15, y), (x - 120, y)), line((x + 15, y), (x + 120, y)))
    settled(page)
    last = wire.asked[-1]
    assert last["level"] == 0, "the phone's pixels are at least as many as the image's there"
    size = last["size"]
    ratio = page.evaluate("devicePixelRatio")
    zoom = page.evaluate("Number(/(\\d+) %/.exec(document.querySelector('.corner.br').textContent)[1]) / 100")
    shown = [
        box[axis] * ratio / (min(box["width"], box["height"]) * ratio * zoom / SIDE) for axis in ("width", "height")
    ]
    most = 1.0
    for length in shown:
        most *= min(SIDE // size, length // size + 2) + 2  # the tiles that it may touch, one more on either side
    page.wait_for_selector("canvas.tiles:not([hidden])", state="attached")

    def fetched() -> list[tuple[int, ...]]:
        return [tuple(header["tile"]) for header, _ in wire.tiles if header["level"] == 0]

    # A newer list replaces an older one: what must come is what the last one asks for.
    heard(page, lambda: {tuple(tile) for tile in wire.asked[-1]["tiles"]} <= set(fetched()), "the tiles")
    lists = [{tuple(tile) for tile in message["tiles"]} for message in wire.asked if message["level"] == 0]
    for tile, count in Counter(fetched()).items():
        assert count <= sum(tile in asked for asked in lists), "no tile came that was not asked for, none twice"
    assert 0 < len(lists[-1]) <= most
    assert sum(count for _, count in wire.tiles) < 60_000 * len(wire.tiles)
    # The picture beneath stays that of the whole image: zooming asked for no other view of it.
    assert {view["zoom"] for view in wire.views} == {1}
    before = len(wire.asked)
    page.click('[data-tool="window"]')
    page.wait_for_selector('[data-tool="window"][aria-pressed="true"]')
    touch(page, line((x, y), (x + 40, y - 30)))
    heard(page, lambda: len(wire.asked) > before, "tiles of the new window")
    settled(page)
    assert wire.asked[-1]["voi"] == "window"
