"""Measuring in the 2D viewer with fingers and with the mouse, in a real Chromium (UX, section 6)."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Page, expect

from dicomnet.dimse.scu import send
from tests.support.browser import device, holding, line, settled, shown_number, touch
from tests.support.demo_ct import Study, make_share, open_share
from tests.support.measuring import Fitted, drawn, in_ellipse, linked_measurements
from tests.support.series import ct_series, values_of
from tests.support.server import Server, wait_until
from tools.screenshots import chromium_path, log_in

pytestmark = pytest.mark.skipif(chromium_path() is None, reason="no chromium (apt install chromium)")
COUNT, SIDE = 5, 128
ACROSS_MM, DOWN_MM = 0.5, 1.0  # pixels twice as high as wide: 64 mm x 128 mm


@pytest.fixture(scope="module")
def phantom(server: Server) -> Study:
    """A CT whose pixels are not square."""
    files = ct_series(COUNT, SIDE, PatientID="MEASURE-1", PixelSpacing=[DOWN_MM, ACROSS_MM])
    instances = [pydicom.dcmread(io.BytesIO(data)) for data in files]
    address = server.dicom
    contexts = {(str(ds.SOPClassUID), str(ds.file_meta.TransferSyntaxUID)) for ds in instances}
    send(address.host, address.port, instances, contexts, called_ae_title=address.ae_title)
    with server.admin() as client:

        def complete() -> int:
            rows = client.get("/api/studies", params={"q": "MEASURE-1"}).json()["studies"]
            return next((int(row["study_key"]) for row in rows if row["instance_count"] == COUNT), 0)

        return Study(server, wait_until(complete, 60, "the phantom's arrival"), "CT")


@pytest.fixture
def hand(phantom: Study) -> Iterator[Page]:
    """A phone with the phantom's first image, shared."""
    with device("phone") as context:
        page = context.new_page()
        open_share(page, phantom, make_share(phantom))
        page.keyboard.press("Home")
        settled(page)
        yield page


@pytest.fixture
def desk(phantom: Study) -> Iterator[Page]:
    """A desktop with the phantom's first image, opened by staff."""
    with device("desktop") as context:
        log_in(context, phantom.server.http, "admin", phantom.server.password)
        page = context.new_page()
        page.goto(f"{phantom.server.http}/viewer/{phantom.key}")
        settled(page)
        page.keyboard.press("Home")
        settled(page)
        yield page


def fitted(page: Page) -> Fitted:
    return Fitted(page, SIDE, SIDE, DOWN_MM / ACROSS_MM)


def choose(page: Page, kind: str) -> None:
    """A tool by its key, once its script is there."""
    page.keyboard.press(kind)
    page.wait_for_selector(".measurements", state="attached")


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """With the left button, between two image points."""
    place = fitted(page)
    page.mouse.move(*place.at(*start))
    page.mouse.down()
    page.mouse.move(*place.at(*end), steps=6)
    page.mouse.up()


def says(page: Page, *wanted: str) -> None:
    """Until the measurements over the picture say this, one text for each."""

    told: list[str] = []

    def same() -> bool:
        told[:] = drawn(page)
        return len(told) == len(wanted) and all(text in said for text, said in zip(wanted, told, strict=True))

    try:
        wait_until(same, 30, "measurements")
    except pytest.fail.Exception:
        pytest.fail(f"measurements say {told}, wanted {wanted}; in the address {linked_measurements(page)}")


def take_up(page: Page) -> None:
    """The measuring tool on a phone, by its button."""
    page.tap('[data-tool="measure"]')
    expect(page.locator('[data-tool="measure"]')).to_have_attribute("aria-pressed", "true")
    page.wait_for_selector(".measurements", state="attached")


# 40 mm along a row and 30 mm down: pixels that are taken for square would give another length.
START, END = (20, 20), (100, 50)


def test_a_finger_measures_50_mm_by_a_drag_and_then_pages_again(hand: Page) -> None:
    take_up(hand)
    place = fitted(hand)
    with holding(hand, line(place.at(*START), place.at(*END))):
        expect(hand.locator(".loupe")).to_be_visible()
    says(hand, "50.0 mm")
    expect(hand.locator(".loupe")).to_be_hidden()
    expect(hand.locator('[data-tool="page"]')).to_have_attribute("aria-pressed", "true")
    place = fitted(hand)
    touch(hand, line(place.at(64, 70), place.at(64, 100)))
    wait_until(lambda: shown_number(hand) > 1, 30, "after a measurement a finger pages")
    says(hand)
    wait_until(lambda: len(linked_measurements(hand)) == 1, 30, "the address has it")


