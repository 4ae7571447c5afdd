"""Views along the voxel axes have a path of their own: every permutation of axes equals the definition bit by bit."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from render.backend import DisplayTable
from render.native import library
from render.native.slab import KINDS, NativeSlabs, SlabPlan
from render.volume import Volume
from tests.render.test_slab_kernels import DTYPES, oracle, volume_of

TABLE = DisplayTable((np.arange(4096) % 251).astype(np.uint8), -1024.0, 1.0)
ORDERS = list(itertools.permutations(range(3)))


def along(order: tuple[int, ...], origin: Any, steps: Any, size: tuple[int, int], samples: int) -> dict[str, Any]:
    """Fields of a plan whose columns, rows and samples follow the voxel axes ``order``."""
    vectors = [[0.0, 0.0, 0.0] for _ in range(3)]
    for vector, axis, step in zip(vectors, order, steps, strict=True):
        vector[axis] = float(step)
    across, down, through = (tuple(vector) for vector in vectors)
    start = tuple(float(v) for v in origin)
    return {
        "origin": start,
        "across": across,
        "down": down,
        "through": through,
        "width": size[0],
        "height": size[1],
        "samples": samples,
    }


def assert_defined(volume: Volume, plan: SlabPlan, slabs: NativeSlabs) -> None:
    """The quick path's values and picture are those of cf_slab_pixel, with and without skipping."""
    defined = slabs.slab(volume, plan, TABLE, values=True, skip=False, pixels=True)
    assert defined.values is not None and defined.picture is not None
    for skip in (False, True):
        made = slabs.slab(volume, plan, TABLE, values=True, skip=skip)
        assert made.values is not None and made.picture is not None
        assert np.array_equal(made.values, defined.values, equal_nan=True), (plan, skip)
        assert np.array_equal(made.picture, defined.picture), (plan, skip)


def every() -> list[NativeSlabs]:
    """Every variant that this processor runs."""
    return [NativeSlabs(2, library.load(library.LIBRARIES / f"kernels-{name}.so")) for name in library.variants()]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(DTYPES),
    st.tuples(st.integers(1, 70), st.integers(1, 70), st.integers(1, 150)),
    st.integers(0, 10**6),
    st.sampled_from(ORDERS),
    st.sampled_from([1, 2, 7, 8, 9, 70]),
    st.sampled_from(list(KINDS)),
    st.booleans(),
    st.sampled_from([0.2, 0.714, 1.0, 1.9, 5.0]),
)
def test_views_along_axes_equal_the_definition_bit_by_bit(
    dtype: Any,
    shape: tuple[int, int, int],
    seed: int,
    order: tuple[int, ...],
    samples: int,
    kind: str,
    on_centres: bool,
    scale: float,
) -> None:
    volume = volume_of(dtype, shape, seed)
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(1, 300)), int(rng.integers(1, 80)))
    steps = rng.choice([-1, 1], 3) * [scale, scale * 0.9, 1.0 if on_centres else 0.8]
    middle = (np.array(shape[::-1]) - 1) / 2 + rng.normal(size=3)
    reach = np.zeros(3)
    reach[list(order)] = steps * (np.array([*size, samples]) - 1) / 2
    origin = middle - reach
    if on_centres:
        origin[order[2]] = np.round(origin[order[2]])
    plan = SlabPlan(**along(order, origin, steps, size, samples), kind=kind)
    for slabs in every():
        assert_defined(volume, plan, slabs)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [1, 13])
def test_views_along_axes_equal_the_oracle(order: tuple[int, ...], kind: str, samples: int) -> None:
    shape = (33, 47, 61)
    fields = along(order, (1.3, 2.4, 3.2), (0.7, 0.6, 0.9), (90, 50), samples)
    for dtype in DTYPES:
        volume, plan = volume_of(dtype, shape), SlabPlan(**fields, kind=kind)
        exact = oracle(volume, plan)
        for slabs in every():
            ours = slabs.slab(volume, plan, values=True).values
            assert ours is not None
            assert np.array_equal(np.isfinite(exact), np.isfinite(ours))
            # Places are float32: 60 voxels with an error of 4e-6, times 4,000 a voxel.
            assert np.nanmax(np.abs(ours - exact)) < 0.05


WILD = (0.0, -0.0, 0.5, -1.0, 1e-30, 1e9, -1e9, 3e38, float("nan"), float("inf"), float("-inf"))


