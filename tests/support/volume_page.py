"""The page of planes and the rendering in a browser: what it sent, what it shows, when it rests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocket

from tests.support.multipart import body
from tests.support.server import Server

_SETTLED = """(kinds) => kinds.every((kind) => {
  const pane = document.querySelector(`#volume .pane[data-kind="${kind}"]`);
  return pane?.dataset.state === "settled" && pane.dataset.complete === "100";
})"""
_FRAMES = (
    "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))))"
)
_PATIENCE_S = 60.0


class Wire:
    """The views that a page sent, by viewport. Made before the page goes anywhere."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.views: list[dict[str, Any]] = []
        self.others: list[dict[str, Any]] = []
        page.on("websocket", self._opened)

    def _opened(self, socket: WebSocket) -> None:
        socket.on("framesent", self._sent)

    def _sent(self, payload: str | bytes) -> None:
        message = json.loads(payload)
        if message["t"] == "view" and str(message["viewport"]).startswith("volume-"):
            self.views.append(message)
        elif message["t"] in ("cuts", "pick"):
            self.others.append(message)

    def cuts(self) -> list[str]:
        """What was told of the scalpel's cuts, in order."""
        return [message["do"] for message in self.others if message["t"] == "cuts"]

    def last(self, kind: str) -> dict[str, Any]:
        """The newest view of a picture, {} before the first."""
        return next((view for view in reversed(self.views) if view["viewport"] == f"volume-{kind}"), {})

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """The condition's first true value. The browser's events are heard only inside a call to it."""
        deadline = time.monotonic() + _PATIENCE_S
        while not (value := condition()):
            if time.monotonic() > deadline:
                pytest.fail(f"{what}: not within {_PATIENCE_S} s; last views {self.views[-3:]}")
            self._page.evaluate(_FRAMES)
        return value


def rested(page: Page, *kinds: str) -> None:
    """Until each of these pictures is the full one of what the page wants now."""
    page.evaluate(_FRAMES)
    page.wait_for_function(_SETTLED, arg=list(kinds), timeout=_PATIENCE_S * 1000)


def picture(page: Page, kind: str) -> str:
    """The full picture as a data address; it must show something."""
    rested(page, kind)
    canvas = page.locator(f'#volume .pane[data-kind="{kind}"] canvas')
    lit = canvas.evaluate("""canvas => {
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let lit = 0;
        for (let at = 0; at < data.length; at += 4) if (data[at] > 40) lit += 1;
        return lit;
    }""")
    assert lit > 500, f"{kind}: nothing is seen"
    return str(canvas.evaluate("canvas => canvas.toDataURL()"))


def box_of(page: Page, kind: str) -> tuple[float, float, float, float]:
    """(x of the middle, y of the middle, width, height) of a picture, CSS px."""
    box = page.locator(f'#volume .pane[data-kind="{kind}"]').bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, box["width"], box["height"]


def drag(page: Page, kind: str, right: float, down: float, *, start: tuple[float, float] = (0, 0)) -> None:
    """With the left button, from a place beside the picture's middle by so many CSS px."""
    x, y, _, _ = box_of(page, kind)
    x, y = x + start[0], y + start[1]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right, y + down, steps=6)
    page.mouse.up()


def stroke(page: Page, kind: str, *places: tuple[float, float]) -> None:
    """With the left button held, through places beside the picture's middle (CSS px)."""
    x, y, _, _ = box_of(page, kind)
    first, *rest = [(x + right, y + down) for right, down in places]
    page.mouse.move(*first)
    page.mouse.down()
    for place in rest:
        page.mouse.move(*place, steps=5)
    page.mouse.up()


def light(page: Page, kind: str, *places: tuple[float, float]) -> list[int]:
    """Brightness (0 to 255) of the full picture at places beside its middle (CSS px), each the largest of 5 x 5."""
    rested(page, kind)
    canvas = page.locator(f'#volume .pane[data-kind="{kind}"] canvas')
    return canvas.evaluate(
        """(canvas, places) => places.map(([right, down]) => {
            const [x, y] = [[right, canvas.width, canvas.clientWidth], [down, canvas.height, canvas.clientHeight]]
                .map(([way, pixels, css]) => Math.round(pixels / 2 + way * pixels / css));
            const { data } = canvas.getContext("2d").getImageData(x - 2, y - 2, 5, 5);
            return Math.max(...data.filter((_, at) => at % 4 < 3));
        })""",
        places,
    )


def colour(page: Page, kind: str) -> list[float]:
    """Mean (red, green, blue) of what the full picture shows (its background left out)."""
    rested(page, kind)
    canvas = page.locator(f'#volume .pane[data-kind="{kind}"] canvas')
    return canvas.evaluate("""canvas => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        const sums = [0, 0, 0];
        let count = 0;
        for (let at = 0; at < data.length; at += 4) {
            if (Math.max(data[at], data[at + 1], data[at + 2]) < 20) continue;
            count += 1;
            for (const part of [0, 1, 2]) sums[part] += data[at + part];
        }
        return sums.map(sum => sum / Math.max(1, count));
    }""")


def choose(page: Page, tool: str, *choices: str) -> None:
    """A tool of the page, and choices of its row."""
    page.locator(f'#volume [data-tool="{tool}"]').click()
    for choice in choices:
        page.locator(f'#volume [data-choice="{choice}"]').click()


def show(page: Page, name: str) -> None:
    """A tab of the page by its words."""
    page.locator("#volume .tabs").get_by_role("button", name=name, exact=True).click()


def store_study(server: Server, patient_id: str, files: list[bytes]) -> int:
    """The key of the study that these files make."""
    content, headers = body(files)
    with server.client(headers={"Authorization": f"Bearer {server.token('dicomweb-write')}"}) as client:
        answer = client.post("/dicom-web/studies", content=content, headers=headers)
        assert answer.status_code == 200, answer.text
    with server.admin() as admin:
        rows = admin.get("/api/studies", params={"patient_id": patient_id}).json()["studies"]
    return int(rows[0]["study_key"])
