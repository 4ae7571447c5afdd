"""Kernels of every backend against a float64 oracle in NumPy; the CUDA build of the same source by NVRTC."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from render.backend import KERNELS, Backend, DisplayTable, NativeBackend, Taps
from render.errors import InvalidViewError
from render.filters import make_taps
from render.native import build, library
from tests.support.backends import BACKENDS, kernels_of
from tests.support.kernel_builds import kernels_with_sanitizers, run_hostile

DTYPES = [np.uint8, np.int16, np.uint16, np.float32]


def _variants() -> list[str]:
    return [name for name in library.variants() if (library.LIBRARIES / f"kernels-{name}.so").is_file()]


@pytest.fixture(scope="module", params=[*_variants(), "cuda source", "cuda"])
def backend(request: pytest.FixtureRequest) -> Any:
    """Every native variant this processor runs; CUDA's source on this machine, and on a device where one answers."""
    if request.param in BACKENDS:
        return kernels_of(request.param).images
    return NativeBackend(2, library.load(library.LIBRARIES / f"kernels-{request.param}.so"))


def dense(taps: Taps, size: int) -> NDArray[np.float64]:
    """The weights of an axis as a matrix (outputs, size)."""
    matrix = np.zeros((len(taps.start), size))
    for output, (start, count) in enumerate(zip(taps.start, taps.count, strict=True)):
        matrix[output, start : start + count] = taps.weight[:count, output]
    return matrix


def oracle(source: NDArray[Any], tx: Taps, ty: Taps) -> NDArray[np.float64]:
    """Resampled values in float64."""
    return dense(ty, source.shape[0]) @ source.astype(np.float64) @ dense(tx, source.shape[1]).T


def _image(dtype: Any, rows: int, columns: int) -> NDArray[Any]:
    rng = np.random.default_rng(rows * columns)
    low, high = (0, 255) if dtype == np.uint8 else (-1024, 3000) if dtype != np.uint16 else (0, 65535)
    return rng.integers(low, high, (rows, columns)).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize(("rows", "columns", "height", "width"), [(64, 48, 64, 48), (61, 90, 23, 31), (17, 9, 70, 33)])
def test_gray_equals_the_oracle(
    backend: Backend, dtype: Any, smooth: bool, rows: int, columns: int, height: int, width: int
) -> None:
    source = _image(dtype, rows, columns)
    tx, ty = make_taps(columns, 0.0, columns, width, smooth), make_taps(rows, 0.0, rows, height, smooth)
    low, high = float(source.min()), float(source.max())
    table = DisplayTable(np.arange(256, dtype=np.uint8), low, 255.0 / (high - low))
    place = np.clip((oracle(source, tx, ty) - low) * 255.0 / (high - low) + 0.5, 0, 255.0)
    ours = backend.gray(source, tx, ty, table).astype(int)
    # Sums in float32 may fall to the other side of a step: one level, and only next to a step.
    assert np.abs(ours - np.floor(place)).max() <= 1
    away = np.abs(place - np.rint(place)) > 1e-2
    assert np.array_equal(ours[away], np.floor(place[away]))


@pytest.mark.parametrize("smooth", [True, False])
def test_rgb_equals_the_oracle(backend: Backend, smooth: bool) -> None:
    source = np.random.default_rng(3).integers(0, 256, (40, 52, 3)).astype(np.uint8)
    tx, ty = make_taps(52, 0.0, 52, 33, smooth), make_taps(40, 0.0, 40, 77, smooth)
    ours = backend.rgb(source, tx, ty).astype(int)
    for channel in range(3):
        exact = np.clip(oracle(source[..., channel], tx, ty), 0, 255)
        assert np.abs(ours[..., channel] - exact).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("variant", _variants())
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("rows", "columns", "height", "width"), [(150, 131, 40, 57), (97, 300, 35, 201), (3, 2, 19, 33)]
)
@pytest.mark.parametrize("is_line", [False, True])
def test_the_fast_path_equals_the_definition_bit_by_bit(
    variant: str, dtype: Any, rows: int, columns: int, height: int, width: int, is_line: bool
) -> None:
    native = NativeBackend(2, library.load(library.LIBRARIES / f"kernels-{variant}.so"))
    source = _image(dtype, rows, columns)
    tx, ty = make_taps(columns, 0.5, columns * 0.9, width, True), make_taps(rows, 0.0, float(rows), height, True)
    first = float(source.min())
    table = DisplayTable((np.arange(8192) % 251).astype(np.uint8), first, 1.0)
    if is_line:
        entries = np.clip(np.arange(4000, dtype=np.float32) * np.float32(0.0625) + np.float32(1.5), 0, 255)
        table = DisplayTable(entries.astype(np.uint8), first, 1.0, (0.0625, 1.5))
    name = KERNELS[np.dtype(dtype)]
    fast = native.gray_by(name, source, tx, ty, table)
    assert np.array_equal(fast, native.gray_by(f"{name}_definition", source, tx, ty, table))


@pytest.mark.parametrize("variant", _variants())
@pytest.mark.parametrize("ramp", [None, (0.125, -3.0)])
def test_an_image_as_it_is_becomes_its_tables_entries(variant: str, ramp: tuple[float, float] | None) -> None:
    native = NativeBackend(1, library.load(library.LIBRARIES / f"kernels-{variant}.so"))
    source = _image(np.int16, 33, 301)
    line = np.clip(np.arange(3000, dtype=np.float32) * np.float32(0.125) - np.float32(3.0), 0, 255)
    table = DisplayTable(line.astype(np.uint8), -500.0, 1.0, ramp)
    shown = native.gray(source, make_taps(301, 0.0, 301.0, 301, True), make_taps(33, 0.0, 33.0, 33, True), table)
    assert np.array_equal(shown, table.entries[np.clip(source.astype(int) + 500, 0, 2999)])


