"""Pictures of the pages for the documentation: ``python -m tools.screenshots [--url … --password-file …]``.

Without ``--url`` the demo is started on a temporary home and free ports. Debian's Chromium is used, with a phone
profile (390 x 844, three device pixels a pixel) and a desktop (1440 x 900).
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
DEVICES: dict[str, dict[str, Any]] = {
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 3,
        "is_mobile": True,
        "has_touch": True,
    },
    "desktop": {"viewport": {"width": 1440, "height": 900}},
}
READY_MS = 30_000
_SETTLED = '.quality:is([data-quality="refined"], [data-quality="lossless"])'


_FRAMES = (
    "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))))"
)
_SETTLED_PANES = """() => [...document.querySelectorAll("#volume .pane")].filter(pane => pane.clientWidth > 0)
  .every(pane => pane.dataset.state === "settled" && pane.dataset.complete === "100")"""


def chromium_path() -> str | None:
    """Debian's Chromium; None where it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser. Raises RuntimeError where there is none."""
    path = chromium_path()
    if path is None:
        raise RuntimeError("no chromium: apt install chromium fonts-noto-cjk")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


def log_in(context: BrowserContext, url: str, username: str, password: str) -> None:
    """A staff session in the context's cookies. Raises RuntimeError."""
    answer = context.request.post(
        f"{url}/api/login", data={"username": username, "password": password}, headers={"Origin": url}
    )
    if not answer.ok:
        raise RuntimeError(f"login: {answer.status}")


def first_study(context: BrowserContext, url: str, modality: str) -> int:
    """Key of the study of this kind with most images. Raises RuntimeError."""
    studies = context.request.get(f"{url}/api/studies?modality={modality}").json()["studies"]
    if not studies:
        raise RuntimeError(f"no {modality} study on this server")
    return int(max(studies, key=lambda study: study["instance_count"])["study_key"])


def settle(page: Page) -> None:
    """Until the viewer shows its refined picture and the thumbnails are there."""
    page.wait_for_selector(_SETTLED, timeout=READY_MS)
    for image in page.locator("#strip img").all():
        image.scroll_into_view_if_needed()
    page.wait_for_load_state("networkidle", timeout=READY_MS)


def settle_volume(page: Page) -> None:
    """Until every picture of the planes' page that is seen is the full one of all slices."""
    page.wait_for_selector("#volume .pane", state="attached")
    page.evaluate(_FRAMES)
    page.wait_for_function(_SETTLED_PANES, timeout=4 * READY_MS)


