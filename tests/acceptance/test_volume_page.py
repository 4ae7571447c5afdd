"""Planes and the rendering of a series in a real Chromium: 三维 of the viewer's sheet."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.delivery.page import client_files
from tests.support.browser import device
from tests.support.multipart import body
from tests.support.series import ct_series
from tests.support.server import Server
from tools.screenshots import chromium_path, log_in

pytestmark = pytest.mark.skipif(chromium_path() is None, reason="no chromium (apt install chromium)")
COUNT, SIDE = 24, 64
PATIENT = "VOLUME-PAGE"
# The pane's picture is refined and not black.
SEEN = """(kind) => {
  const pane = document.querySelector(`.pane[data-kind="${kind}"]`), canvas = pane?.querySelector("canvas");
  if (!canvas || pane.dataset.quality !== "refined") return false;
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let lit = 0;
  for (let at = 0; at < data.length; at += 4) if (data[at] > 40) lit += 1;
  return lit > 500;
}"""


def picture(page: Page, kind: str) -> str:
    """The refined picture of a pane as a data address."""
    page.wait_for_function(SEEN, arg=kind, timeout=60_000)
    return str(page.locator(f'.pane[data-kind="{kind}"] canvas').evaluate("canvas => canvas.toDataURL()"))


def drag(page: Page, kind: str, right: int, down: int) -> None:
    """From the pane's middle by so many CSS px."""
    box = page.locator(f'.pane[data-kind="{kind}"] canvas').bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right, y + down, steps=5)
    page.mouse.up()


def changed(page: Page, kind: str, before: str) -> None:
    """Until the pane shows another picture."""
    wait = "([kind, before]) => document.querySelector(`.pane[data-kind='${kind}'] canvas`).toDataURL() !== before"
    page.wait_for_function(wait, arg=[kind, before], timeout=60_000)


def keep(page: Page, name: str) -> None:
    """A screenshot for a person to look at, where CLOUDFILM_SCREENSHOTS names a folder."""
    if folder := os.environ.get("CLOUDFILM_SCREENSHOTS"):
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


@pytest.fixture(scope="module")
def study(server: Server) -> int:
    if "volume.js" not in client_files():
        pytest.skip("the web client is not built (python -m tools.build_client)")
    content, headers = body(ct_series(COUNT, SIDE, PatientID=PATIENT, PatientName="VOLUME"))
    with server.client(headers={"Authorization": f"Bearer {server.token('dicomweb-write')}"}) as client:
        answer = client.post("/dicom-web/studies", content=content, headers=headers)
        assert answer.status_code == 200, answer.text
    with server.admin() as admin:
        rows = admin.get("/api/studies", params={"patient_id": PATIENT}).json()["studies"]
    return int(rows[0]["study_key"])


@pytest.mark.parametrize("kind", ["phone", "desktop"])
def test_planes_and_the_rendering_follow_the_hand(server: Server, study: int, kind: str) -> None:
    with device(kind) as context:
        log_in(context, server.http, server.username, server.password)
        page = context.new_page()
        page.goto(f"{server.http}/viewer/{study}")
        page.get_by_role("button", name="更多").click()
        page.get_by_role("button", name="三维").click()
        axial = picture(page, "axial")
        keep(page, f"volume-{kind}-first")
        drag(page, "axial", 0, 30)
        changed(page, "axial", axial)
        page.locator("#volume .tabs").get_by_role("button", name="三维").click()
        page.get_by_role("button", name="MIP", exact=True).click()
        front = picture(page, "volume")
        keep(page, f"volume-{kind}-rendering")
        drag(page, "volume", 90, 40)
        changed(page, "volume", front)
        page.keyboard.press("Escape")
        expect(page.locator("#volume")).to_have_count(0)
        expect(page.locator("#stage")).to_be_visible()
