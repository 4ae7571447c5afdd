"""The user-space link is what its profile says, and leaves nothing behind."""

from __future__ import annotations

import subprocess

import pytest

from benchmarks.link import PROFILES, Link
from benchmarks.needs import NAMESPACES


@pytest.mark.skipif(bool(NAMESPACES.missing()), reason=NAMESPACES.missing() or "-")
def test_the_link_has_the_round_trip_and_rate_of_its_profile_and_goes_away() -> None:
    profile = PROFILES["wpt4g"]
    with Link(profile) as link:  # verifies itself before it is handed out
        assert profile.rtt_ms * 0.97 <= link.measured_rtt_ms <= profile.rtt_ms * 1.15
        assert link.measured_down_mbit <= profile.down_mbit * 1.12
        names = (link.server, link.phone)
        assert all(name in _namespaces() for name in names)
    assert not any(name in _namespaces() for name in names)


def _namespaces() -> str:
    return subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout
