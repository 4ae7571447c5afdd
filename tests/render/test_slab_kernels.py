"""Slab kernels: a float64 oracle, the packets against the definition bit by bit, skipping, hostile geometry, NVRTC."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from render.backend import DisplayTable, Slabs
from render.native import library
from render.native.pool import CancelledPictureError, run_tiles
from render.native.slab import CELL, KINDS, NativeSlabs, SlabPlan
from render.volume import Volume
from tests.support.backends import BACKENDS, kernels_of
from tests.support.kernel_builds import kernels_with_sanitizers, run_hostile

DTYPES = [np.int16, np.uint16, np.float32]


@pytest.fixture(params=[*library.variants(), "cuda source", "cuda"])
def slabs(request: pytest.FixtureRequest) -> Slabs:
    """Every variant that this processor runs; CUDA's source on this machine, and on a device where one answers."""
    if request.param in BACKENDS:
        return kernels_of(request.param).slabs
    return NativeSlabs(2, library.load(library.LIBRARIES / f"kernels-{request.param}.so"))


def volume_of(dtype: Any, shape: tuple[int, int, int], seed: int = 0) -> Volume:
    """Noise over a slope."""
    rng = np.random.default_rng(seed)
    low, high = (0, 4000) if dtype == np.uint16 else (-1024, 3000)
    return Volume(np.ascontiguousarray(rng.integers(low, high, shape).astype(dtype)), np.eye(4))


def plan_through(
    shape: tuple[int, int, int], seed: int, *, samples: int = 1, kind: str = "mean", cubic: bool = False, **more: Any
) -> SlabPlan:
    """A random oblique view through about the middle."""
    rng = np.random.default_rng(seed)
    turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    width, height = 29, 21
    extent = max(shape) / 24
    across, down, through = turned[0] * extent, turned[1] * extent, turned[2] * 0.9
    middle = (np.array(shape[::-1]) - 1) / 2 + rng.normal(size=3)
    origin = middle - across * (width - 1) / 2 - down * (height - 1) / 2 - through * (samples - 1) / 2
    given: list[Any] = [tuple(float(v) for v in vector) for vector in (origin, across, down, through)]
    given += [width, height, samples, kind, cubic]
    return SlabPlan(*given, **more)


def places(plan: SlabPlan) -> NDArray[np.float64]:
    """(samples, y, x, 3) places in voxels (i, j, k), from the plan's numbers as float32."""
    o, a, d, t = (
        np.array(v, np.float32).astype(np.float64) for v in (plan.origin, plan.across, plan.down, plan.through)
    )
    k, y, x = np.ogrid[: plan.samples, : plan.height, : plan.width]
    return o + x[..., None] * a + y[..., None] * d + k[..., None] * t


