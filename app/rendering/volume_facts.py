"""What a viewer is told of a series' volumes besides pictures: its stacks and phases, the spread of values, presets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from app.rendering.series import OpenSeries
from app.rendering.volume_pictures import prepared_volume
from app.rendering.volumes import ReadyVolume
from render.histogram import histogram_of
from render.stack import StackPlan
from render.transfer import preset, preset_names

MOST_STACKS = 128
_ANY_DAY = "20000101"  # of files that tell the time alone
_MOMENT = re.compile(r"(\d{14})(\.\d{1,6})?")


def describe_stacks(series: OpenSeries, plans: Sequence[StackPlan]) -> list[dict[str, Any]]:
    """One entry per stack, in the order in which views name them, at most ``MOST_STACKS``. No dates: ``time_s`` is how
    long after the first of them a stack was begun, None where the files do not say."""
    begun = [_begun(series, plan) for plan in plans[:MOST_STACKS]]
    known = [moment for moment in begun if moment is not None]
    first = min(known) if known else None
    return [
        {
            **_describe_stack(series, plan),
            "time_s": None if moment is None or first is None else round((moment - first).total_seconds(), 2),
        }
        for plan, moment in zip(plans, begun, strict=False)
    ]


def _describe_stack(series: OpenSeries, plan: StackPlan) -> dict[str, Any]:
    place = series.frames[plan.keys[0]]
    own = place.override
    corners = np.array([(i, j, k, 1) for i in (0, 1) for j in (0, 1) for k in (0, 1)], np.float64)
    size = np.array([plan.columns - 1, plan.rows - 1, plan.depth - 1, 1.0])
    places = (corners * size) @ plan.index_to_lps_mm[:3].T
    return {
        "slices": len(plan.keys),
        "size": [plan.columns, plan.rows, plan.depth],
        "spacing_mm": [round(float(n), 4) for n in np.linalg.norm(plan.index_to_lps_mm[:3, :3], axis=0)],
        "bounds_mm": [[round(float(n), 3) for n in end] for end in (places.min(axis=0), places.max(axis=0))],
        "normal": [round(float(n), 4) for n in _unit(plan.index_to_lps_mm[:3, 2])],
        "acquisition_number": place.record.acquisition_number,
        "phase": own.temporal_position_index if own is not None else None,
    }


def _unit(way: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return way / np.linalg.norm(way)


def _begun(series: OpenSeries, plan: StackPlan) -> datetime | None:
    """When the earliest of its images was acquired."""
    records = {series.frames[key].record.sop_instance_uid: series.frames[key].record for key in plan.keys}
    moments = [_moment(record.acquisition) for record in records.values()]
    return min((moment for moment in moments if moment is not None), default=None)


def _moment(acquisition: dict[str, str]) -> datetime | None:
    """Of acquisition date and time (DA and TM, PS3.5 6.2)."""
    day = acquisition.get("acquisition_date", "").strip() or _ANY_DAY
    text = day + acquisition.get("acquisition_time", "").strip()
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    try:
        return datetime.strptime(found[1] + (found[2] or ".0"), "%Y%m%d%H%M%S.%f")  # differences only
    except ValueError:
        return None


def describe_values(ready: ReadyVolume) -> dict[str, Any]:
    """The histogram of a volume, its unit, and every shaded preset as points in the volume's own values
    (``[value, opacity of 1 mm, [red, green, blue]]``). Raises VolumeTooSmallError, VolumeTooLargeError."""
    found = histogram_of(ready.volume)
    with prepared_volume(ready.volume) as prepared:
        scales = {values: prepared.scale(values) for values in ("share", "window")}
    presets: dict[str, list[list[Any]]] = {}
    for name in preset_names():
        function = preset(name)
        low, high = scales.get(function.values, (0.0, 1.0))
        presets[name] = [
            [round(low + point.value * (high - low), 4), point.opacity, [round(part) for part in point.colour]]
            for point in function.points
        ]
    return {
        "low": found.low,
        "high": found.high,
        "counts": list(found.counts),
        "unit": ready.volume.unit,
        "complete": ready.volume.report.complete_percent,
        "stacks": ready.stacks,
        "presets": presets,
    }
