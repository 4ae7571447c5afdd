"""The query string of QIDO-RS (PS3.18 8.3.4 and 10.6.1): keywords or tags to filters; everything bounded."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from pydicom.datadict import keyword_for_tag, tag_for_keyword

from app.archive_api.errors import BadParameterError
from dicomnet.archive.qido import InstanceFilters, SeriesFilters
from dicomnet.archive.query import StudyFilters

MAX_LIMIT, DEFAULT_LIMIT, MAX_OFFSET = 1000, 200, 10_000
_MOST_PARAMETERS, _LONGEST_VALUE, _MOST_UIDS = 64, 8192, 500
# Some senders write UIDs that are none; what is archived can be found by what it says.
_UID = re.compile(r"[0-9A-Za-z._-]{1,64}")
_DATE = re.compile(r"[0-9]{8}")
_TIME = re.compile(r"[0-9]{2,6}(\.[0-9]{1,6})?")

# Keyword -> field of the filters that takes its text as it is.
_STUDY_TEXTS = {
    "PatientName": "patient_name",
    "PatientID": "patient_id",
    "AccessionNumber": "accession_number",
    "StudyDescription": "study_description",
    "StudyID": "study_id",
    "PatientSex": "patient_sex",
}
_SERIES_TEXTS = {
    "Modality": "modality",
    "SeriesDescription": "series_description",
    "BodyPartExamined": "body_part_examined",
    "ProtocolName": "protocol_name",
}


@dataclass(frozen=True, slots=True)
class QidoQuery:
    """A parsed query. ``ignored``: attributes that exist but are not matched here; ``fuzzy``: was asked for."""

    studies: StudyFilters = field(default_factory=StudyFilters)
    series: SeriesFilters = field(default_factory=SeriesFilters)
    instances: InstanceFilters = field(default_factory=InstanceFilters)
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    fuzzy: bool = False
    ignored: tuple[str, ...] = ()


def keyword_of(name: str) -> str:
    """``PatientName`` for itself or ``00100010``; "" where the dictionary has no such attribute."""
    if re.fullmatch(r"[0-9A-Fa-f]{8}", name):
        return keyword_for_tag(int(name, 16)) or ""
    return name if tag_for_keyword(name) is not None else ""


def uid_list(parameter: str, text: str) -> tuple[str, ...]:
    """UIDs joined by a comma or backslash. Raises BadParameterError."""
    uids = tuple(part.strip() for part in re.split(r"[,\\]", text))
    if len(uids) > _MOST_UIDS or not all(_UID.fullmatch(uid) for uid in uids):
        raise BadParameterError(parameter=parameter)
    return uids


def value_range(parameter: str, text: str, pattern: re.Pattern[str]) -> tuple[str, str]:
    """(lowest, highest) of ``a``, ``a-b``, ``a-`` or ``-b`` (PS3.4 C.2.2.2.5). Raises BadParameterError."""
    low, dash, high = text.partition("-")
    if not dash:
        high = low
    if not (low or high) or any(part and pattern.fullmatch(part) is None for part in (low, high)):
        raise BadParameterError(parameter=parameter)
    return low, high


def _number(parameter: str, text: str, highest: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        raise BadParameterError(parameter=parameter)
    return min(int(text), highest)


def parse_query(items: Iterable[tuple[str, str]]) -> QidoQuery:
    """Filters of a query string. Raises BadParameterError for what is malformed or no DICOM attribute."""
    studies: dict[str, Any] = {}
    series: dict[str, Any] = {}
    instances: dict[str, Any] = {}
    query = QidoQuery()
    ignored: list[str] = []
    for count, (name, text) in enumerate(items):
        if count >= _MOST_PARAMETERS or len(text) > _LONGEST_VALUE:
            raise BadParameterError(parameter=name[:64])
        if name in {"limit", "offset", "fuzzymatching", "includefield", "accept"}:
            query = _control(query, name, text)
            continue
        keyword = _attribute(name)
        if not text or (keyword and _match(keyword, text, studies, series, instances)):
            continue
        ignored.append(name[:64])
    return replace(
        query,
        studies=StudyFilters(**studies),
        series=SeriesFilters(**series),
        instances=InstanceFilters(**instances),
        ignored=tuple(ignored),
    )


def _attribute(name: str) -> str:
    """The keyword of a parameter; "" for a path into a sequence. Raises BadParameterError for an unknown attribute."""
    parts = name.split(".")
    keywords = [keyword_of(part) for part in parts]
    if not all(keywords):
        raise BadParameterError(parameter=name[:64])
    return keywords[0] if len(keywords) == 1 else ""


def _control(query: QidoQuery, name: str, text: str) -> QidoQuery:
    if name == "limit":
        return replace(query, limit=_number(name, text, MAX_LIMIT))
    if name == "offset":
        offset = _number(name, text, MAX_OFFSET + 1)
        if offset > MAX_OFFSET:
            raise BadParameterError(parameter=name, highest=MAX_OFFSET)
        return replace(query, offset=offset)
    if name == "fuzzymatching":
        if text.lower() not in {"true", "false"}:
            raise BadParameterError(parameter=name)
        return replace(query, fuzzy=text.lower() == "true")
    if name == "includefield" and text != "all":
        for part in text.split(","):
            _attribute(part.strip())
    return query


def _match(keyword: str, text: str, studies: dict[str, Any], series: dict[str, Any], instances: dict[str, Any]) -> bool:
    """Put one matching attribute where it belongs; False where it is not matched here."""
    if keyword in _STUDY_TEXTS:
        studies[_STUDY_TEXTS[keyword]] = text[:256]
    elif keyword in _SERIES_TEXTS:
        series[_SERIES_TEXTS[keyword]] = text[:256]
    elif keyword == "ModalitiesInStudy":
        studies["modalities"] = tuple(part for part in re.split(r"[,\\]", text)[:64] if part)
    elif keyword == "StudyDate":
        studies["study_date_from"], studies["study_date_to"] = value_range(keyword, text, _DATE)
    elif keyword == "StudyTime":
        studies["study_time_from"], studies["study_time_to"] = value_range(keyword, text, _TIME)
    elif keyword == "PatientBirthDate":
        try:
            studies["patient_birth_date"] = date.fromisoformat(text)
        except ValueError:
            raise BadParameterError(parameter=keyword) from None
    elif keyword == "StudyInstanceUID":
        studies["study_instance_uids"] = uid_list(keyword, text)
    elif keyword == "SeriesInstanceUID":
        series["series_instance_uids"] = uid_list(keyword, text)
    elif keyword == "SOPInstanceUID":
        instances["sop_instance_uids"] = uid_list(keyword, text)
    elif keyword == "SOPClassUID":
        instances["sop_class_uids"] = uid_list(keyword, text)
    elif keyword == "SeriesNumber":
        series["series_number"] = _number(keyword, text, 2**31 - 1)
    elif keyword == "InstanceNumber":
        instances["instance_number"] = _number(keyword, text, 2**31 - 1)
    else:
        return False
    return True
