"""Every gesture of the phone on the viewer, in a real Chromium (what hands do: UX, section 6)."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator

import pydicom
import pytest
from playwright.sync_api import Browser, Page, expect
from pydicom.dataset import Dataset

from dicomnet.dimse.scu import send
from tests.support.browser import (
    double_tap,
    exact,
    holding,
    line,
    painted,
    settled,
    shared_browser,
    shown_number,
    shown_window,
    touch,
    watch_numbers,
)
from tests.support.demo_ct import Study, make_share, middle, open_share
from tests.support.sent import linked_view, sent, under
from tests.support.series import ct_series
from tests.support.server import Server, wait_until
from tools.screenshots import DEVICES, chromium_path, log_in

pytestmark = pytest.mark.skipif(chromium_path() is None, reason="no chromium (apt install chromium)")
COUNT, SIDE = 120, 64


def read(files: list[bytes]) -> list[Dataset]:
    """Data sets of Part 10 files."""
    return [pydicom.dcmread(io.BytesIO(data)) for data in files]


def store(server: Server, instances: list[Dataset]) -> None:
    """By C-STORE."""
    address = server.dicom
    contexts = {(str(ds.SOPClassUID), str(ds.file_meta.TransferSyntaxUID)) for ds in instances}
    send(address.host, address.port, instances, contexts, called_ae_title=address.ae_title)


def arrived(server: Server, patient_id: str, count: int) -> int:
    """The study's key once it has so many images."""
    with server.admin() as client:

        def complete() -> int:
            rows = client.get("/api/studies", params={"q": patient_id}).json()["studies"]
            return next((int(row["study_key"]) for row in rows if row["instance_count"] == count), 0)

        return wait_until(complete, 60, "the images' arrival")


