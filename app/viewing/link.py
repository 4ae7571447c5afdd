"""What a socket's way carries, measured from what is acknowledged: round trip, bandwidth, and how much may be under way.

The idea is that of BBR (Cardwell et al., ACM Queue 14-5, 2016): bytes under way stay near bandwidth x round trip, so
that a picture never waits behind older ones in a buffer of the network. Without a measurement the allowance grows as
TCP's slow start does, by what has been acknowledged. All times are seconds of a monotonic clock, all sizes bytes.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass

FIRST_BYTES = 14_000  # the first flight of a TCP connection (RFC 6928)
SMALLEST_BUDGET, LARGEST_BUDGET = 3_000, 34_000
_GAIN = 1.25  # room above bandwidth x round trip, by which a faster way shows itself
_ROUNDS_KEPT = 8  # round trips that the best bandwidth is remembered
_SHORTEST_MEMORY_S = 1.0
_ROUND_TRIP_LIVES_S = 10.0
_QUEUED_S = 0.06  # beyond the round trip: a picture waits behind others, the first growth ends
_LONG_QUEUED_S = 0.25  # beyond the round trip: the way became slower
_SHORTEST_RATE_S = 0.004
_FILLED, _YIELDING = 0.8, 0.75  # of the window
_AIM_S = 0.02  # a preview is to be there so much after the round trip; its last byte takes part of that
_BUDGET_S = 0.025  # on a fast way a preview may have what passes in one picture's time


@dataclass(slots=True)
class _Sent:
    """A picture under way, and what had been delivered when it left."""

    count: int
    left: int
    at: float
    delivered: int
    delivered_at: float
    alone: bool  # nothing else was under way: it waited behind nothing
    urgent: bool
    name: Hashable


class Link:
    """Bookkeeping of one socket; ``granted`` is the window of its hello (rule 8)."""

    def __init__(self, granted: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.granted = granted
        self.in_flight = 0
        self.reserved = 0  # bytes of pictures that are being made
        self.budget = LARGEST_BUDGET // 3  # bytes of a preview that should be there in time
        self._clock = clock
        self._under_way: deque[_Sent] = deque()
        self._delivered = 0
        self._delivered_at = clock()
        self._growing = True
        self._allowed = FIRST_BYTES
        self._rates: deque[tuple[float, float]] = deque()  # (when, bytes per second), falling
        self._round_trip = 0.0
        self._round_trip_at = 0.0
        self._probing_until = 0.0
        self._judged_at = 0.0
        self._filled_at = -1.0
        self._too_heavy = LARGEST_BUDGET

    # What is known ----------------------------------------------------------------------------------------------

    @property
    def bandwidth(self) -> float | None:
        """Bytes per second that arrived lately at best, which may be all that was sent; None before the first."""
        return self._rates[0][1] if self._rates else None

    @property
    def round_trip_s(self) -> float | None:
        """The way there and back without waiting; None before the first acknowledgement."""
        return self._round_trip or None

    @property
    def limit(self) -> int:
        """Bytes that may be under way now."""
        return min(self.granted, self._allowed)

    @property
    def preview_budget(self) -> int:
        """Bytes of the next preview. While the way is not known two must fit: what exceeds TCP's window waits a round trip."""
        return min(self.budget, max(SMALLEST_BUDGET, self.limit // 2)) if self._growing else self.budget

    def has_room(self, *, urgent: bool = True) -> bool:
        """Whether a picture may leave; it may overshoot, so that the window may be smaller than a picture.

        What is not urgent leaves a part of the window free, so that an urgent picture never waits behind it.
        """
        return self.in_flight + self.reserved < self.limit * (1.0 if urgent else _YIELDING)

    def is_under_way(self, name: Hashable) -> bool:
        """Whether a picture of this name was sent and not yet acknowledged."""
        return any(sent.name == name for sent in self._under_way)

    # What happens -----------------------------------------------------------------------------------------------

    def spend(self, count: int, name: Hashable = None, *, urgent: bool = True) -> None:
        """A picture of ``count`` bytes leaves; ``urgent`` ones show what previews may weigh."""
        now = self._clock()
        alone = not self._under_way
        if alone:
            self._delivered_at = now  # a pause is no slowness of the way
        self.in_flight += count
        if self.in_flight >= _FILLED * self.limit:
            self._filled_at = now
        self._under_way.append(_Sent(count, count, now, self._delivered, self._delivered_at, alone, urgent, name))

    def acknowledge(self, count: int) -> None:
        """The client has received so much more; pictures arrive in the order in which they left."""
        now = self._clock()
        count = max(0, min(count, self.in_flight))
        self.in_flight -= count
        while count > 0 and self._under_way:
            sent = self._under_way[0]
            part = min(count, sent.left)
            sent.left -= part
            count -= part
            self._delivered += part
            if sent.left == 0:
                self._under_way.popleft()
                self._learn(sent, now)

    def tell_round_trip(self, seconds: float) -> None:
        """The client measured an answered ping."""
        if 0.0 < seconds < 10.0:
            self._shorter(seconds, self._clock(), alone=True)

    def _learn(self, sent: _Sent, now: float) -> None:
        self._delivered_at = now
        took = now - sent.at
        unfilled = self._filled_at < sent.at  # there was room for more: the rate is what we sent, not what was possible
        rate = (self._delivered - sent.delivered) / max(now - sent.delivered_at, _SHORTEST_RATE_S)
        self._remember(rate, now, unfilled=unfilled)
        self._shorter(took, now, alone=sent.alone)
        late = took - self._round_trip
        if late > max(_LONG_QUEUED_S, 2 * self._round_trip):
            self._rates.clear()
            self._rates.append((now, rate))
        self._growing = self._growing and late <= max(_QUEUED_S, self._round_trip / 4) and self._allowed < self.granted
        if self._growing:
            if not unfilled:
                self._allowed = min(self._allowed + sent.count, self.granted)
        else:
            share = 0.5 if now < self._probing_until else _GAIN
            self._allowed = max(FIRST_BYTES, int(share * self._rates[0][1] * self._round_trip) + sent.count)
        if sent.urgent and sent.at >= self._judged_at:
            self._judge(sent.count, late, now)

    def _judge(self, count: int, late: float, now: float) -> None:
        """What a preview may weigh: less after one that came late, more after a heavy one that came in time.

        Once a round trip: only pictures that left after the last change tell what it did.
        """
        if late > _AIM_S:
            self._too_heavy = self.budget
            self.budget = max(SMALLEST_BUDGET, int(self.budget * min(0.8, max(0.5, _AIM_S / late))))
        elif count > self.budget // 2 and late < 0.7 * _AIM_S:
            most = max(LARGEST_BUDGET, int(_BUDGET_S * self._rates[0][1]))
            growth = 1.15 if self.budget < 0.8 * self._too_heavy else 1.04
            self.budget = min(int(self.budget * growth) + 1, most)
        else:
            return
        self._judged_at = now

    def _remember(self, rate: float, now: float, *, unfilled: bool) -> None:
        """The best rates of the last round trips, the best first. One that our own pause made is no news."""
        if unfilled and self._rates and rate < self._rates[0][1]:
            return
        memory = max(_SHORTEST_MEMORY_S, _ROUNDS_KEPT * self._round_trip)
        while self._rates and self._rates[-1][1] <= rate:
            self._rates.pop()
        self._rates.append((now, rate))
        while len(self._rates) > 1 and now - self._rates[0][0] > memory:
            self._rates.popleft()

    def _shorter(self, seconds: float, now: float, *, alone: bool) -> None:
        """Keep the shortest round trip; after its time take a new one, for which the way is emptied once if need be."""
        if not self._round_trip or seconds <= self._round_trip:
            self._round_trip, self._round_trip_at, self._probing_until = seconds, now, 0.0
        elif now - self._round_trip_at > _ROUND_TRIP_LIVES_S:
            if alone:
                self._round_trip, self._round_trip_at, self._probing_until = seconds, now, 0.0
            elif not self._probing_until:
                self._probing_until = now + 2 * self._round_trip
            elif now > self._probing_until:
                self._round_trip, self._round_trip_at, self._probing_until = seconds, now, 0.0


class Door:
    """Lets pictures out while the link has room: the lowest rank first, then in the order of coming. Rank 0 is urgent."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self._waiting: list[tuple[int, int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    async def enter(self, rank: int, expected_bytes: int) -> None:
        """Until it is our turn. What is expected is reserved until ``leave``."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, next(self._order), expected_bytes, turn))
        self.look()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(expected_bytes)
            raise

    def leave(self, expected_bytes: int) -> None:
        """The picture has left, or never will."""
        self.link.reserved -= expected_bytes
        self.look()

    def look(self) -> None:
        """Room may have come."""
        while self._waiting and self.link.has_room(urgent=self._waiting[0][0] == 0):
            _, _, expected_bytes, turn = heapq.heappop(self._waiting)
            if not turn.done():
                self.link.reserved += expected_bytes
                turn.set_result(None)