def cubic_weight(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel, a = -1/2, written by distance (the kernels have polynomials of the fraction)."""
    d = np.abs(distance)
    near = 1.5 * d**3 - 2.5 * d**2 + 1
    far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def oracle(volume: Volume, plan: SlabPlan) -> NDArray[np.float64]:
    """Reduced values in float64, not a number outside."""
    values = volume.values.astype(np.float64)
    size = np.array(values.shape[::-1])
    at = places(plan)
    inside = ((at >= -0.5) & (at <= size - 0.5)).all(axis=-1)
    at = np.clip(at, 0, size - 1)
    base = np.floor(at).astype(int)
    samples = np.zeros(at.shape[:-1])
    reach = range(-1, 3) if plan.cubic else range(2)
    for k in reach:
        for j in reach:
            for i in reach:
                offset = np.array([i, j, k])
                distance = at - (base + offset)
                weight = cubic_weight(distance) if plan.cubic else np.clip(1 - np.abs(distance), 0, 1)
                index = np.clip(base + offset, 0, size - 1)
                samples += weight.prod(axis=-1) * values[index[..., 2], index[..., 1], index[..., 0]]
    reduce = {"mean": np.nanmean, "maximum": np.nanmax, "minimum": np.nanmin}[plan.kind]
    hit = inside.any(axis=0)
    samples = np.where(inside, samples, np.nan)
    result = np.full(hit.shape, np.nan)
    result[hit] = reduce(samples[:, hit], axis=0)
    return result


# Places are float32: with 70 voxels an error of 1e-5 voxels, times the steepest edge (4,000 per voxel; cubic 2x).
TOLERANCE = 0.15


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("samples", "cubic"), [(1, False), (1, True), (5, True), (41, False)])
def test_values_equal_the_oracle(slabs: Slabs, dtype: Any, kind: str, samples: int, cubic: bool) -> None:
    shape = (31, 44, 57)
    volume = volume_of(dtype, shape)
    for seed in range(3):
        plan = plan_through(shape, seed, samples=samples, kind=kind, cubic=cubic)
        ours, exact = slabs.slab(volume, plan, values=True).values, oracle(volume, plan)
        assert ours is not None
        both = np.isfinite(exact) & np.isfinite(ours)
        assert both.sum() > 100
        # A place within rounding of the border may fall to either side of it.
        assert (np.isfinite(exact) != np.isfinite(ours)).sum() <= 1
        wrong = np.abs(ours - exact)[both] > TOLERANCE
        assert wrong.sum() <= (2 if kind == "mean" and samples > 1 else 0)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(DTYPES),
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40)),
    st.integers(0, 10**6),
    st.integers(1, 70),
    st.sampled_from(list(KINDS)),
    st.booleans(),
)
def test_packets_equal_the_definition_bit_by_bit(
    dtype: Any, shape: tuple[int, int, int], seed: int, samples: int, kind: str, cubic: bool
) -> None:
    volume = volume_of(dtype, shape, seed)
    plan = plan_through(shape, seed, samples=samples, kind=kind, cubic=cubic)
    table = DisplayTable((np.arange(4096) % 251).astype(np.uint8), -1024.0, 1.0)
    for variant in library.variants():
        slabs = NativeSlabs(2, library.load(library.LIBRARIES / f"kernels-{variant}.so"))
        defined = slabs.slab(volume, plan, table, values=True, skip=False, pixels=True)
        assert defined.values is not None and defined.picture is not None
        for skip, pixels in ((False, False), (True, False), (True, True)):  # the last is what a CUDA thread does
            made = slabs.slab(volume, plan, table, values=True, skip=skip, pixels=pixels)
            assert made.values is not None and made.picture is not None
            assert np.array_equal(made.values, defined.values, equal_nan=True), (variant, skip, pixels)
            assert np.array_equal(made.picture, defined.picture)


@pytest.mark.parametrize("kind", ["maximum", "minimum"])
def test_what_the_window_cannot_show_is_skipped_without_changing_the_picture(slabs: Slabs, kind: str) -> None:
    shape = (40, 50, 60)
    volume = volume_of(np.int16, shape)
    table = DisplayTable(np.arange(256, dtype=np.uint8), 500.0, 0.2)
    ends = (500.0, 500.0 + 255 / 0.2)
    start, enough = ends if kind == "maximum" else ends[::-1]
    for seed in range(4):
        full = slabs.slab(volume, plan_through(shape, seed, samples=70, kind=kind), table, skip=False)
        quick = slabs.slab(volume, plan_through(shape, seed, samples=70, kind=kind, start=start, enough=enough), table)
        assert np.array_equal(full.picture, quick.picture)  # pyright: ignore[reportArgumentType]  # a table was given


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(17, 9, 8), (8, 16, 25), (1, 1, 1), (2, 30, 7)])
def test_cells_bound_their_voxels_and_the_next(slabs: Slabs, dtype: Any, shape: tuple[int, int, int]) -> None:
    volume = volume_of(dtype, shape)
    cells = slabs.cells(volume)
    for z, y, x in np.ndindex(cells.low.shape):
        block = volume.values[
            z * CELL : z * CELL + CELL + 1, y * CELL : y * CELL + CELL + 1, x * CELL : x * CELL + CELL + 1
        ]
        assert (cells.low[z, y, x], cells.high[z, y, x]) == (block.min(), block.max())


def test_not_a_number_in_the_volume_hides_nothing_beside_it(slabs: Slabs) -> None:
    values = np.zeros((20, 20, 20), np.float32)
    values[3, 3, 3] = np.nan
    values[12, 5, 5] = 900.0
    volume = Volume(values, np.eye(4))
    plan = SlabPlan((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), 20, 20, 20, "maximum")
    made = slabs.slab(volume, plan, values=True)
    assert made.values is not None and made.values[5, 5] == 900.0


def test_a_picture_that_nobody_wants_ends_between_two_tiles() -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 1

    plan = plan_through((30, 30, 30), 1)
    big = SlabPlan(plan.origin, plan.across, plan.down, plan.through, 512, 512, 64)
    with pytest.raises(CancelledPictureError):
        NativeSlabs(1).slab(volume_of(np.int16, (30, 30, 30)), big, values=True, cancelled=cancelled)
    assert len(asked) == 2


def test_every_row_is_given_out_once_and_a_failing_kernel_is_told() -> None:
    rows: list[int] = []

    def kernel(begin: int, end: int) -> int:
        rows.extend(range(begin, end))
        return 0

    run_tiles(kernel, 37, 4, 3)
    assert sorted(rows) == list(range(37))
    with pytest.raises(MemoryError):
        run_tiles(lambda _begin, _end: 1, 10, 2, 2)


# Hostile geometry -------------------------------------------------------------------------------------------------

_HOSTILE = """
import itertools, sys
import numpy as np
from pathlib import Path
from render.backend import DisplayTable, Slabs
from render.native import library, sheets
from render.native.slab import KINDS, NativeSlabs, SlabPlan
from render.volume import Volume
sheets.SMALLEST_PLANE = 1
slabs = NativeSlabs(2, library.load(Path(sys.argv[1])))
rng = np.random.default_rng(5)
table = DisplayTable(np.zeros(3, np.uint8), 0.0, 1.0)
wild = [0.0, -0.0, 1.0, -0.5, 1e-30, 1e9, -1e9, 3e38, float("nan"), float("inf"), float("-inf")]
for turn in range(200):
    shape = tuple(int(v) for v in rng.integers(1, (20, 20, 60)))
    dtype = (np.int16, np.uint16, np.float32)[turn % 3]
    values = rng.integers(0, 2000, shape).astype(dtype)
    if dtype == np.float32 and turn % 2:
        values = rng.choice([np.nan, np.inf, -np.inf, 3e38, 0.0], shape).astype(np.float32)
    volume = Volume(np.ascontiguousarray(values), np.eye(4))
    def vector():
        return tuple(float(v) for v in (rng.choice(wild, 3) if rng.random() < 0.4 else rng.normal(size=3) * 3))
    def along(axis):
        step = float(rng.choice(wild) if rng.random() < 0.3 else rng.normal())
        return tuple(step if i == axis else 0.0 for i in range(3))
    for kind, cubic in itertools.product(KINDS, (False, True)):
        width, height, samples = (int(v) for v in rng.integers(1, 40, 3))
        if turn % 5 == 0:
            width, height = 130, 130
        directions = [along(axis) for axis in rng.permutation(3)] if turn % 4 else [vector(), vector(), vector()]
        plan = SlabPlan(vector(), *directions, width, height, samples, kind, cubic)
        for pixels in (False, True):
            for _ in range(1 if pixels else 3):  # the second view along x makes sheets, the third has them
                slabs.slab(volume, plan, table, values=True, pixels=pixels)
print("clean")
"""


def test_hostile_geometry_ends_in_a_picture() -> None:
    for name in library.variants():
        run_hostile(_HOSTILE, library.LIBRARIES / f"kernels-{name}.so")


def test_hostile_geometry_is_clean_under_address_and_undefined_sanitizers() -> None:
    run_hostile(_HOSTILE, *kernels_with_sanitizers())
