"""What viewers look at now: a residency evicts that last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any

from render.residency import Residency

Item = tuple[Residency[Any], Hashable]
_MOST_PLACES = 4096  # viewports; the one that asked longest ago is forgotten (its viewer may have been lost unheard)


class Shown:
    """The newest picture's frame or volumes of each viewport. Tiles of a viewport show what it shows."""

    def __init__(self, most: int = _MOST_PLACES) -> None:
        self._most = most
        self._places: OrderedDict[tuple[str, str], tuple[Item, ...]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    def look(self, header: Mapping[str, Any], *items: Item) -> None:
        """The viewport of a request shows these instead of what it showed. A request of nobody shows nothing."""
        viewer = str(header.get("viewer") or "")
        if not viewer:
            return
        place = viewer, str(header.get("viewport") or "0").partition("/")[0]
        for residency, key in items:
            residency.show(key, 1)
        self._end(place)
        self._places[place] = items
        while len(self._places) > self._most:
            self._end(next(iter(self._places)))

    def leave(self, viewer: str) -> None:
        """The viewer is gone."""
        for place in [place for place in self._places if place[0] == viewer]:
            self._end(place)

    def _end(self, place: tuple[str, str]) -> None:
        for residency, key in self._places.pop(place, ()):
            residency.show(key, -1)
