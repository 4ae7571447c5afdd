"""The viewer and the share page in a real Chromium, by fingers and by keys."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.support.browser import (
    device,
    exact,
    line,
    painted,
    settled,
    shown_number,
    shown_window,
    touch,
    watch_numbers,
)
from tests.support.demo_ct import Study, make_share, middle, open_share
from tests.support.server import wait_until
from tools.screenshots import chromium_path

pytestmark = pytest.mark.skipif(chromium_path() is None, reason="no chromium (apt install chromium)")


def test_a_finger_pages_through_the_series(phone: Page) -> None:
    x, y = middle(phone)
    before, picture = shown_number(phone), painted(phone)
    touch(phone, line((x, y), (x, y + 30), 6))
    expect(phone.locator("#title")).not_to_contain_text(f" {before}/")
    settled(phone)
    assert shown_number(phone) > before
    assert painted(phone) != picture


@pytest.mark.req("4.26")
def test_fingers_page_window_zoom_and_pan(phone: Page) -> None:
    x, y = middle(phone)
    place = shown_number(phone)
    phone.emulate_media(reduced_motion="reduce")  # nothing glides on after the finger left
    touch(phone, line((x, y), (x, y + 22), 6))
    expect(phone.locator("#title")).not_to_contain_text(f" {place}/")
    settled(phone)
    assert 1 <= shown_number(phone) - place <= 2, "a short way of the finger is one picture"
    phone.emulate_media(reduced_motion="no-preference")
    phone.keyboard.press("Home")
    expect(phone.locator("#title")).to_contain_text(" 1/")
    shown = watch_numbers(phone)
    touch(phone, line((x, y - 200), (x, y + 200), 24))
    settled(phone)
    assert shown_number(phone) > 5
    passed = shown()
    assert len(passed) > 3, "one drag pages continuously: pictures between are shown"
    assert passed == sorted(passed)
    width, level = shown_window(phone)
    phone.click('[data-tool="window"]')
    touch(phone, line((x, y), (x + 60, y - 60)))
    expect(phone.locator(".corner.br")).not_to_contain_text(f"W{width} L{level}")
    settled(phone)
    wider, lower = shown_window(phone)
    assert wider > width, "right is wider"
    assert lower < level, "up is brighter: the level falls"
    exact(phone)
    fitted = painted(phone)
    touch(phone, line((x - 30, y), (x - 90, y)), line((x + 30, y), (x + 90, y)))
    expect(phone.locator(".corner.br")).to_contain_text(re.compile(r"[2-4]\d\d %"))
    settled(phone)
    zoomed = painted(phone)
    assert zoomed != fitted
    touch(phone, line((x - 30, y), (x + 20, y + 40)), line((x + 30, y), (x + 80, y + 40)))
    wait_until(lambda: painted(phone) != zoomed, 30, "two fingers pan the zoomed picture")


def test_a_stopped_share_leaves_nothing_on_screen(ct: Study) -> None:
    made = make_share(ct)
    with device("phone") as context:
        page = context.new_page()
        open_share(page, ct, made)
        with ct.server.admin() as client:
            client.post(f"/api/shares/{made.share}/revoke", json={}).raise_for_status()
        expect(page.locator(".message")).to_have_text("分享人已停止分享", timeout=10_000)
        assert page.evaluate("document.querySelector('#picture').width") == 1
        assert page.locator("#stage img").count() == 0
        page.reload()
        expect(page.locator("body")).to_contain_text("分享人已停止分享")


def test_the_first_picture_needs_no_script(ct: Study) -> None:
    made = make_share(ct)
    with device("phone") as phone_context:
        browser = phone_context.browser
        assert browser is not None
        context = browser.new_context(java_script_enabled=False, ignore_https_errors=True)
        page = context.new_page()
        page.goto(ct.server.http + made.path)
        page.fill("input[name=code]", made.code)
        page.click("button")
        box = page.locator("#base").bounding_box()
        assert box is not None
        assert box["width"] >= 360
        assert (page.locator("#base").get_attribute("src") or "").startswith("data:image/")
        context.close()


def test_letters_follow_a_flip_and_it_is_said(ct: Study) -> None:
    with device("phone") as context:
        page = context.new_page()
        open_share(page, ct, make_share(ct))
        expect(page.locator(".letter.left")).to_have_text("右R")
        page.keyboard.press("h")
        expect(page.locator(".letter.left")).to_have_text("左L")
        expect(page.locator(".corner.br")).to_contain_text("已翻转")
        page.keyboard.press("ArrowDown")
        expect(page.locator(".corner.br")).to_contain_text("已翻转")


def test_a_lost_line_comes_back_to_the_same_view(ct: Study) -> None:
    lines: list[WebSocketRoute] = []

    def through(route: WebSocketRoute) -> None:
        route.connect_to_server()
        lines.append(route)

    with device("phone") as context:
        page = context.new_page()
        page.route_web_socket("**/api/stream", through)
        open_share(page, ct, make_share(ct))
        page.keyboard.press("Home")
        expect(page.locator("#title")).to_contain_text(" 1/")
        settled(page)
        lines[0].close(code=1012)
        wait_until(lambda: page.evaluate("1") and len(lines) > 1, 60, "a second socket")
        page.keyboard.press("i")
        settled(page)
        assert shown_number(page) == 1


def test_the_code_form_warms_the_line_and_fetches_the_viewer_ahead(ct: Study) -> None:
    made = make_share(ct)
    with device("phone") as context:
        page = context.new_page()
        page.clock.install()
        with page.expect_request("**/assets/viewer-*.js"):
            page.goto(ct.server.http + made.path)
        page.clock.fast_forward(4_000)  # the connection has been quiet
        with page.expect_response("**/healthz") as answer:
            page.locator("input[name=code]").press_sequentially(made.code[:1])
        assert answer.value.ok
    with device("phone") as context:
        page = context.new_page()
        page.route("**/assets/form-*.js", lambda route: route.abort())
        open_share(page, ct, made)  # without the script the form does as well


def test_staff_search_and_share(ct: Study) -> None:
    with device("desktop") as context, ct.server.admin() as client:
        page = context.new_page()
        page.goto(ct.server.http + "/login")
        inputs = page.locator("form input")
        inputs.nth(0).fill("admin")
        inputs.nth(1).fill(ct.server.password)
        page.click("form button[type=submit]")
        page.fill(".search", "zhang")
        expect(page.locator("tbody tr").first).to_contain_text("张伟")
        page.locator("tbody tr button").first.click()
        page.locator("dialog button[type=submit]").click()
        expect(page.locator(".code")).to_have_text(re.compile(r"^\d{6}$"))
        code = page.inner_text(".code")
        shares = client.get(f"/api/studies/{ct.key}/shares").json()["shares"]
        assert len(code) == 6
        assert shares
