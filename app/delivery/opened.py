"""The opened page: choose the picture, write the audit entry, then answer in one response."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.delivery import page
from app.delivery.words import WORDS
from app.errors import describe_error
from app.http import preferred_language
from app.identity.models import KEYIMAGE_WRITE, Principal
from app.services import Services
from app.viewing.errors import NoPicturesError
from app.viewing.prepared import PreparedPair, first_picture
from app.viewing.studies import describe, key_series, open_study
from dicomnet.archive.query import SeriesRow, StudyRow, get_study

_LATER_FILES = frozenset(
    {"values.js", "values-worker.js", "openjph.wasm", "volume.js", "measure.js"}
)  # the viewer fetches them when it may
_AT_ONCE_S, _SOON_S = 0.02, 0.1  # for what stands before the refined picture, and for what follows it
_MOST_AHEAD_BYTES = 4 << 20  # larger codestreams are shown by their first resolutions, which a reader in the page does


def _label(series: SeriesRow, study: StudyRow | None) -> str:
    parts = [series.modality, series.body_part_examined]
    if study is not None and not series.body_part_examined:
        parts.append(study.study_description)
    return " ".join(part for part in parts if part)


def _overlay(study: StudyRow | None) -> dict[str, str]:
    """The corners' personal texts; nothing where identity is hidden."""
    if study is None:
        return {}
    return {
        "name": study.patient_name,
        "sex": study.patient_sex,
        "birth_date": study.patient_birth_date.isoformat() if study.patient_birth_date else "",
        "patient_id": study.patient_id,
        "accession_number": study.accession_number,
        "study_date": study.study_date,
        "study_time": study.study_time[:6],
    }


async def opened_page(request: Request, services: Services, principal: Principal, study_key: int) -> Response:
    """One response with the picture in its first bytes. Raises StudyNotFoundError and decoding errors."""
    language = preferred_language(request)
    rows = await open_study(services, principal, study_key)
    try:
        series = key_series(rows)
    except NoPicturesError:
        return Response(page.message_page(language, WORDS[language]["arriving"]), media_type="text/html; charset=utf-8")
    pair = await _first_that_works(services, principal.institution_id, series, rows)
    shown = next(row for row in rows if row.series_key == pair.series_key)
    exact = asyncio.create_task(_exact_values(services, principal, pair))
    study = None
    if not principal.hide_identity:
        study = await get_study(services.database, services.keyring, principal.institution_id, study_key=study_key)
    await services.audit.record(
        principal.institution_id,
        principal.subject,
        "series.view",
        study_key=study_key,
        series_key=pair.series_key,
        quality="first",
        frame_count=1,
    )
    subject = page.ViewerSubject(
        study_key,
        shown.modality,
        _label(shown, study),
        shown.frame_count,
        _overlay(study),
        principal.kind == "share",
        "/studies" if principal.kind == "user" else "",
    )
    boot = _boot(language, subject, pair, rows, principal)
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding, Cookie"}
    if ahead := page.ahead_header():
        headers["Link"] = ahead

    async def parts() -> AsyncIterator[bytes]:
        yield page.opened_head(language, subject, pair)
        await asyncio.wait({exact}, timeout=_AT_ONCE_S)
        early = exact.result() if exact.done() and _is_first_visit(request) else None
        yield page.opened_middle(language, subject, pair, _address(early))
        yield page.opened_tail({**boot, "values": await exact})

    body = parts()
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = page.packed(body)
    return StreamingResponse(body, headers=headers, media_type="text/html; charset=utf-8")


async def _exact_values(services: Services, principal: Principal, pair: PreparedPair) -> dict[str, Any] | None:
    """The values manifest of the shown frame when its codestream is prepared and that is known soon; else None.

    The page's end waits for it only so long: the viewer can ask for it as well.
    """
    frame = (pair.refined or pair.base).frame_index
    try:
        async with asyncio.timeout(_SOON_S):
            told = await services.render.describe_values(
                principal.institution_id, pair.series_key, frame, 1, pair.version, only_prepared=True
            )
    except TimeoutError:
        return None
    except Exception as error:
        if describe_error(error) is None:
            raise
        return None
    return told if told["frames"][0].get("bytes") else None


def _address(values: dict[str, Any] | None) -> str:
    """Where the page will fetch those values; their audit entry is written when it does (values_routes)."""
    if values is None or values["frames"][0]["bytes"] > _MOST_AHEAD_BYTES:
        return ""
    return f"/api/series/{values['series']}/frames/{values['first']}/values?coding=htj2k"


def _is_first_visit(request: Request) -> bool:
    """A page that is loaded again resumes the view in its address, which the server does not see: another frame, it may be.
    Nor are values wanted twice that were asked for in another coding. (Browsers send the same with a form.)"""
    again = request.method == "GET" and request.headers.get("cache-control", "") in {"max-age=0", "no-cache"}
    return not again and "values" not in request.query_params


async def _first_that_works(
    services: Services, institution_id: int, series: SeriesRow, rows: list[SeriesRow]
) -> PreparedPair:
    """The key series' pair; where its picture cannot be decoded, the next series that can. Raises the first error."""
    try:
        return await first_picture(services, institution_id, series)
    except Exception as error:
        if describe_error(error) is None:
            raise
        for other in rows[:8]:
            if other.series_key != series.series_key:
                try:
                    return await first_picture(services, institution_id, other)
                except Exception as second:
                    if describe_error(second) is None:
                        raise
        raise


def _boot(
    language: str, subject: page.ViewerSubject, pair: PreparedPair, rows: list[SeriesRow], principal: Principal
) -> dict[str, Any]:
    best = pair.refined or pair.base
    return {
        "study": subject.study_key,
        "language": language,
        "label": subject.label,
        "overlay": subject.overlay,
        "patient_facing": subject.patient_facing,
        "may_mark": KEYIMAGE_WRITE in principal.permissions,
        "close_url": subject.close_url,
        "share_until": None,
        "files": {name: path for name, path in page.client_files().items() if name in _LATER_FILES},
        "series": [describe(row, hide_identity=principal.hide_identity) for row in rows],
        "first": {
            "series": pair.series_key,
            "frame": best.frame_index,
            "width": best.width,
            "height": best.height,
            "window_center": best.window_center,
            "window_width": best.window_width,
        },
    }
