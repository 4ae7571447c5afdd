from __future__ import annotations

import pytest

from app.errors import TooManyRequestsError
from app.limits import RateLimit


def test_a_burst_then_a_rate_by_a_fake_clock() -> None:
    now = 0.0
    limit = RateLimit(burst=3, per_s=0.5, clock=lambda: now)
    assert [limit.allow("a") for _ in range(3)] == [0, 0, 0]
    assert limit.allow("a") == 2.0
    assert limit.allow("b") == 0.0, "each key has its own"
    now = 2.0
    limit.check("a")
    with pytest.raises(TooManyRequestsError) as caught:
        limit.check("a")
    assert caught.value.data == {"retry_after_s": 2.0}
    now = 1000.0
    assert [limit.allow("a") for _ in range(3)] == [0, 0, 0]
    assert limit.allow("a") > 0, "a long rest saves up no more than the burst"


def test_memory_is_bounded() -> None:
    limit = RateLimit(burst=1, per_s=1, clock=lambda: 0.0)
    for number in range(10_050):
        limit.allow(str(number))
    assert limit.allow("10049") > 0, "the newest are remembered"
    assert limit.allow("0") == 0, "the oldest forgotten"
