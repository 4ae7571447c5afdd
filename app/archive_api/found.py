"""What a WADO path names: instances of one institution, with the UIDs of their parents."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from app.archive_api.errors import ResourceNotFoundError
from app.archive_api.instance_finder import FoundInstance, Uids
from app.archive_api.qido import path_uid
from app.identity.models import Principal
from app.services import Services
from dicomnet.archive.query import InstanceRow, find_instances

PRIVATE = "private, no-cache"


@dataclass(frozen=True, slots=True)
class Target:
    """The instances of the path in series and instance order; never empty."""

    study_instance_uid: str
    rows: tuple[InstanceRow, ...]
    level: str
    instance: FoundInstance | None = None  # of a path that names one

    @property
    def etag(self) -> str:
        """Weak: the same instances, whatever the boundary (objects never change once stored)."""
        keys = ",".join(str(row.instance_key) for row in self.rows)
        return f'W/"{sha256(keys.encode()).hexdigest()[:24]}"'

    @property
    def series_key(self) -> int | None:
        """The one series, None where there are several."""
        keys = {row.series_key for row in self.rows}
        return keys.pop() if len(keys) == 1 else None


async def find(request: Request, services: Services, principal: Principal) -> Target:
    """Raises BadParameterError, ResourceNotFoundError."""
    uids = {name: path_uid(name, request.path_params[name])[0] for name in request.path_params if name in _LEVELS}
    if "instance" in uids:
        one = await services.instances.find(principal.institution_id, Uids(*(uids[name] for name in _LEVELS)))
        if one is None:
            raise ResourceNotFoundError
        return Target(uids["study"], (one.row,), "instance", one)
    rows = await find_instances(
        services.database,
        principal.institution_id,
        study_instance_uid=uids["study"],
        series_instance_uid=uids.get("series", ""),
    )
    if not rows:
        raise ResourceNotFoundError
    return Target(uids["study"], tuple(rows), next(name for name in reversed(_LEVELS) if name in uids))


_LEVELS = ("study", "series", "instance")


def not_modified(request: Request, target: Target, salt: str = "") -> Response | None:
    """304 where the client has exactly these instances."""
    etag = salted(target, salt)
    if request.headers.get("if-none-match") != etag:
        return None
    return Response(status_code=304, headers=private_headers(target, salt))


def salted(target: Target, salt: str) -> str:
    """The ETag of one representation of the target."""
    return target.etag[:-1] + salt + '"'


def private_headers(target: Target, salt: str = "") -> dict[str, str]:
    """Kept by the client alone and asked again each time."""
    return {"ETag": salted(target, salt), "Cache-Control": PRIVATE, "Vary": "Accept, Authorization, Cookie"}


async def audit(services: Services, principal: Principal, action: str, target: Target, frames: int) -> None:
    """The entry that is committed before the first byte."""
    await services.audit.record(
        principal.institution_id,
        principal.subject,
        action,
        study_key=target.rows[0].study_key,
        series_key=target.series_key,
        quality="original",
        frame_count=frames,
        details={"level": target.level, "instances": len(target.rows)},
    )
