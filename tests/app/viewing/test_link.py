"""The measured way, under a clock and a simulated network of known rate, round trip and queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from app.viewing.link import FIRST_BYTES, LARGEST_BUDGET, SMALLEST_BUDGET, Door, Link


@dataclass
class Network:
    """A bottleneck of ``bytes_per_s`` with a queue, then half a round trip each way."""

    bytes_per_s: float
    round_trip_s: float
    now: float = 0.0
    free_at: float = 0.0
    arriving: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    late: list[float] = field(default_factory=list[float])

    def send(self, link: Link, count: int, *, urgent: bool = True) -> None:
        link.spend(count, urgent=urgent)
        self.free_at = max(self.now, self.free_at) + count / self.bytes_per_s
        self.late.append(self.free_at - self.now)
        self.arriving.append((self.free_at + self.round_trip_s, count))

    def advance(self, link: Link, to: float) -> None:
        while self.arriving and self.arriving[0][0] <= to:
            at, count = self.arriving.pop(0)
            self.now = at
            link.acknowledge(count)
        self.now = to


def scroll(network: Network, link: Link, seconds: float, weight: Callable[[Link], int], per_s: float = 40) -> int:
    """A wish 40 times a second, a ping every second; a picture leaves when there is room. Returns how many left."""
    count = 0
    end, ping = network.now + seconds, network.now
    while network.now < end:
        if network.now >= ping:
            link.tell_round_trip(network.round_trip_s + max(0.0, network.free_at - network.now))
            ping += 1.0
        network.advance(link, network.now + 1 / per_s)
        if link.has_room():
            network.send(link, weight(link))
            count += 1
    return count


def preview(link: Link) -> int:
    return min(link.budget, 30_000)


@pytest.mark.parametrize(("mbit", "round_trip_s"), [(9.0, 0.17), (1.5, 0.3), (50.0, 0.02), (8.1, 0.165)])
def test_pictures_do_not_wait_behind_older_ones(mbit: float, round_trip_s: float) -> None:
    network = Network(mbit * 125_000, round_trip_s)
    link = Link(4 << 20, lambda: network.now)
    scroll(network, link, 5.0, preview)
    network.late.clear()
    count = scroll(network, link, 20.0, preview)
    late = sorted(network.late)
    assert late[int(0.95 * len(late))] <= (0.06 if mbit > 5 else 0.1)
    assert count >= 20 * 30
    assert link.round_trip_s is not None
    assert round_trip_s <= link.round_trip_s <= round_trip_s * 1.3 + 0.02


def test_the_beginning_is_a_tcp_flight_and_grows_by_what_arrives() -> None:
    network = Network(9 * 125_000, 0.17)
    link = Link(1 << 20, lambda: network.now)
    assert link.limit == FIRST_BYTES
    assert (link.bandwidth, link.round_trip_s) == (None, None)
    while link.has_room():
        network.send(link, 5_000)
    assert link.in_flight == 15_000
    network.advance(link, 1.0)
    assert link.in_flight == 0
    assert link.limit == FIRST_BYTES + 15_000


def test_while_the_way_is_not_known_two_previews_fit_into_what_may_be_under_way() -> None:
    network = Network(9 * 125_000, 0.17)
    link = Link(1 << 20, lambda: network.now)
    assert link.preview_budget == FIRST_BYTES // 2
    scroll(network, link, 5.0, lambda own: own.preview_budget)
    assert link.preview_budget == link.budget > FIRST_BYTES // 2
    assert 0.01 < link.budget / network.bytes_per_s <= 0.02, "a preview passes within the aim"


def test_heavy_pictures_on_a_full_way_stay_near_bandwidth_times_round_trip() -> None:
    network = Network(9 * 125_000, 0.17)
    link = Link(4 << 20, lambda: network.now)
    scroll(network, link, 8.0, lambda _: 60_000)
    product = network.bytes_per_s * network.round_trip_s
    assert link.bandwidth == pytest.approx(network.bytes_per_s, rel=0.15)
    assert link.in_flight <= 1.6 * product + 120_000


def test_a_way_that_became_slower_is_noticed_within_seconds_and_recovers() -> None:
    network = Network(9 * 125_000, 0.17)
    link = Link(4 << 20, lambda: network.now)
    scroll(network, link, 6.0, preview)
    network.bytes_per_s /= 8
    scroll(network, link, 6.0, preview)
    network.late.clear()
    scroll(network, link, 4.0, preview)
    assert sorted(network.late)[len(network.late) // 2] < 0.12
    assert link.budget < 8_000
    network.bytes_per_s *= 8
    scroll(network, link, 10.0, preview)
    assert link.budget > 12_000


def test_reading_ahead_fills_the_way_and_delays_nobody() -> None:
    network = Network(9 * 125_000, 0.17)
    link = Link(4 << 20, lambda: network.now)
    scroll(network, link, 3.0, preview)
    network.late.clear()
    begun, sent, budget = network.now, 0, link.budget
    while network.now < begun + 10.0:
        network.advance(link, network.now + 0.005)
        while link.has_room(urgent=False):
            network.send(link, 20_000, urgent=False)
            sent += 20_000
    assert sent > 0.7 * 10.0 * network.bytes_per_s
    assert sorted(network.late)[int(0.95 * len(network.late))] < 0.08
    assert link.has_room()
    assert link.budget == budget


def test_a_pause_is_no_slowness() -> None:
    network = Network(9 * 125_000, 0.17)
    link = Link(4 << 20, lambda: network.now)
    scroll(network, link, 6.0, preview)
    budget, limit = link.budget, link.limit
    network.advance(link, network.now + 300.0)
    scroll(network, link, 0.5, preview)
    assert link.budget >= budget * 0.9
    assert link.limit >= limit * 0.4


def test_budget_has_bounds() -> None:
    slow = Network(4_000, 1.0)
    link = Link(4 << 20, lambda: slow.now)
    scroll(slow, link, 60.0, preview, per_s=2)
    assert link.budget == SMALLEST_BUDGET
    medium = Network(9 * 125_000, 0.05)
    link = Link(4 << 20, lambda: medium.now)
    scroll(medium, link, 20.0, lambda own: own.budget, per_s=10)
    assert link.budget <= LARGEST_BUDGET


def test_acknowledging_more_than_was_sent_gives_nothing() -> None:
    link = Link(64_000)
    link.spend(10_000, "a")
    link.spend(10_000, "b")
    assert link.is_under_way("a")
    link.acknowledge(10_001)
    assert not link.is_under_way("a")
    assert link.is_under_way("b")
    link.acknowledge(-5)
    link.acknowledge(1 << 40)
    assert link.in_flight == 0
    link.spend(5_000)
    assert link.in_flight == 5_000


def test_a_told_round_trip_is_taken_only_when_it_can_be_true() -> None:
    link = Link(64_000)
    for nonsense in (0.0, -3.0, float("nan"), 1e9):
        link.tell_round_trip(nonsense)
    assert link.round_trip_s is None
    link.tell_round_trip(0.12)
    assert link.round_trip_s == 0.12


async def test_the_door_lets_the_most_urgent_out_first() -> None:
    link = Link(64_000)
    door = Door(link)
    await door.enter(0, FIRST_BYTES)
    order: list[str] = []

    async def pass_through(name: str, rank: int) -> None:
        await door.enter(rank, FIRST_BYTES)
        order.append(name)
        door.leave(FIRST_BYTES)

    names = (("refined", 2), ("tile", 1), ("preview", 0), ("second preview", 0))
    tasks = [asyncio.create_task(pass_through(*name)) for name in names]
    await asyncio.sleep(0)
    gone = asyncio.create_task(pass_through("gone", 0))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    assert not order
    door.leave(FIRST_BYTES)
    await asyncio.gather(*tasks)
    assert order == ["preview", "second preview", "tile", "refined"]
    assert link.reserved == 0


async def test_two_small_ones_may_be_made_together_but_not_more_than_there_is_room() -> None:
    door = Door(Link(64_000))
    await door.enter(1, 6_000)
    await door.enter(1, 6_000)
    third = asyncio.create_task(door.enter(1, 6_000))
    await asyncio.sleep(0)
    assert not third.done()
    await door.enter(0, 6_000)  # an urgent one still may
    for _ in range(2):
        door.leave(6_000)
    await third
