"""Pauses double to a limit and begin anew after a success."""

from dicomnet.backoff import Backoff


def test_pauses_double_to_the_longest_and_begin_anew() -> None:
    backoff = Backoff(first_s=0.5, longest_s=3.0)
    assert [backoff.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.succeeded()
    assert backoff.next_s() == 0.5


def test_a_year_of_failures_is_no_overflow() -> None:
    assert Backoff(failures=10**7).next_s() == 5.0