def test_not_a_number_becomes_the_first_entry(backend: Backend) -> None:
    source = np.full((4, 4), np.nan, np.float32)
    taps = make_taps(4, 0.0, 4.0, 4, True)
    table = DisplayTable(np.array([7, 200], np.uint8), 0.0, 1.0)
    assert (backend.gray(source, taps, taps, table) == 7).all()


def test_taps_outside_the_image_are_refused(backend: Backend) -> None:
    source = np.zeros((4, 4), np.uint8)
    good = make_taps(4, 0.0, 4.0, 4, True)
    bad = Taps(np.array([2], np.int32), np.array([3], np.int32), np.ones((3, 1), np.float32))
    table = DisplayTable(np.zeros(1, np.uint8), 0.0)
    for tx, ty in ((bad, good), (good, bad)):
        with pytest.raises(InvalidViewError):
            backend.gray(source, tx, ty, table)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 300),
    st.floats(-400, 400),
    st.floats(0.01, 700),
    st.integers(1, 200),
    st.booleans(),
)
def test_taps_stay_inside_and_weigh_one(source: int, begin: float, extent: float, output: int, smooth: bool) -> None:
    taps = make_taps(source, begin, extent, output, smooth)
    taps.check(source)
    assert np.allclose(taps.weight.sum(axis=0), 1.0, atol=1e-4)


def test_a_constant_image_stays_constant_at_any_zoom(backend: Backend) -> None:
    source = np.full((37, 53), 1234, np.int16)
    table = DisplayTable(np.arange(256, dtype=np.uint8), 1134.0, 1.0)
    for extent, output in ((53.0, 7), (11.3, 300), (1.0, 1)):
        tx, ty = make_taps(53, 0.0, extent, output, True), make_taps(37, 0.0, min(extent, 37.0), output, True)
        assert (backend.gray(source, tx, ty, table) == 100).all()


# The native build ---------------------------------------------------------------------------------------------

_HOSTILE = """
import numpy as np, sys
from pathlib import Path
from render.backend import NativeBackend, DisplayTable
from render.filters import make_taps
from render.native import library
native = NativeBackend(2, library.load(Path(sys.argv[1])))
rng = np.random.default_rng(5)
for _ in range(300):
    rows, columns = (int(v) for v in rng.integers(1, 60, 2))
    tx = make_taps(columns, float(rng.uniform(-90, 90)), float(rng.uniform(0.01, 150)), int(rng.integers(1, 50)), True)
    ty = make_taps(rows, float(rng.uniform(-90, 90)), float(rng.uniform(0.01, 150)), int(rng.integers(1, 50)), False)
    table = DisplayTable(np.zeros(int(rng.integers(1, 5)), np.uint8), float(rng.normal() * 1e9), float(rng.uniform(0, 9)))
    for dtype in (np.uint8, np.int16, np.uint16):
        native.gray(rng.integers(0, 200, (rows, columns)).astype(dtype), tx, ty, table)
    wild = rng.choice([np.nan, np.inf, -np.inf, 3e38, -3e38, 0.0], (rows, columns)).astype(np.float32)
    native.gray(wild, tx, ty, table)
    native.rgb(rng.integers(0, 255, (rows, columns, 3)).astype(np.uint8), tx, ty)
print("clean")
"""


def test_hostile_geometry_is_clean_under_address_and_undefined_sanitizers() -> None:
    run_hostile(_HOSTILE, *kernels_with_sanitizers())


def test_a_library_of_another_version_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "other.cpp"
    source.write_text('extern "C" int cf_abi_version() { return 99; }')
    command, _ = build.compiler()
    subprocess.run([*command, "-shared", "-fPIC", str(source), "-o", str(tmp_path / "other.so")], check=True)
    with pytest.raises(library.KernelsMissingError):
        library.load(tmp_path / "other.so")


def test_the_build_skips_what_is_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = list(build.targets())[:2]
    monkeypatch.setattr(build, "targets", lambda: {name: [] for name in names})

    def times() -> list[int]:
        return [path.stat().st_mtime_ns for path in build.build(tmp_path, extra=("-O0",))]

    first = times()
    assert len(first) == len(names)
    assert times() == first
    os.utime(tmp_path / f"kernels-{names[0]}.so", (0, 0))  # older than its sources
    again = times()
    assert again[0] != 0
    assert again[1:] == first[1:]


def test_zig_builds_where_there_is_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ziglang")

    def nothing(_name: str) -> None:
        return None

    monkeypatch.setattr(build.shutil, "which", nothing)
    baseline = dict(list(build.targets().items())[-1:])
    monkeypatch.setattr(build, "targets", lambda: baseline)
    (built,) = build.build(tmp_path)
    source = _image(np.int16, 40, 30)
    taps = make_taps(30, 0.0, 30.0, 17, True), make_taps(40, 0.0, 40.0, 23, True)
    table = DisplayTable(np.arange(256, dtype=np.uint8), 0.0, 0.1)
    ours = NativeBackend(1, library.load(built)).gray(source, *taps, table)
    assert np.array_equal(ours, NativeBackend(1).gray(source, *taps, table))
