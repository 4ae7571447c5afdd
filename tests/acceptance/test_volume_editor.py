"""Transfer functions of one's own, phases and a PET within the rendering on the 3D page in a real Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pydicom.uid import generate_uid

from app.delivery.page import client_files
from tests.support.blocks import block_series
from tests.support.browser import device, double_click, double_tap, line, settled, touch
from tests.support.phases import LATER_S, phased_series
from tests.support.series import ct_series
from tests.support.server import Server
from tests.support.volume_page import Wire, choose, colour, light, picture, rested, show, store_study
from tools.screenshots import chromium_path, log_in

pytestmark = pytest.mark.skipif(chromium_path() is None, reason="no chromium (apt install chromium)")
BONE_VALUES = [150, 230, 350, 600, 1500]


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    if "volume.js" not in client_files():
        pytest.skip("the web client is not built (python -m tools.build_client)")


@pytest.fixture(scope="module")
def block(server: Server) -> int:
    return store_study(server, "EDITOR-BLOCK", block_series(PatientID="EDITOR-BLOCK", PatientName="BLOCK"))


@pytest.fixture(scope="module")
def phases(server: Server) -> int:
    files = phased_series(10, 32, PatientID="EDITOR-PHASES", PatientName="PHASES", FrameOfReferenceUID=generate_uid())
    return store_study(server, "EDITOR-PHASES", files)


@contextmanager
def volume_page(server: Server, study: int, kind: str, fragment: str = "#volume") -> Iterator[tuple[Page, Wire]]:
    with device(kind) as context:
        log_in(context, server.http, server.username, server.password)
        page = context.new_page()
        wire = Wire(page)
        page.goto(f"{server.http}/viewer/{study}{fragment}")
        page.wait_for_selector("#volume .pane", state="attached")
        yield page, wire


@contextmanager
def editing(server: Server, study: int, kind: str) -> Iterator[tuple[Page, Wire]]:
    """The panel of the block's transfer function, which is the preset bone."""
    with volume_page(server, study, kind) as (page, wire):
        show(page, "三维")
        choose(page, "look", "bone", "curve")
        page.wait_for_selector("#volume .curve .point")
        rested(page, "volume")
        yield page, wire


def point_at(page: Page, index: int) -> tuple[float, float]:
    """A point of the graph, in CSS px of the page."""
    box = page.locator("#volume .curve .point").nth(index).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def pull(page: Page, kind: str, start: tuple[float, float], right: float, down: float) -> None:
    end = (start[0] + right, start[1] + down)
    if kind == "phone":
        touch(page, line(start, end))
        return
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=8)
    page.mouse.up()


def background(page: Page) -> tuple[float, float]:
    """A place of the graph far from all points of bone: left of them, high up."""
    box = page.locator("#volume .curve").bounding_box()
    assert box is not None
    return box["x"] + box["width"] * 0.15, box["y"] + 30


def sent_points(wire: Wire) -> list[list[Any]]:
    transfer = wire.last("volume").get("transfer")
    return transfer["points"] if isinstance(transfer, dict) else []


def sent_values(wire: Wire) -> list[float]:
    return [point[0] for point in sent_points(wire)]


def told(page: Page) -> dict[str, Any]:
    """The screen in the address; {} while there is none."""
    text = page.evaluate("""() => location.hash.startsWith("#view=")
        ? atob(location.hash.slice(6).replace(/-/g, "+").replace(/_/g, "/")) : "{}" """)
    return json.loads(text)


