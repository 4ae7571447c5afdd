"""View requests: zoom, pan, turns and flips against NumPy; limits; what a picture names."""

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
from render.request import StackView

ENGINE = Engine()
_SIZE: dict[str, Any] = {"width": 60, "height": 40}


def frame(rows: int = 40, columns: int = 60, **changes: Any) -> Frame:
    """8-bit values shown as they are."""
    y, x = np.mgrid[0:rows, 0:columns]
    values = ((x * 3 + y * 5) % 200 + 20).astype(np.uint8)
    return Frame(values, bits_stored=8, voi_windows=((128.0, 256.0),), **changes)


def pixels(view: StackView, source: Frame | None = None) -> NDArray[np.uint8]:
    return ENGINE.render_stack(source or frame(), view).pixels


def test_one_to_one_is_the_image_itself() -> None:
    assert np.array_equal(pixels(StackView(60, 40)), frame().values)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize(("horizontal", "vertical"), [(False, False), (True, False), (False, True), (True, True)])
def test_flips_act_before_clockwise_turns(degrees: int, horizontal: bool, vertical: bool) -> None:
    size = (60, 40) if degrees in (0, 180) else (40, 60)
    expected = frame().values
    expected = expected[:, ::-1] if horizontal else expected
    expected = expected[::-1] if vertical else expected
    expected = np.rot90(expected, -degrees // 90)
    view = StackView(*size, rotation_degrees=degrees, flip_horizontal=horizontal, flip_vertical=vertical)
    assert np.array_equal(pixels(view), expected)


def test_zoom_and_pan_show_that_part() -> None:
    view = StackView(60, 40, zoom=2.0, center_x=0.25, center_y=0.25)
    picture = ENGINE.render_stack(frame(), view)
    assert picture.source_rect == (0.0, 0.0, 30.0, 20.0)
    assert picture.pixels.shape == (40, 60)
    assert float(picture.pixels[39, 59]) == pytest.approx(float(frame().values[19, 29]), abs=6)


def test_panning_stops_at_the_edge() -> None:
    picture = ENGINE.render_stack(frame(), StackView(60, 40, zoom=2.0, center_x=9.0, center_y=-9.0))
    assert picture.source_rect == (30.0, 0.0, 30.0, 20.0)


def test_the_image_keeps_its_proportions_and_the_viewport_may_shrink() -> None:
    assert pixels(StackView(600, 40)).shape == (40, 60)
    assert pixels(StackView(30, 4000)).shape == (20, 30)


def test_pixels_that_are_not_square_are_stretched() -> None:
    assert pixels(StackView(60, 4096), frame(pixel_aspect=2.0)).shape == (80, 60)


def test_a_picture_names_what_made_it() -> None:
    picture = ENGINE.render_stack(frame(), StackView(60, 40, quality="preview"))
    assert picture.backend in {"native", "cuda"}
    assert picture.backend == ENGINE.backend
    assert picture.quality == "preview"
    assert (picture.voi.center, picture.voi.width, picture.voi.kind) == (128.0, 256.0, "window")


def test_preview_and_refined_are_alike() -> None:
    preview = pixels(StackView(33, 22, quality="preview")).astype(int)
    assert np.abs(preview - pixels(StackView(33, 22))).mean() < 12


def test_colour_passes_through_and_deep_colour_keeps_its_high_bits() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    assert np.array_equal(pixels(StackView(60, 40), Frame(rgb, "RGB", bits_stored=8)), rgb)
    deep = Frame(rgb.astype(np.uint16) * 257, "RGB", bits_stored=16)
    assert np.array_equal(pixels(StackView(60, 40), deep), rgb)
    assert np.array_equal(pixels(StackView(60, 40, invert=True), deep), 255 - rgb)


def test_a_window_may_be_laid_on_colour() -> None:
    rgb = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    view = StackView(8, 8, voi="window", window_center=100.5, window_width=51.0)
    picture = ENGINE.render_stack(Frame(rgb, "RGB", bits_stored=8), view)
    assert picture.voi.kind == "window"
    assert picture.pixels.ravel()[[0, 75, 100, 125, 191]].tolist() == [0, 0, 127, 255, 255]


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 0},
        {"height": 5000},
        {"zoom": 0.0},
        {"zoom": float("nan")},
        {"center_x": float("inf")},
        {"rotation_degrees": 45},
        {"voi": "brain"},
        {"voi": "window"},
        {"voi": "window", "window_center": 0.0, "window_width": 0.0},
        {"media_type": "image/gif"},
        {"quality": "diagnostic"},
    ],
)
def test_impossible_views_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidViewError):
        StackView(**(_SIZE | changes))


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 80),
    st.integers(1, 80),
    st.integers(1, 200),
    st.integers(1, 200),
    st.floats(0.01, 100),
    st.floats(-1e6, 1e6),
    st.floats(-1e6, 1e6),
    st.sampled_from([0, 90, 180, 270]),
    st.floats(0.1, 10),
)
def test_any_view_gives_a_picture_inside_the_viewport(
    rows: int, columns: int, width: int, height: int, zoom: float, x: float, y: float, degrees: int, aspect: float
) -> None:
    view = StackView(width, height, zoom=zoom, center_x=x, center_y=y, rotation_degrees=degrees)
    picture = ENGINE.render_stack(frame(rows, columns, pixel_aspect=aspect), view)
    shape = picture.pixels.shape
    assert 1 <= shape[0] <= height
    assert 1 <= shape[1] <= width
    left, top, wide, high = picture.source_rect
    assert left >= 0
    assert top >= 0
    assert left + wide <= columns + 1e-6
    assert top + high <= rows + 1e-6