def _take(page: Page, folder: Path, name: str, device: str) -> None:
    path = folder / f"{name}-{device}.png"
    page.screenshot(path=path)
    print(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def _take_keys(page: Page, folder: Path) -> None:
    """The card of keys while one is given a key that another has."""
    page.keyboard.press("F1")
    page.click("#card header button:has-text('改键')")
    page.click('#card [data-key="angle"]')
    page.keyboard.press("i")
    page.wait_for_selector("#card .clash")
    _take(page, folder, "keys", "desktop")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")


def take_all(browser: Browser, url: str, username: str, password: str, folder: Path) -> None:
    """Every page on every device into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for device, profile in DEVICES.items():
        staff = browser.new_context(locale="zh-CN", timezone_id="Asia/Shanghai", **profile)
        page = staff.new_page()
        page.goto(f"{url}/login")
        page.wait_for_selector("form")
        _take(page, folder, "login", device)
        log_in(staff, url, username, password)
        page.goto(f"{url}/studies")
        page.wait_for_selector("tbody tr")
        _take(page, folder, "study-list", device)
        page.goto(f"{url}/viewer/{first_study(staff, url, 'CT')}")
        settle(page)
        _take(page, folder, "viewer", device)
        if device == "desktop":
            _take_keys(page, folder)
        page.goto("about:blank")  # the same page with another hash is not loaded again
        page.goto(f"{url}/viewer/{first_study(staff, url, 'CT')}#volume")
        settle_volume(page)
        _take(page, folder, "volume", device)
        if device == "phone":
            page.locator("#volume .tabs .volume").click()
            settle_volume(page)
            _take(page, folder, "volume-rendering", device)
        page.locator("#volume .tabs .volume").click()
        page.locator('#volume [data-tool="look"]').click()
        page.locator('#volume [data-choice="curve"]').click()
        page.wait_for_selector("#volume .curve .point")
        if device == "desktop":
            page.locator("#volume .tabs .all").click()
        settle_volume(page)
        _take(page, folder, "transfer", device)
        page.goto("about:blank")
        page.goto(f"{url}/viewer/{first_study(staff, url, 'PT')}#fusion")
        settle_volume(page)
        if device == "phone":
            page.locator("#volume .tabs .coronal").click()
            settle_volume(page)
        _take(page, folder, "fusion", device)
        study = first_study(staff, url, "MR")
        made = staff.request.post(f"{url}/api/studies/{study}/shares", data={"days": 7}, headers={"Origin": url}).json()
        staff.close()
        patient = browser.new_context(locale="zh-CN", timezone_id="Asia/Shanghai", **profile)
        page = patient.new_page()
        page.goto(f"{url}/s/{made['url'].rsplit('/', 1)[1]}")
        _take(page, folder, "share-code", device)
        page.fill("input[name=code]", made["code"])
        page.click("button")
        settle(page)
        _take(page, folder, "share-opened", device)
        patient.close()


@contextmanager
def demo() -> Iterator[tuple[str, str]]:
    """The demo on a temporary home and free ports: (address, the administrator's password). Raises RuntimeError."""
    with tempfile.TemporaryDirectory(prefix="cloudfilm-screenshots-") as home:
        environment = {**os.environ, "CLOUDFILM_HOME": home}
        environment |= {"CLOUDFILM_HTTP": "127.0.0.1:0", "CLOUDFILM_DICOM": "127.0.0.1:0", "NO_COLOR": "1"}
        running = subprocess.Popen(
            [sys.executable, "-m", "app", "demo"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            yield _read_welcome(running)
        finally:
            running.send_signal(signal.SIGINT)
            try:
                running.wait(30)
            except subprocess.TimeoutExpired:
                running.kill()


def _read_welcome(running: subprocess.Popen[str]) -> tuple[str, str]:
    """What the demo prints once its studies are there; the one-time password is changed."""
    url = password = ""
    for line in running.stdout or ():
        if "browser" in line:
            url = line.split()[-1]
        if "one-time password" in line:
            password = line.split()[-1]
        if "Ctrl-C" in line:
            break
    if not (url and password):
        raise RuntimeError("the demo did not start")
    fresh = secrets.token_urlsafe(16)
    with httpx.Client(base_url=url, headers={"Origin": url}) as client:
        client.post("/api/login", json={"username": "admin", "password": password}).raise_for_status()
        client.post("/api/password", json={"old": password, "new": fresh}).raise_for_status()
    return url, fresh


def main() -> int:
    """Take them; returns the exit status."""
    arguments = argparse.ArgumentParser(prog="python -m tools.screenshots", description="Pictures for docs/")
    arguments.add_argument("--url", help="address of a running server with the demo studies; else one is started")
    arguments.add_argument("--admin", default="admin", help="a user who may share")
    arguments.add_argument("--password-file", type=Path, help="file with the password, '-' for standard input")
    arguments.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshots")
    chosen = arguments.parse_args()
    if chosen.url is None:
        with demo() as (url, password), chromium() as browser:
            take_all(browser, url, "admin", password, chosen.out)
        return 0
    if chosen.password_file is None:
        arguments.error("--url needs --password-file")
    source = sys.stdin.readline() if str(chosen.password_file) == "-" else chosen.password_file.read_text()
    with chromium() as browser:
        take_all(browser, chosen.url.rstrip("/"), chosen.admin, source.strip(), chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
