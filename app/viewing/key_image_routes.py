"""Key images over plain HTTP: read by whoever may see the study, marked and unmarked by staff (docs/viewer.md)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.errors import BadRequestError
from app.http import JSONResponse, RouteSpec
from app.identity.models import KEYIMAGE_WRITE, STUDY_VIEW, Principal
from app.services import Services
from app.viewing.key_images import KeyImage, key_images_of, set_key_image
from app.viewing.routes import path_key
from app.viewing.studies import image_name, open_study

_LONGEST_UID = 64  # PS3.5 6.2, UI
_MOST_FRAMES = 2**31


def _described(image: KeyImage, services: Services, principal: Principal) -> dict[str, Any]:
    """Named as the manifest names the image; who marked it is told to colleagues only."""
    uid = image.sop_instance_uid
    told: dict[str, Any] = {
        "sop_instance_uid": image_name(uid, services.keyring) if principal.hide_identity else uid,
        "frame_number": image.frame_number,
        "series": image.series_key,
    }
    if principal.kind == "user":
        told |= {"by": image.username, "at": image.marked_at.isoformat(timespec="seconds")}
    return told


async def _answer(services: Services, principal: Principal, study_key: int, shown: set[int]) -> Response:
    images = await key_images_of(services.database, principal.institution_id, study_key)
    told = [_described(image, services, principal) for image in images if image.series_key in shown]
    return JSONResponse({"study": study_key, "key_images": told})


async def study_key_images(request: Request, services: Services, principal: Principal) -> Response:
    """The study's key images among the series that this person may see."""
    study_key = path_key(request, "study")
    rows = await open_study(services, principal, study_key)
    await services.audit.record(principal.institution_id, principal.subject, "study.key_images", study_key=study_key)
    return await _answer(services, principal, study_key, {row.series_key for row in rows})


async def mark_key_image(request: Request, services: Services, principal: Principal) -> Response:
    """PUT marks, DELETE unmarks; both may be repeated. Answers with all of the study. Raises KeyImage errors."""
    study_key, uid = path_key(request, "study"), str(request.path_params["uid"])
    frame_number = path_key(request, "frame")
    if len(uid) > _LONGEST_UID or not uid.isascii() or not uid.isprintable():
        raise BadRequestError(what="uid")
    if not 0 < frame_number < _MOST_FRAMES:
        raise BadRequestError(what="frame")
    rows = await open_study(services, principal, study_key)
    marked = request.method == "PUT"
    instance_key = await set_key_image(
        services.database,
        principal.institution_id,
        study_key,
        uid,
        frame_number,
        marked_by=principal.subject,
        marked=marked,
    )
    await services.audit.record(
        principal.institution_id,
        principal.subject,
        "key_image.mark" if marked else "key_image.unmark",
        study_key=study_key,
        outcome="ok" if instance_key is not None else "unchanged",
        details={"instance": instance_key, "frame": frame_number},
    )
    if instance_key is not None:
        await services.bus.publish(f"study:{study_key}:key_images")
    return await _answer(services, principal, study_key, {row.series_key for row in rows})


_PATH = "/api/studies/{study}/key-images"
ROUTES = (
    RouteSpec(_PATH, study_key_images, STUDY_VIEW, summary="key images of a study"),
    RouteSpec(
        _PATH + "/{uid}/{frame}",
        mark_key_image,
        KEYIMAGE_WRITE,
        ("PUT", "DELETE"),
        summary="mark or unmark a key image",
    ),
)
