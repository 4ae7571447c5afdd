"""The grayscale pipeline: values worked out by hand from PS3.3 C.7.5, C.7.6.3, C.11."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from render.engine import Engine
from render.errors import InvalidFrameError
from render.frame import Frame, Lut
from render.lut import CT_WINDOWS, Voi, apply_window, choose_voi, display_table, palette_tables
from render.request import StackView


def shown(frame: Frame, **view: Any) -> NDArray[np.uint8]:
    """The picture of a frame, pixel by pixel."""
    rows, columns = frame.values.shape[:2]
    return Engine().render_stack(frame, StackView(columns, rows, **view)).pixels


def ramp(dtype: Any = np.int16, low: int = 0, count: int = 256) -> NDArray[Any]:
    """A (16, n) image of rising values."""
    return np.arange(low, low + count).astype(dtype).reshape(16, -1)


def windowed(values: list[float], center: float, width: float, function: str) -> list[float]:
    return apply_window(np.array(values, np.float64), center, width, function).tolist()


def test_linear_is_the_formula_of_the_standard() -> None:
    """C.11.2.1.2.1's own example: center 2048, width 4096 on 12 bits is the identity."""
    assert windowed([0, 4095, -5, 9999], 2048, 4096, "LINEAR") == [0.0, 1.0, 0.0, 1.0]
    assert windowed([100, 101, 102], 101, 1, "LINEAR") == [0.0, 1.0, 1.0]
    assert windowed([0, 1, 2], 1, 2, "LINEAR") == pytest.approx([0.0, 1.0, 1.0])


def test_linear_exact_and_sigmoid() -> None:
    assert windowed([0, 50, 100], 50, 100, "LINEAR_EXACT") == [0.0, 0.5, 1.0]
    middle, high = windowed([50, 100], 50, 100, "SIGMOID")
    assert middle == 0.5
    assert high == pytest.approx(1 / (1 + np.exp(-2)))
    assert windowed([-1e12, 1e12], 0, 1e-3, "SIGMOID") == pytest.approx([0.0, 1.0])


def test_rescale_comes_before_the_window() -> None:
    frame = Frame(ramp(), rescale_slope=2.0, rescale_intercept=-100.0, voi_windows=((155.5, 511.0),))
    assert shown(frame).ravel().tolist() == [int(v) for v in np.floor(np.arange(256) * 2 / 510 * 255)]


def test_a_modality_table_replaces_the_rescale() -> None:
    table = Lut(10, 8, np.array([0, 200, 100], np.uint16))
    frame = Frame(ramp(low=8, count=16), rescale_slope=7.0, modality_lut=table, voi_windows=((128.0, 256.0),))
    assert shown(frame).ravel().tolist() == [0, 0, 0, 200, 100, *[100] * 11]


def test_a_voi_table_is_used_when_there_is_no_window() -> None:
    table = Lut(0, 12, np.array([4095, 0, 2048], np.uint16))
    frame = Frame(ramp(count=16), voi_lut=table)
    assert shown(frame).ravel().tolist() == [255, 0, *[127] * 14]
    assert shown(frame, voi="window", window_center=0.5, window_width=1.0).ravel().tolist()[:3] == [0, 255, 255]


def test_low_is_white_in_monochrome1_and_in_an_inverse_presentation_but_not_in_both() -> None:
    window = ((127.5, 256.0),)
    plain = shown(Frame(ramp(), voi_windows=window)).astype(int)
    for frame in (
        Frame(ramp(), "MONOCHROME1", voi_windows=window),
        Frame(ramp(), "MONOCHROME2", voi_windows=window, presentation_inverse=True),
    ):
        assert np.abs(shown(frame).astype(int) - (255 - plain)).max() <= 1
        assert np.abs(shown(frame, invert=True).astype(int) - plain).max() <= 1
    both = Frame(ramp(), "MONOCHROME1", voi_windows=window, presentation_inverse=True)
    assert np.array_equal(shown(both), plain)


def test_the_automatic_window_is_the_middle_98_percent_without_padding() -> None:
    values = np.full((100, 100), -2000, np.int16)
    values[:, 50:] = np.arange(5000).reshape(100, 50)
    frame = Frame(values, padding_value=-2000)
    voi = choose_voi(frame, "auto", None, None)
    assert voi.kind == "auto"
    low, high = (voi.center or 0) - (voi.width or 0) / 2, (voi.center or 0) + (voi.width or 0) / 2
    assert low == pytest.approx(50, abs=60)
    assert high == pytest.approx(4949, abs=60)
    assert choose_voi(frame, "file", None, None).kind == "auto", "a file without a window"


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_drawn_as_background(photometric: str) -> None:
    values = np.full((8, 8), 500, np.int16)
    values[:, :2] = -2000
    values[4, 4], values[5, 5] = 0, 1000
    frame = Frame(values, photometric, padding_value=-2000, voi_windows=((500.0, 1001.0),))
    assert (shown(frame)[:, :2] == 0).all()


