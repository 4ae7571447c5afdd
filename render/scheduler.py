"""Which picture is made next: latest wins per viewport, fair between viewers, preview before refined, never unbounded.

Pure bookkeeping under a given clock: no threads, no waiting. The render process asks ``next`` and runs what it gets.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ticket(Generic[T]):
    """One wanted picture. ``not_before``: clock time; refined pictures wait until the viewer is still."""

    viewer: str
    viewport: str
    generation: int
    job: T
    not_before: float = 0.0

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

    def next(self) -> Ticket[T] | None:
        """The next due ticket, round robin over viewers, a viewer's oldest viewport first; None when none is due."""
        now = self._clock()
        for viewer in list(self._viewers):
            queue = self._viewers[viewer]
            due = next((place for place, ticket in queue.items() if ticket.not_before <= now), None)
            if due is None:
                continue
            ticket = queue.pop(due)
            self._viewers.move_to_end(viewer)
            if not queue:
                del self._viewers[viewer]
            return ticket
        return None

    def due_in(self) -> float | None:
        """Seconds until a ticket is due (0.0 = now), None when nothing waits."""
        times = [ticket.not_before for queue in self._viewers.values() for ticket in queue.values()]
        return max(0.0, min(times) - self._clock()) if times else None