@pytest.mark.req("5.8")
@pytest.mark.parametrize("kind", ["phone", "desktop"])
def test_points_are_dragged_added_deleted_and_taken_back(server: Server, block: int, kind: str) -> None:
    with editing(server, block, kind) as (page, wire):
        as_preset = picture(page, "volume")
        expect(page.locator("#volume .curve .point")).to_have_count(5)
        assert page.locator("#volume .curve .counts").get_attribute("d")
        # The point at 600 HU to lower opacity: sent as points lit like bone, all others as they were.
        pull(page, kind, point_at(page, 3), 0, 40)
        wire.until(lambda: sent_values(wire) == BONE_VALUES, "points of one's own")
        assert wire.last("volume")["transfer"]["light"] == "bone"
        opacities = [point[1] for point in sent_points(wire)]
        assert opacities[:3] == [0, 0.12, 0.6] and opacities[3] < 0.7 and opacities[4] == 0.95
        assert [round(part) for part in sent_points(wire)[3][2]] == [255, 250, 240]
        expect(page.locator('#volume .pane[data-kind="volume"] .facts')).to_contain_text("自定义")
        # Two taps where nothing is make a point, which is the chosen one.
        (double_tap if kind == "phone" else double_click)(page, background(page))
        wire.until(lambda: len(sent_points(wire)) == 6, "a sixth point")
        expect(page.locator("#volume .curve .point")).to_have_count(6)
        (own,) = set(sent_values(wire)) - set(BONE_VALUES)
        assert sent_values(wire) == sorted([*BONE_VALUES, own])
        expect(page.get_by_label("数值")).to_have_value(f"{own:.0f}")
        page.locator('#volume [data-choice="point-delete"]').click()
        wire.until(lambda: sent_values(wire) == BONE_VALUES, "five again")
        # Each gesture is one step of undo.
        for count in (6, 5):
            choose_in_row(page, "undo")
            wire.until(lambda count=count: len(sent_points(wire)) == count, "a step back")
        choose_in_row(page, "undo")
        wire.until(lambda: wire.last("volume").get("transfer") == "bone", "the preset")
        assert picture(page, "volume") == as_preset
        choose_in_row(page, "redo")
        wire.until(lambda: len(sent_points(wire)) == 5, "again")
        choose_in_row(page, "to-preset")
        wire.until(lambda: wire.last("volume").get("transfer") == "bone", "the preset again")
        # Fingers find every control (44 px); on the desktop a mouse does (32 px).
        least = 44 if kind == "phone" else 32
        for control in page.locator("#volume .editor :is(input, button):visible, #volume .volume-chips button").all():
            box = control.bounding_box()
            assert box is not None and box["height"] >= least, control


def choose_in_row(page: Page, name: str) -> None:
    page.locator(f'#volume .volume-chips [data-choice="{name}"]').click()


@pytest.mark.parametrize("kind", ["phone", "desktop"])
def test_a_drag_of_the_background_is_the_window_of_the_rendering(server: Server, block: int, kind: str) -> None:
    with editing(server, block, kind) as (page, wire):
        assert light(page, "volume", (0, 0))[0] > 60
        # To the right: all points by the same way.
        pull(page, kind, background(page), 230, 3)
        wire.until(lambda: sent_values(wire), "shifted points")
        rested(page, "volume")
        ways = [now - before for now, before in zip(sent_values(wire), BONE_VALUES, strict=True)]
        assert ways[0] > 600 and max(ways) - min(ways) < 1e-3 * ways[0]
        choose_in_row(page, "undo")
        wire.until(lambda: wire.last("volume").get("transfer") == "bone", "one step back")
        # Up: wider about the middle, opacities as they were.
        pull(page, kind, background(page), 3, -25)
        wire.until(lambda: sent_values(wire), "a wider function")
        rested(page, "volume")
        first, *_, last = sent_values(wire)
        assert (first + last) / 2 == pytest.approx(825, abs=1) and last - first > 1350 * 1.1
        assert [point[1] for point in sent_points(wire)] == [0, 0.12, 0.6, 0.9, 0.95]
        choose_in_row(page, "clearer")
        wire.until(lambda: sent_points(wire)[-1][1] == pytest.approx(0.95 / 1.25), "clearer")


def test_numbers_colour_and_keys(server: Server, block: int) -> None:
    with editing(server, block, "desktop") as (page, wire):
        gray = colour(page, "volume")
        page.locator("#volume .curve").focus()
        page.keyboard.press("PageDown")
        page.keyboard.press("PageDown")
        expect(page.locator("#volume .curve .point").nth(2)).to_have_class("point chosen")
        value = page.get_by_label("数值")
        expect(value).to_have_value("350")
        page.keyboard.press("ArrowRight")
        wire.until(lambda: sent_values(wire) and sent_values(wire)[2] > 350, "by a key")
        value.fill("9000")
        value.press("Enter")
        # Not beyond its neighbour.
        wire.until(lambda: sent_values(wire)[2] == pytest.approx(600, abs=0.01), "at its neighbour")
        page.get_by_label("不透明%").fill("50")
        page.get_by_label("不透明%").press("Enter")
        wire.until(lambda: sent_points(wire)[2][1] == 0.5, "half")
        for index in (3, 4):
            page.locator("#volume .curve").focus()
            page.keyboard.press("PageDown")
            page.get_by_label("颜色").fill("#00ff00")
            wire.until(lambda index=index: sent_points(wire)[index][2] == [0, 255, 0], "green")
        green = colour(page, "volume")
        assert abs(gray[1] - gray[0]) < 40 and green[1] > green[0] + 60
        # The page's own keys are its own while a field or the graph has the focus; Escape leads out.
        page.keyboard.press("Escape")
        expect(page.locator("#volume")).to_have_count(0)


