"""Planes and the rendering of a series in a real Chromium: what hands do, what goes over the wire, what is seen."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from app.delivery.page import client_files
from tests.support.browser import device, line, touch
from tests.support.series import ct_series
from tests.support.server import Server
from tests.support.volume_page import Wire, box_of, choose, drag, picture, rested, show, store_study
from tools.screenshots import chromium_path, log_in

pytestmark = pytest.mark.skipif(chromium_path() is None, reason="no chromium (apt install chromium)")
COUNT, SIDE = 24, 64
PLANES = ("axial", "coronal", "sagittal")


@pytest.fixture(scope="module")
def study(server: Server) -> int:
    if "volume.js" not in client_files():
        pytest.skip("the web client is not built (python -m tools.build_client)")
    files = ct_series(COUNT, SIDE, PatientID="VOLUME-PAGE", PatientName="VOLUME")
    return store_study(server, "VOLUME-PAGE", files)


@contextmanager
def opened(server: Server, study: int, kind: str, language: str = "zh-CN") -> Iterator[tuple[Page, Wire]]:
    """The page of planes as the study list opens it, and what it sends."""
    with device(kind, language) as context:
        log_in(context, server.http, server.username, server.password)
        page = context.new_page()
        wire = Wire(page)
        page.goto(f"{server.http}/viewer/{study}#volume")
        page.wait_for_selector("#volume .pane")
        page.wait_for_selector("#volume .pane[data-state]", state="attached")
        yield page, wire


def mm_of_css_px(page: Page, wire: Wire, kind: str) -> float:
    """Millimetres of a CSS px of a plane's picture, as it was asked for."""
    view = wire.last(kind)
    return view["pixel_spacing_mm"] * view["width"] / box_of(page, kind)[2]


