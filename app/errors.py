"""Domain errors of the app and the one table that maps every stable code to the statuses of each wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class AppError(Exception):
    """Base of every error that the app raises on purpose; same shape as dicomnet's and render's errors."""

    code = "app.error"
    message: Mapping[str, str] = {"zh": "操作失败", "en": "The operation failed"}
    retryable = False

    def __init__(self, **data: Any) -> None:
        super().__init__(self.code)
        self.data: dict[str, Any] = data


class NotFoundError(AppError):
    """Nothing there, or nothing there for this person: one answer for both."""

    code = "http.not_found"
    message = {"zh": "没有找到您要的内容", "en": "There is nothing here"}


class BadRequestError(AppError):
    """The request cannot be understood; ``data['what']`` names the part."""

    code = "http.bad_request"
    message = {"zh": "请求有误", "en": "The request is not valid"}


class UnauthenticatedError(AppError):
    """Nobody is logged in."""

    code = "identity.session_over"
    message = {"zh": "登录已过期，请重新登录", "en": "Your session is over, please log in again"}


class ForbiddenError(AppError):
    """Logged in, but without the permission that the route names."""

    code = "identity.forbidden"
    message = {"zh": "您没有查看此检查的权限，申请会被记录", "en": "You may not see this; requests are recorded"}


class MethodNotAllowedError(AppError):
    """The path exists, but not for this method."""

    code = "http.method_not_allowed"
    message = {"zh": "不支持这种请求方式", "en": "This address does not take that method"}


class TooLargeError(AppError):
    """The body is larger than the route allows."""

    code = "http.too_large"
    message = {"zh": "上传的内容太大", "en": "The upload is too large"}


class TimeoutPassedError(AppError):
    """The request took longer than the route allows."""

    code = "http.timeout"
    message = {"zh": "网络较慢，请重试", "en": "This took too long, please try again"}
    retryable = True


class TooManyRequestsError(AppError):
    """More requests than one person makes; ``data['retry_after_s']`` says when to come back."""

    code = "http.too_many_requests"
    message = {"zh": "操作过于频繁，请稍后再试", "en": "Too many requests, please wait"}
    retryable = True


class CrossSiteError(AppError):
    """A page of another site tried to use this browser's session."""

    code = "http.cross_site"
    message = {"zh": "请求来源不受信任", "en": "The request came from another site"}


class NotAcceptableError(AppError):
    """None of the media types that the client accepts can be made."""

    code = "http.not_acceptable"
    message = {"zh": "不支持所请求的格式", "en": "None of the requested formats can be made"}


@dataclass(frozen=True, slots=True)
class Statuses:
    """What one code is on each wire. WebSocket close codes are 4000 + the HTTP status."""

    http: int

    @property
    def websocket(self) -> int:
        """Application close code (RFC 6455, 7.4.2)."""
        return 4000 + self.http


INTERNAL = Statuses(500)

# The longest dotted prefix wins; one that ends in a dot stands for its whole family.
STATUSES: Mapping[str, Statuses] = {
    "app.": INTERNAL,
    "dicomnet.": INTERNAL,
    "http.not_found": Statuses(404),
    "http.method_not_allowed": Statuses(405),
    "http.bad_request": Statuses(400),
    "http.too_large": Statuses(413),
    "http.timeout": Statuses(503),
    "http.too_many_requests": Statuses(429),
    "http.cross_site": Statuses(403),
    "http.not_acceptable": Statuses(406),
    "identity.session_over": Statuses(401),
    "identity.forbidden": Statuses(403),
    "identity.wrong_credentials": Statuses(401),
    "identity.locked": Statuses(429),
    "identity.password_change_needed": Statuses(403),
    "identity.weak_password": Statuses(422),
    "identity.": Statuses(400),
    "institution.exists": Statuses(409),
    "institution.not_found": Statuses(404),
    "institution.": Statuses(400),
    "share.not_found": Statuses(404),
    "share.expired": Statuses(410),
    "share.revoked": Statuses(410),
    "share.wrong_code": Statuses(403),
    "share.locked": Statuses(429),
    "share.burned_in_uncovered": Statuses(422),
    "share.": Statuses(400),
    "viewing.not_found": Statuses(404),
    "viewing.no_pictures": Statuses(422),
    "viewing.frame_fault": Statuses(422),
    "viewing.other_patient": Statuses(422),
    "values.": Statuses(422),
    "values.unequal": INTERNAL,
    "stream.": Statuses(400),
    "stream.rate": Statuses(429),
    "stream.idle": Statuses(408),
    "rendering.superseded": Statuses(409),
    "rendering.unavailable": Statuses(503),
    "rendering.timeout": Statuses(503),
    "rendering.": Statuses(503),
    "codec.": Statuses(422),
    "frame.": Statuses(422),
    "render.": Statuses(422),
    "volume.": Statuses(422),
    "key_image.unknown_image": Statuses(404),
    "key_image.too_many": Statuses(409),
    "surface.": Statuses(422),
    "surface.unavailable": Statuses(501),
    "surface.busy": Statuses(503),
    "dicomweb.not_found": Statuses(404),
    "dicomweb.not_acceptable": Statuses(406),
    "dicomweb.too_large": Statuses(413),
    "dicomweb.unavailable": Statuses(503),
    "dicomweb.unsupported_media_type": Statuses(415),
    "dicomweb.": Statuses(400),
    "ingest.disk_full": Statuses(507),
    "ingest.too_large": Statuses(413),
    "ingest.failed": Statuses(500),
    "ingest.unavailable": Statuses(503),
    "ingest.sop_class_unknown": Statuses(409),
    "ingest.sop_class_mismatch": Statuses(409),
    "ingest.": Statuses(400),
    "query.": Statuses(400),
    "layout.": Statuses(400),
    "sop_classes.": INTERNAL,
    "objects.key_invalid": Statuses(400),
    "objects.range_invalid": Statuses(416),
    "objects.": Statuses(503),
    "keyring.": INTERNAL,
    "database.": Statuses(503),
    "bus.unavailable": Statuses(503),
    "dimse.": Statuses(400),
}


def statuses_of(code: str) -> Statuses:
    """Statuses of a code by its longest known prefix; unknown codes are internal errors."""
    parts = code.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        for key in (name, name + "."):
            if key in STATUSES:
                return STATUSES[key]
    return INTERNAL


def dimse_status(code: str) -> int:
    """The status of C-STORE (PS3.4 Table B.2-1) and the Failure Reason of STOW-RS (PS3.18 Table I.2-2) for a code.

    The table itself is dicomnet's: a device that serves no web answers by it too.
    """
    from dicomnet.dimse.store_handler import CANNOT_UNDERSTAND, STATUS_OF_CODE

    return STATUS_OF_CODE.get(code, CANNOT_UNDERSTAND)


@dataclass(frozen=True, slots=True)
class Described:
    """A domain error, whichever package raised it, in one shape."""

    code: str
    message: Mapping[str, str]
    data: Mapping[str, Any]
    retryable: bool
    statuses: Statuses


def describe_error(error: BaseException) -> Described | None:
    """The shape of a domain error, None for any other exception (a defect)."""
    code = getattr(error, "code", None)
    message = getattr(error, "message", None)
    data = getattr(error, "data", None)
    if not isinstance(code, str) or not isinstance(message, Mapping) or not isinstance(data, dict):
        return None
    return Described(code, dict(message), dict(data), bool(getattr(error, "retryable", False)), statuses_of(code))