def test_a_padding_value_given_with_the_other_sign_is_understood() -> None:
    values = np.array([[-2000, 5], [6, 7]], np.int16)
    mask = Frame(values, padding_value=63536).padding_mask
    assert mask is not None
    assert mask.tolist() == [[True, False], [False, False]]


def test_a_padding_range_and_a_frame_of_padding() -> None:
    values = np.array([[1, 5], [9, 20]], np.uint16)
    mask = Frame(values, padding_value=9, padding_range_limit=4).padding_mask
    assert mask is not None
    assert mask.tolist() == [[False, True], [True, False]]
    assert Frame(np.zeros((4, 4), np.uint8), padding_value=0).padding_mask is None


def test_palettes_ignore_padding_and_cut_16_bit_entries() -> None:
    tables = [Lut(0, 16, np.array(entries, np.uint16)) for entries in ([0, 65535], [256, 257], [512, 0x0E00])]
    frame = Frame(
        np.array([[0, 1]], np.uint8), "PALETTE COLOR", padding_value=0, palette=(tables[0], tables[1], tables[2])
    )
    assert shown(frame).tolist() == [[[0, 0, 1], [255, 1, 13]]]
    with pytest.raises(InvalidFrameError):
        palette_tables(Frame(np.zeros((2, 2), np.uint8)))


@pytest.mark.parametrize("offset", [0, 1_000_000_000])
def test_32_bit_values_keep_their_precision_in_a_narrow_window(offset: int) -> None:
    values = np.zeros((16, 16), np.uint32) + np.uint32(offset)
    values += np.arange(256, dtype=np.uint32).reshape(16, 16)
    values[0, 0] = offset + 2_000_000_000
    frame = Frame(values, bits_stored=32, voi_windows=((offset + 128.0, 256.0),))
    assert np.abs(shown(frame).ravel()[1:].astype(int) - np.arange(1, 256)).max() <= 1


def test_float_values_with_outliers_and_gaps() -> None:
    values = np.linspace(0.0, 1.0, 256).reshape(16, 16)
    values[0, 0], values[0, 1], values[15, 15] = np.nan, -np.inf, 1e30
    frame = Frame(values, voi_lut_function="LINEAR_EXACT")
    picture = shown(frame, voi="window", window_center=0.5, window_width=1.0)
    assert np.abs(picture.ravel()[2:-1].astype(int) - np.arange(2, 255)).max() <= 1
    assert picture[0, 0] == picture[0, 1] == picture.min(), "not a number and minus infinity: the lowest value"
    assert picture[15, 15] == 255


def test_impossible_frames_are_refused() -> None:
    with pytest.raises(InvalidFrameError):
        Frame(np.zeros((0, 4), np.uint8))
    with pytest.raises(InvalidFrameError):
        Frame(np.zeros((4, 4), np.uint8), rescale_slope=0.0)
    with pytest.raises(InvalidFrameError):
        Frame(np.zeros((4, 4), np.uint8), rescale_intercept=float("nan"))


def test_presets_are_positive_widths() -> None:
    assert CT_WINDOWS["lung"] == (1500, -600)
    assert all(width > 0 for width, _ in CT_WINDOWS.values())


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize(("slope", "intercept"), [(1.0, -1024.0), (-2.5, 7.0), (1e-300, 0.0)])
@pytest.mark.parametrize("window", [*CT_WINDOWS.values(), (1, 40), (65536, 0), (1e9, 1e8)])
def test_a_table_of_the_window_alone_shows_every_value_as_the_formula_does(
    function: str, photometric: str, invert: bool, slope: float, intercept: float, window: tuple[float, float]
) -> None:
    frame = Frame(
        ramp(low=-3000, count=8000),
        photometric,
        rescale_slope=slope,
        rescale_intercept=intercept,
        voi_lut_function=function,
    )
    width, center = window
    table = display_table(frame, Voi(center, width, "window"), invert)
    values = frame.values.astype(np.float64).ravel()
    exact = apply_window(values * slope + intercept, center, width, function)
    exact = np.floor((1 - exact if frame.is_inverse else exact) * 255 + 1e-6).astype(np.uint8)
    places = np.clip(np.rint((values - table.first) * table.steps), 0, len(table.entries) - 1).astype(int)
    assert np.array_equal(table.entries[places], 255 - exact if invert else exact)
    if table.ramp is not None:
        line = np.arange(len(table.entries), dtype=np.float32) * np.float32(table.ramp[0]) + np.float32(table.ramp[1])
        assert np.array_equal(np.clip(line, 0, 255).astype(np.uint8), table.entries)


def test_frames_of_a_series_share_the_table_of_a_window() -> None:
    voi = Voi(40, 400, "window")
    one, other = Frame(ramp(low=-900)), Frame(ramp(low=100))
    table = display_table(one, voi, False)
    assert display_table(other, voi, False) is table
    assert table.ramp is not None
    assert display_table(other, Voi(41, 400, "window"), False) is not table
