"""The mouse on the 2D viewer, one test for each thing that a hand does with it (UX, section 6), in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import device, double_click, settled, shown_number, shown_window
from tests.support.demo_ct import Study, middle
from tests.support.sent import linked_view, sent, under
from tests.support.series import ct_series
from tests.support.server import Server, wait_until
from tools.screenshots import chromium_path, log_in

pytestmark = pytest.mark.skipif(chromium_path() is None, reason="no chromium (apt install chromium)")
COUNT, SIDE = 60, 64
LARGE = 1200  # more pixels than the stage is high


@pytest.fixture(scope="module")
def stack(server: Server) -> Study:
    return sent(server, "MOUSE-1", ct_series(COUNT, SIDE, PatientID="MOUSE-1"))


@pytest.fixture(scope="module")
def window(stack: Study) -> Iterator[Page]:
    """A desktop with the stack, opened by staff, for all tests of the module."""
    with device("desktop") as context:
        log_in(context, stack.server.http, "admin", stack.server.password)
        page = context.new_page()
        page.goto(f"{stack.server.http}/viewer/{stack.key}")
        settled(page)
        yield page


@pytest.fixture
def mouse(window: Page) -> Page:
    """As it was opened: first image, fitted, the window tool; the pointer in the middle."""
    window.keyboard.press("Escape")
    # On a button, also of a menu that closes, the space bar is the button's.
    window.evaluate("document.activeElement.blur()")
    for key in (" ", "Home", "w"):
        window.keyboard.press(key)
    expect(window.locator("#title")).to_contain_text(f" 1/{COUNT}")
    expect(window.locator(".corner.br")).not_to_contain_text("%")
    expect(window.locator(".corner.br")).not_to_contain_text("已翻转")
    settled(window)
    wait_until(lambda: linked_view(window).get("zoom", 1) == 1, 30, "the address follows")
    window.mouse.move(*middle(window))
    return window


def drag(page: Page, dx: float, dy: float, button: Literal["left", "middle", "right"] = "left") -> None:
    """From the middle."""
    x, y = middle(page)
    page.mouse.move(x, y)
    page.mouse.down(button=button)
    page.mouse.move(x + dx, y + dy, steps=5)
    page.mouse.up(button=button)


def view_when(page: Page, zoom: float) -> dict[str, float]:
    """The view in the address once it has this zoom."""
    wait_until(lambda: linked_view(page).get("zoom") == pytest.approx(zoom, rel=0.01), 30, f"a zoom of {zoom}")
    return linked_view(page)


def test_the_left_button_windows_first(mouse: Page) -> None:
    expect(mouse.locator('[data-tool="window"]')).to_have_attribute("aria-pressed", "true")
    before = shown_window(mouse)
    drag(mouse, 60, -60)
    settled(mouse)
    width, level = shown_window(mouse)
    assert width > before[0], "right is wider"
    assert level < before[1], "up is brighter"
    mouse.keyboard.press("Control+z")
    settled(mouse)
    assert shown_window(mouse) == before, "the whole drag is one step of undo"


def test_the_wheel_pages_by_one(mouse: Page) -> None:
    for delta, number in ((120, 2), (120, 3), (-120, 2)):
        mouse.mouse.wheel(0, delta)
        expect(mouse.locator("#title")).to_contain_text(f" {number}/")


def test_the_wheel_with_shift_pages_by_a_twentieth(mouse: Page) -> None:
    mouse.keyboard.down("Shift")
    for delta, number in ((120, 1 + COUNT // 20), (120, 1 + 2 * (COUNT // 20)), (-120, 1 + COUNT // 20)):
        mouse.mouse.wheel(0, delta)
        expect(mouse.locator("#title")).to_contain_text(f" {number}/")
    mouse.keyboard.up("Shift")


def test_the_wheel_with_ctrl_zooms_at_the_pointer(mouse: Page) -> None:
    for _ in range(4):  # wider than the stage: what is narrower stays in its middle
        mouse.keyboard.press("+")
    x, y = middle(mouse)
    at = (x + 120, y - 90)
    mouse.mouse.move(*at)
    wanted = under(mouse, view_when(mouse, 1.25**4), at, SIDE, SIDE)
    mouse.keyboard.down("Control")
    for notches in (1, 2, 3):
        mouse.mouse.wheel(0, -120)
        view = view_when(mouse, 1.25**4 * 1.15**notches)
        assert under(mouse, view, at, SIDE, SIDE) == pytest.approx(wanted, abs=0.1)
    mouse.mouse.wheel(0, 120)
    view_when(mouse, 1.25**4 * 1.15**2)
    mouse.keyboard.up("Control")
    assert shown_number(mouse) == 1, "it pages nothing"


def test_the_middle_button_pans(mouse: Page) -> None:
    for _ in range(4):
        mouse.keyboard.press("+")
    x, y = middle(mouse)
    before = under(mouse, view_when(mouse, 1.25**4), (x, y), SIDE, SIDE)
    drag(mouse, 80, 50, "middle")
    wait_until(lambda: linked_view(mouse)["centerX"] < 0.49, 30, "another middle")
    after = under(mouse, linked_view(mouse), (x + 80, y + 50), SIDE, SIDE)
    assert after == pytest.approx(before, abs=0.1), "what was under the pointer stays under it"


def test_the_right_button_zooms_where_it_went_down(mouse: Page) -> None:
    x, y = middle(mouse)
    before = under(mouse, {"zoom": 1, "centerX": 0.5, "centerY": 0.5}, (x, y), SIDE, SIDE)
    drag(mouse, 30, -100, "right")
    wait_until(lambda: linked_view(mouse).get("zoom", 1) > 1.9, 30, "upwards is larger")
    zoom = linked_view(mouse)["zoom"]
    assert under(mouse, linked_view(mouse), (x, y), SIDE, SIDE) == pytest.approx(before, abs=0.1)
    expect(mouse.locator("#sheet")).to_be_hidden()
    drag(mouse, 0, 50, "right")
    wait_until(lambda: linked_view(mouse)["zoom"] < zoom - 0.3, 30, "downwards is smaller")


def test_a_right_click_is_the_menu_where_it_was(mouse: Page) -> None:
    x, y = middle(mouse)
    mouse.mouse.click(x, y, button="right")
    sheet = mouse.locator("#sheet")
    expect(sheet).to_be_visible()
    box = sheet.bounding_box()
    assert box is not None
    assert box["x"] == pytest.approx(x, abs=2)
    sheet.get_by_text("左右翻转").click()
    expect(sheet).to_be_hidden()
    expect(mouse.locator(".corner.br")).to_contain_text("已翻转")
    mouse.mouse.click(x, y, button="right")
    mouse.keyboard.press("Escape")
    expect(sheet).to_be_hidden()


def test_a_double_click_is_twice_as_large_there_and_fits_again(mouse: Page) -> None:
    x, y = middle(mouse)
    at = (x - 20, y + 60)
    wanted = under(mouse, {"zoom": 1, "centerX": 0.5, "centerY": 0.5}, at, SIDE, SIDE)
    double_click(mouse, at)
    assert under(mouse, view_when(mouse, 2), at, SIDE, SIDE) == pytest.approx(wanted, abs=0.1)
    double_click(mouse, at)
    expect(mouse.locator(".corner.br")).not_to_contain_text("%")


@pytest.mark.req("5.7")
def test_zoom_at_the_pointer_natural_and_fitted(server: Server) -> None:
    study = sent(server, "MOUSE-2", ct_series(1, LARGE, PatientID="MOUSE-2"))
    with device("desktop") as context:
        log_in(context, server.http, "admin", server.password)
        page = context.new_page()
        page.goto(f"{server.http}/viewer/{study.key}")
        settled(page)
        box = page.locator("#stage").bounding_box()
        assert box is not None
        fitted = min(box["width"], box["height"]) / LARGE
        page.keyboard.press("z")
        page.click("#chips >> text=1:1")
        view_when(page, 1 / fitted)
        x, y = middle(page)
        page.mouse.move(x, y + 100)
        wanted = under(page, linked_view(page), (x, y + 100), LARGE, LARGE)
        page.keyboard.down("Control")
        page.mouse.wheel(0, -120)
        page.keyboard.up("Control")
        assert under(page, view_when(page, 1.15 / fitted), (x, y + 100), LARGE, LARGE) == pytest.approx(wanted, abs=0.5)
        # The tool drags.
        drag(page, 0, -30)
        wait_until(lambda: linked_view(page)["zoom"] > 1.3 / fitted, 30, "larger by a drag")
        page.click("#chips >> text=适合")
        expect(page.locator(".corner.br")).not_to_contain_text("%")
        view_when(page, 1)