def test_an_own_function_is_in_the_link_and_is_kept_by_name(server: Server, block: int) -> None:
    with editing(server, block, "desktop") as (page, wire):
        pull(page, "desktop", background(page), 40, 0)
        wire.until(lambda: sent_values(wire), "shifted")
        choose_in_row(page, "done")
        mine = picture(page, "volume")
        wire.until(
            lambda: (
                [point[0] for point in told(page).get("views", [{}] * 4)[3].get("transfer", [])] == sent_values(wire)
            ),
            "in the address",
        )
        values = sent_values(wire)
        assert told(page)["views"][3]["light"] == "bone"
        page.reload()
        page.wait_for_selector("#volume .pane", state="attached")
        wire.until(lambda: sent_values(wire) == values, "from the address")
        assert picture(page, "volume") == mine
        choose(page, "curve", "keep")
        page.get_by_label("名称").fill("我的骨窗")
        page.get_by_label("名称").press("Enter")
        expect(page.locator('#volume .pane[data-kind="volume"] .facts')).to_contain_text("我的骨窗")
        choose(page, "look", "lung")
        wire.until(lambda: wire.last("volume").get("transfer") == "lung", "another")
        page.goto("about:blank")
        page.goto(f"{server.http}/viewer/{block}#volume")
        page.wait_for_selector("#volume .pane")
        choose(page, "look", "saved-0")
        wire.until(lambda: sent_values(wire) == values, "the kept one")
        expect(page.locator('#volume [data-choice="saved-0"]')).to_have_text("我的骨窗")
        choose(page, "curve", "forget")
        choose(page, "look")
        expect(page.locator('#volume [data-choice="saved-0"]')).to_have_count(0)
        expect(page.locator('#volume [data-choice="own"]')).to_be_visible()


@pytest.mark.parametrize("kind", ["phone", "desktop"])
def test_phases_are_chosen_and_stay_in_the_link(server: Server, phases: int, kind: str) -> None:
    with volume_page(server, phases, kind) as (page, wire):
        select = page.locator("#volume .phases select")
        expect(select.locator("option")).to_have_text(["期相 1/2 · +0 s", f"期相 2/2 · +{LATER_S:g} s"])
        box = select.bounding_box()
        assert box is not None and box["height"] >= (44 if kind == "phone" else 32)
        show(page, "轴位")
        early = picture(page, "axial")
        select.select_option(index=1)
        wire.until(lambda: wire.last("axial").get("stack") == 1, "the second phase")
        late = picture(page, "axial")
        assert late != early
        show(page, "三维")
        wire.until(lambda: wire.last("volume").get("stack") == 1, "also in the rendering")
        wire.until(
            lambda: [view.get("stack") for view in told(page).get("views", [])] == [1, 1, 1, 1], "in the address"
        )
        page.reload()
        page.wait_for_selector("#volume .pane", state="attached")
        show(page, "轴位")
        assert picture(page, "axial") == late
        expect(select).to_have_value(f"期相 2/2 · +{LATER_S:g} s")
        if kind == "desktop":
            page.locator("#volume").focus()
            page.keyboard.press(".")
            wire.until(lambda: "stack" not in wire.last("axial"), "around to the first")
            assert picture(page, "axial") == early
            page.keyboard.press("Control+z")
            wire.until(lambda: wire.last("axial").get("stack") == 1, "undone")


