"""Scalpel, pick and slices of the 3D page in a real Chromium, on a block whose place is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app.delivery.page import client_files
from tests.support.blocks import FRONT_MM, LAST, MIDDLE_MM, SPACING_MM, block_series
from tests.support.browser import device, double_click, double_tap, line, touch
from tests.support.server import Server
from tests.support.volume_page import Wire, box_of, choose, light, picture, rested, show, store_study, stroke
from tools.screenshots import chromium_path, log_in

pytestmark = pytest.mark.skipif(chromium_path() is None, reason="no chromium (apt install chromium)")


@pytest.fixture(scope="module")
def study(server: Server) -> int:
    if "volume.js" not in client_files():
        pytest.skip("the web client is not built (python -m tools.build_client)")
    return store_study(server, "VOLUME-BLOCK", block_series(PatientID="VOLUME-BLOCK", PatientName="BLOCK"))


@contextmanager
def rendering(server: Server, study: int, kind: str) -> Iterator[tuple[Page, Wire]]:
    """The block's rendering, seen from the front, alone on the page."""
    with device(kind) as context:
        log_in(context, server.http, server.username, server.password)
        page = context.new_page()
        wire = Wire(page)
        page.goto(f"{server.http}/viewer/{study}#volume")
        page.wait_for_selector("#volume .pane")
        show(page, "三维")
        choose(page, "look", "bone")
        rested(page, "volume")
        yield page, wire


def point(page: Page, kind: str, right: float = 0, down: float = 0) -> None:
    """Double click, or two taps, at a place beside the rendering's middle (CSS px)."""
    x, y, _, _ = box_of(page, "volume")
    (double_tap if kind == "phone" else double_click)(page, (x + right, y + down))


def crossing(page: Page) -> list[float]:
    """The point on the three planes by the view in the address: (x, y, z) LPS mm."""
    text = page.evaluate("""() => location.hash.startsWith("#view=")
        ? atob(location.hash.slice(6).replace(/-/g, "+").replace(/_/g, "/")) : "null" """)
    screen: dict[str, Any] | None = json.loads(text)
    if screen is None:
        return []
    axial, coronal, sagittal, _ = screen["views"]
    return [sagittal["centerMm"][0], coronal["centerMm"][1], axial["centerMm"][2]]


def view_told(page: Page) -> dict[str, Any]:
    """The rendering's view in the address."""
    text = page.evaluate('atob(location.hash.slice(6).replace(/-/g, "+").replace(/_/g, "/"))')
    return json.loads(text)["views"][3]


@pytest.mark.parametrize("kind", ["phone", "desktop"])
def test_a_double_tap_puts_the_planes_through_what_is_seen(server: Server, study: int, kind: str) -> None:
    with rendering(server, study, kind) as (page, wire):
        point(page, kind)
        at = wire.until(lambda: (found := crossing(page)) and found[1] < FRONT_MM + 6 and found, "the block's front")
        # Half of the light is held back within two voxels of the block's face; the pixel is in the middle.
        assert at[1] == pytest.approx(FRONT_MM, abs=2 * SPACING_MM)
        assert at[0] == pytest.approx(63, abs=1)
        assert page.locator("#volume .mark").is_visible()
        show(page, "冠状")
        wire.until(lambda: wire.last("coronal").get("center_mm", [0, 0])[1] == pytest.approx(at[1]), "the plane there")
        show(page, "三维")
        asked = len(wire.others)
        _, _, width, height = box_of(page, "volume")
        point(page, kind, width / 2 - 30, height / 2 - 30)
        wire.until(lambda: len(wire.others) > asked, "asked beside the block")
        expect(page.locator("#volume .volume-said")).to_have_text("此处没有可见的组织")
        assert crossing(page) == at


def test_a_curve_cuts_inside_or_outside_and_is_taken_back(server: Server, study: int) -> None:
    with rendering(server, study, "desktop") as (page, wire):
        middle, beside = (0.0, 0.0), (130.0, 0.0)
        assert min(light(page, "volume", middle, beside)) > 60
        whole = picture(page, "volume")
        choose(page, "scalpel", "blade-curve")
        square = [(-60, -60), (60, -60), (60, 60), (-60, 60), (-60, -50)]
        stroke(page, "volume", *square)
        page.locator('#volume [data-choice="cut-inside"]').click()
        wire.until(lambda: wire.last("volume").get("cuts") == "kept", "a view that is cut")
        hole, rim = light(page, "volume", middle, beside)
        assert (hole < 15, rim > 60) == (True, True)
        page.keyboard.press("Control+z")
        wire.until(lambda: "cuts" not in wire.last("volume"), "no cut")
        assert picture(page, "volume") == whole
        page.keyboard.press("Control+y")
        wire.until(lambda: wire.last("volume").get("cuts") == "kept", "the cut again")
        assert light(page, "volume", middle)[0] < 15
        choose(page, "scalpel", "restore")
        wire.until(lambda: "cuts" not in wire.last("volume"), "all is back")
        stroke(page, "volume", *square)
        page.locator('#volume [data-choice="cut-outside"]').click()
        wire.until(lambda: wire.last("volume").get("cuts") == "kept", "cut around")
        core, rim = light(page, "volume", middle, beside)
        assert (core > 60, rim < 15) == (True, True)
        # Escape lets a drawn shape go, and neither cuts nor leaves.
        stroke(page, "volume", *square)
        page.keyboard.press("Escape")
        expect(page.locator("#volume .blade-ask")).to_be_hidden()
        expect(page.locator("#volume")).to_be_visible()
        assert wire.cuts() == ["clear", "add", "undo", "redo", "undo", "add"]


