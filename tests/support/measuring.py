"""Places of an image on the viewer's stage, and what the page's address says of measurements; apart from the product."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from playwright.sync_api import Page

from tests.support.browser import Finger

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Fitted:
    """An image of ``columns`` x ``rows`` pixels, ``aspect`` times as high as wide, fitted into the stage and unturned."""

    page: Page
    columns: int
    rows: int
    aspect: float = 1.0

    def at(self, column: float, row: float) -> Finger:
        """CSS px of the page at an image point."""
        box = self.page.locator("#stage").bounding_box()
        assert box is not None
        scale = min(box["width"] / self.columns, box["height"] / (self.rows * self.aspect))
        left = box["x"] + box["width"] / 2 + (column - self.columns / 2) * scale
        return left, box["y"] + box["height"] / 2 + (row - self.rows / 2) * scale * self.aspect


def linked_measurements(page: Page) -> list[dict[str, Any]]:
    """Of the view in the address."""
    found = re.search(r"#view=([\w-]+)$", str(page.evaluate("location.href")))
    if not found:
        return []
    text = found.group(1)
    screen = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return list(screen.get("measurements", []))


def drawn(page: Page) -> list[str]:
    """What the measurements over the picture say, in the order in which they were made."""
    return [" | ".join(text) for text in page.evaluate(_TEXTS)]


_TEXTS = """() => [...document.querySelectorAll(".measurements g")].map(group =>
  [...group.querySelectorAll("tspan")].map(line => line.textContent))"""


def in_ellipse(values: Array, corner: tuple[float, float], opposite: tuple[float, float]) -> Array:
    """(n,) values whose pixel centres lie in the ellipse between two corners (column, row), its edge included."""
    (x0, y0), (x1, y1) = corner, opposite
    rows, columns = np.indices(values.shape) + 0.5
    across = (columns - (x0 + x1) / 2) / (abs(x1 - x0) / 2)
    down = (rows - (y0 + y1) / 2) / (abs(y1 - y0) / 2)
    return values[across**2 + down**2 <= 1]
