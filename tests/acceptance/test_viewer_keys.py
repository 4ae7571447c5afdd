"""Keys of the 2D viewer: what each does, keys that a person changed, and key images (UX, section 6), in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from pydicom.uid import generate_uid

from tests.support.browser import device, exact, painted, settled
from tests.support.demo_ct import Study, make_share, open_share
from tests.support.sent import sent
from tests.support.series import ct_series
from tests.support.server import Server, wait_until
from tools.screenshots import chromium_path, log_in

pytestmark = pytest.mark.skipif(chromium_path() is None, reason="no chromium (apt install chromium)")
COUNT = 5
WINDOWS = ("80/40", "200/75", "40/40", "2000/500", "1500/-600", "350/50", "400/40", "150/90", "600/300")


def two_series(server: Server, patient_id: str) -> Study:
    """A CT study of two series of five images."""
    uid = generate_uid()
    files = [
        data
        for number in (1, 2)
        for data in ct_series(COUNT, 64, PatientID=patient_id, StudyInstanceUID=uid, SeriesNumber=number)
    ]
    return sent(server, patient_id, files)


@pytest.fixture(scope="module")
def study(server: Server) -> Study:
    return two_series(server, "KEYS-1")


@pytest.fixture(scope="module")
def starred(server: Server) -> Study:
    """A study whose key images are one test's after the other."""
    return two_series(server, "KEYS-2")


def opened(page: Page, study: Study) -> Page:
    page.goto(f"{study.server.http}/viewer/{study.key}")
    settled(page)
    return page


@pytest.fixture(scope="module")
def window(study: Study) -> Iterator[Page]:
    """A desktop with the study, opened by staff, for all tests of the module."""
    with device("desktop") as context:
        log_in(context, study.server.http, "admin", study.server.password)
        yield opened(context.new_page(), study)


@pytest.fixture
def desk(window: Page) -> Page:
    """As it was opened: the first series, its first image, fitted, the window tool, no card."""
    window.keyboard.press("Escape")
    window.keyboard.press("Escape")
    window.evaluate("document.activeElement.blur()")
    window.keyboard.press("PageUp")
    for key in ("Home", " ", "w"):
        window.keyboard.press(key)
    expect(window.locator("#title")).to_contain_text(f" 1/{COUNT}")
    expect(window.locator(".corner.bl")).to_contain_text("Se 1 ")
    settled(window)
    return window


def says(page: Page, place: str, text: str) -> None:
    expect(page.locator(place)).to_contain_text(text)


def is_pressed(page: Page, tool: str, pressed: bool = True) -> None:
    expect(page.locator(f'[data-tool="{tool}"]')).to_have_attribute("aria-pressed", str(pressed).lower())


# Every key --------------------------------------------------------------------------------------------------------

PAGING = {"previous", "next", "first", "last", "previousSeries", "nextSeries"}
STARS = {"markKeyImage", "previousKeyImage", "nextKeyImage"}
PICTURE = {
    "larger",
    "smaller",
    "fit",
    "flip",
    "flipVertical",
    "rotate",
    "rotateBack",
    "reset",
    "undo",
    "redo",
    "invert",
}
TOOLS = {"window", "zoom", "pan", "length", "angle", "ellipse", "note", "probe"}
MEASUREMENTS = {"hideMeasurements", "deleteMeasurement"}  # tests/acceptance/test_measuring.py
CINE = {"play", "slower", "faster"}
PAGE = {"overlays", "panel", "full", "keys", "close"}
WINDOWED = {"file", *(f"window{number}" for number in range(1, 10))}


def test_no_key_of_the_card_is_without_a_test(desk: Page) -> None:
    desk.keyboard.press("F1")
    rows = desk.locator("#card [data-key]").evaluate_all("rows => rows.map(row => row.dataset.key)")
    assert set(rows) == PAGING | STARS | PICTURE | TOOLS | MEASUREMENTS | CINE | PAGE | WINDOWED
    assert len(rows) == len(set(rows))


