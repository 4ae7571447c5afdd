from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from dicomnet.together import Together


class Source:
    """Answers when it is let; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.gates: list[asyncio.Future[Mapping[str, int]]] = []
        self.begun = asyncio.Event()

    async def look(self, keys: Sequence[str]) -> Mapping[str, int]:
        self.asked.append(list(keys))
        gate: asyncio.Future[Mapping[str, int]] = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        self.begun.set()
        return await gate

    async def next(self) -> asyncio.Future[Mapping[str, int]]:
        await asyncio.wait_for(self.begun.wait(), 30)
        self.begun.clear()
        return self.gates[-1]


async def test_what_is_asked_meanwhile_shares_the_next_look_up() -> None:
    source = Source()
    together = Together(source.look)
    first = asyncio.create_task(together.get("a"))
    gate = await source.next()
    others = [asyncio.create_task(together.get(key)) for key in ("a", "b", "b", "c")]
    await asyncio.sleep(0)
    gate.set_result({"a": 1})
    gate = await source.next()
    gate.set_result({"a": 2, "b": 3})
    assert await first == 1
    assert await asyncio.gather(*others) == [2, 3, 3, None], "an answer that began before its question is not used"
    assert source.asked == [["a"], ["a", "b", "c"]]


async def test_a_fault_is_told_to_those_who_shared_it_and_to_nobody_else() -> None:
    source = Source()
    together = Together(source.look)
    waiting = [asyncio.create_task(together.get(key)) for key in ("a", "b")]
    (await source.next()).set_exception(OSError("cut"))
    for told in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(told, OSError)
    later = asyncio.create_task(together.get("a"))
    (await source.next()).set_result({"a": 1})
    assert await later == 1


async def test_one_who_leaves_takes_nothing_from_the_others() -> None:
    source = Source()
    together = Together(source.look)
    leaves, stays = asyncio.create_task(together.get("a")), asyncio.create_task(together.get("a"))
    gate = await source.next()
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    gate.set_result({"a": 1})
    assert await stays == 1


async def test_many_keys_are_asked_in_bounded_look_ups() -> None:
    sizes: list[int] = []

    async def look(keys: Sequence[int]) -> dict[int, int]:
        sizes.append(len(keys))
        return {key: -key for key in keys}

    together = Together(look)
    assert await asyncio.gather(*(together.get(key) for key in range(150))) == [-key for key in range(150)]
    assert max(sizes) <= 64
