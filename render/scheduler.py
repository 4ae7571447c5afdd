"""Which picture is made next: latest wins per viewport, fair between viewers, preview before refined, never unbounded.

Pure bookkeeping under a given clock: no threads, no waiting. The render process asks ``next`` and runs what it gets.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

T = TypeVar("T")
_MOST_AHEAD = 8  # of tickets while one that is behind is due


@dataclass(frozen=True, slots=True)
class Ticket(Generic[T]):
    """One wanted picture. ``not_before``: clock time; refined pictures wait until the viewer is still.

    ``behind``: nobody looks at it yet; it is made when nobody waits, or after eight others.
    """

    viewer: str
    viewport: str
    generation: int
    job: T
    not_before: float = 0.0
    behind: bool = False

    @property
    def place(self) -> tuple[str, str]:
        """What a newer ticket replaces."""
        return self.viewer, self.viewport


class Scheduler(Generic[T]):
    """Queued tickets by viewer; each viewer's turn comes round. Replaced tickets are told to ``dropped``."""

    def __init__(
        self, clock: Callable[[], float], dropped: Callable[[Ticket[T]], None], most_per_viewer: int = 32
    ) -> None:
        self._clock = clock
        self._dropped = dropped
        self._most_per_viewer = most_per_viewer
        self._viewers: OrderedDict[str, OrderedDict[tuple[str, str], Ticket[T]]] = OrderedDict()
        self._ahead = 0

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._viewers.values())

    def submit(self, ticket: Ticket[T]) -> None:
        """Queue a ticket. An older one of the same viewport is dropped; an older newcomer is dropped itself."""
        queue = self._viewers.setdefault(ticket.viewer, OrderedDict())
        waiting = queue.pop(ticket.place, None)
        if waiting is not None and waiting.generation > ticket.generation:
            queue[ticket.place] = waiting
            self._dropped(ticket)
            return
        if waiting is not None:
            self._dropped(waiting)
        queue[ticket.place] = ticket
        while len(queue) > self._most_per_viewer:
            self._dropped(queue.popitem(last=False)[1])

    def cancel(self, viewer: str, viewport: str | None = None) -> int:
        """Drop what a viewport (or the whole viewer) still waits for; returns how many."""
        queue = self._viewers.get(viewer, OrderedDict())
        places = [place for place in queue if viewport is None or place[1] == viewport]
        for place in places:
            self._dropped(queue.pop(place))
        if not queue:
            self._viewers.pop(viewer, None)
        return len(places)

    def hasten(self, viewer: str) -> None:
        """Somebody looks now: what the viewer waits for is no longer behind."""
        queue = self._viewers.get(viewer, OrderedDict())
        for place, ticket in queue.items():
            queue[place] = replace(ticket, behind=False)

    def next(self, *, behind: bool = True) -> Ticket[T] | None:
        """The next due ticket, round robin over viewers, a viewer's oldest viewport first; None when none is due.

        Tickets that are behind come after the others, and only if ``behind`` allows them.
        """
        front, back = self._due(behind=False), self._due(behind=True) if behind else None
        chosen = back if front is None or (back is not None and self._ahead >= _MOST_AHEAD) else front
        if chosen is None:
            return None
        self._ahead = self._ahead + 1 if back is not None and chosen is front else 0
        viewer, place = chosen
        queue = self._viewers[viewer]
        ticket = queue.pop(place)
        self._viewers.move_to_end(viewer)
        if not queue:
            del self._viewers[viewer]
        return ticket

    def _due(self, *, behind: bool) -> tuple[str, tuple[str, str]] | None:
        now = self._clock()
        for viewer, queue in self._viewers.items():
            for place, ticket in queue.items():
                if ticket.not_before <= now and ticket.behind == behind:
                    return viewer, place
        return None

    def due_in(self) -> float | None:
        """Seconds until a ticket is due (0.0 = now), None when nothing waits."""
        times = [ticket.not_before for queue in self._viewers.values() for ticket in queue.values()]
        return max(0.0, min(times) - self._clock()) if times else None