@pytest.mark.req("5.6")
def test_keys_choose_windows_of_a_ct(desk: Page) -> None:
    for key, window in enumerate(WINDOWS, 1):
        width, level = window.split("/")
        desk.keyboard.press(str(key))
        says(desk, ".corner.br", f"W{width} L{level}")
    exact(desk)
    straight = painted(desk)
    desk.keyboard.press("i")
    wait_until(lambda: painted(desk) != straight, 30, "an inverted picture")
    desk.keyboard.press("0")
    says(desk, ".corner.br", "W2400 L176")
    desk.locator("#chips >> text=自动").click()
    expect(desk.locator(".corner.br")).not_to_contain_text("W2400 L176")


def test_keys_page(desk: Page) -> None:
    for key, number in (("Home", 1), ("ArrowDown", 2), ("ArrowUp", 1), ("End", COUNT)):
        desk.keyboard.press(key)
        says(desk, "#title", f" {number}/{COUNT}")
    for key, number in (("PageDown", 2), ("PageUp", 1), ("PageUp", 1)):
        desk.keyboard.press(key)
        says(desk, ".corner.bl", f"Se {number}")


def test_keys_zoom(desk: Page) -> None:
    corner = desk.locator(".corner.br")
    for key, shown in (("+", "125 %"), ("+", "156 %"), ("-", "125 %")):
        desk.keyboard.press(key)
        expect(corner).to_contain_text(shown)
    desk.keyboard.press("=")
    expect(corner).not_to_contain_text("%")


def test_keys_turn_flip_undo_and_reset(desk: Page) -> None:
    top, left = desk.locator(".letter.top"), desk.locator(".letter.left")
    expect(top).to_have_text("A")
    for key, expected in (("r", "R"), ("Control+z", "A"), ("Control+y", "R"), ("l", "A"), ("v", "P"), (" ", "A")):
        desk.keyboard.press(key)
        expect(top).to_have_text(expected)
    for key, expected in (("h", "L"), ("Control+z", "R"), ("Control+Shift+Z", "L"), ("h", "R")):
        desk.keyboard.press(key)
        expect(left).to_have_text(expected)


def test_keys_choose_tools(desk: Page) -> None:
    for key, tool in (("z", "zoom"), ("w", "window")):
        desk.keyboard.press(key)
        is_pressed(desk, tool)
    desk.keyboard.press("p")
    is_pressed(desk, "window", pressed=False)
    for key, name in (("m", "长度"), ("a", "角度"), ("e", "椭圆"), ("t", "标注"), ("q", "取点")):
        desk.keyboard.press(key)
        is_pressed(desk, "measure")
        expect(desk.locator(f"#chips [aria-label={name}]")).to_have_attribute("aria-pressed", "true")


def test_keys_play(desk: Page) -> None:
    desk.keyboard.press("c")
    says(desk, ".rate", "15 幅/秒")
    for key, rate in (("]", "20"), ("[", "15"), ("[", "12")):
        desk.keyboard.press(key)
        says(desk, ".rate", f"{rate} 幅/秒")
    desk.keyboard.press("c")
    expect(desk.locator(".rate")).to_have_count(0)


def test_keys_of_the_page_and_a_side_panel_that_stays_folded(desk: Page) -> None:
    strip, name = desk.locator("#strip"), desk.locator(".corner.tl")
    expect(strip).to_be_visible()
    wide = desk.locator("#stage").bounding_box()
    desk.keyboard.press("\\")
    expect(strip).to_be_hidden()
    wider = desk.locator("#stage").bounding_box()
    assert wide is not None
    assert wider is not None
    assert wider["width"] > wide["width"] + 100
    desk.reload()
    settled(desk)
    expect(strip).to_be_hidden()
    # The same by the mouse.
    desk.click("button[aria-label=更多]")
    desk.click("#sheet >> text=收起侧栏")
    expect(strip).to_be_visible()
    # All, short, none.
    desk.keyboard.press("o")
    expect(name).to_be_hidden()
    desk.keyboard.press("o")
    expect(desk.locator(".corner.bl")).to_be_hidden()
    desk.keyboard.press("o")
    expect(name).to_be_visible()
    desk.keyboard.press("f")
    wait_until(lambda: desk.evaluate("document.fullscreenElement !== null"), 30, "full screen")
    desk.keyboard.press("f")
    wait_until(lambda: desk.evaluate("document.fullscreenElement === null"), 30, "no full screen")
    desk.keyboard.press("F1")
    expect(desk.locator("#card")).to_be_visible()
    desk.keyboard.press("Escape")
    expect(desk.locator("#card")).to_be_hidden()


