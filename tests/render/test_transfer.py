"""Transfer functions: presets, tables, correction for the step, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from render.errors import InvalidViewError
from render.transfer import (
    TransferFunction,
    TransferPoint,
    colour_maps,
    fusion_function,
    make_tables,
    preset,
    preset_names,
)


def test_every_preset_loads_and_has_names_in_both_languages() -> None:
    assert {"bone", "vessels", "muscle", "lung", "airway", "mip", "pet_hot"} <= set(preset_names())
    for name, words in preset_names().items():
        assert words["zh"] and words["en"]
        tables = make_tables(preset(name), 0.7, (-100.0, 900.0))
        assert 0 < tables.opacity.max() <= 1
        assert tables.opacity[0] == 0
    with pytest.raises(InvalidViewError):
        preset("nobody")
    for name in colour_maps():
        assert len(fusion_function(name, 0.0, 5.0, 0.4).points) >= 2


def test_opacity_of_two_half_steps_is_that_of_one() -> None:
    function = preset("muscle")
    half, whole = (make_tables(function, step, (0, 1)).opacity.astype(np.float64) for step in (0.5, 1.0))
    np.testing.assert_allclose(1 - (1 - half) ** 2, whole, atol=1e-6)


def test_tables_are_linear_between_points() -> None:
    function = TransferFunction((TransferPoint(0, 0.1, (0, 0, 0)), TransferPoint(100, 0.5, (255, 0, 127.5))))
    tables = make_tables(function, 1.0, (0, 1))
    entry = round((50 - tables.first) * tables.steps)
    assert tables.opacity[entry] == pytest.approx(0.3, abs=2e-4)
    assert int(tables.colour[entry]) >> 20 == pytest.approx(512, abs=1)
    assert tables.visible_before()[-1] == len(tables.opacity)


@pytest.mark.parametrize(
    "points",
    [
        ((5.0, 0.1), (4.0, 0.2)),
        ((5.0, 0.1),),
        ((5.0, 0.1), (5.0, 0.2)),
        ((5.0, 0.1), (6.0, 1.5)),
        ((5.0, -0.1), (6.0, 0.5)),
        ((float("nan"), 0.1), (6.0, 0.5)),
    ],
)
def test_senseless_points_are_refused(points: Any) -> None:
    with pytest.raises(InvalidViewError):
        TransferFunction(tuple(TransferPoint(v, a, (0, 0, 0)) for v, a in points))


def test_a_fused_layer_may_rise_by_a_power() -> None:
    """Opacity follows the curve between the map's colours; the colours are the same."""
    straight, curved = (fusion_function("hot", 0.0, 100.0, 0.5, power) for power in (1.0, 2.0))
    tables = [make_tables(function, 1.0, (0, 1)) for function in (straight, curved)]
    share = np.linspace(0, 1, len(tables[0].opacity))
    np.testing.assert_allclose(tables[0].opacity, 0.5 * share, atol=1e-6)
    np.testing.assert_allclose(tables[1].opacity, 0.5 * share**2, atol=6e-4)
    red = [(table.colour >> np.uint32(20)).astype(int) for table in tables]
    assert np.abs(red[0] - red[1]).max() <= 1
    # The faintest are left out altogether: nothing is seen there, and rays skip it.
    faint = make_tables(fusion_function("hot", 0.0, 100.0, 0.5, 4.0), 1.0, (0, 1)).opacity
    np.testing.assert_allclose(faint, 0.5 * share**4, atol=3e-3)
    assert faint[share < 0.18].max() == 0 and faint[share > 0.2].min() > 0
    for power in (0.0, 9.0, float("nan")):
        with pytest.raises(InvalidViewError):
            fusion_function("hot", 0.0, 100.0, 0.5, power)
