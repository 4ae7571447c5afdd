"""Levels of large frames and the tiles made from them, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from render.engine import Engine
from render.errors import InvalidViewError
from render.frame import Frame
from render.pyramid import halved, is_large, level_of
from render.request import StackView
from render.similarity import ssim

ENGINE = Engine()


def smooth_values(rows: int, columns: int) -> NDArray[np.uint16]:
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float64)
    waves = np.sin(x / 37) * np.cos(y / 23) * 600 + np.hypot(x - columns / 2, y - rows / 2) * 0.5
    return (waves + 1500).clip(0, 4095).astype(np.uint16)


def large(rows: int = 1700, columns: int = 2100, **changes: Any) -> Frame:
    return Frame(smooth_values(rows, columns), bits_stored=12, voi_windows=((1700.0, 2600.0),), **changes)


def tile(frame: Frame, level: int, column: int, row: int, size: int = 512) -> NDArray[np.uint8]:
    side = float(size << level)
    view = StackView(size, size, quality="tile", source_rect=(column * side, row * side, side, side))
    return ENGINE.render_stack(frame, view).pixels


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(["uint8", "int16", "uint16", "float32"]), st.booleans())
def test_a_level_is_the_mean_of_four(rows: int, columns: int, kind: str, colour: bool) -> None:
    shape = (rows, columns, 3) if colour else (rows, columns)
    values = (np.arange(np.prod(shape)).reshape(shape) * 37 % 120).astype(kind)
    if kind == "int16":
        values = (values - 60).astype(kind)
    padded = np.pad(values, [(0, rows % 2), (0, columns % 2), *[(0, 0)] * (len(shape) - 2)], mode="edge")
    wide = padded.astype(np.float64)
    mean = (wide[0::2, 0::2] + wide[1::2, 0::2] + wide[0::2, 1::2] + wide[1::2, 1::2]) / 4
    expected = mean.astype(kind) if kind == "float32" else np.floor(mean + 0.5).astype(kind)
    assert np.array_equal(halved(values), expected)
    assert halved(values).dtype == values.dtype


def test_tiles_at_one_to_one_are_the_pixels_themselves() -> None:
    frame = large()
    whole = ENGINE.render_stack(frame, StackView(2100, 1700)).pixels
    joined = np.concatenate(
        [np.concatenate([tile(frame, 0, column, row) for column in range(5)], axis=1) for row in range(4)]
    )
    assert np.array_equal(joined, whole)


def test_tiles_of_a_level_join_without_seams() -> None:
    """A tile sees its neighbours' pixels: no line where two meet."""
    frame = large(2048, 2048)
    whole = ENGINE.render_stack(frame, StackView(1024, 1024)).pixels
    parts = [[tile(frame, 1, column, row, 256) for column in range(4)] for row in range(4)]
    joined = np.concatenate([np.concatenate(row, axis=1) for row in parts])
    assert joined.shape == whole.shape
    assert int(np.abs(joined.astype(int) - whole.astype(int)).max()) <= 1


def test_the_last_tiles_are_cut_at_the_edge() -> None:
    frame = large(1700, 2101)
    view = StackView(512, 512, quality="tile", source_rect=(2048.0, 1024.0, 1024.0, 1024.0))
    picture = ENGINE.render_stack(frame, view)
    assert picture.source_rect == (2048.0, 1024.0, 53.0, 676.0)
    assert picture.pixels.shape == (338, 26)
    for outside in ((2101.0, 0.0, 512.0, 512.0), (0.0, -600.0, 512.0, 512.0)):
        with pytest.raises(InvalidViewError):
            ENGINE.render_stack(frame, StackView(512, 512, source_rect=outside))


@pytest.mark.parametrize("rect", [(0, 0, 0, 5), (0, 0, 5, -1), (float("nan"), 0, 5, 5), (0, 0, 1e9, 5), (0, 0, 5)])
def test_a_wrong_part_is_refused(rect: Any) -> None:
    with pytest.raises(InvalidViewError):
        StackView(512, 512, source_rect=rect)


def test_a_far_view_from_a_level_looks_like_one_from_the_frame() -> None:
    frame = large(3000, 2600)
    view = StackView(325, 375, quality="preview")
    first = ENGINE.render_stack(frame, view).pixels
    assert "levels" not in frame.extra  # paged past once: no levels are made
    second = ENGINE.render_stack(frame, view).pixels
    assert set(frame.extra["levels"]) == {1, 2, 3}
    assert ssim(first, second) > 0.99
    before = frame.nbytes
    kept = sum(level.nbytes for level in frame.extra["levels"].values())
    assert before >= frame.values.nbytes + kept  # the budget counts them


def test_colour_has_levels_too() -> None:
    values = np.stack([smooth_values(1600, 1600) >> 4] * 3, axis=-1).astype(np.uint8)
    frame = Frame(values, "RGB", bits_stored=8)
    frame.extra["seen"] = True
    picture = ENGINE.render_stack(frame, StackView(200, 200, quality="preview")).pixels
    assert picture.shape == (200, 200, 3)
    plain = ENGINE.render_stack(Frame(values, "RGB", bits_stored=8), StackView(200, 200, quality="preview")).pixels
    assert ssim(picture[..., 0], plain[..., 0]) > 0.98


def test_small_frames_keep_no_levels() -> None:
    frame = Frame(smooth_values(512, 1500), bits_stored=12)
    frame.extra["seen"] = True
    assert not is_large(512, 1500)
    assert level_of(frame, (0, 0, 1500, 512), 100, 34, smooth=False)[0] == 0
    assert frame.nbytes == frame.values.nbytes
