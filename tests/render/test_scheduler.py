"""The scheduler under a fake clock: latest wins, fairness, stillness, bounds; and its invariants under random use."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from render.scheduler import Scheduler, Ticket


class Clock:
    """Time that only moves when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Bench:
    """A scheduler with its clock and what it dropped."""

    def __init__(self, most_per_viewer: int = 32) -> None:
        self.clock = Clock()
        self.dropped: list[Ticket[str]] = []
        self.scheduler: Scheduler[str] = Scheduler(self.clock, self.dropped.append, most_per_viewer)

    def submit(self, viewer: str, viewport: str, generation: int, job: str = "", not_before: float = 0.0) -> None:
        self.scheduler.submit(Ticket(viewer, viewport, generation, job or f"{viewport}{generation}", not_before))

    def jobs(self) -> list[str]:
        """Everything due, in order."""
        found: list[str] = []
        while (ticket := self.scheduler.next()) is not None:
            found.append(ticket.job)
        return found


def test_the_latest_of_a_viewport_wins() -> None:
    bench = Bench()
    for generation in (1, 2, 3):
        bench.submit("v", "a", generation)
    assert [ticket.generation for ticket in bench.dropped] == [1, 2]
    assert bench.jobs() == ["a3"]


def test_a_late_older_generation_is_dropped_itself() -> None:
    bench = Bench()
    bench.submit("v", "a", 5)
    bench.submit("v", "a", 4)
    assert bench.jobs() == ["a5"]
    assert [ticket.generation for ticket in bench.dropped] == [4]


def test_viewers_take_turns() -> None:
    bench = Bench()
    for viewport in "abc":
        bench.submit("greedy", viewport, 1, f"greedy-{viewport}")
    bench.submit("modest", "a", 1, "modest-a")
    assert bench.jobs()[:2] == ["greedy-a", "modest-a"]


def test_a_refined_picture_waits_until_the_viewer_is_still() -> None:
    bench = Bench()
    bench.submit("v", "a", 1, "refined", not_before=0.2)
    assert bench.scheduler.next() is None
    assert bench.scheduler.due_in() == 0.2
    bench.submit("v", "a", 2, "preview")
    assert bench.jobs() == ["preview"]
    bench.submit("v", "a", 2, "refined", not_before=0.2)
    bench.clock.now_s = 0.25
    assert bench.scheduler.due_in() == 0.0
    assert bench.jobs() == ["refined"]


def test_a_waiting_viewer_does_not_hold_up_others() -> None:
    bench = Bench()
    bench.submit("still", "a", 1, "later", not_before=1.0)
    bench.submit("moving", "a", 1, "now")
    assert bench.jobs() == ["now"]


def test_cancelling_drops_a_viewport_or_the_whole_viewer() -> None:
    bench = Bench()
    bench.submit("v", "a", 1)
    bench.submit("v", "b", 1)
    bench.submit("w", "a", 1, "other")
    assert bench.scheduler.cancel("v", "a") == 1
    assert bench.scheduler.cancel("v") == 1
    assert bench.scheduler.cancel("nobody") == 0
    assert bench.jobs() == ["other"]


def test_a_viewer_cannot_queue_without_bound() -> None:
    bench = Bench(most_per_viewer=4)
    for n in range(10):
        bench.submit("v", str(n), 1, str(n))
    assert len(bench.scheduler) == 4
    assert [ticket.job for ticket in bench.dropped] == [str(n) for n in range(6)]


def test_an_empty_scheduler_waits_for_nothing() -> None:
    bench = Bench()
    assert bench.scheduler.next() is None
    assert bench.scheduler.due_in() is None


def _behind(scheduler: Scheduler[str], job: str) -> None:
    scheduler.submit(Ticket(job, "0", 0, job, behind=True))


def test_what_nobody_looks_at_comes_after_the_rest_but_comes() -> None:
    bench = Bench()
    _behind(bench.scheduler, "prepared")
    for viewer in "abc":
        bench.submit(viewer, "0", 1, viewer)
    assert bench.jobs() == ["a", "b", "c", "prepared"]
    _behind(bench.scheduler, "prepared")
    for number in range(20):
        bench.submit(f"v{number}", "0", 1, str(number))
    assert bench.jobs().index("prepared") == 8, "under a load without end it has its turn"


def test_what_somebody_asks_for_is_no_longer_behind() -> None:
    bench = Bench()
    for job in ("one", "two"):
        _behind(bench.scheduler, job)
    assert bench.scheduler.next(behind=False) is None
    bench.scheduler.hasten("two")
    bench.scheduler.hasten("nobody")
    bench.submit("viewer", "0", 1, "viewer")
    assert bench.jobs() == ["two", "viewer", "one"]


class SchedulerMachine(RuleBasedStateMachine):
    """Every ticket is either waiting, done or dropped: exactly one of them, and never more than one per viewport."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(most_per_viewer=3)
        self.submitted = 0
        self.done: list[str] = []

    @rule(
        viewer=st.sampled_from("uvw"),
        viewport=st.sampled_from("abcd"),
        generation=st.integers(0, 5),
        wait=st.floats(0, 1),
    )
    def submit(self, viewer: str, viewport: str, generation: int, wait: float) -> None:
        job = f"job-{self.submitted}"
        self.submitted += 1
        self.bench.submit(viewer, viewport, generation, job, self.bench.clock.now_s + wait)

    @rule()
    def take(self) -> None:
        due = self.bench.scheduler.due_in()
        ticket = self.bench.scheduler.next()
        assert (ticket is not None) == (due == 0.0)
        if ticket is not None:
            self.done.append(ticket.job)

    @rule(seconds=st.floats(0, 1))
    def wait(self, seconds: float) -> None:
        self.bench.clock.now_s += seconds

    @rule(viewer=st.sampled_from("uvw"))
    def cancel(self, viewer: str) -> None:
        self.bench.scheduler.cancel(viewer)

    @invariant()
    def nothing_is_lost_or_done_twice(self) -> None:
        dropped = [ticket.job for ticket in self.bench.dropped]
        assert len(dropped) + len(self.done) + len(self.bench.scheduler) == self.submitted
        assert len({*dropped, *self.done}) == len(dropped) + len(self.done)
        assert len(self.bench.scheduler) <= 9


TestSchedulerMachine = SchedulerMachine.TestCase
TestSchedulerMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_viewer_that_waits_for_nothing_is_forgotten() -> None:
    bench = Bench()
    for number in range(3):
        bench.submit(f"viewer{number}", "a", 1)
        assert bench.scheduler.cancel(f"viewer{number}", "a") == 1
    assert bench.scheduler._viewers == {}
