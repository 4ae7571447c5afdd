"""JSON logs with one correlation id from request or association to picture; secrets and tokens never enter."""

from __future__ import annotations

import logging
import re
import secrets
import sys
import traceback
from contextvars import ContextVar
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict

_configured: list[Any] = []  # the bound logger: binding one anew for each event takes as long as writing it
correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
_VALID = re.compile(r"^[A-Za-z0-9_-]{8,64}$")
_SHARE_PATH = re.compile(r"(/s/)[^/?#\s\"']+")


def new_correlation_id() -> str:
    """96 random bits, URL-safe."""
    return secrets.token_urlsafe(12)


def accepted_correlation_id(given: str | None) -> str:
    """The caller's id when it is well-formed, else a new one."""
    return given if given and _VALID.match(given) else new_correlation_id()


def redact(text: str) -> str:
    """Share tokens in paths are cut out before anything is written."""
    return _SHARE_PATH.sub(r"\1…", text) if "/s/" in text else text


def _add_correlation(_logger: Any, _name: str, event: EventDict) -> EventDict:
    if (value := correlation_id.get()) and "correlation_id" not in event:
        event["correlation_id"] = value
    return {key: redact(value) if isinstance(value, str) else value for key, value in event.items()}


def _frames_only(_logger: Any, _name: str, event: EventDict) -> EventDict:
    """A traceback as places in the code: an exception's own text may quote a patient's values."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    chain: list[str] = []
    while isinstance(error, BaseException) and len(chain) < 8:
        places = "".join(traceback.format_tb(error.__traceback__, limit=-12))
        chain.append(f"{type(error).__module__}.{type(error).__qualname__}\n{places}")
        error = error.__cause__ or error.__context__
    if chain:
        event["traceback"] = "caused by\n".join(chain)
    return event


def configure_logging(role: str, level: str = "info") -> None:
    """JSON lines on standard error, for our own events and for the libraries'."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _frames_only,
            _add_correlation,
            structlog.processors.JSONRenderer(serializer=lambda value, **_: orjson.dumps(value, default=str).decode()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    _configured[:] = [structlog.get_logger().bind()]
    structlog.contextvars.bind_contextvars(role=role)
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s", force=True
    )


def get_logger() -> Any:
    """The bound logger; events are stable dotted words, values carry no personal data."""
    return _configured[0] if _configured else structlog.get_logger()
