"""A real Chromium with a phone's screen and fingers, or a desktop's mouse."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tools.screenshots import DEVICES, chromium

Finger = tuple[float, float]
# What is expected may take its time where other work fills the cores; Playwright's own five seconds are a fast machine's.
expect.set_options(timeout=30_000)


class _Kept:
    """One browser process for all tests that follow one another; each has a context of its own, as if it were new."""

    def __init__(self) -> None:
        self._browser: Browser | None = None
        self._stack = ExitStack()

    def get(self) -> Browser:
        if self._browser is None or not self._browser.is_connected():
            self.close()
            self._browser = self._stack.enter_context(chromium())
        return self._browser

    def close(self) -> None:
        self._browser = None
        self._stack.close()


_kept = _Kept()


def shared_browser() -> Browser:
    """The running browser, started at the first call. Whoever makes a context in it closes that."""
    return _kept.get()


def close_shared_browser() -> None:
    """End it: Playwright keeps a loop of its own running in this thread, beside which no other can run."""
    _kept.close()


@contextmanager
def device(kind: str, language: str = "zh-CN") -> Iterator[BrowserContext]:
    """A fresh context: ``phone`` or ``desktop``."""
    context = shared_browser().new_context(locale=language, ignore_https_errors=True, **DEVICES[kind])
    try:
        yield context
    finally:
        context.close()


def touch(page: Page, *paths: Sequence[Finger], step_ms: float | None = None) -> None:
    """Fingers go down, along their paths step by step (all paths equally long), and up: real touch events.

    ``step_ms``: the events say that a step took so long, however long the machine needed; a throw's speed is in them.
    """
    with holding(page, *paths, step_ms=step_ms):
        pass


def double_tap(page: Page, at: Finger) -> None:
    """Two touches that say they were 120 ms apart, however long the machine needed."""
    session = page.context.new_cdp_session(page)
    began = time.time()
    for after_ms, kind in ((0, "touchStart"), (50, "touchEnd"), (120, "touchStart"), (170, "touchEnd")):
        points = [{"x": at[0], "y": at[1], "id": 0}] if kind == "touchStart" else []
        stamp = began + after_ms / 1000
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points, "timestamp": stamp})
    session.detach()


def double_click(page: Page, at: Finger) -> None:
    """Two clicks of the left button that say they were 120 ms apart, however long the machine needed."""
    session = page.context.new_cdp_session(page)
    began = time.time()
    for after_ms, kind, count in (
        (0, "mousePressed", 1),
        (50, "mouseReleased", 1),
        (120, "mousePressed", 2),
        (170, "mouseReleased", 2),
    ):
        event = {"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": count}
        session.send("Input.dispatchMouseEvent", {**event, "timestamp": began + after_ms / 1000})
    session.detach()


@contextmanager
def holding(page: Page, *paths: Sequence[Finger], step_ms: float | None = None) -> Iterator[None]:
    """As ``touch``, but the fingers stay down at the end of their paths until the block is left."""
    session = page.context.new_cdp_session(page)
    began = time.time()

    def send(kind: str, step: int) -> None:
        points = [{"x": path[step][0], "y": path[step][1], "id": number} for number, path in enumerate(paths)]
        message: dict[str, Any] = {"type": kind, "touchPoints": [] if kind == "touchEnd" else points}
        if step_ms is not None:
            message["timestamp"] = began + step * step_ms / 1000
        session.send("Input.dispatchTouchEvent", message)

    last = len(paths[0]) - 1
    send("touchStart", 0)
    for step in range(1, last + 1):
        send("touchMove", step)
    try:
        yield
    finally:
        send("touchEnd", last)
        session.detach()


def line(start: Finger, end: Finger, steps: int = 12) -> list[Finger]:
    """Points from start to end."""
    return [
        (start[0] + (end[0] - start[0]) * step / steps, start[1] + (end[1] - start[1]) * step / steps)
        for step in range(steps + 1)
    ]


def shown_number(page: Page) -> int:
    """Number of the picture on screen, from 1, as the title names it."""
    found = re.search(r"(\d+)/\d+", page.inner_text("#title"))
    return int(found.group(1)) if found else 0


def watch_numbers(page: Page) -> Callable[[], list[int]]:
    """From now on note every number that the title shows; the returned function gives them in order."""
    page.evaluate(
        """() => {
            const title = document.querySelector("#title");
            window.seenTitles = [];
            new MutationObserver(() => window.seenTitles.push(title.textContent)).observe(title,
                { childList: true, characterData: true, subtree: true });
        }"""
    )

    def numbers() -> list[int]:
        found = [re.search(r"(\d+)/\d+", text) for text in page.evaluate("window.seenTitles")]
        seen = [int(match.group(1)) for match in found if match]
        return [number for index, number in enumerate(seen) if index == 0 or number != seen[index - 1]]

    return numbers


def shown_window(page: Page) -> tuple[int, int]:
    """(W, L) as the lower right corner says."""
    found = re.search(r"W(-?\d+) L(-?\d+)", page.inner_text(".corner.br"))
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def settled(page: Page) -> None:
    """Until the refined picture of what was asked for, or its exact values, are on screen.

    What was done is asked for in the next frames.
    """
    page.wait_for_selector(".quality")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_selector('.quality:is([data-quality="refined"], [data-quality="lossless"])')


def exact(page: Page) -> None:
    """Until the exact values are on screen: what is painted then changes with the view alone, not with what arrives."""
    page.wait_for_selector('.quality[data-quality="lossless"]')


def painted(page: Page) -> str:
    """The picture on screen as a data address: differs when another picture is shown."""
    return str(
        page.evaluate("""
        (document.querySelector('canvas.values:not([hidden])') ?? document.querySelector('#picture')).toDataURL()
    """)
    )
