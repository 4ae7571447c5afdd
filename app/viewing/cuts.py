"""The virtual scalpel of one viewport as a value kept by its socket: added to, undone, redone (rule 27)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from app.errors import BadRequestError
from app.rendering.volume_fields import cut_fields, parse_cut
from render.cuts import BrushCut, CurveCut, Cut, CutHistory
from render.errors import InvalidViewError

MOST_POINTS = 20_000  # of all cuts of a viewport together


def changed(history: CutHistory, fields: Mapping[str, Any]) -> CutHistory:
    """The history after one message. Raises BadRequestError, InvalidViewError; the history is what it was then."""
    match fields.get("do"):
        case "add":
            return _added(history, fields.get("cuts"))
        case "undo":
            return history.undo()
        case "redo":
            return history.redo()
        case "clear":
            return CutHistory()
        case _:
            raise BadRequestError(what="do")


def _added(history: CutHistory, wanted: Any) -> CutHistory:
    if not isinstance(wanted, list) or not wanted:
        raise BadRequestError(what="cuts")
    try:
        for value in cast("list[Any]", wanted):
            history = history.add(parse_cut(value))
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
        raise InvalidViewError(what="cut") from None
    if sum(map(_points, history.cuts)) > MOST_POINTS:
        raise InvalidViewError(what="cuts")
    return history


def _points(cut: Cut) -> int:
    if isinstance(cut, BrushCut):
        return len(cut.centers)
    return len(cut.points) if isinstance(cut, CurveCut) else 1


def told(viewport: str, history: CutHistory) -> dict[str, Any]:
    """The answer: how many are in effect, and how many can be redone."""
    return {"t": "cuts", "viewport": viewport, "cuts": len(history.cuts), "undone": len(history.undone)}


def with_kept_cuts(fields: dict[str, Any], history: CutHistory) -> dict[str, Any]:
    """A view that says ``"cuts":"kept"`` with those of the history."""
    if fields.get("cuts") != "kept":
        return fields
    return {**fields, "cuts": [cut_fields(cut) for cut in history.cuts]}
