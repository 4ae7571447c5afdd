"""Which studies and series a person may open, and which series a study shows first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.identity.models import Principal
from app.services import Services
from app.viewing.errors import NoPicturesError, StudyNotFoundError
from dicomnet.archive.query import SeriesRow, list_series
from dicomnet.keyring import Keyring

# Cross-sectional kinds: the middle of the stack is shown first; at 512 pixels.
STACKS = frozenset({"CT", "MR", "PT", "NM"})
# Projections and photographs need the full width of a phone.
PROJECTIONS = frozenset({"DX", "CR", "MG", "PX", "IO", "XC", "RG", "OP", "SM", "ES", "GM"})
# Kinds whose pixels may carry a name: nobody from whom identity is hidden sees them, also when they arrive later.
BURNED_IN_MODALITIES = frozenset({"US", "SC", "XC", "OT", "ES", "GM", "IVUS", "DOC", "HC", "DMS", "OP", "ECG"})
_NOT_PICTURES = frozenset({"SR", "PR", "KO", "RTSTRUCT", "RTPLAN", "DOC", "SEG", "REG", "RWV"})

_OWN_ROOT = "2.25."  # PS3.5 B.2


async def open_study(services: Services, principal: Principal, study_key: int) -> list[SeriesRow]:
    """The study's series that have pictures. Raises StudyNotFoundError."""
    if not principal.may_open(study_key):
        raise StudyNotFoundError
    exists = await services.database.fetchval(
        principal.institution_id, "select 1 from archive.study where study_key = $1", study_key
    )
    if exists is None:
        raise StudyNotFoundError
    rows = await list_series(services.database, principal.institution_id, study_key)
    hidden = BURNED_IN_MODALITIES if principal.hide_identity else frozenset[str]()
    return [row for row in rows if row.frame_count > 0 and row.modality not in hidden]


async def series_of(services: Services, principal: Principal, series_key: int) -> SeriesRow:
    """A series this person may open. Raises StudyNotFoundError."""
    row = await services.database.fetchrow(
        principal.institution_id, "select study_key from archive.series where series_key = $1", series_key
    )
    if row is None:
        raise StudyNotFoundError
    for series in await open_study(services, principal, row["study_key"]):
        if series.series_key == series_key:
            return series
    raise StudyNotFoundError


def describe(series: SeriesRow, *, hide_identity: bool) -> dict[str, Any]:
    """What a series strip shows. Free text may name people, so a hiding share gets none."""
    return {
        "series": series.series_key,
        "version": series.version,
        "modality": series.modality,
        "number": series.series_number,
        "frame_count": series.frame_count,
        "body_part": series.body_part_examined,
        "description": "" if hide_identity else series.series_description,
    }


async def manifest_of(services: Services, principal: Principal, series: SeriesRow) -> dict[str, Any]:
    """The manifest as this person may see it. Raises rendering errors.

    Acquisition texts hold dates and free text, and UIDs lead back to the patient in other systems: a share that hides
    identity gets none of them, but for each image a name of this installation's own.
    """
    manifest = await services.render.manifest(principal.institution_id, series.series_key, series.version)
    if principal.hide_identity:
        manifest = {**renamed_images(manifest, services.keyring), "acquisition": {}}
    return manifest


def renamed_images(manifest: dict[str, Any], keyring: Keyring) -> dict[str, Any]:
    """The manifest with a keyed digest in place of each SOP Instance UID: always the same one for the same image."""
    if "shared" not in manifest:
        return manifest
    root = manifest["sop_instance_uid_root"]

    def renamed(frame: dict[str, Any]) -> dict[str, Any]:
        if "sop_instance_uid" not in frame:
            return frame
        name = image_name(f"{root}{frame['sop_instance_uid']}", keyring)
        return {**frame, "sop_instance_uid": name.removeprefix(_OWN_ROOT)}

    frames = [renamed(frame) for frame in manifest["frames"]]
    return {**manifest, "sop_instance_uid_root": _OWN_ROOT, "shared": renamed(manifest["shared"]), "frames": frames}


def image_name(sop_instance_uid: str, keyring: Keyring) -> str:
    """What an image is called where identity is hidden: a keyed digest, always the same one for the same image."""
    digest = keyring.hmac("image name", sop_instance_uid.encode())
    return f"{_OWN_ROOT}{int.from_bytes(digest[:8])}"


def key_series(rows: Sequence[SeriesRow]) -> SeriesRow:
    """The series shown first: pictures before presentation objects, the largest stack, the lowest number.

    Raises NoPicturesError.
    """
    candidates = [row for row in rows if row.frame_count > 0 and row.modality not in _NOT_PICTURES]
    if not candidates:
        candidates = [row for row in rows if row.frame_count > 0]
    if not candidates:
        raise NoPicturesError
    return max(candidates, key=lambda r: (r.modality not in {"SC", "OT"}, r.frame_count, -(r.series_number or 0)))


def first_frame(series: SeriesRow) -> int:
    """The middle of a stack, else the first picture."""
    return series.frame_count // 2 if series.modality in STACKS and series.frame_count >= 3 else 0