# Changed keys -----------------------------------------------------------------------------------------------------


def change(page: Page, row: str, key: str) -> None:
    page.click(f'#card [data-key="{row}"]')
    expect(page.locator(f'#card [data-key="{row}"]')).to_have_class(re.compile("waiting"))
    page.keyboard.press(key)


def test_a_changed_key_is_kept_and_the_usual_ones_come_back(desk: Page) -> None:
    left, card = desk.locator(".letter.left"), desk.locator("#card")
    expect(left).to_have_text("R")
    desk.keyboard.press("F1")
    desk.click("#card >> text=改键")
    change(desk, "flip", "j")
    says(desk, '#card [data-key="flip"] kbd', "J")
    desk.click("#card >> text=完成")
    desk.keyboard.press("Escape")
    expect(card).to_be_hidden()
    desk.keyboard.press("j")
    expect(left).to_have_text("L")
    desk.reload()
    settled(desk)
    desk.keyboard.press(" ")
    expect(left).to_have_text("R")
    desk.keyboard.press("h")  # nobody's now
    desk.keyboard.press("j")
    expect(left).to_have_text("L")
    desk.keyboard.press("F1")
    says(desk, '#card [data-key="flip"] kbd', "J")
    desk.click("#card >> text=改键")
    desk.click("#card >> text=恢复默认")
    says(desk, '#card [data-key="flip"] kbd', "H")
    expect(desk.locator("#card >> text=恢复默认")).to_be_disabled()
    desk.keyboard.press("Escape")
    desk.keyboard.press("h")
    expect(left).to_have_text("R")


def test_a_key_of_another_is_told_and_can_be_taken(desk: Page) -> None:
    invert, angle = desk.locator('#card [data-key="invert"]'), desk.locator('#card [data-key="angle"]')
    told = desk.locator("#card .told")
    desk.keyboard.press("F1")
    desk.click("#card >> text=改键")
    change(desk, "angle", "i")
    expect(told).to_contain_text("“I” 现在是“反色”")
    for row in (invert, angle):
        expect(row).to_have_class(re.compile("clash"))
    desk.click("#card .told >> text=不改")
    expect(desk.locator("#card .clash")).to_have_count(0)
    expect(angle.locator("kbd")).to_have_text("A")
    change(desk, "angle", "i")
    desk.click("#card .told >> text=改给")
    expect(angle.locator("kbd")).to_contain_text("I")
    expect(invert.locator("kbd")).to_contain_text("无")
    change(desk, "invert", "F5")
    expect(told).to_contain_text("这个键不能用")
    desk.keyboard.press("Control+z")
    expect(told).to_contain_text("是固定键，不能改")
    desk.keyboard.press("Escape")  # leaves the row, not the card
    expect(told).to_contain_text("点一行")
    expect(desk.locator('#card [data-key="undo"]')).to_be_disabled()
    desk.keyboard.press("Escape")
    expect(desk.locator("#card")).to_be_hidden()
    desk.keyboard.press("i")
    is_pressed(desk, "measure")
    expect(desk.locator("#chips [aria-label=角度]")).to_have_attribute("aria-pressed", "true")
    desk.keyboard.press("F1")
    desk.click("#card >> text=改键")
    desk.click("#card >> text=恢复默认")


def test_keys_are_dead_while_an_input_method_composes_and_in_fields(desk: Page) -> None:
    desk.evaluate(
        """() => {
            for (const wrong of [{ isComposing: true }, { key: "Process" }, { altKey: true }])
                window.dispatchEvent(new KeyboardEvent("keydown", { key: "r", bubbles: true, ...wrong }));
            const field = document.body.appendChild(document.createElement("textarea"));
            field.focus();
        }"""
    )
    desk.keyboard.press("r")
    desk.evaluate("document.querySelector('textarea').remove()")
    desk.keyboard.press("h")
    expect(desk.locator(".letter.left")).to_have_text("L")
    expect(desk.locator(".letter.top")).to_have_text("A")


# Key images -------------------------------------------------------------------------------------------------------


def marks(page: Page) -> list[str]:
    """Tops of the slider's ticks."""
    return list(page.locator(".ticks b").evaluate_all("ticks => ticks.map(tick => tick.style.top)"))