def angle_between(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Radians between where two cameras stand, seen from what they look at."""
    ways = [[a - b for a, b in zip(camera["position"], camera["focal_point"], strict=True)] for camera in (one, other)]
    dot = sum(a * b for a, b in zip(*ways, strict=True))
    return math.acos(dot / math.hypot(*ways[0]) / math.hypot(*ways[1]))


@pytest.mark.parametrize("kind", ["phone", "desktop"])
def test_the_rendering_turns_under_the_hand(server: Server, study: int, kind: str) -> None:
    with opened(server, study, kind) as (page, wire):
        show(page, "三维")
        choose(page, "look", "mip")
        front = picture(page, "volume")
        before = wire.last("volume")
        assert before["transfer"] == "mip"
        x, y, width, height = box_of(page, "volume")
        if kind == "phone":
            touch(page, line((x - 45, y), (x + 45, y)))
        else:
            drag(page, "volume", 90, 0)
        expected = math.pi * 90 / min(width, height)

        def turned() -> bool:
            return abs(angle_between(before["camera"], wire.last("volume")["camera"]) - expected) < 0.02 * expected

        wire.until(turned, "a camera turned by as much as the hand went")
        assert picture(page, "volume") != front
        after = wire.last("volume")["camera"]
        assert after["position"][0] < before["camera"]["position"][0]  # the object follows: its right side comes
        assert after["parallel_scale_mm"] == pytest.approx(before["camera"]["parallel_scale_mm"])
        choose(page, "sides", "side-H")
        wire.until(lambda: wire.last("volume")["camera"]["view_up"] == [0, -1, 0], "the view from the head")


def test_the_crossing_point_links_the_planes(server: Server, study: int) -> None:
    with opened(server, study, "desktop") as (page, wire):
        rested(page, *PLANES, "volume")
        before = {kind: wire.last(kind)["center_mm"] for kind in PLANES}
        pictures = {kind: picture(page, kind) for kind in PLANES}
        lines = page.locator('[data-kind="axial"] .cross .sagittal .line').first
        at = float(lines.get_attribute("x1") or "nan")
        mm = mm_of_css_px(page, wire, "axial")
        # Held at the point where the lines cross, whatever the tool is.
        drag(page, "axial", 40, -30)
        wire.until(lambda: abs(wire.last("sagittal")["center_mm"][0] - before["sagittal"][0] - 40 * mm) < 0.1, "right")
        wire.until(lambda: abs(wire.last("coronal")["center_mm"][1] - before["coronal"][1] + 30 * mm) < 0.1, "front")
        rested(page, *PLANES)
        assert wire.last("axial")["center_mm"] == before["axial"]
        assert picture(page, "axial") == pictures["axial"]
        assert picture(page, "coronal") != pictures["coronal"]
        assert picture(page, "sagittal") != pictures["sagittal"]
        assert float(lines.get_attribute("x1") or "nan") - at == pytest.approx(40, abs=1)
        # A line's end turns the two other planes, still across each other; the picture it is on stays.
        choose(page, "cross")
        x, y, _, _ = box_of(page, "axial")
        end = page.locator('[data-kind="axial"] .cross .coronal circle').first
        handle = wire.until(end.bounding_box, "a line's end")
        start = (handle["x"] + handle["width"] / 2 - x, handle["y"] + handle["height"] / 2 - y)
        drag(page, "axial", 0, 40, start=start)
        wire.until(lambda: abs(wire.last("coronal")["row_direction"][1]) > 0.1, "a turned plane")
        coronal, sagittal = wire.last("coronal")["row_direction"], wire.last("sagittal")["row_direction"]
        assert sum(a * b for a, b in zip(coronal, sagittal, strict=True)) == pytest.approx(0, abs=1e-6)
        assert wire.last("axial")["row_direction"] == [1, 0, 0]
        choose(page, "cross", "straighten")
        wire.until(lambda: wire.last("coronal")["row_direction"] == [1, 0, 0], "straight planes")


def test_a_slab_a_window_and_layers_are_asked_for_and_taken_back(server: Server, study: int) -> None:
    with opened(server, study, "desktop") as (page, wire):
        thin = picture(page, "axial")
        choose(page, "slab", "slab-20", "minimum")
        wire.until(
            lambda: (wire.last("axial")["thickness_mm"], wire.last("axial")["projection"]) == (20, "minimum"), ""
        )
        assert picture(page, "axial") != thin
        facts = page.locator('[data-kind="axial"] .facts')
        expect(facts).to_contain_text("20 mm MinIP")
        choose(page, "window", "window-5")
        wire.until(lambda: wire.last("coronal").get("window_width") == 1500, "the window of lungs on every plane")
        expect(facts).to_contain_text("W1500 L-600")
        page.keyboard.press("Control+z")
        wire.until(lambda: "window_width" not in wire.last("coronal"), "the window before")
        page.keyboard.press("Control+z")
        page.keyboard.press("Control+z")
        wire.until(lambda: wire.last("axial")["thickness_mm"] == 0, "the plane before")
        depth = wire.last("axial")["center_mm"][2]
        page.keyboard.press("ArrowDown")
        wire.until(lambda: wire.last("axial")["center_mm"][2] == pytest.approx(depth - 2.5), "one layer on")
        x, y, _, _ = box_of(page, "axial")
        page.mouse.move(x + 60, y + 60)
        page.mouse.wheel(0, -100)
        wire.until(lambda: wire.last("axial")["center_mm"][2] == pytest.approx(depth), "one layer back")
        page.keyboard.press("Escape")
        expect(page.locator("#volume")).to_have_count(0)
        expect(page.locator("#stage")).to_be_visible()


def test_a_box_cuts_and_gives_back(server: Server, study: int) -> None:
    with opened(server, study, "phone") as (page, wire):
        show(page, "三维")
        choose(page, "look", "muscle")
        whole = picture(page, "volume")
        assert "clip_box" not in wire.last("volume")
        choose(page, "cut", "trim-L")
        low, high = wire.until(lambda: wire.last("volume").get("clip_box"), "a box")
        choose(page, "cut", "trim-L")
        fifth = low[0] + (high[0] - low[0]) * 0.8 / 0.9
        wire.until(lambda: wire.last("volume")["clip_box"][1][0] == pytest.approx(fifth), "a fifth is cut off")
        cut = picture(page, "volume")
        assert cut != whole
        # A handle on the picture moves its face: the patient's right side is at the left of the picture.
        # The handles are drawn anew with every picture: one that has just gone has no place.
        handle = wire.until(page.locator("#volume .box text", has_text="R").bounding_box, "a handle")
        x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
        touch(page, line((x, y), (x + 60, y)))
        wire.until(lambda: wire.last("volume")["clip_box"][0][0] > low[0] + 2, "a face that was moved")
        assert picture(page, "volume") != cut
        choose(page, "cut", "undo", "undo", "undo")
        wire.until(lambda: "clip_box" not in wire.last("volume"), "the whole volume")
        choose(page, "cut", "redo")
        wire.until(lambda: wire.last("volume").get("clip_box"), "the first cut again")
        choose(page, "cut", "uncut")
        wire.until(lambda: "clip_box" not in wire.last("volume"), "no cut")


def test_two_fingers_zoom_and_back_closes_the_page_only(server: Server, study: int) -> None:
    with opened(server, study, "phone") as (page, wire):
        rested(page, "axial")
        before = wire.last("axial")["pixel_spacing_mm"]
        x, y, _, _ = box_of(page, "axial")
        touch(page, line((x - 40, y), (x - 80, y)), line((x + 40, y), (x + 80, y)))
        wire.until(
            lambda: wire.last("axial")["pixel_spacing_mm"] == pytest.approx(before / 2, rel=0.05), "twice as large"
        )
        depth = wire.last("axial")["center_mm"][2]
        touch(page, line((x, y + 60), (x, y - 60)))
        wire.until(lambda: wire.last("axial")["center_mm"][2] > depth + 1, "layers back")
        show(page, "三维")
        rested(page, "volume")
        scale = wire.last("volume")["camera"]["parallel_scale_mm"]
        touch(page, line((x - 40, y), (x - 60, y)), line((x + 40, y), (x + 60, y)))
        wire.until(
            lambda: wire.last("volume")["camera"]["parallel_scale_mm"] == pytest.approx(scale / 1.5, rel=0.05), "larger"
        )
        page.go_back()
        expect(page.locator("#volume")).to_have_count(0)
        expect(page.locator("#stage")).to_be_visible()


def test_an_address_brings_back_the_same_pictures_in_the_other_language(server: Server, study: int) -> None:
    with opened(server, study, "phone", "en-US") as (page, wire):
        show(page, "3D")
        choose(page, "look", "vessels")
        choose(page, "cut", "trim-H")
        choose(page, "rotate", "turn-left")
        rested(page, "volume")
        show(page, "Coronal")
        choose(page, "slab", "slab-10", "mean")
        rested(page, "coronal")
        plane, volume = wire.last("coronal"), wire.last("volume")
        wire.until(lambda: page.evaluate("location.hash").startswith("#view="), "the view in the address")
        # The address follows once it rests: what it says must be the newest.
        wire.until(lambda: '"thicknessMm":10' in told_by(page), "the slab in the address")
        page.locator("#volume").get_by_role("button", name="More").click()
        page.locator("#volume").get_by_role("button", name="中文").click()
        page.wait_for_url("**lang=zh**")
        rested(page, "coronal")
        expect(page.locator("#volume .tabs button[aria-pressed=true]")).to_have_text("冠状")
        again = wire.last("coronal")
        show(page, "三维")
        rested(page, "volume")
        camera = wire.last("volume")["camera"]
    for name in ("thickness_mm", "projection"):
        assert again[name] == plane[name]
    assert again["center_mm"] == pytest.approx(plane["center_mm"])
    assert camera["position"] == pytest.approx(volume["camera"]["position"])
    assert camera["parallel_scale_mm"] == pytest.approx(volume["camera"]["parallel_scale_mm"])
    assert wire.last("volume")["transfer"] == "vessels"
    assert wire.last("volume")["clip_box"] == [pytest.approx(corner) for corner in volume["clip_box"]]


def told_by(page: Page) -> str:
    """The screen that the page's address holds, as text."""
    return str(page.evaluate("atob(location.hash.slice(6).replace(/-/g, '+').replace(/_/g, '/'))"))


def test_an_incomplete_volume_says_so_until_it_is_whole(server: Server, study: int) -> None:
    holding = [True]

    def lessen(message: str | bytes) -> str | bytes:
        """The server's own picture, told to be of a quarter of the slices."""
        if isinstance(message, str) or not holding[0]:
            return message
        length = struct.unpack(">I", message[:4])[0]
        header = json.loads(message[4 : 4 + length])
        if "complete" not in header:
            return message
        text = json.dumps({**header, "complete": 25}).encode()
        return struct.pack(">I", len(text)) + text + message[4 + length :]

    def route(socket: WebSocketRoute) -> None:
        upstream = socket.connect_to_server()
        socket.on_message(upstream.send)
        upstream.on_message(lambda message: socket.send(lessen(message)))

    with device("phone") as context:
        log_in(context, server.http, server.username, server.password)
        page = context.new_page()
        page.route_web_socket("**/api/stream", route)
        page.goto(f"{server.http}/viewer/{study}#volume")
        state = page.locator('#volume [data-kind="axial"] .state')
        expect(state).to_have_text("不完整 25 %", timeout=60_000)
        expect(state).to_be_in_viewport()
        holding[0] = False
        rested(page, "axial")  # it asks again by itself
        expect(state).to_have_text("◐ 预览·清晰")


def test_what_makes_no_volume_is_refused_with_the_reason(server: Server, study: int) -> None:
    uids = {"StudyInstanceUID": "2.25.77001", "SeriesInstanceUID": "2.25.77002", "FrameOfReferenceUID": "2.25.77003"}
    common: dict[str, Any] = {"PatientID": "VOLUME-TURNED", **uids}
    files = ct_series(6, SIDE, **common)
    files += ct_series(6, SIDE, **common, ImageOrientationPatient=[0.8, 0.6, 0, -0.6, 0.8, 0])
    turned = store_study(server, "VOLUME-TURNED", files)
    with opened(server, turned, "phone") as (page, wire):
        notice = page.locator("#volume").get_by_role("alert")
        expect(notice).to_contain_text("图像方向不一致", timeout=60_000)
        expect(notice).to_contain_text("volume.wrong_stack")
        asked = len(wire.views)
        notice.get_by_role("button", name="重试").click()
        wire.until(lambda: len(wire.views) > asked, "asked again")
        expect(notice).to_be_visible(timeout=60_000)
        notice.get_by_role("button", name="返回").click()
        expect(page.locator("#volume")).to_have_count(0)


@pytest.mark.parametrize("kind", ["phone", "desktop"])
def test_ways_in_and_large_text(server: Server, study: int, kind: str) -> None:
    with device(kind) as context:
        log_in(context, server.http, server.username, server.password)
        page = context.new_page()
        page.goto(f"{server.http}/studies?q=VOLUME-PAGE")
        page.locator("tr", has_text="VOLUME-PAGE").get_by_role("link", name="三维").click()
        rested(page, "axial")
        page.locator("#volume").get_by_role("button", name="返回").click()
        expect(page.locator("#volume")).to_have_count(0)
        if kind == "phone":
            page.get_by_role("button", name="更多").click()
            page.locator("#sheet").get_by_role("button", name="三维").click()
        else:
            page.locator("#tools").get_by_role("button", name="三维").click()
        rested(page, "axial")
        page.locator("#volume").get_by_role("button", name="更多").click()
        page.locator("#volume").get_by_role("button", name="长辈版").click()
        tab = page.locator("#volume .tabs button").first.bounding_box()
        assert tab is not None
        assert tab["height"] >= 60
        # Nothing of the page is wider than the screen, no picture is under a bar.
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        pane = page.locator('#volume [data-kind="axial"]').bounding_box()
        foot = page.locator("#volume .volume-foot").bounding_box()
        assert pane is not None
        assert foot is not None
        assert foot["y"] >= pane["y"] + pane["height"] - 1 or foot["y"] + foot["height"] <= pane["y"] + 1
