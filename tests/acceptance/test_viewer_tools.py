"""The viewer's tools on a phone's screen: what each does to the picture, its texts and its letters."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import device, exact, line, painted, settled, shown_window, touch
from tests.support.demo_ct import Study, make_share, middle, open_share
from tests.support.server import wait_until
from tools.screenshots import chromium_path

pytestmark = pytest.mark.skipif(chromium_path() is None, reason="no chromium (apt install chromium)")
_SIDES = ("left", "top", "right", "bottom")


def letters(page: Page) -> tuple[str, ...]:
    """Clockwise from the left: the letters as the standard writes them, without the words of the patient's page."""
    texts = [page.inner_text(f".letter.{side}") for side in _SIDES]
    return tuple(re.sub(r"[^A-Z]", "", text) for text in texts)


def changed(page: Page, before: str) -> str:
    """The refined picture once another one than ``before`` is on screen."""
    wait_until(lambda: painted(page) != before, 30, "another picture")
    settled(page)
    return painted(page)


def from_sheet(page: Page, label: str) -> None:
    """Tap a tool of the sheet behind the three dots, which closes it."""
    page.tap("#bar button[aria-expanded]")
    page.tap(f'#sheet button:has-text("{label}")')
    expect(page.locator("#sheet")).to_be_hidden()


@pytest.mark.req("5.22")
def test_window_on_a_phone_by_drag_automatic_and_preset(phone: Page) -> None:
    x, y = middle(phone)
    width, level = shown_window(phone)
    exact(phone)
    picture = painted(phone)
    phone.tap('[data-tool="window"]')
    touch(phone, line((x, y), (x + 80, y - 40)))
    expect(phone.locator(".corner.br")).not_to_contain_text(f"W{width} L{level}")
    picture = changed(phone, picture)
    dragged = shown_window(phone)
    assert dragged[0] > width
    assert dragged[1] < level

    phone.tap('#chips button:has-text("肺")')
    expect(phone.locator(".corner.br")).to_contain_text("W1500 L-600")
    picture = changed(phone, picture)

    phone.tap('#chips button:has-text("自动")')
    expect(phone.locator(".corner.br")).not_to_contain_text("W1500 L-600")
    picture = changed(phone, picture)
    assert phone.locator('#chips button[aria-pressed="true"]').inner_text() == "自动"
    assert shown_window(phone) not in {(1500, -600), dragged, (0, 0)}

    phone.tap("#chips button >> nth=0")
    changed(phone, picture)
    assert shown_window(phone) == (width, level), "the file's own window is one tap away"


@pytest.mark.req("5.35")
def test_move_zoom_rotate_and_flip_on_a_phone(phone: Page) -> None:
    x, y = middle(phone)
    exact(phone)
    fitted = painted(phone)
    touch(phone, line((x - 30, y), (x - 90, y)), line((x + 30, y), (x + 90, y)))
    expect(phone.locator(".corner.br")).to_contain_text(re.compile(r"[2-4]\d\d %"))
    zoomed = changed(phone, fitted)
    touch(phone, line((x - 30, y), (x + 20, y + 40)), line((x + 30, y), (x + 80, y + 40)))
    moved = changed(phone, zoomed)
    start = letters(phone)
    from_sheet(phone, "旋转")
    turned = changed(phone, moved)
    assert letters(phone) == (start[3], *start[:3]), "what was at the bottom is at the left"
    from_sheet(phone, "翻转")
    changed(phone, turned)
    expect(phone.locator(".corner.br")).to_contain_text("已翻转")
    left, top, right, bottom = start[3], start[0], start[1], start[2]
    assert letters(phone) == (right, top, left, bottom)
    from_sheet(phone, "复位")
    wait_until(lambda: letters(phone) == start, 30, "everything as it was")
    expect(phone.locator(".corner.br")).not_to_contain_text("%")


@pytest.mark.req("5.10")
def test_move_rotate_and_flip_at_a_desk_keep_the_letters_right(ct: Study) -> None:
    with device("desktop") as context:
        page = context.new_page()
        open_share(page, ct, make_share(ct))
        wait_until(lambda: letters(page) == ("R", "A", "L", "P"), 30, "a head-first supine axial picture")
        exact(page)
        picture = painted(page)
        expected = ["R", "A", "L", "P"]
        for key in ("r", "h", "l", "v", "r", "r", "h", "v", "l", "l"):
            page.keyboard.press(key)
            if key == "r":  # clockwise: left goes to the top
                expected = [expected[3], *expected[:3]]
            elif key == "l":
                expected = [*expected[1:], expected[0]]
            elif key == "h":
                expected[0], expected[2] = expected[2], expected[0]
            else:
                expected[1], expected[3] = expected[3], expected[1]
            picture = changed(page, picture)
            assert list(letters(page)) == expected, key
        page.keyboard.press(" ")
        picture = changed(page, picture)
        assert letters(page) == ("R", "A", "L", "P")
        for _ in range(3):
            page.keyboard.press("+")
        picture = changed(page, picture)
        x, y = middle(page)
        page.mouse.move(x, y)
        page.mouse.down(button="middle")
        page.mouse.move(x + 90, y + 60, steps=6)
        page.mouse.up(button="middle")
        changed(page, picture)
        assert letters(page) == ("R", "A", "L", "P"), "moving turns nothing"
