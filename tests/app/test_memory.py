"""The collector of a role: what the start froze does not put off the collection of what views leave behind."""

from __future__ import annotations

import subprocess
import sys

_ALIVE = """
import gc
from app.roles import collect_and_freeze

imported = [[] for _ in range(400_000)]  # as much as a web role's imports make
gc.collect()
collect_and_freeze()


class Dead:
    alive = 0

    def __init__(self):
        Dead.alive += 1
        self.me = self

    def __del__(self):
        Dead.alive -= 1


most, living = 0, []
for _ in range(100):
    views = [Dead() for _ in range(2_000)]  # they outlive the young collections and die in the oldest generation
    gc.collect(0), gc.collect(1)
    del views
    living.extend([] for _ in range(800))  # what is allocated starts the collector
    most = max(most, Dead.alive)
print(most)
"""


def test_cycles_are_collected_however_much_was_frozen() -> None:
    done = subprocess.run([sys.executable, "-c", _ALIVE], capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) < 60_000, "dead cycles waited for a quarter of what was frozen"