def test_wild_numbers_along_the_axes_equal_the_definition() -> None:
    rng = np.random.default_rng(3)
    for turn in range(120):
        shape = (int(rng.integers(2, 20)), int(rng.integers(2, 20)), int(rng.integers(2, 90)))
        volume = volume_of(DTYPES[turn % 3], shape, turn)
        if turn % 6 == 5:
            values = rng.choice(np.array([np.nan, np.inf, -np.inf, 3e38, 0.0, 7.0], np.float32), shape)
            volume = Volume(np.ascontiguousarray(values), np.eye(4))
        order = ORDERS[int(rng.integers(6))]
        origin = [float(rng.choice(WILD)) if rng.random() < 0.3 else float(rng.uniform(-3, 20)) for _ in range(3)]
        steps = [float(rng.choice(WILD)) if rng.random() < 0.3 else float(rng.normal()) for _ in range(3)]
        kind = list(KINDS)[int(rng.integers(3))]
        samples = int(rng.choice([1, 5, 30]))
        plan = SlabPlan(**along(order, origin, steps, (70, 9), samples), kind=kind)
        for slabs in every():
            with np.errstate(all="ignore"):
                defined = slabs.slab(volume, plan, TABLE, values=True, skip=False, pixels=True)
                made = slabs.slab(volume, plan, TABLE, values=True, skip=False)
            assert made.values is not None and defined.values is not None
            assert np.array_equal(made.values, defined.values, equal_nan=True), (turn, plan)
            assert np.array_equal(made.picture, defined.picture)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("samples", [1, 20])
@pytest.mark.parametrize("kind", KINDS)
def test_views_that_begin_far_away_equal_the_definition(samples: int, kind: str) -> None:
    """Places near 100,000 voxels are rounded to 1/128: no packet may take an edge for the inside."""
    rng = np.random.default_rng(11)
    for turn in range(12):
        shape = (40, 60, 200)
        volume = volume_of(DTYPES[turn % 3], shape, turn)
        across = np.array([rng.uniform(2, 3), rng.uniform(-0.02, 0.02), rng.uniform(-0.02, 0.02)])
        down = np.array([0.01, rng.uniform(0.5, 1.0), 0.3])
        middle = np.array([100.0, 30.0, 20.0])
        if turn % 2:
            across[0] = -across[0]
        # The picture's last columns lie in the volume; the first would lie some 10,000 voxels before it.
        origin = middle - across * 3950 - down * 20
        fields: list[Any] = [tuple(float(v) for v in vector) for vector in (origin, across, down, (0.1, 0.2, 0.9))]
        fields += [4000, 40, samples, kind]
        plan = SlabPlan(*fields)
        for slabs in every():
            assert_defined(volume, plan, slabs)


def ramp_table(low: float, high: float, steps: float, slope: float, base: float) -> DisplayTable:
    """A table that is its ramp: cut at black and white, or (slopes too small) without either."""
    entries = np.arange(round((high - low) * steps) + 1, dtype=np.float32) * np.float32(slope) + np.float32(base)
    return DisplayTable(np.clip(entries, 0.0, 255.0).astype(np.uint8), low, steps, (slope, base))


@pytest.mark.parametrize(
    "table",
    [
        ramp_table(-200.0, 900.0, 3.0, 0.1, -4.0),  # straight: the line goes on beyond black and white
        ramp_table(-200.0, 900.0, 3.0, -0.1, 280.0),  # the same inverted
        ramp_table(-200.0, 900.0, 3.0, 0.02, 30.0),  # from one gray to another: cut at the table's ends
        ramp_table(0.0, 1.0, 1e6, 0.001, -5.0),  # indexes beyond what whole numbers hold
    ],
)
@pytest.mark.parametrize("samples", [1, 9])
def test_pictures_by_ramps_equal_those_by_look_ups(table: DisplayTable, samples: int) -> None:
    """Computed display values, whole groups of columns and what is left over, along the axes and oblique."""
    shape = (40, 50, 60)
    for order, tilt in (((0, 1, 2), 0.0), ((0, 2, 1), 0.0), ((1, 2, 0), 0.0), ((0, 1, 2), 0.1)):
        fields = along(order, (-1.3, 2.4, -0.2), (0.31, 0.6, 0.9), (207, 70), samples)
        if tilt:
            fields["across"] = (0.3, tilt, 0.05)
        for dtype, kind in itertools.product(DTYPES, KINDS):
            volume, plan = volume_of(dtype, shape), SlabPlan(**fields, kind=kind)
            for slabs in every():
                defined = slabs.slab(volume, plan, table, skip=False, pixels=True, outside=7)
                made = slabs.slab(volume, plan, table, outside=7)
                assert np.array_equal(made.picture, defined.picture), (order, dtype, kind)  # pyright: ignore[reportArgumentType]
