"""Sheets of planes x = constant, and the crew of threads: pictures as without them, bounded memory, any number of callers."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from render.backend import DisplayTable
from render.native import library, sheets
from render.native.pool import CancelledPictureError
from render.native.sheets import AT_ONCE, MOST_BLOCKS, Sheets, most_bytes
from render.native.slab import KINDS, NativeSlabs, SlabPlan
from render.volume import Volume

TABLE = DisplayTable((np.arange(4096) % 251).astype(np.uint8), -1024.0, 1.0)
SHAPE = (41, 70, 150)


@pytest.fixture(autouse=True)
def _small_planes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "SMALLEST_PLANE", 1)


def volume_of(dtype: Any, shape: tuple[int, int, int] = SHAPE) -> Volume:
    rng = np.random.default_rng(4)
    return Volume(np.ascontiguousarray(rng.integers(0, 3000, shape).astype(dtype)), np.eye(4))


def along_x(x: float, samples: int = 1, kind: str = "mean", flip: bool = False) -> SlabPlan:
    """A sagittal view: columns along y, rows along z, a little larger than the volume."""
    sign = -1.0 if flip else 1.0
    origin = (x, -3.0, -2.0) if not flip else (x, 72.0, 43.0)
    return SlabPlan(origin, (0.0, 0.26 * sign, 0.0), (0.0, 0.0, 0.19 * sign), (0.7, 0.0, 0.0), 300, 240, samples, kind)


def every() -> list[NativeSlabs]:
    """Every variant that this processor runs."""
    return [NativeSlabs(2, library.load(library.LIBRARIES / f"kernels-{name}.so")) for name in library.variants()]


def drawn(slabs: NativeSlabs, volume: Volume, plan: SlabPlan, **more: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    made = slabs.slab(volume, plan, TABLE, values=True, skip=False, **more)
    assert made.picture is not None and made.values is not None
    return made.picture, made.values


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [1, 30])
def test_views_along_x_equal_the_definition_with_and_without_sheets(dtype: Any, kind: str, samples: int) -> None:
    for slabs in every():
        volume = volume_of(dtype)
        for x in (-0.4, 20.0, 31.3, 62.8, 148.9):
            plan = along_x(x, samples, kind, flip=x > 60)
            defined = drawn(slabs, volume, plan, pixels=True)
            for turn in range(4):
                made = drawn(slabs, volume, plan)
                assert np.array_equal(made[0], defined[0]), (x, turn)
                assert np.array_equal(made[1], defined[1], equal_nan=True), (x, turn)
        kept: Sheets = volume.extra["sheets"]
        assert kept.table(20.0, 20.0, never) is not None


def never(_first: int, _count: int, _out: NDArray[Any], _apart: int) -> None:
    raise AssertionError("made again")


def test_a_second_view_makes_sheets_and_few_are_kept() -> None:
    made: list[int] = []

    def make(first: int, count: int, out: NDArray[Any], _apart: int) -> None:
        made.append(first)
        assert len(out) == count

    columns = 10 * AT_ONCE + 7
    kept = Sheets((9, 8, columns), np.dtype(np.int16))
    assert kept.table(5.0, 5.0, make) is None and made == []
    table = kept.table(5.0, 5.0, make)
    assert table is not None and made == [0]
    assert all(table.planes[:AT_ONCE]) and not any(table.planes[AT_ONCE:])
    for block in range(1, 11):
        for _ in range(3):
            table = kept.table(block * AT_ONCE + 2.5, block * AT_ONCE + 2.5, make)
            assert table is not None
            assert sum(array.nbytes for array in table.blocks) <= most_bytes((9, 8, columns), 2)
        assert table.planes[block * AT_ONCE] and table.planes[min(block * AT_ONCE + 31, columns - 1)]
    assert made == [block * AT_ONCE for block in range(11)]
    assert table is not None and len(table.blocks) == MOST_BLOCKS
    kept.table(5.0, 5.0, make)
    assert made[-1] == 10 * AT_ONCE  # what went is asked for twice again
    kept.table(5.0, 5.0, make)
    assert made[-1] == 0
    assert kept.table(0.0, columns - 1.0, never) is not None  # a projection takes what is there
    assert kept.table(float(AT_ONCE) - 1, float(AT_ONCE), make) is not None


def test_without_memory_views_are_drawn_from_the_volume(caplog: pytest.LogCaptureFixture) -> None:
    def fails(_first: int, _count: int, _out: NDArray[Any], _apart: int) -> None:
        raise MemoryError("native kernel")

    kept = Sheets((9, 8, 100), np.dtype(np.int16))
    for _ in range(3):
        assert kept.table(5.0, 5.0, fails) is None
    assert "no memory for sheets" in caplog.text


def test_a_volume_counts_its_sheets() -> None:
    volume = volume_of(np.int16)
    slabs = NativeSlabs(2)
    for x in range(0, 150, 3):
        for _ in range(2):
            slabs.slab(volume, along_x(float(x)), TABLE)
    table = volume.extra["sheets"].table(149.0, 149.0, never)
    assert volume.values.nbytes + sum(array.nbytes for array in table.blocks) <= volume.nbytes


def test_a_volume_of_small_planes_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "SMALLEST_PLANE", 1 << 16)
    volume = volume_of(np.int16)
    for _ in range(3):
        NativeSlabs(2).slab(volume, along_x(5.0), TABLE)
    assert "sheets" not in volume.extra
    assert volume.nbytes < 1.1 * volume.values.nbytes


def test_callers_at_once_get_their_own_pictures() -> None:
    volume, slabs = volume_of(np.int16), NativeSlabs(4)
    oblique = SlabPlan((0, 0, 0), (0.3, 0.1, 0.01), (0.05, 0.1, 0.09), (0, 0, 1), 400, 300)
    plans = [along_x(float(x), 20) for x in range(0, 150, 10)] + [oblique]
    expected = [drawn(slabs, volume, plan, pixels=True)[1] for plan in plans]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda i: drawn(slabs, volume, plans[i % len(plans)])[1], range(8 * len(plans))))
    for i, values in enumerate(found):
        assert np.array_equal(values, expected[i % len(plans)], equal_nan=True)


def _in_child(plan: SlabPlan, answers: Any) -> None:
    answers.send(drawn(NativeSlabs(3), volume_of(np.int16), plan)[1])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_has_a_crew_of_its_own() -> None:
    plan = along_x(40.0, 20)
    expected = drawn(NativeSlabs(3), volume_of(np.int16), plan)[1]  # the parent's crew is at work before
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_in_child, args=(plan, there), daemon=True)
    child.start()
    assert here.poll(60), "the child draws nothing"
    found = here.recv()
    child.join(60)
    assert child.exitcode == 0
    assert np.array_equal(found, expected, equal_nan=True)


def test_a_plane_that_nobody_wants_is_not_begun() -> None:
    with pytest.raises(CancelledPictureError):
        NativeSlabs(2).slab(volume_of(np.int16), along_x(3.0), TABLE, cancelled=lambda: True)
