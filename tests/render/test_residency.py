"""Residency: budget, states, single flight, eviction; and its invariants under random use."""

from __future__ import annotations

import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from render.residency import Residence, Residency


class Clock:
    """Time that only moves when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def make(budget: int = 100, clock: Clock | None = None) -> Residency[int]:
    """A residency of integers that weigh what they are."""
    return Residency(budget, lambda value: value, clock or Clock(), failed_for_s=30.0)


def put(residency: Residency[int], key: str, size: int) -> None:
    """Load a value."""
    assert residency.begin(key)
    residency.finish(key, size)


def test_states_from_absent_to_host() -> None:
    residency = make()
    assert residency.state("a") is Residence.ABSENT
    assert residency.begin("a")
    assert residency.state("a") is Residence.DECODING
    assert not residency.begin("a"), "single flight"
    assert residency.get("a") is None
    residency.finish("a", 7)
    assert residency.state("a") is Residence.HOST
    assert residency.get("a") == 7
    assert residency.usage().used_bytes == 7


def test_a_remembered_failure_holds_nothing_of_its_load() -> None:
    residency = make()
    error = ValueError("codec-failed")
    error.add_note("kept")
    assert residency.begin("a")
    try:
        raise error
    except ValueError as raised:
        residency.fail("a", raised)
    depths: list[int] = []
    for _ in range(3):
        with pytest.raises(ValueError, match="codec-failed") as told:
            residency.get("a")
        assert told.value is not error and told.value.__notes__ == ["kept"]
        depths.append(len(told.traceback))
    assert len(set(depths)) == 1, "each raise made the next one's traceback longer"


def test_a_load_is_counted_from_its_beginning() -> None:
    residency = make(100)
    put(residency, "a", 60)
    assert residency.begin("b", 70)
    assert residency.usage().used_bytes == 70 and residency.get("a") is None, "room is made before the load"
    assert residency.get("b") is None and residency.state("b") is Residence.DECODING
    residency.finish("b", 65)
    assert residency.usage().used_bytes == 65
    assert residency.begin("c", 30)
    residency.abandon("c")
    assert residency.usage().used_bytes == 65
    assert residency.begin("d", 30)
    residency.fail("d", ValueError("no"))
    assert residency.usage().used_bytes == 65


def test_the_least_recently_used_goes_first() -> None:
    residency = make(100)
    for key in "abc":
        put(residency, key, 30)
    assert residency.get("a") == 30
    put(residency, "d", 30)
    assert [key for key in "abcd" if residency.get(key)] == ["a", "c", "d"]
    assert residency.usage().evicted == 1


def test_what_is_visible_goes_last() -> None:
    residency = make(100)
    for key in "abc":
        put(residency, key, 30)
    residency.show("a", 1)
    put(residency, "d", 60)
    assert residency.get("a") == 30
    assert residency.get("b") is None
    residency.show("a", -1)
    put(residency, "e", 80)
    assert residency.get("a") is None


def test_a_value_above_the_budget_stays_alone() -> None:
    residency = make(100)
    put(residency, "a", 30)
    put(residency, "b", 500)
    assert residency.get("b") == 500
    assert residency.get("a") is None


def test_a_failure_is_remembered_then_forgotten() -> None:
    clock = Clock()
    residency = make(clock=clock)
    residency.begin("a")
    residency.fail("a", ValueError("codec-failed"))
    assert residency.state("a") is Residence.FAILED
    with pytest.raises(ValueError, match="codec-failed"):
        residency.get("a")
    assert not residency.begin("a")
    clock.now_s = 31.0
    assert residency.state("a") is Residence.ABSENT
    assert residency.begin("a")


def test_an_abandoned_load_can_begin_again() -> None:
    residency = make()
    residency.begin("a")
    residency.abandon("a")
    assert residency.begin("a")


def test_one_of_many_threads_loads() -> None:
    residency = make()
    barrier = threading.Barrier(8)
    winners: list[int] = []

    def load(number: int) -> None:
        barrier.wait()
        if residency.begin("a"):
            winners.append(number)

    threads = [threading.Thread(target=load, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1


class ResidencyMachine(RuleBasedStateMachine):
    """Random loads, uses, failures: the books balance and the budget holds."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.residency = make(100, self.clock)
        self.newest = 0

    @rule(key=st.integers(0, 9), size=st.integers(1, 150))
    def load(self, key: int, size: int) -> None:
        if self.residency.begin(key):
            self.residency.finish(key, size)
            self.newest = size
            assert self.residency.get(key) == size

    @rule(key=st.integers(0, 9))
    def fail(self, key: int) -> None:
        if self.residency.begin(key):
            self.residency.fail(key, ValueError())

    @rule(key=st.integers(0, 9), change=st.sampled_from([1, -1]))
    def show(self, key: int, change: int) -> None:
        self.residency.show(key, change)

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        self.clock.now_s += seconds

    @invariant()
    def budget_holds_and_books_balance(self) -> None:
        usage = self.residency.usage()
        here = [key for key in range(10) if self.residency.state(key) is Residence.HOST]
        assert usage.used_bytes == sum(self.residency.get(key) or 0 for key in here)
        assert usage.used_bytes <= max(100, self.newest)


TestResidencyMachine = ResidencyMachine.TestCase
TestResidencyMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
