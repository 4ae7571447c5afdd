"""Transfer functions and colour maps: data (``presets/*.json``) or a user's own points; tables for the kernels.

A table is looked up with the interpolated value of a sample. Opacity is given per mm of way and corrected for the
step once per table: 1 - (1 - a) ** step, so that pictures do not depend on the step.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.errors import InvalidViewError

PRESETS = Path(__file__).resolve().parent / "presets"
ENTRIES = 2048
_MOST_POINTS = 64
_CURVE_STEPS = 16
_FAINT = 0.002  # of a curved layer's opacity: along the whole of a body it is a veil

Colour = tuple[float, float, float]  # 0 … 255 each


@dataclass(frozen=True, slots=True)
class TransferPoint:
    """``opacity`` of 1 mm of tissue of this ``value``."""

    value: float
    opacity: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class TransferFunction:
    """Linear between points, constant beyond them; points ascend. ``values``: what they count in: 'HU' (the volume's
    own values), 'share' (of its range without padding) or 'window' (of its display window). ``blend``: 'shaded' or
    'maximum'. ``specular_power`` is a power of two up to 128. Raises InvalidViewError."""

    points: tuple[TransferPoint, ...]
    name: str = "custom"
    values: str = "HU"
    blend: str = "shaded"
    ambient: float = 0.2
    diffuse: float = 0.7
    specular: float = 0.2
    specular_power: int = 16

    def __post_init__(self) -> None:
        if not 2 <= len(self.points) <= _MOST_POINTS:
            raise InvalidViewError(what="transfer points")
        places = [point.value for point in self.points]
        if not all(math.isfinite(v) and abs(v) < 1e9 for v in places) or places[-1] <= places[0]:
            raise InvalidViewError(what="transfer points")
        if any(b < a for a, b in itertools.pairwise(places)):
            raise InvalidViewError(what="transfer points are not in order")
        for point in self.points:
            if not 0 <= point.opacity <= 1 or not all(0 <= c <= 255 for c in point.colour):
                raise InvalidViewError(what="transfer opacity or colour")
        if not all(0 <= share <= 1 for share in (self.ambient, self.diffuse, self.specular)):
            raise InvalidViewError(what="shading")
        if self.specular_power not in (1, 2, 4, 8, 16, 32, 64, 128):
            raise InvalidViewError(what="specular_power")
        if self.values not in ("HU", "share", "window") or self.blend not in ("shaded", "maximum"):
            raise InvalidViewError(what="transfer function")


@dataclass(frozen=True)
class TransferTables:
    """``opacity`` float32 and ``colour`` uint32 (10 bits each, red highest), entry = (value - first) * steps."""

    opacity: NDArray[np.float32]
    colour: NDArray[np.uint32]
    first: float
    steps: float

    def visible_before(self) -> NDArray[np.int32]:
        """(entries + 1): how many entries before each are not fully transparent."""
        return np.concatenate([[0], np.cumsum(self.opacity > 0)]).astype(np.int32)


def make_tables(function: TransferFunction, step_mm: float, scale: tuple[float, float]) -> TransferTables:
    """Tables for one step; ``scale``: the values that 0 and 1 stand for when the points are shares."""
    low, high = (0.0, 1.0) if function.values == "HU" else scale
    places = np.array([low + point.value * (high - low) for point in function.points], np.float64)
    first, last = float(places[0]), float(places[-1])
    at = np.linspace(first, last, ENTRIES)
    per_mm = np.interp(at, places, [point.opacity for point in function.points])
    # A fully opaque mm stays opaque whatever the step; log1p keeps thin haze exact.
    with np.errstate(divide="ignore"):
        opacity = -np.expm1(np.log1p(-per_mm) * step_mm)
    return TransferTables(
        np.ascontiguousarray(opacity, np.float32),
        _pack(at, places, [point.colour for point in function.points]),
        first,
        (ENTRIES - 1) / (last - first),
    )


def _pack(at: NDArray[np.float64], places: Any, colours: list[Colour]) -> NDArray[np.uint32]:
    channels = [np.interp(at, places, [colour[i] for colour in colours]) for i in range(3)]
    red, green, blue = (np.rint(channel * (1023 / 255)).astype(np.uint32) for channel in channels)
    return np.ascontiguousarray(red << np.uint32(20) | green << np.uint32(10) | blue)


@dataclass(frozen=True, slots=True)
class ColourMap:
    """Colours over 0 … 1."""

    name: str
    points: tuple[tuple[float, Colour], ...]


def fusion_function(colour_map: str, low: float, high: float, opacity: float, power: float = 1.0) -> TransferFunction:
    """A fused layer: nothing below ``low``, the map's colours and opacity (per mm) rising to ``high`` with this
    ``power`` of the share: above 1, what has taken up little hides less of what lies behind it, and what hides next to
    nothing is left out, so that rays skip it."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high and 0 <= opacity <= 1 and 0.1 <= power <= 8):
        raise InvalidViewError(what="fusion range")
    known = colour_maps_by_name(colour_map).points
    places = [share for share, _ in known]
    # A curve between the map's colours needs points of its own.
    shares = places if power == 1 else sorted({*places, *(step / _CURVE_STEPS for step in range(_CURVE_STEPS + 1))})
    points = tuple(
        TransferPoint(low + share * (high - low), opacity * _risen(share, power), _mixed(known, places, share))
        for share in shares
    )
    return TransferFunction(points, f"fusion-{colour_map}")


def _risen(share: float, power: float) -> float:
    risen = share**power
    return risen if power <= 1 or risen >= _FAINT else 0.0


def _mixed(known: tuple[tuple[float, Colour], ...], places: list[float], share: float) -> Colour:
    red, green, blue = (float(np.interp(share, places, [colour[part] for _, colour in known])) for part in range(3))
    return red, green, blue


def colour_maps_by_name(name: str) -> ColourMap:
    """Raises InvalidViewError for a map that there is not."""
    found = colour_maps().get(name)
    if found is None:
        raise InvalidViewError(what="colour map")
    return found


@lru_cache(maxsize=1)
def colour_maps() -> Mapping[str, ColourMap]:
    """The colour maps of ``presets/colour_maps.json``."""
    document = json.loads((PRESETS / "colour_maps.json").read_text("utf-8"))
    return {
        name: ColourMap(name, tuple((at, _colour(c)) for at, c in data["points"])) for name, data in document.items()
    }


def _colour(values: Any) -> Colour:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


@lru_cache(maxsize=1)
def _preset_document() -> dict[str, Any]:
    return json.loads((PRESETS / "transfer.json").read_text("utf-8"))


def preset_names() -> Mapping[str, Mapping[str, str]]:
    """Name -> {'zh', 'en'} of every preset, in the order of menus."""
    return {name: {"zh": data["zh"], "en": data["en"]} for name, data in _preset_document().items()}


@lru_cache(maxsize=64)
def preset(name: str) -> TransferFunction:
    """A preset of ``presets/transfer.json``. Raises InvalidViewError for one that there is not."""
    data = _preset_document().get(name)
    if data is None:
        raise InvalidViewError(what="preset")
    return TransferFunction(
        tuple(TransferPoint(value, opacity, _colour(colour)) for value, opacity, colour in data["points"]),
        name,
        data["values"],
        data.get("blend", "shaded"),
        data["ambient"],
        data["diffuse"],
        data["specular"],
        data["specular_power"],
    )