def test_a_key_image_is_starred_for_colleagues_and_in_the_patients_share(starred: Study) -> None:
    with device("desktop") as one, device("desktop") as other, device("phone") as phone:
        for context in (one, other):
            log_in(context, starred.server.http, "admin", starred.server.password)
        mine, colleague = opened(one.new_page(), starred), opened(other.new_page(), starred)
        patient = phone.new_page()
        open_share(patient, starred, make_share(starred))
        for page in (mine, colleague, patient):
            page.keyboard.press("Home")
            settled(page)
            expect(page.locator(".star")).to_have_count(0)
        mine.keyboard.press("ArrowDown")
        settled(mine)
        mine.keyboard.press("k")
        says(mine, ".corner.bl", "★ 关键影像")
        is_pressed(mine, "star")
        wait_until(lambda: marks(mine) == ["25%"], 30, "a tick beside the second of five")
        expect(mine.locator(".thumb.starred")).to_have_count(1)
        for page in (colleague, patient):
            wait_until(lambda page=page: marks(page) == ["25%"], 30, "the mark is told while the study is open")
            page.keyboard.press("ArrowDown")
            says(page, ".corner.bl", "★ 关键影像")
        expect(colleague.locator(".star")).to_have_attribute("title", re.compile("^admin · "))
        assert patient.locator(".star").get_attribute("title") == ""
        # Who only sees has no way to mark: no button, no row, no key.
        expect(patient.locator('[data-tool="star"]')).to_have_count(0)
        patient.keyboard.press("k")
        patient.click("button[aria-label=更多]")
        expect(patient.locator("#sheet >> text=标记关键影像")).to_have_count(0)
        patient.keyboard.press("Home")
        patient.click("#sheet >> text=下一关键影像")
        says(patient, "#title", f" 2/{COUNT}")
        says(patient, ".corner.bl", "★ 关键影像")
        mine.reload()
        settled(mine)
        says(mine, ".corner.bl", "★ 关键影像")
        mine.keyboard.press("k")
        expect(mine.locator(".star")).to_have_count(0)
        mine.click(".offer >> text=撤销")
        says(mine, ".corner.bl", "★ 关键影像")
        mine.keyboard.press("k")
        for page in (mine, colleague, patient):
            expect(page.locator(".star")).to_have_count(0)
            expect(page.locator(".ticks b")).to_have_count(0)


def test_keys_go_from_one_key_image_to_the_next(starred: Study) -> None:
    with device("desktop") as context:
        log_in(context, starred.server.http, "admin", starred.server.password)
        page = opened(context.new_page(), starred)
        page.keyboard.press("d")
        says(page, ".message", "还没有关键影像")
        title, corner = page.locator("#title"), page.locator(".corner.bl")
        for series, number in ((1, 2), (1, 4), (2, 3)):
            page.click(f"#strip button >> nth={series - 1}")
            page.keyboard.press("Home")
            for _ in range(number - 1):
                page.keyboard.press("ArrowDown")
            expect(title).to_contain_text(f" {number}/{COUNT}")
            expect(corner).to_contain_text(f"Se {series} ")
            settled(page)
            page.keyboard.press("k")
            expect(page.locator(".star")).to_have_count(1)
        # Wherever one is: the next, the next series' first, and the study's first again.
        for key, series, number in (("d", 1, 2), ("d", 1, 4), ("d", 2, 3), ("s", 1, 4), ("s", 1, 2), ("s", 2, 3)):
            page.keyboard.press(key)
            expect(title).to_contain_text(f" {number}/{COUNT}")
            expect(corner).to_contain_text(f"Se {series} ")
            expect(page.locator(".star")).to_have_count(1)


def test_a_mark_that_is_not_kept_is_taken_back_and_told(desk: Page) -> None:
    refusal = {"code": "key_image.too_many", "message": {"zh": "关键影像已达上限", "en": ""}}
    desk.route("**/key-images/*/*", lambda route: route.fulfill(status=409, json=refusal))
    desk.keyboard.press("k")
    says(desk, ".message", "关键影像未能保存：关键影像已达上限（key_image.too_many）")
    expect(desk.locator(".star")).to_have_count(0)
    desk.unroute("**/key-images/*/*")
    desk.route("**/key-images/*/*", lambda route: route.abort())
    desk.keyboard.press("k")
    expect(desk.locator(".message")).to_have_text("关键影像未能保存")
    expect(desk.locator(".star")).to_have_count(0)
