"""What is shown: replaced with the next picture, shared by a viewport's tiles, forgotten with the viewer, bounded."""

from __future__ import annotations

from app.rendering.shown import Shown
from render.residency import Residence, Residency


def kept(*keys: str) -> Residency[int]:
    """Values of one byte; three fit."""
    residency: Residency[int] = Residency(3, lambda value: value, lambda: 0.0)
    for key in keys:
        put(residency, key)
    return residency


def put(residency: Residency[int], key: str) -> None:
    assert residency.begin(key)
    residency.finish(key, 1)


def test_the_newest_picture_of_a_viewport_is_what_it_shows() -> None:
    residency, shown = kept("a", "b", "c"), Shown()
    shown.look({"viewer": "v", "viewport": "main"}, (residency, "a"))
    put(residency, "d")
    assert residency.state("a") is Residence.HOST and residency.state("b") is Residence.ABSENT
    shown.look({"viewer": "v", "viewport": "main"}, (residency, "d"))
    put(residency, "e")
    assert residency.state("a") is Residence.ABSENT
    assert len(shown) == 1


def test_tiles_show_what_their_viewport_shows_and_nobody_shows_nothing() -> None:
    residency, shown = kept("a", "b"), Shown()
    for column in range(5):
        shown.look({"viewer": "v", "viewport": f"main/0/{column}/0"}, (residency, "a"))
    shown.look({"viewer": "", "viewport": "main"}, (residency, "b"))
    assert len(shown) == 1


def test_a_viewer_that_left_shows_nothing_and_another_still_does() -> None:
    residency, shown = kept("a", "b", "c"), Shown()
    for viewer in "vw":
        shown.look({"viewer": viewer, "viewport": "main"}, (residency, "a"), (residency, "b"))
    shown.leave("v")
    put(residency, "d")
    assert residency.state("c") is Residence.ABSENT, "the one that nobody looks at"
    shown.leave("w")
    put(residency, "e")
    assert residency.state("a") is Residence.ABSENT
    assert len(shown) == 0


def test_what_was_evicted_and_came_back_is_still_shown() -> None:
    residency, shown = kept("a"), Shown()
    shown.look({"viewer": "v"}, (residency, "a"))
    assert residency.begin("huge")
    residency.finish("huge", 3)
    assert residency.state("a") is Residence.ABSENT
    put(residency, "a")
    for key in "bcd":
        put(residency, key)
    assert residency.state("a") is Residence.HOST


def test_viewers_that_were_lost_unheard_are_forgotten() -> None:
    residency, shown = kept("a"), Shown(most=10)
    for number in range(50):
        shown.look({"viewer": f"v{number}", "viewport": "main"}, (residency, "a"))
    assert len(shown) == 10