def test_a_finger_measures_50_mm_by_two_taps(hand: Page) -> None:
    take_up(hand)
    place = fitted(hand)
    touch(hand, [place.at(*START)])
    expect(hand.get_by_text("点第二点")).to_be_visible()
    touch(hand, [place.at(*END)])
    says(hand, "50.0 mm")


def test_under_three_pixels_is_no_measurement(hand: Page) -> None:
    take_up(hand)
    x, y = fitted(hand).at(*START)
    for finger in ((x, y), (x + 2, y)):
        touch(hand, [finger])
    assert linked_measurements(hand) == []
    touch(hand, [fitted(hand).at(*END)])
    says(hand, "50.0 mm")  # from the first place


def test_a_mouse_measures_and_the_link_restores_it(desk: Page, phantom: Study) -> None:
    choose(desk, "m")
    drag(desk, (10, 64), (110, 64))
    says(desk, "50.0 mm")
    wait_until(lambda: len(linked_measurements(desk)) == 1, 30, "the address has it")
    link = str(desk.evaluate("location.href"))
    with device("desktop") as context:
        log_in(context, phantom.server.http, "admin", phantom.server.password)
        other = context.new_page()
        other.goto(link)
        settled(other)
        says(other, "50.0 mm")


def test_statistics_of_an_ellipse_are_those_of_the_stored_values(desk: Page) -> None:
    corners = (70.0, 70.0), (110.0, 100.0)
    choose(desk, "e")
    drag(desk, *corners)
    wait_until(lambda: len(linked_measurements(desk)) == 1, 30, "the address has it")
    # What the hand hit, to a thousandth of a pixel.
    first, second = linked_measurements(desk)[0]["points"]
    assert np.allclose((first, second), corners, atol=0.5)
    inside = in_ellipse(values_of(0, SIDE).astype(float) - 1024, tuple(first), tuple(second))
    area_mm2 = np.pi / 4 * abs(second[0] - first[0]) * ACROSS_MM * abs(second[1] - first[1]) * DOWN_MM
    says(
        desk,
        f"均值 {_figure(inside.mean())} HU | 标准差 {_figure(inside.std())} | "
        f"最小 {inside.min():.0f}  最大 {inside.max():.0f} | 面积 {area_mm2:.1f} mm²",
    )


def _figure(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.1f}"


def test_an_angle_a_note_and_a_point(desk: Page) -> None:
    choose(desk, "a")
    # 20 mm down and 20 mm to the right: 90 degrees, whatever the pixels' shape.
    for point in ((20, 20), (20, 40), (60, 40)):
        desk.mouse.click(*fitted(desk).at(*point))
    says(desk, "90.0°")
    choose(desk, "q")
    desk.mouse.click(*fitted(desk).at(80.5, 90.5))
    value = int(values_of(0, SIDE)[90, 80]) - 1024
    says(desk, "90.0°", f"{value} HU | (80, 90)")
    choose(desk, "t")
    drag(desk, (30, 100), (50, 110))
    desk.keyboard.type("结节，随访 m a e")
    desk.keyboard.press("Enter")
    says(desk, "90.0°", f"{value} HU", "结节，随访 m a e")
    kinds = ["angle", "probe", "note"]
    wait_until(lambda: [one["kind"] for one in linked_measurements(desk)] == kinds, 30, "the address has all")


def test_undo_delete_hide_and_give_up(desk: Page) -> None:
    choose(desk, "m")
    drag(desk, (10, 20), (110, 20))
    drag(desk, (10, 64), (70, 64))
    says(desk, "50.0 mm", "30.0 mm")
    desk.keyboard.press("Delete")  # the one made last is chosen
    says(desk, "50.0 mm")
    desk.keyboard.press("Control+z")
    says(desk, "50.0 mm", "30.0 mm")
    desk.keyboard.press("n")
    says(desk)
    desk.keyboard.press("n")
    says(desk, "50.0 mm", "30.0 mm")
    # By its end, which a hand can hold, 10 mm further.
    drag(desk, (70, 64), (90, 64))
    says(desk, "50.0 mm", "40.0 mm")
    desk.mouse.click(*fitted(desk).at(20, 100))
    desk.keyboard.press("Escape")
    desk.mouse.move(*fitted(desk).at(60, 110))
    says(desk, "50.0 mm", "40.0 mm")
    desk.mouse.click(*fitted(desk).at(60, 20), button="right")
    desk.get_by_role("menuitem", name="删除").click()
    says(desk, "40.0 mm")
    wait_until(lambda: len(linked_measurements(desk)) == 1, 30, "the address has what is left")


def test_a_turned_and_flipped_picture_keeps_its_lengths(desk: Page) -> None:
    choose(desk, "m")
    drag(desk, (10, 64), (110, 64))
    says(desk, "50.0 mm")
    for key in ("r", "h", "+", "i"):
        desk.keyboard.press(key)
    settled(desk)
    says(desk, "50.0 mm")


# By fingers: every tool, and what is done with a measurement ------------------------------------------------------


def touch_tool(page: Page, name: str) -> None:
    """The measuring tool of this name: after each measurement a finger pages again."""
    take_up(page)
    page.tap(f"#chips [aria-label={name}]")
    expect(page.locator(f"#chips [aria-label={name}]")).to_have_attribute("aria-pressed", "true")


def apart(page: Page) -> None:
    """So long that the next touch is no double tap."""
    page.wait_for_function("start => performance.now() - start > 700", arg=page.evaluate("performance.now()"))


def test_fingers_make_an_angle_an_ellipse_a_note_and_a_point(hand: Page) -> None:
    touch_tool(hand, "角度")
    for point in ((20, 20), (20, 40), (60, 40)):
        touch(hand, [fitted(hand).at(*point)])
        apart(hand)
    says(hand, "90.0°")
    touch_tool(hand, "椭圆")
    place = fitted(hand)
    touch(hand, line(place.at(70, 70), place.at(110, 100)))
    says(hand, "90.0°", "HU")
    apart(hand)
    touch_tool(hand, "取点")
    touch(hand, [fitted(hand).at(80.5, 20.5)])
    says(hand, "90.0°", "HU", f"{int(values_of(0, SIDE)[20, 80]) - 1024} HU | (80, 20)")
    apart(hand)
    touch_tool(hand, "标注")
    touch(hand, [fitted(hand).at(30.5, 100.5)])
    hand.fill(".measure-note input", "结节")
    hand.tap(".measure-note [type=submit]")
    says(hand, "90.0°", "HU", "(80, 20)", "结节")
    expect(hand.locator('[data-tool="page"]')).to_have_attribute("aria-pressed", "true")


def test_a_resting_finger_on_a_measurement_changes_or_deletes_it(hand: Page) -> None:
    take_up(hand)
    place = fitted(hand)
    touch(hand, line(place.at(*START), place.at(*END)))
    says(hand, "50.0 mm")
    apart(hand)
    place = fitted(hand)
    touch(hand, [place.at(64, 110)])  # beside it: it is let go of
    expect(hand.locator(".measurements .chosen")).to_have_count(0)
    with holding(hand, [place.at(60, 35)]):
        expect(hand.get_by_role("menuitem", name="改")).to_be_visible()
        expect(hand.locator(".loupe")).to_be_hidden()
    hand.get_by_role("menuitem", name="改").tap()
    expect(hand.locator(".measurements .handle")).to_have_count(2)
    # A handle is held from 18 px beside it: its target is 44 px wide.
    x, y = place.at(*END)
    to = place.at(20, 120)
    touch(hand, line((x + 13, y + 13), to))
    says(hand, "100.0 mm")
    apart(hand)
    with holding(hand, [place.at(20, 70)]):
        expect(hand.get_by_role("menuitem", name="删除")).to_be_visible()
    hand.get_by_role("menuitem", name="删除").tap()
    says(hand)
    hand.locator(".offer").tap()
    says(hand, "100.0 mm")


def test_a_second_finger_zooms_and_measures_nothing(hand: Page) -> None:
    take_up(hand)
    x, y = fitted(hand).at(64, 64)
    touch(hand, line((x - 30, y), (x - 90, y)), line((x + 30, y), (x + 90, y)))
    expect(hand.locator(".corner.br")).to_contain_text(" %")
    says(hand)
    assert linked_measurements(hand) == []
    expect(hand.locator('[data-tool="measure"]')).to_have_attribute("aria-pressed", "true")