@pytest.fixture(scope="module")
def stack(server: Server) -> Study:
    """A stack long enough to be thrown."""
    return sent(server, "HANDS-1", ct_series(COUNT, SIDE, PatientID="HANDS-1"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The shared one; the contexts that the module's tests made in it end with the module."""
    running = shared_browser()
    others = set(running.contexts)
    yield running
    for context in running.contexts:
        if context not in others:
            context.close()


def new_page(browser: Browser, kind: str) -> Page:
    """A page of a fresh context: ``phone`` or ``desktop``."""
    return browser.new_context(locale="zh-CN", ignore_https_errors=True, **DEVICES[kind]).new_page()


def address(page: Page) -> str:
    """What stands in the address bar now."""
    return str(page.evaluate("location.href"))


@pytest.fixture(scope="module")
def opened(stack: Study, browser: Browser) -> Page:
    """A phone with the stack, for all tests of the module."""
    page = new_page(browser, "phone")
    open_share(page, stack, make_share(stack))
    return page


@pytest.fixture
def hand(opened: Page) -> Page:
    """As it was opened: first image, fitted, the paging tool."""
    opened.keyboard.press("Escape")
    opened.evaluate("document.querySelector('#v').classList.remove('bare')")
    opened.click('[data-tool="page"]')
    # On a button the space bar is the button's.
    opened.evaluate("document.activeElement.blur()")
    opened.keyboard.press(" ")
    opened.keyboard.press("Home")
    expect(opened.locator("#title")).to_contain_text(f" 1/{COUNT}")
    settled(opened)
    wait_until(lambda: linked_view(opened).get("zoom", 1) == 1, 30, "the address follows")
    return opened


def test_a_thrown_stack_runs_on(hand: Page) -> None:
    x, y = middle(hand)
    touch(hand, line((x, y - 60), (x, y + 60), 6), step_ms=10)
    by_drag = 1 + 120 // 5
    wait_until(lambda: shown_number(hand) > by_drag + 10, 30, "the stack goes on after the finger has left")


def test_a_finger_that_rests_before_it_leaves_throws_nothing(hand: Page) -> None:
    x, y = middle(hand)
    touch(hand, line((x, y), (x, y + 60), 6), step_ms=200)
    settled(hand)
    assert 1 < shown_number(hand) <= 1 + 120 // 5


def test_one_finger_has_the_whole_series_in_one_and_a_half_screens(hand: Page) -> None:
    box = hand.locator("#stage").bounding_box()
    assert box is not None
    x, top, height = box["x"] + box["width"] / 2, box["y"] + 0.125 * box["height"], 0.75 * box["height"]
    hand.emulate_media(reduced_motion="reduce")  # what is thrown does not run on
    for share in (0.5, 1):
        touch(hand, line((x, top), (x, top + height), 30))
        at_least = int(share * COUNT) - 3
        wait_until(lambda least=at_least: shown_number(hand) >= least, 30, f"{share} of the series")
    hand.emulate_media(reduced_motion="no-preference")


def test_one_finger_pans_a_single_image_that_is_zoomed(server: Server, browser: Browser) -> None:
    study = sent(server, "HANDS-3", ct_series(1, SIDE, PatientID="HANDS-3"))
    page = new_page(browser, "phone")
    open_share(page, study, make_share(study))
    x, y = middle(page)
    touch(page, line((x, y), (x + 60, y)))
    double_tap(page, (x, y))
    wait_until(lambda: linked_view(page).get("zoom") == 2, 30, "twice as large")
    before = under(page, linked_view(page), (x, y), SIDE, SIDE)
    assert before == pytest.approx((SIDE / 2, SIDE / 2), abs=0.5), "what fits is not moved"
    touch(page, line((x, y), (x + 60, y)))
    wait_until(lambda: linked_view(page)["centerX"] < 0.48, 30, "another middle")
    after = under(page, linked_view(page), (x + 60, y), SIDE, SIDE)
    assert after == pytest.approx(before, abs=2), "what was under the finger stays under it"


def test_two_fingers_zoom_at_their_middle(hand: Page) -> None:
    x, y = middle(hand)
    wanted = under(hand, {"zoom": 1, "centerX": 0.5, "centerY": 0.5}, (x + 60, y), SIDE, SIDE)
    touch(hand, line((x + 20, y), (x - 20, y)), line((x + 100, y), (x + 140, y)))
    wait_until(lambda: linked_view(hand).get("zoom", 1) > 1.9, 30, "twice as large")
    assert under(hand, linked_view(hand), (x + 60, y), SIDE, SIDE) == pytest.approx(wanted, abs=1)


def test_two_fingers_zoom_and_pan_together(hand: Page) -> None:
    x, y = middle(hand)
    touch(hand, line((x - 40, y), (x - 100, y + 40)), line((x + 40, y), (x + 140, y + 40)))
    expect(hand.locator(".corner.br")).to_contain_text(re.compile(r"(29|30|31)\d %|300 %"))
    wait_until(lambda: linked_view(hand).get("zoom", 1) > 2.8, 30, "the address follows")
    at, scale = middle(hand), 390 / SIDE
    moved = under(hand, linked_view(hand), (at[0] + 20, at[1]), SIDE, SIDE)
    assert moved[0] == pytest.approx(SIDE / 2, abs=10 / scale), "their middle went 20 px to the right"
    assert shown_number(hand) == 1, "a pinch pages nothing"


def test_a_double_tap_zooms_here_and_fits_again(hand: Page) -> None:
    x, y = middle(hand)
    wanted = under(hand, {"zoom": 1, "centerX": 0.5, "centerY": 0.5}, (x + 50, y), SIDE, SIDE)
    double_tap(hand, (x + 50, y))
    expect(hand.locator(".corner.br")).to_contain_text("200 %")
    wait_until(lambda: linked_view(hand).get("zoom") == 2, 30, "the address follows")
    assert under(hand, linked_view(hand), (x + 50, y), SIDE, SIDE) == pytest.approx(wanted, abs=0.5)
    double_tap(hand, (x + 50, y))
    expect(hand.locator(".corner.br")).not_to_contain_text("%")


def test_a_long_press_magnifies(hand: Page) -> None:
    x, y = middle(hand)
    glass = hand.locator(".loupe")
    with holding(hand, [(x, y)]):
        expect(glass).to_be_visible()
        pixels = (
            "el => [...el.getContext('2d').getImageData(0, 0, el.width, el.height).data].some(v => v > 0 && v < 255)"
        )
        assert glass.evaluate(pixels), "the picture is in it"
    expect(glass).to_be_hidden()
    assert shown_number(hand) == 1


def test_a_tap_hides_the_bars_but_not_the_quality(hand: Page) -> None:
    x, y = middle(hand)
    touch(hand, [(x, y)])
    expect(hand.locator("#bar")).to_be_hidden()
    expect(hand.locator("#foot")).to_be_hidden()
    expect(hand.locator(".quality")).to_be_visible()
    settled(hand)
    touch(hand, [(x, y)])
    expect(hand.locator("#bar")).to_be_visible()


def test_the_side_edges_are_the_systems(hand: Page) -> None:
    _, y = middle(hand)
    touch(hand, line((8, y), (8, y + 200)))
    touch(hand, [middle(hand)])
    expect(hand.locator("#bar")).to_be_hidden()
    assert shown_number(hand) == 1
    touch(hand, [middle(hand)])
    expect(hand.locator("#bar")).to_be_visible()


def test_a_finger_windows_and_a_preset_is_one_touch(hand: Page) -> None:
    hand.click('[data-tool="window"]')
    x, y = middle(hand)
    before = shown_window(hand)
    touch(hand, line((x, y), (x + 80, y - 40)))
    settled(hand)
    width, level = shown_window(hand)
    assert width > before[0], "right is wider"
    assert level < before[1], "up is brighter"
    hand.click("#chips button:has-text('肺')")
    expect(hand.locator(".corner.br")).to_contain_text("W1500 L-600")
    hand.click("#chips button:has-text('默认')")
    settled(hand)
    assert shown_window(hand) == before


def test_the_slider_goes_to_the_end_and_says_the_number(hand: Page) -> None:
    box = hand.locator(".slider").bounding_box()
    assert box is not None
    x = box["x"] + box["width"] / 2
    with holding(hand, line((x, box["y"] + 22), (x, box["y"] + box["height"]))):
        expect(hand.locator(".bubble")).to_have_text(str(COUNT))
        expect(hand.locator(".bubble")).to_have_css("opacity", "1")
    settled(hand)
    assert shown_number(hand) == COUNT


def test_rotate_flip_invert_and_undo_from_the_sheet(hand: Page) -> None:
    letter = hand.locator(".letter.top")

    def choose(name: str) -> None:
        hand.click("button[aria-label=更多]")
        hand.click(f"#sheet >> text={name}")

    expect(letter).to_have_text("A")
    choose("旋转")
    expect(letter).to_have_text("右R")
    choose("左右翻转")
    settled(hand)
    expect(hand.locator(".letter.right")).to_have_text("P")
    exact(hand)
    upright = painted(hand)
    choose("反色")
    wait_until(lambda: painted(hand) != upright, 30, "an inverted picture")
    for _ in range(3):
        choose("撤销")
    settled(hand)
    expect(letter).to_have_text("A")
    expect(hand.locator(".corner.br")).not_to_contain_text("已翻转")
    choose("重做")
    expect(letter).to_have_text("右R")


def test_cine_plays_at_its_rate_and_says_the_real_one(hand: Page) -> None:
    hand.click('[data-tool="play"]')
    expect(hand.locator(".rate")).to_contain_text("15 幅/秒")
    chip = hand.locator("#chips button[aria-label=加速]").element_handle()
    assert chip is not None
    expect(hand.locator(".rate")).to_contain_text("实际", timeout=30_000)
    assert chip.evaluate("chip => chip.isConnected"), "a finger that is on a chip when the rate is told is not lost"
    wait_until(lambda: shown_number(hand) > 3, 30, "it plays")
    hand.click("#chips button[aria-label=加速]")
    expect(hand.locator(".rate")).to_contain_text("20 幅/秒")
    hand.click("#chips button[aria-label=到此幅]")
    mark = hand.locator("#chips button[aria-label=到此幅]")
    expect(mark).to_have_attribute("aria-pressed", "true")
    mark.click()
    expect(mark).to_have_attribute("aria-pressed", "false")
    hand.click('[data-tool="play"]')
    expect(hand.locator(".rate")).to_have_count(0)


def test_cine_plays_a_marked_range_in_a_loop_and_in_a_swing(hand: Page) -> None:
    def steps() -> list[int]:
        seen = numbers()
        return [after - before for before, after in itertools.pairwise(seen)]

    hand.click('[data-tool="play"]')
    wait_until(lambda: shown_number(hand) > 3, 30, "it plays")
    hand.click("#chips button[aria-label=从此幅]")
    first = shown_number(hand)
    wait_until(lambda: shown_number(hand) >= first + 3, 30, "a few images further")
    hand.click("#chips button[aria-label=到此幅]")
    last = shown_number(hand)
    numbers = watch_numbers(hand)
    wait_until(lambda: any(step < -1 for step in steps()), 30, "from the last to the first")
    hand.click("#chips button[aria-label=往返]")
    numbers = watch_numbers(hand)
    wait_until(lambda: -1 in steps() and 1 in steps()[steps().index(-1) :], 30, "back and forth")
    # A picture may be on its way while a chip is pressed: two images either side.
    assert min(numbers()) >= first - 2
    assert max(numbers()) <= last + 2
    for name in ("往返", "从此幅", "到此幅"):
        hand.click(f"#chips button[aria-label={name}]")
    hand.click('[data-tool="play"]')


def test_back_closes_the_sheet_before_the_page(hand: Page) -> None:
    address = hand.url.split("#")[0]
    hand.click("button[aria-label=更多]")
    expect(hand.locator("#sheet")).to_be_visible()
    hand.go_back()
    expect(hand.locator("#sheet")).to_be_hidden()
    assert hand.url.split("#")[0] == address


def test_the_view_survives_a_reload(hand: Page) -> None:
    hand.keyboard.press("End")
    hand.keyboard.press("r")
    settled(hand)
    wait_until(lambda: linked_view(hand)["frame"] == COUNT - 1, 30, "the image in the address")
    wait_until(lambda: linked_view(hand)["rotation"] == 90, 30, "its turn in the address")
    link = address(hand)
    hand.goto("about:blank")
    hand.goto(link)
    settled(hand)
    assert shown_number(hand) == COUNT
    expect(hand.locator(".letter.top")).to_have_text("右R")


def covered(page: Page) -> list[str]:
    """What of the bars and of the texts on the picture lies over something else of them."""
    return list(
        page.evaluate(
            """() => {
                const names = ["#bar", "#foot", ".quality", ".scale", ".corner.tl", ".corner.bl", ".corner.br",
                    ".letter.left", ".letter.right", ".letter.top"];
                const boxes = names.map(name => document.querySelector(name).getBoundingClientRect());
                const apart = (a, b) => a.right <= b.left + 1 || b.right <= a.left + 1
                    || a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
                return names.flatMap((name, i) => names.slice(i + 1)
                    .filter((_, j) => !apart(boxes[i], boxes[i + 1 + j])).map(other => name + " " + other));
            }"""
        )
    )


def test_landscape_and_large_text_keep_every_button_in_sight(hand: Page) -> None:
    try:
        hand.click("button[aria-label=更多]")
        hand.click("#sheet >> text=长辈版")
        for width, height in ((390, 844), (844, 390), (320, 568)):
            hand.set_viewport_size({"width": width, "height": height})
            settled(hand)
            for name in ("page", "window", "zoom", "play"):
                box = hand.locator(f'[data-tool="{name}"]').bounding_box()
                assert box is not None
                assert box["x"] >= 0
                assert box["x"] + box["width"] <= width + 0.5
                assert box["y"] + box["height"] <= height + 0.5
                assert box["height"] >= 60
                assert box["width"] >= 60
            expect(hand.locator("#title .place")).to_be_in_viewport(ratio=1)
            assert covered(hand) == [], (width, height)
    finally:
        hand.set_viewport_size({"width": 390, "height": 844})
        hand.click("button[aria-label=更多]")
        hand.click("#sheet >> text=长辈版")


def test_a_series_grows_while_it_is_open(server: Server, browser: Browser) -> None:
    files = read(ct_series(8, 48, PatientID="HANDS-2"))
    store(server, files[2:5])
    study = Study(server, arrived(server, "HANDS-2", 3), "CT")
    page = new_page(browser, "phone")
    open_share(page, study, make_share(study))
    page.keyboard.press("Home")
    expect(page.locator("#title")).to_contain_text(" 1/3")
    settled(page)
    expect(page.locator(".corner.bl")).to_contain_text("z 5.0")
    store(server, files[:2] + files[5:])
    # The image that is seen is the third now: two came before it.
    expect(page.locator("#title")).to_contain_text(" 3/8", timeout=60_000)
    settled(page)
    expect(page.locator(".corner.bl")).to_contain_text("z 5.0")
    page.keyboard.press("End")
    expect(page.locator("#title")).to_contain_text(" 8/8")


def test_the_list_comes_back_with_filters_and_place(stack: Study, browser: Browser) -> None:
    page = new_page(browser, "phone")
    log_in(page.context, stack.server.http, "admin", stack.server.password)
    page.set_viewport_size({"width": 390, "height": 300})
    page.goto(f"{stack.server.http}/studies")
    page.fill(".search", "HANDS-1")
    expect(page.locator("tbody tr").first).to_contain_text("幅")
    wait_until(lambda: address(page).endswith("/studies?q=HANDS-1"), 30, "the list")
    page.evaluate("window.scrollTo(0, 40)")
    for leave in (lambda: page.click("button[aria-label=关闭]"), page.go_back):
        page.locator(f'a[href="/viewer/{stack.key}"]').evaluate("link => link.click()")
        settled(page)
        leave()
        page.wait_for_url("**/studies?q=HANDS-1")
        expect(page.locator(".search")).to_have_value("HANDS-1")
        expect(page.locator("tbody tr").first).to_be_attached()
        wait_until(lambda: page.evaluate("window.scrollY") == 40, 30, "the place in the list")


def test_large_text_is_chosen_at_the_code_and_kept(stack: Study, browser: Browser) -> None:
    made = make_share(stack)
    page = new_page(browser, "phone")
    page.goto(stack.server.http + made.path)
    page.click("text=长辈版")
    expect(page.locator("label")).to_have_css("font-size", "20px")
    button = page.locator("button").bounding_box()
    assert button is not None
    assert button["height"] >= 60
    page.fill("input[name=code]", made.code)
    page.click("button")
    settled(page)
    expect(page.locator("#title")).to_have_css("font-size", "20px")
