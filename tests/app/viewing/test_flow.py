"""Viewports and tiles: who is answered when, with pictures that the test itself finishes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from app.viewing import flow
from app.viewing.flow import TILES_AT_ONCE, TileViewport, Viewport, WantedTile, WantedView
from app.viewing.link import Door, Link
from app.viewing.preview import STEPS, PreviewCoder
from dicomnet.archive.query import SeriesRow
from render.request import JPEG, WEBP, StackView

SERIES = cast(SeriesRow, None)


def view(generation: int, *qualities: str) -> WantedView:
    return WantedView("a", generation, SERIES, generation, {}, qualities or ("preview", "refined"))


def tile(generation: int, column: int) -> WantedTile:
    return WantedTile("t", generation, SERIES, 0, {}, 0, 256, column, 0, ("look", column))


def never(error: BaseException) -> None:
    raise AssertionError(error)


class Maker:
    """Pictures in the making; each ends when the test says so."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.begun: list[tuple[int, str]] = []
        self.sent: list[tuple[int, str]] = []
        self.gates: dict[int, asyncio.Event] = {}
        self.viewport: Viewport | None = None
        self.changed = asyncio.Condition()

    async def answer(self, wanted: WantedView, quality: str) -> int:
        await self._note(self.begun, (wanted.generation, quality))
        if wanted.generation in self.gates:
            await self.gates[wanted.generation].wait()
        assert self.viewport is not None
        if self.viewport.is_overtaken(wanted):
            return 0
        self.viewport.sends(wanted)
        self.link.spend(1000)
        self.link.acknowledge(1000)
        await self._note(self.sent, (wanted.generation, quality))
        return 1000

    async def _note(self, notes: list[tuple[int, str]], what: tuple[int, str]) -> None:
        async with self.changed:
            notes.append(what)
            self.changed.notify_all()

    async def until(self, test: Callable[[], bool]) -> None:
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(test), 30)


@pytest.fixture
def maker() -> Maker:
    return Maker(Link(1 << 20))


async def run(maker: Maker, work: Callable[[Viewport], Awaitable[None]]) -> None:
    viewport = Viewport(Door(maker.link), maker.answer, never)
    maker.viewport = viewport
    await work(viewport)
    viewport.task.cancel()
    await asyncio.gather(viewport.task, return_exceptions=True)


async def test_a_slow_picture_does_not_hold_back_a_newer_one(maker: Maker) -> None:
    async def work(viewport: Viewport) -> None:
        maker.gates[1] = asyncio.Event()
        viewport.want(view(1))
        await maker.until(lambda: (1, "preview") in maker.begun)
        viewport.want(view(2, "preview"))
        await maker.until(lambda: (2, "preview") in maker.sent)
        maker.gates[1].set()
        viewport.want(view(3, "preview"))
        await maker.until(lambda: (3, "preview") in maker.sent)
        assert maker.sent == [(2, "preview"), (3, "preview")]

    await run(maker, work)


async def test_at_most_two_are_in_the_making(maker: Maker) -> None:
    async def work(viewport: Viewport) -> None:
        for generation in (1, 2, 3):
            maker.gates[generation] = asyncio.Event()
            viewport.want(view(generation, "preview"))
            if generation < 3:
                await maker.until(lambda number=generation: (number, "preview") in maker.begun)
        await asyncio.sleep(3 * flow.SLOW_S)
        assert [generation for generation, _ in maker.begun] == [1, 2]
        maker.gates[1].set()
        maker.gates[3].set()
        await maker.until(lambda: (3, "preview") in maker.sent)
        assert maker.sent == [(1, "preview"), (3, "preview")]
        maker.gates[2].set()

    await run(maker, work)


async def test_a_settled_view_is_refined_and_answer_chooses(maker: Maker) -> None:
    async def work(viewport: Viewport) -> None:
        viewport.want(view(1))
        await maker.until(lambda: (1, "refined") in maker.sent)
        viewport.want(view(2, "refined"))
        await maker.until(lambda: (2, "refined") in maker.sent)
        assert maker.sent == [(1, "preview"), (1, "refined"), (2, "refined")]

    await run(maker, work)


async def test_an_exception_is_told_and_the_door_is_left_open() -> None:
    link = Link(1 << 20)
    told: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def broken(wanted: WantedView, quality: str) -> int:
        raise ConnectionResetError(quality)

    def tell(error: BaseException) -> None:
        if not told.done():
            told.set_result(error)

    viewport = Viewport(Door(link), broken, tell)
    viewport.want(view(1))
    assert isinstance(await asyncio.wait_for(told, 30), ConnectionResetError)
    await asyncio.gather(viewport.task, return_exceptions=True)
    assert link.reserved == 0


async def test_tiles_come_in_order_a_few_at_once_and_the_newest_list_replaces() -> None:
    link = Link(1 << 20)
    door = Door(link)
    made: list[tuple[int, int]] = []
    gate = asyncio.Event()
    enough = asyncio.Condition()

    async def answer(wanted: WantedTile) -> int:
        async with enough:
            made.append((wanted.generation, wanted.column))
            enough.notify_all()
        await gate.wait()
        return 100 if tiles.is_wanted(wanted) else 0

    async def count(number: int) -> None:
        async with enough:
            await asyncio.wait_for(enough.wait_for(lambda: len(made) >= number), 30)

    tiles = TileViewport(door, answer, never)
    tiles._bytes = 1000  # pyright: ignore[reportPrivateUsage]  # room for all at once
    tiles.want(1, [tile(1, column) for column in range(6)])
    await count(TILES_AT_ONCE)
    tiles.want(2, [tile(2, 1), tile(2, 9)])  # 1 is in the making: not made again
    gate.set()
    await count(TILES_AT_ONCE + 1)
    tiles.want(1, [tile(1, 5)])  # older: ignored
    tiles.want(3, [])
    await asyncio.sleep(0)
    assert made == [(1, 0), (1, 1), (1, 2), (2, 9)]
    for task in tiles.tasks:
        task.cancel()
    await asyncio.gather(*tiles.tasks, return_exceptions=True)


def asked(side: int = 512) -> StackView:
    return StackView(side, side, quality="preview")


def test_a_light_budget_makes_previews_coarser_then_smaller_then_webp() -> None:
    coder = PreviewCoder()
    shares = [coder.choose(asked(), budget, 1e6, webp=True)[2].share for budget in (60_000, 17_000, 12_000, 3_000, 10)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1.0
    assert shares[-1] == STEPS[-1].share
    made, coding, _ = coder.choose(asked(), 5_000, 1e6, webp=True)
    assert made.width < 512
    assert made.media_type == JPEG
    assert 1 <= coding["quality"] <= 100
    assert coder.choose(asked(), 5_000, 100_000.0, webp=True)[0].media_type == WEBP
    assert coder.choose(asked(), 5_000, 100_000.0, webp=False)[0].media_type == JPEG
    assert coder.choose(asked(), 5_000, None, webp=True)[0].media_type == JPEG
    tiny, _, _ = coder.choose(asked(64), 10, 1e6, webp=True)
    assert (tiny.width, tiny.height) == (64, 64)  # nothing is won below


def test_what_pictures_weigh_is_learned() -> None:
    coder = PreviewCoder()
    for _ in range(6):
        _, _, step = coder.choose(asked(), 20_000, 1e6, webp=False)
        coder.learn(asked(), step, JPEG, int(60_000 * step.share))  # heavier than the first guess
    _, _, step = coder.choose(asked(), 20_000, 1e6, webp=False)
    assert 60_000 * step.share <= 20_000
