"""Threads that make pictures."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from app.rendering.makers import Makers


class Thing:
    """Something that can be watched as it goes."""


async def test_what_is_made_or_raised_comes_back_to_the_loop() -> None:
    makers: Makers[str] = Makers(2, "test")

    def fails() -> str:
        raise ValueError("no")

    made = [makers.make(lambda number=number: f"{number}{threading.current_thread().name[:4]}") for number in range(9)]
    assert await asyncio.gather(*made) == [f"{number}test" for number in range(9)]
    with pytest.raises(ValueError, match="no"):
        await makers.make(fails)
    assert await makers.make(lambda: "on") == "on"
    makers.close()


async def test_as_many_as_threads_at_once_and_one_who_leaves_harms_nobody() -> None:
    makers: Makers[int] = Makers(2, "test")
    gate, begun = threading.Event(), threading.Semaphore(0)

    def hold() -> int:
        begun.release()
        assert gate.wait(30)
        return 1

    held = [makers.make(hold) for _ in range(3)]
    for _ in range(2):
        assert await asyncio.to_thread(begun.acquire, timeout=30)
    assert not begun.acquire(blocking=False)
    held[0].cancel()
    gate.set()
    assert await asyncio.gather(*held[1:]) == [1, 1]
    makers.close()


async def test_an_idle_thread_keeps_nothing_alive() -> None:
    makers: Makers[Thing] = Makers(1, "test")
    given, thing = Thing(), weakref.ref(await makers.make(Thing))
    asked = weakref.ref(given)

    def take(it: Thing = given) -> Thing:
        return it

    await makers.make(take)
    del given, take
    await makers.make(Thing)
    gc.collect()
    assert asked() is None
    assert thing() is None
    makers.close()
