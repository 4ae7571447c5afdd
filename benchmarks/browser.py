"""A phone's Chromium inside a network namespace, and the clocks read in it."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import BrowserContext, Page, sync_playwright

from benchmarks.harness import BenchmarkError
from benchmarks.needs import chromium

# CSS pixels of a common phone; x 2.77 = 1080 device pixels wide.
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2.77,
    "is_mobile": True,
    "has_touch": True,
    "locale": "zh-CN",
}

# For a peer whose page leaves no room for a picture on a phone.
DESK: dict[str, Any] = {
    "viewport": {"width": 1280, "height": 800},
    "device_scale_factor": 1,
    "locale": "zh-CN",
}

# When the browser painted the elements that are marked for it (Element Timing API), from the start of the navigation.
_OBSERVE = """
window.__painted = {};
new PerformanceObserver(list => {
  for (const e of list.getEntries()) window.__painted[e.identifier] = e.renderTime || e.loadTime;
}).observe({type: 'element', buffered: true});
"""
# Peers paint into a canvas: the first animation frame at which one holds a picture (grey levels that differ; the first
# slice of a head is little more than dark noise).
_WATCH_CANVAS = """
window.__painted = {};
const probe = document.createElement('canvas'); probe.width = probe.height = 24;
const pen = probe.getContext('2d', {willReadFrequently: true});
function look() {
  for (const c of document.querySelectorAll('canvas')) {
    if (c.clientWidth < 150 || c.clientHeight < 150) continue;
    try {
      pen.clearRect(0, 0, 24, 24); pen.drawImage(c, 0, 0, 24, 24);
      const d = pen.getImageData(0, 0, 24, 24).data; let low = 255, high = 0, lit = 0;
      for (let i = 0; i < d.length; i += 4) { low = Math.min(low, d[i]); high = Math.max(high, d[i]); lit += d[i] > 2; }
      if (high - low > 2 && lit > 24) { window.__painted.canvas = performance.now(); return; }
    } catch (e) { /* a canvas of another origin */ }
  }
  requestAnimationFrame(look);
}
requestAnimationFrame(look);
"""
_DONE = """() => {
  const p = window.__painted, whole = document.readyState !== 'loading';
  return p && (p.refined || (p.base && whole && !document.getElementById('refined')));
}"""


class Phone:
    """``with Phone(namespace) as phone``: one browser process; every visit gets a context with an empty cache.

    ``certificate`` (PEM) is trusted as if an authority had signed it.
    """

    def __init__(self, namespace: str, certificate: Path | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="cloudfilm-bench-", ignore_cleanup_errors=True)
        script = Path(self._folder.name) / "chromium"
        program = f"ip netns exec {namespace} {chromium()}" if namespace else chromium()
        script.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
        script.chmod(0o755)
        self._manager = sync_playwright()
        self._playwright = self._manager.start()
        self.browser = self._playwright.chromium.launch(
            executable_path=str(script),
            args=[
                "--no-sandbox",
                *self._trust(certificate),
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
                "--enable-unsafe-swiftshader",
            ],
        )
        self.version = self.browser.version

    @staticmethod
    def _trust(certificate: Path | None) -> list[str]:
        """Trust in the verifier. To forgive the error afterwards, as a context can, costs a second connection (two
        round trips more than a person with a real certificate waits) and keeps every answer out of the cache."""
        if certificate is None:
            return []
        key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
        encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        pin = base64.b64encode(hashlib.sha256(encoded).digest()).decode()
        return [f"--ignore-certificate-errors-spki-list={pin}"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.browser.close()
        self._manager.__exit__(None, None, None)
        self._folder.cleanup()

    def context(
        self, cookie: tuple[str, str] | None = None, url: str = "", *, canvas: bool = False, desk: bool = False
    ) -> BrowserContext:
        """A fresh profile: no cache, no open connection; a session cookie where one is given."""
        context = self.browser.new_context(**(DESK if desk else PHONE))
        context.set_default_timeout(60_000)
        context.add_init_script(_WATCH_CANVAS if canvas else _OBSERVE)
        if cookie is not None:
            origin = "/".join(url.split("/")[:3]) + "/"  # a __Host- cookie belongs to the path /
            context.add_cookies([{"name": cookie[0], "value": cookie[1], "url": origin, "secure": True}])
        return context

    def open_picture(self, url: str, cookie: tuple[str, str] | None) -> tuple[float, Page]:
        """Clock A: ms from navigation to the painted picture. The caller closes ``page.context``."""
        page = self.context(cookie, url).new_page()
        page.goto(url, wait_until="commit")
        return self.painted_ms(page), page

    def painted_ms(self, page: Page) -> float:
        """ms from the start of the present navigation to the paint of its best picture."""
        page.wait_for_function(_DONE)
        painted: dict[str, float] = page.evaluate("window.__painted")
        return painted.get("refined") or painted["base"]

    def type_code(self, url: str, code: str) -> Page:
        """A share's form, opened and filled in; the caller lets it stand idle, submits it and closes its context."""
        page = self.context().new_page()
        page.goto(url)
        page.fill("input[name=code]", code)
        return page

    def type_again(self, page: Page, code: str) -> None:
        """The code's second half once more, 300 ms a key, as a person who comes back to the form."""
        field = page.locator("input[name=code]")
        half = len(code) // 2
        field.fill(code[:half])
        field.press_sequentially(code[half:], delay=300)

    def submit_code(self, page: Page) -> float:
        """Clock B: ms from the submission of the code to the painted picture."""
        with page.expect_navigation(wait_until="commit"):
            page.click("form button")
        return self.painted_ms(page)

    def open_canvas(self, url: str, context: BrowserContext) -> float:
        """A peer's clock: ms from navigation until a canvas shows a picture."""
        page = context.new_page()
        page.goto(url, wait_until="commit")
        page.wait_for_function("() => window.__painted && window.__painted.canvas", timeout=60_000)
        found = float(page.evaluate("window.__painted.canvas"))
        page.close()
        return found


def shown_picture(page: Page) -> tuple[NDArray[np.uint8], float]:
    """(the pixels of the best picture in the page, its width on the screen as a share of the viewport's)."""
    found: dict[str, Any] = page.evaluate(
        "() => { const i = document.getElementById('refined') || document.getElementById('base');"
        " const r = i.getBoundingClientRect(); return {src: i.src, share: r.width / innerWidth}; }"
    )
    match = re.match(r"data:[^,]*;base64,(.*)", str(found["src"]), re.S)
    if match is None:
        raise BenchmarkError("the first picture is not in the page")
    picture = Image.open(io.BytesIO(base64.b64decode(match.group(1)))).convert("L")
    return np.asarray(picture), float(found["share"])


def screenshot(page: Page) -> NDArray[np.uint8]:
    """What the phone shows, grey, in device pixels."""
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L"))


def wall_ms() -> float:
    """A wall clock in ms."""
    return time.perf_counter() * 1000
