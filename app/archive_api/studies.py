"""The staff's study list: combined search, pages by key."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from app.errors import BadRequestError
from app.http import JSONResponse, RouteSpec
from app.identity.models import STUDY_LIST, Principal
from app.services import Services
from dicomnet.archive.query import StudyCursor, StudyFilters, StudyRow, list_studies

_LONGEST = 128
_ZONE = ZoneInfo("Asia/Shanghai")


def _day(request: Request, name: str, *, after: bool = False) -> datetime | None:
    text = request.query_params.get(name, "")
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadRequestError(what=name) from None
    if after:
        day += timedelta(days=1)
    return datetime(day.year, day.month, day.day, tzinfo=_ZONE)


def _text(request: Request, name: str) -> str:
    text = request.query_params.get(name, "").strip()
    if len(text) > _LONGEST:
        raise BadRequestError(what=name)
    return text


def parse_cursor(text: str) -> StudyCursor | None:
    """``<microseconds>-<study key>`` of the last row of the page before. Raises BadRequestError."""
    if not text:
        return None
    moment, _, key = text.partition("-")
    if not (text.isascii() and moment.isdigit() and key.isdigit() and len(moment) < 18 and len(key) < 18):
        raise BadRequestError(what="after")
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(moment))
    return StudyCursor(at, int(key))


def format_cursor(cursor: StudyCursor | None) -> str | None:
    """The inverse of ``parse_cursor``."""
    if cursor is None:
        return None
    micros = (cursor.study_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return f"{max(0, micros)}-{cursor.study_key}"


def search_word(text: str) -> dict[str, str]:
    """One search box: digits look like an ID or accession number, everything else like a name."""
    if not text:
        return {}
    return {"patient_name": text if "*" in text or "?" in text else f"*{text}*"}


def describe_row(row: StudyRow) -> dict[str, Any]:
    """A study as the list tells it."""
    names = (
        "study_key",
        "exam_key",
        "patient_name",
        "patient_id",
        "patient_sex",
        "accession_number",
        "study_description",
    )
    return {
        **{name: getattr(row, name) for name in names},
        "patient_birth_date": row.patient_birth_date,
        "study_at": row.study_at,
        "modalities": list(row.modalities),
        "body_parts": list(row.body_parts),
        "series_count": row.series_count,
        "instance_count": row.instance_count,
        "arriving": (datetime.now(UTC) - row.updated_at) < timedelta(seconds=10),
        "exam_key": row.exam_key,
        "conflict_count": row.conflict_count,
    }


async def study_list(request: Request, services: Services, principal: Principal) -> Response:
    """``?q=&patient_name=&patient_id=&accession_number=&modality=&from=&to=&after=&limit=``, newest first."""
    limit = request.query_params.get("limit", "50")
    if not (limit.isascii() and limit.isdigit()) or not 1 <= int(limit) <= 200:
        raise BadRequestError(what="limit")
    word = _text(request, "q")
    fields = {name: _text(request, name) for name in ("patient_name", "patient_id", "accession_number")}
    base: dict[str, Any] = {
        "since": _day(request, "from"),
        "until": _day(request, "to", after=True),
        "modalities": tuple(m for m in _text(request, "modality").split(",") if m),
        "study_description": _text(request, "study_description"),
    }
    cursor = parse_cursor(request.query_params.get("after", ""))
    choices: list[dict[str, Any]] = [{**base, **fields, **choice} for choice in _choices(word)]
    wanted = [StudyFilters(**choice) for choice in choices]
    rows: dict[int, StudyRow] = {}
    following: StudyCursor | None = None
    for filters in wanted:
        page = await list_studies(
            services.database, services.keyring, principal.institution_id, filters, cursor, int(limit)
        )
        rows.update({row.study_key: row for row in page.rows})
        following = following or page.next_after
        if page.rows:
            break
    await services.audit.record(
        principal.institution_id, principal.subject, "study.list", details={"count": len(rows), "searched": bool(word)}
    )
    return JSONResponse({"studies": [describe_row(row) for row in rows.values()], "next": format_cursor(following)})


def _choices(word: str) -> list[dict[str, str]]:
    """One box searches name, then patient number, then accession number: the first that finds something."""
    if not word:
        return [{}]
    by_name = search_word(word)
    by_number = [{"patient_id": word}, {"accession_number": word}]
    return [*by_number, by_name] if any(c.isdigit() for c in word) else [by_name, *by_number]


ROUTES = (RouteSpec("/api/studies", study_list, STUDY_LIST, summary="study list"),)
