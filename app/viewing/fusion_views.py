"""View kind ``fusion``: a plane of one series with another series of the same patient in colour above it (rule 26)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from app.errors import BadRequestError
from app.services import Services
from app.viewing.errors import OtherPatientError
from app.viewing.slab_views import number, parse_slab
from dicomnet.archive.query import SeriesRow
from render.fusion import FusionView

_NUMBERS = ("overlay_window_center", "overlay_window_width", "opacity", "fade")
_NAMES = ("overlay_voi", "overlay_projection", "colour_map")


def fusion_fields(fields: Mapping[str, Any], *, quality: str, webp: bool) -> dict[str, Any]:
    """Of a FusionView. Raises BadRequestError, InvalidViewError."""
    values: dict[str, Any] = {}
    for name in _NUMBERS:
        if fields.get(name) is not None:
            values[name] = number(fields[name], name)
    for name in _NAMES:
        if fields.get(name) is not None:
            if not isinstance(fields[name], str):
                raise BadRequestError(what=name)
            values[name] = fields[name]
    return asdict(FusionView(parse_slab(fields, quality=quality, webp=webp), **values))


def overlay_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """How the second series of a rendering looks (rule 31); judged where its volume is. Raises BadRequestError."""
    values: dict[str, Any] = {}
    for name in ("overlay_window_center", "overlay_window_width", "opacity"):
        if fields.get(name) is not None:
            values[name.removeprefix("overlay_")] = number(fields[name], name)
    for name in ("overlay_voi", "colour_map"):
        if fields.get(name) is not None:
            if not isinstance(fields[name], str):
                raise BadRequestError(what=name)
            values[name.removeprefix("overlay_")] = fields[name]
    return values


async def check_one_patient(services: Services, institution_id: int, base: SeriesRow, overlay: SeriesRow) -> None:
    """Both series are opened; here they are held to be of one patient. Raises OtherPatientError.

    A frame of reference's UID alone does not tell: phantoms and careless anonymisers use one for everybody.
    """
    if base.study_key == overlay.study_key:
        return
    patients = await services.database.fetchval(
        institution_id,
        "select count(distinct patient_key) from archive.study where study_key = any($1::bigint[])",
        [base.study_key, overlay.study_key],
    )
    if patients != 1:
        raise OtherPatientError