@pytest.mark.parametrize("kind", ["phone", "desktop"])
def test_a_line_cuts_one_side(server: Server, study: int, kind: str) -> None:
    with rendering(server, study, kind) as (page, wire):
        choose(page, "scalpel", "blade-plane")
        x, y, _, height = box_of(page, "volume")
        if kind == "phone":
            touch(page, line((x, y - height / 3), (x, y + height / 3)))
        else:
            stroke(page, "volume", (0, -height / 3), (0, height / 3))
        # Downwards: what lies to the right of the way is at the picture's left.
        page.locator('#volume [data-choice="cut-inside"]').click()
        wire.until(lambda: wire.last("volume").get("cuts") == "kept", "a view that is cut")
        left, right = light(page, "volume", (-40, 0), (40, 0))
        assert (left < 15, right > 60) == (True, True)
        added = next(message for message in wire.others if message.get("do") == "add")["cuts"][0]
        assert added["point"][0] == pytest.approx(63, abs=0.5)
        assert added["normal"] == [pytest.approx(-1), pytest.approx(0, abs=1e-9), pytest.approx(0, abs=1e-9)]


@pytest.mark.parametrize("kind", ["phone", "desktop"])
def test_a_brush_takes_spheres_where_it_went(server: Server, study: int, kind: str) -> None:
    with rendering(server, study, kind) as (page, wire):
        choose(page, "scalpel", "blade-brush", "radius-20")
        x, y, _, _ = box_of(page, "volume")
        if kind == "phone":
            touch(page, line((x - 50, y), (x + 50, y)))
        else:
            stroke(page, "volume", (-50, 0), (50, 0))
        wire.until(lambda: wire.last("volume").get("cuts") == "kept", "a view that is cut")
        added = next(message for message in wire.others if message.get("do") == "add")["cuts"][0]
        assert added["radius_mm"] == 20
        assert len(added["centers"]) >= 2
        for center in added["centers"]:
            assert center[1] == pytest.approx(FRONT_MM, abs=2 * SPACING_MM)
        rested(page, "volume")
        # A hole of 20 mm is where the surface was: the same place is met deeper.
        choose(page, "rotate")
        point(page, kind)
        deep = wire.until(
            lambda: (found := crossing(page)) and found[1] < MIDDLE_MM - 2 * SPACING_MM and found, "deeper"
        )
        assert deep[1] == pytest.approx(FRONT_MM + 20, abs=3 * SPACING_MM)


def test_cuts_and_slices_come_back_by_the_address_and_over_a_new_line(server: Server, study: int) -> None:
    with rendering(server, study, "desktop") as (page, wire):
        choose(page, "scalpel", "blade-curve")
        stroke(page, "volume", (-60, -60), (60, -60), (60, 60), (-60, 60), (-60, -50))
        page.locator('#volume [data-choice="cut-inside"]').click()
        wire.until(lambda: wire.last("volume").get("cuts") == "kept", "a view that is cut")
        hollow = picture(page, "volume")
        choose(page, "look", "slices")
        wire.until(lambda: wire.last("volume").get("slices"), "slices")
        slices = wire.last("volume")["slices"]
        assert [[abs(part) for part in normal] for normal in slices["normals"]] == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
        assert slices["center_mm"][0] == pytest.approx((LAST + 12) * SPACING_MM / 2)
        sliced = picture(page, "volume")
        assert sliced != hollow  # the planes are seen through the hole
        wire.until(lambda: view_told(page)["slices"] and len(view_told(page)["cuts"]) == 1, "both in the address")
        before = len(wire.others)
        page.evaluate("window.dispatchEvent(new Event('online'))")  # another network: the line is made anew
        wire.until(lambda: len(wire.others) >= before + 2, "the cuts told again")
        assert [message["do"] for message in wire.others[before:]] == ["clear", "add"]
        assert picture(page, "volume") == sliced
        page.reload()
        page.wait_for_selector("#volume .pane", state="attached")
        assert picture(page, "volume") == sliced
        page.keyboard.press("b")
        wire.until(lambda: "slices" not in wire.last("volume"), "no slices")
        assert picture(page, "volume") == hollow