@pytest.mark.req("5.3")
@pytest.mark.parametrize("kind", ["phone", "desktop"])
def test_a_pet_is_shown_within_the_rendering(server: Server, kind: str) -> None:
    shared: dict[str, Any] = {"StudyInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid()}
    shared |= {"PatientID": f"WITHIN-{kind}", "PatientName": "WITHIN"}
    pet: dict[str, Any] = {**shared, "Modality": "PT", "RescaleIntercept": 0, "SeriesNumber": 2}
    apart: dict[str, Any] = {**pet, "FrameOfReferenceUID": generate_uid(), "SeriesNumber": 3}
    files = [*ct_series(10, 32, **shared), *ct_series(10, 32, **pet), *ct_series(10, 32, **apart)]
    study = store_study(server, f"WITHIN-{kind}", files)
    with volume_page(server, study, kind) as (page, wire):
        show(page, "三维")
        # Nothing of the CT is left: what is seen then is the PET.
        choose(page, "look", "bone", "curve")
        page.wait_for_selector("#volume .curve .point")
        pull(page, kind, background(page), 230, 2)
        wire.until(lambda: sent_values(wire) and sent_values(wire)[0] > 1400, "beyond all values")
        page.locator(f'#volume [data-tool="{"fused" if kind == "phone" else "fusion"}"]').click()
        page.locator('#volume [data-choice="fuse-0"]').click()
        asked = wire.until(lambda: (view := wire.last("volume")).get("overlay") and view, "a PET within")
        assert asked["kind"] == "volume" and 0 < asked["opacity"] < 1
        hot = colour(page, "volume")
        assert hot[0] > hot[2] + 15
        page.locator('#volume [data-choice="map-cool"]').click()
        wire.until(lambda: wire.last("volume").get("colour_map") == "cool", "another map")
        cool = colour(page, "volume")
        assert cool[2] > hot[2] + 15
        page.locator("#volume .slide input").focus()
        page.keyboard.press("Home")
        wire.until(lambda: wire.last("volume").get("opacity") == 0, "clear")
        page.keyboard.press("End")
        wire.until(lambda: wire.last("volume").get("opacity") == 0.5, "dense")
        page.locator('#volume [data-choice="fuse-within"]').click()
        wire.until(lambda: "overlay" not in wire.last("volume"), "in the planes only")
        wire.until(
            lambda: [bool(view.get("fused")) for view in told(page).get("views", [])] == [True] * 3 + [False],
            "in the address",
        )
        assert told(page)["views"][0]["fused"]["colourMap"] == "cool"
        page.locator('#volume [data-choice="fuse-within"]').click()
        wire.until(lambda: wire.last("volume").get("overlay"), "within again")
        # The largest values have no second volume: it is said, and nothing breaks.
        choose(page, "look", "mip")
        wire.until(lambda: wire.last("volume").get("transfer") == "mip", "the largest values")
        assert "overlay" not in wire.last("volume")
        page.locator(f'#volume [data-tool="{"fused" if kind == "phone" else "fusion"}"]').click()
        expect(page.locator("#volume .volume-chips")).to_contain_text("MIP 中不能显示融合")
        # A series of another frame of reference is refused with the reason.
        choose(page, "look", "bone")
        page.locator(f'#volume [data-tool="{"fused" if kind == "phone" else "fusion"}"]').click()
        page.locator('#volume [data-choice="fuse-1"]').click()
        expect(page.locator("#volume .volume-notice")).to_contain_text("坐标系不同")


def test_measurements_of_the_images_go_with_the_link(server: Server, block: int) -> None:
    with device("desktop") as context:
        log_in(context, server.http, server.username, server.password)
        page = context.new_page()
        wire = Wire(page)
        page.goto(f"{server.http}/viewer/{block}")
        settled(page)
        page.keyboard.press("m")
        page.wait_for_selector(".measurements", state="attached")
        stage = page.locator("#stage").bounding_box()
        assert stage is not None
        x, y = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2
        page.mouse.move(x - 80, y)
        page.mouse.down()
        page.mouse.move(x + 80, y, steps=6)
        page.mouse.up()
        wire.until(lambda: told(page).get("measurements"), "a length in the address")
        found = told(page)["measurements"]
        page.locator("#tools").get_by_role("button", name="三维").click()
        page.wait_for_selector("#volume .pane")
        wire.until(lambda: told(page)["views"][0]["kind"] == "plane", "planes in the address")
        assert told(page)["measurements"] == found
        # Whoever opens the link has them in the planes' address, and over the images when he leaves the planes.
        page.reload()
        page.wait_for_selector("#volume .pane")
        page.keyboard.press("Escape")
        wire.until(lambda: told(page)["views"][0]["kind"] == "stack", "the images' view in the address")
        assert told(page)["measurements"] == found
