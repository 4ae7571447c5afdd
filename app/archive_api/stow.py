"""STOW-RS (PS3.18 10.5): parts go from the socket to temporary files and through the archive's one door."""

from __future__ import annotations

import asyncio
import mmap
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from app.archive_api import dicom_json as dj
from app.archive_api.errors import MultipartError, PartTooLargeError
from app.archive_api.media import DICOM, DICOM_JSON, require_json
from app.archive_api.multipart import PartReader, parse_content_type
from app.archive_api.qido import path_uid
from app.errors import describe_error
from app.http import RouteSpec
from app.identity.models import DICOMWEB_WRITE, Principal
from app.logging import get_logger
from app.services import Services
from dicomnet.archive.errors import IngestError
from dicomnet.archive.header import read_header
from dicomnet.archive.ingest import Stored
from dicomnet.archive.objects import Objects

_MOST_PARTS = 10_000
_LARGEST_REQUEST_BYTES = 64 << 30
_WRITE_BYTES = 1 << 20
_LONGEST_S = 3600.0

# Failure Reason (PS3.18 Table 10.5.3-2; PS3.4 Table B.2-1) by stable code; 0xC000 = cannot understand.
_CANNOT_UNDERSTAND, _MISMATCH, _OUT_OF_RESOURCES, _CLASS_UNKNOWN = 0xC000, 0xA900, 0xA700, 0x0122
_REASONS = {
    "ingest.disk_full": _OUT_OF_RESOURCES,
    "ingest.unavailable": _OUT_OF_RESOURCES,
    "ingest.too_large": _OUT_OF_RESOURCES,
    "ingest.sop_class_mismatch": _MISMATCH,
    "ingest.sop_class_unknown": _CLASS_UNKNOWN,
}
_KEPT_ASIDE = 0xB000  # stored, but beside other bytes under the same UID


@dataclass(frozen=True, slots=True)
class _Peek:
    """UIDs of a received file, "" where it tells none."""

    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""


@dataclass(slots=True)
class _Outcome:
    """What the response will say."""

    base: str
    stored: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    failed: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    study_uids: set[str] = field(default_factory=set[str])

    def add(self, stored: Stored) -> None:
        """An object that the archive has."""
        url = dj.instance_url(self.base, stored.study_instance_uid, stored.series_instance_uid, stored.sop_instance_uid)
        item = {
            "00081150": dj.attribute("UI", stored.sop_class_uid),
            "00081155": dj.attribute("UI", stored.sop_instance_uid),
            "00081190": dj.attribute("UR", url),
        }
        if stored.outcome == "conflict":
            item["00081196"] = dj.attribute("US", _KEPT_ASIDE)
        self.stored.append(item)
        self.study_uids.add(stored.study_instance_uid)

    def refuse(self, peek: _Peek, reason: int) -> None:
        """An object that was not taken."""
        self.failed.append(
            {
                "00081150": dj.attribute("UI", peek.sop_class_uid),
                "00081155": dj.attribute("UI", peek.sop_instance_uid),
                "00081197": dj.attribute("US", reason),
            }
        )

    def response(self) -> Response:
        """200 all stored, 202 some, 409 none (PS3.18 Table 10.5.3-1)."""
        document: dict[str, Any] = {}
        if len(self.study_uids) == 1:
            document["00081190"] = dj.attribute("UR", dj.study_url(self.base, next(iter(self.study_uids))))
        if self.stored:
            document["00081199"] = {"vr": "SQ", "Value": self.stored}
        if self.failed:
            document["00081198"] = {"vr": "SQ", "Value": self.failed}
        warned = any("00081196" in item for item in self.stored)
        status = 409 if not self.stored else 202 if self.failed or warned else 200
        return Response(orjson.dumps(document), status, {"Cache-Control": "no-store"}, DICOM_JSON)


def peek(path: Path) -> _Peek:
    """UIDs of a file without reading pixels (blocking); empty where it cannot be read."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            dataset = read_header(view).dataset
            uids = _Peek(dataset.text(0x00080016), dataset.text(0x00080018), dataset.text(0x0020000D))
            del dataset
            return uids
    except (IngestError, OSError, ValueError, BufferError):
        return _Peek()


async def _spool(chunks: AsyncIterator[bytes], objects: Objects) -> Path:
    """A part's bytes in a temporary file of the store; removed again when the part is cut short."""
    descriptor, path = objects.open_temporary()
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            waiting = bytearray()
            async for chunk in chunks:
                waiting += chunk
                if len(waiting) >= _WRITE_BYTES:
                    await asyncio.to_thread(file.write, bytes(waiting))
                    waiting.clear()
            await asyncio.to_thread(file.write, bytes(waiting))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


async def _take(services: Services, principal: Principal, path: Path, study_uid: str, outcome: _Outcome) -> None:
    seen = await asyncio.to_thread(peek, path)
    if study_uid and seen.study_instance_uid != study_uid:
        await asyncio.to_thread(path.unlink, missing_ok=True)
        outcome.refuse(seen, _MISMATCH if seen.sop_instance_uid else _CANNOT_UNDERSTAND)
        return
    try:
        outcome.add(
            await services.ingest.store(
                path, institution_id=principal.institution_id, source=f"stow:{principal.subject}"
            )
        )
    except IngestError as error:
        get_logger().warning("stow.refused", code=error.code, institution_id=principal.institution_id)
        outcome.refuse(seen, _REASONS.get(error.code, _CANNOT_UNDERSTAND))


async def store(request: Request, services: Services, principal: Principal) -> Response:
    """``POST /studies[/{study}]``: each part is archived (durably) before the next is read.

    A body that breaks off answers for what was complete before; an empty one is an error.
    """
    require_json(request)
    boundary = parse_content_type(request.headers.get("content-type", ""), DICOM)
    study_uid = path_uid("study", request.path_params["study"])[0] if "study" in request.path_params else ""
    services.ingest.check_free_space()
    outcome = _Outcome(dj.base_url(request, services))
    reader = PartReader(request.stream(), boundary, _MOST_PARTS, services.settings.max_upload_mb << 20)
    broken: MultipartError | PartTooLargeError | None = None
    try:
        async for content_type, chunks in reader.parts():
            path = await _spool(chunks, services.objects)
            if content_type and content_type.partition(";")[0].strip().lower() != DICOM:
                path.unlink(missing_ok=True)
                outcome.refuse(_Peek(), _CANNOT_UNDERSTAND)
                continue
            await _take(services, principal, path, study_uid, outcome)
    except (MultipartError, PartTooLargeError) as error:
        if not outcome.stored and not outcome.failed:
            raise
        broken = error
        outcome.refuse(_Peek(), _OUT_OF_RESOURCES if isinstance(error, PartTooLargeError) else _CANNOT_UNDERSTAND)
    if not outcome.stored and not outcome.failed:
        raise MultipartError(reason="no parts")
    described = describe_error(broken) if broken is not None else None
    await services.audit.record(
        principal.institution_id,
        principal.subject,
        "dicomweb.store",
        outcome="ok" if not outcome.failed else "partly",
        details={
            "stored": len(outcome.stored),
            "failed": len(outcome.failed),
            "broken": described.code if described else "",
        },
    )
    return outcome.response()


ROUTES = tuple(
    RouteSpec(path, store, DICOMWEB_WRITE, ("POST",), _LARGEST_REQUEST_BYTES, _LONGEST_S, "STOW-RS")
    for path in ("/dicom-web/studies", "/dicom-web/studies/{study}")
)
