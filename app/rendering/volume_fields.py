"""Points, cameras and cuts of a message as values of render, and cuts as a message's fields again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, cast

from render.camera import Camera, Point
from render.cuts import BoxCut, BrushCut, CurveCut, Cut, PlaneCut
from render.errors import InvalidViewError

_KINDS: dict[type, str] = {BoxCut: "box", PlaneCut: "plane", BrushCut: "brush", CurveCut: "curve"}


def point(value: Any) -> Point:
    """Three numbers. Raises TypeError, ValueError."""
    x, y, z = (float(number) for number in value)
    return x, y, z


def camera(value: Any) -> Camera:
    """Of an object with position, focal_point, view_up and a scale or an angle.

    Raises InvalidViewError, KeyError, TypeError, ValueError.
    """
    given = cast("Mapping[str, Any]", value)
    scale, angle = given.get("parallel_scale_mm"), given.get("view_angle_degrees")
    return Camera(
        point(given["position"]),
        point(given["focal_point"]),
        point(given["view_up"]),
        float(scale) if scale is not None else None,
        float(angle) if angle is not None else None,
    )


def parse_cut(value: Mapping[str, Any], camera_of: Callable[[Any], Camera] = camera) -> Cut:
    """One cut of a message (rule 25). Raises InvalidViewError, KeyError, TypeError, ValueError."""
    kind, remove = value["kind"], "outside" if value.get("remove") == "outside" else "inside"
    if kind == "box":
        return BoxCut(point(value["low"]), point(value["high"]), remove)
    if kind == "plane":
        return PlaneCut(point(value["point"]), point(value["normal"]))
    if kind == "brush":
        return BrushCut(tuple(point(center) for center in value["centers"]), float(value["radius_mm"]))
    if kind == "curve":
        points = tuple((float(column), float(row)) for column, row in value["points"])
        return CurveCut(camera_of(value["camera"]), int(value["width"]), int(value["height"]), points, remove)
    raise InvalidViewError(what="cut")


def cut_fields(cut: Cut) -> dict[str, Any]:
    """What ``parse_cut`` makes the same cut of."""
    return {"kind": _KINDS[type(cut)], **asdict(cut)}
