"""Finding what is archived: study lists page by page, QIDO at three levels, single objects by UID.

Everything runs under the institution's row-level security. Names are opened only for the rows of the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from dicomnet.archive.index import PATIENT_NAME_CONTEXT, institution_context
from dicomnet.archive.search_sql import Where, fetch_newest, limit_descriptions, page_of, text_match
from dicomnet.database import Database
from dicomnet.keyring import Keyring, KeyringError, name_matches
from dicomnet.sop_classes import modality_terms

MAX_PAGE = 1000
_FEW_PATIENTS = 2000  # whose keys are named in the statement
_VERY_FEW_PATIENTS = 200  # whose studies are all read and sorted; of more, a page is nearer by time


@dataclass(frozen=True, slots=True)
class CalledInstitution:
    """Whom a called AE title names."""

    institution_id: int
    suspended: bool


async def resolve_ae(database: Database, ae_title: str) -> CalledInstitution | None:
    """The institution of a called AE title; None where no one has it."""
    row = await database.call("select institution_id, suspended from archive.resolve_called_ae($1)", ae_title)
    return None if row is None else CalledInstitution(row["institution_id"], row["suspended"])


@dataclass(frozen=True, slots=True)
class StudyFilters:
    """What to look for; empty fields do not limit. Texts may hold the wildcards ``*`` and ``?`` (PS3.4 C.2.2.2.4)."""

    since: datetime | None = None  # study_at >= since
    until: datetime | None = None  # study_at < until
    modalities: Sequence[str] = ()  # any of them; words such as DSA are understood
    patient_name: str = ""  # name or pinyin
    patient_id: str = ""
    accession_number: str = ""
    study_description: str = ""
    study_id: str = ""
    study_instance_uids: Sequence[str] = ()
    patient_sex: str = ""
    patient_birth_date: date | None = None
    study_date_from: str = ""  # DA, inclusive, as sent
    study_date_to: str = ""
    study_time_from: str = ""
    study_time_to: str = ""
    patient_key: int | None = None
    body_part: str = ""


@dataclass(frozen=True, slots=True)
class StudyCursor:
    """Where a page ended: lists run from the newest study to the oldest."""

    study_at: datetime
    study_key: int


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study of a list. ``conflict_count``: objects kept aside that nobody has looked at."""

    study_key: int
    study_instance_uid: str
    exam_key: int
    patient_key: int
    patient_name: str
    patient_id: str
    issuer_of_patient_id: str
    patient_birth_date: date | None
    patient_sex: str
    study_at: datetime
    study_date: str
    study_time: str
    study_id: str
    accession_number: str
    study_description: str
    modalities: tuple[str, ...]
    body_parts: tuple[str, ...]
    station_names: tuple[str, ...]
    series_count: int
    instance_count: int
    received_at: datetime
    updated_at: datetime
    conflict_count: int = 0


@dataclass(frozen=True, slots=True)
class StudyPage:
    """Rows and where the next page begins; ``next_after`` None = the end."""

    rows: tuple[StudyRow, ...]
    next_after: StudyCursor | None


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One series of a study. ``frame_count`` 0 = nothing to show as a picture."""

    series_key: int
    study_key: int
    series_instance_uid: str
    modality: str
    series_number: int | None
    series_description: str
    body_part_examined: str
    protocol_name: str
    instance_count: int
    frame_count: int
    version: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """One instance without its open record."""

    instance_key: int
    series_key: int
    study_key: int
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    instance_number: int | None
    number_of_frames: int
    image_rows: int
    image_columns: int
    object_key: str
    object_size: int
    frame_trial: str
    received_at: datetime


STUDY_COLUMNS = (
    "s.study_key, s.study_instance_uid, s.exam_key, s.patient_key, p.patient_name_sealed,"
    " p.patient_id, p.issuer_of_patient_id,"
    " p.patient_birth_date, p.patient_sex, s.study_at, s.study_date, s.study_time, s.study_id, s.accession_number,"
    " s.study_description, s.modalities, s.body_parts, s.station_names, s.series_count, s.instance_count,"
    " s.received_at, s.updated_at"
)
SERIES_COLUMNS = (
    "r.series_key, r.study_key, r.series_instance_uid, r.modality, r.series_number, r.series_description,"
    " r.body_part_examined, r.protocol_name, r.instance_count, r.frame_count, r.version, r.received_at"
)
INSTANCE_COLUMNS = (
    "i.instance_key, i.series_key, i.study_key, i.sop_instance_uid, i.sop_class_uid, i.transfer_syntax_uid,"
    " i.instance_number, i.number_of_frames, i.image_rows, i.image_columns, i.object_key, i.object_size,"
    " i.frame_trial, i.received_at"
)


async def list_studies(
    database: Database,
    keyring: Keyring,
    institution_id: int,
    filters: StudyFilters,
    after: StudyCursor | None = None,
    limit: int = 50,
    *,
    offset: int = 0,
) -> StudyPage:
    """One page of studies, newest first. ``limit`` is at most 1000; ``offset`` rows behind ``after`` are left out."""
    limit = max(1, min(limit, MAX_PAGE))

    async def fetch(last: StudyRow | None, count: int, skip: int) -> list[StudyRow]:
        cursor = after if last is None else StudyCursor(last.study_at, last.study_key)
        return await _fetch_studies(database, keyring, institution_id, filters, cursor, count, skip)

    keep = (lambda row: name_matches(row.patient_name, filters.patient_name)) if filters.patient_name else None
    rows, more = await page_of(fetch, keep, offset=offset, limit=limit)
    page = await _with_conflicts(database, institution_id, rows)
    last = page[-1] if page else None
    return StudyPage(tuple(page), StudyCursor(last.study_at, last.study_key) if more and last else None)


async def _fetch_studies(
    database: Database,
    keyring: Keyring,
    institution_id: int,
    filters: StudyFilters,
    after: StudyCursor | None,
    count: int,
    skip: int,
) -> list[StudyRow]:
    terms, filters = split_terms(filters)
    async with database.transaction(institution_id, plan_anew=True) as connection:
        where = await study_where(connection, keyring, institution_id, filters)
        tables, ordered = "archive.study s join archive.patient p using (patient_key)", "s"
        if terms:
            limit_by_term(where, institution_id, filters)
            tables, ordered = f"archive.study_term t join {tables} on s.study_key = t.study_key", "t"
        if after is not None:
            where.add(f"({ordered}.study_at, {ordered}.study_key) < ({{}}, {{}})", after.study_at, after.study_key)
        found = await fetch_newest(
            connection,
            f"select {STUDY_COLUMNS} from {tables}",  # noqa: S608
            where,
            f"{ordered}.study_at desc, {ordered}.study_key desc",
            terms,
            count,
            skip,
            lambda row: (row["study_at"], row["study_key"]),
        )
    return [study_row(keyring, institution_id, row) for row in found]


def split_terms(filters: StudyFilters) -> tuple[list[str], StudyFilters]:
    """Terms of ``archive.study_term`` that any of the wanted studies has, and the filters that are left.

    None where the filters name single studies: those are found first.
    """
    if filters.study_instance_uids or filters.accession_number or filters.patient_id or filters.patient_key is not None:
        return [], filters
    if filters.modalities:
        return [f"modality:{term}" for term in _modality_terms(filters)], replace(filters, modalities=())
    if filters.body_part:
        return [f"body_part:{filters.body_part.upper()}"], replace(filters, body_part="")
    return [], filters


def limit_by_term(where: Where, institution_id: int, filters: StudyFilters) -> None:
    """Conditions on ``t`` (study_term) that bound what is read of its index."""
    where.add("t.institution_id = {}", institution_id)
    if filters.since is not None:
        where.add("t.study_at >= {}", filters.since)
    if filters.until is not None:
        where.add("t.study_at < {}", filters.until)


def _modality_terms(filters: StudyFilters) -> list[str]:
    return sorted({term for word in filters.modalities for term in modality_terms(word)})


async def study_where(connection: Any, keyring: Keyring, institution_id: int, filters: StudyFilters) -> Where:
    """Conditions on ``s`` (study) and ``p`` (patient) for the filters; every value is a parameter."""
    where = Where()
    where.add("s.institution_id = {}", institution_id)
    if filters.since is not None:
        where.add("s.study_at >= {}", filters.since)
    if filters.until is not None:
        where.add("s.study_at < {}", filters.until)
    if filters.modalities:
        where.add("s.modalities && {}::text[]", _modality_terms(filters))
    if filters.study_instance_uids:
        where.add("s.study_instance_uid = any ({}::text[])", list(filters.study_instance_uids))
    where.few = bool(filters.study_instance_uids or filters.accession_number or filters.patient_key is not None)
    for column, text in (
        ("s.accession_number", filters.accession_number),
        ("s.study_id", filters.study_id),
        ("p.patient_sex", filters.patient_sex),
    ):
        text_match(where, column, text)
    if filters.study_description.strip("*"):
        await limit_descriptions(where, connection, institution_id, filters.study_description)
    if filters.patient_birth_date is not None:
        where.add("p.patient_birth_date = {}", filters.patient_birth_date)
    for column, lowest, highest in (
        ("s.study_date", filters.study_date_from, filters.study_date_to),
        ("s.study_time", filters.study_time_from, filters.study_time_to),
    ):
        if lowest:
            where.add(f"{column} >= {{}}", lowest)
        if highest:
            where.add(f"{column} <> '' and {column} < {{}}", highest + "~")
    # study_at is the date in some zone: within a day of it. The wider range lets the index by time bound the search.
    for day, condition, margin in (
        (filters.study_date_from, "s.study_at >= {}", -2),
        (filters.study_date_to, "s.study_at < {}", 3),
    ):
        if (moment := _moment_of(day)) is not None:
            where.add(condition, moment + timedelta(days=margin))
    if filters.patient_key is not None:
        where.add("s.patient_key = {}", filters.patient_key)
    if filters.body_part:
        where.add("{} = any (s.body_parts)", filters.body_part.upper())
    await _limit_patients(where, connection, keyring, institution_id, filters)
    return where


async def _limit_patients(
    where: Where, connection: Any, keyring: Keyring, institution_id: int, filters: StudyFilters
) -> None:
    """Number and name of the patient: few patients are found first, of many the studies are tried in order."""
    if filters.patient_id.strip("*"):
        patients = Where()
        patients.add("p.institution_id = {}", institution_id)
        text_match(patients, "p.patient_id", filters.patient_id)
        rows = await connection.fetch(
            f"select p.patient_key from archive.patient p where {patients.sql}"  # noqa: S608
            f" limit {patients.value(_FEW_PATIENTS + 1)}",
            *patients.arguments,
        )
        if not _limit_to(where, [row["patient_key"] for row in rows]):
            text_match(where, "p.patient_id", filters.patient_id)
    tokens = keyring.blind_query(filters.patient_name) if filters.patient_name else []
    if tokens:
        # GIN cannot serve a query under row-level security (its operator is not leakproof); the function can.
        rows = await connection.fetch(
            "select patient_key from archive.patients_with_tokens($1::bigint[], $2)", tokens, _FEW_PATIENTS + 1
        )
        if not _limit_to(where, [row["patient_key"] for row in rows]):
            where.add("p.patient_name_index @> {}::bigint[]", tokens)


def _limit_to(where: Where, patient_keys: list[int]) -> bool:
    """False when these are too many to be named."""
    if len(patient_keys) > _FEW_PATIENTS:
        return False
    where.add("s.patient_key = any ({}::bigint[])", patient_keys)
    where.few = where.few or len(patient_keys) <= _VERY_FEW_PATIENTS
    return True


def _moment_of(day: str) -> datetime | None:
    """Midnight UTC of a DA value; None for anything else and for years at the ends of what can be counted."""
    if len(day) != 8 or not day.isascii() or not day.isdigit() or not "0002" <= day[:4] <= "9998":
        return None
    try:
        return datetime(int(day[:4]), int(day[4:6]), int(day[6:]), tzinfo=UTC)
    except ValueError:
        return None


def open_name(keyring: Keyring, institution_id: int, sealed: bytes) -> str:
    """A sealed patient name in clear; "" where the key does not open it (the list stays usable)."""
    try:
        return keyring.open(bytes(sealed), institution_context(institution_id, PATIENT_NAME_CONTEXT))
    except KeyringError:
        return ""


def study_row(keyring: Keyring, institution_id: int, row: Any) -> StudyRow:
    """A row of ``STUDY_COLUMNS`` with its name opened."""
    values: dict[str, Any] = dict(row)
    values["patient_name"] = open_name(keyring, institution_id, values.pop("patient_name_sealed"))
    issuer = str(values["issuer_of_patient_id"])
    values["issuer_of_patient_id"] = "" if issuer.startswith("uid:") else issuer
    for name in ("modalities", "body_parts", "station_names"):
        values[name] = tuple(values[name])
    return StudyRow(**values)


async def _with_conflicts(database: Database, institution_id: int, rows: Sequence[StudyRow]) -> list[StudyRow]:
    if not rows:
        return []
    counts = await database.fetch(
        institution_id,
        "select i.study_key, count(*) as n from archive.conflict c join archive.instance i using (instance_key)"
        " where c.resolved_at is null and i.study_key = any ($1::bigint[]) group by 1",
        [row.study_key for row in rows],
    )
    found = {count["study_key"]: int(count["n"]) for count in counts}
    return [replace(row, conflict_count=found[row.study_key]) if row.study_key in found else row for row in rows]


async def get_study(
    database: Database,
    keyring: Keyring,
    institution_id: int,
    study_key: int | None = None,
    study_instance_uid: str = "",
) -> StudyRow | None:
    """One study by key or UID; None where the institution has none."""
    rows = await database.fetch(
        institution_id,
        f"select {STUDY_COLUMNS} from archive.study s join archive.patient p using (patient_key)"  # noqa: S608
        " where s.institution_id = $1 and (s.study_key = $2 or ($2::bigint is null and s.study_instance_uid = $3))",
        institution_id,
        study_key,
        study_instance_uid,
    )
    found = await _with_conflicts(database, institution_id, [study_row(keyring, institution_id, row) for row in rows])
    return found[0] if found else None


async def list_series(database: Database, institution_id: int, study_key: int) -> list[SeriesRow]:
    """Series of a study by series number."""
    rows = await database.fetch(
        institution_id,
        f"select {SERIES_COLUMNS} from archive.series r where r.study_key = $1"  # noqa: S608
        " order by r.series_number nulls last, r.series_key",
        study_key,
    )
    return [SeriesRow(**row) for row in rows]


async def list_instances(database: Database, institution_id: int, series_key: int) -> list[InstanceRow]:
    """Instances of a series by instance number."""
    rows = await database.fetch(
        institution_id,
        f"select {INSTANCE_COLUMNS} from archive.instance i where i.series_key = $1"  # noqa: S608
        " order by i.instance_number nulls last, i.instance_key",
        series_key,
    )
    return [InstanceRow(**row) for row in rows]


async def find_instances(
    database: Database,
    institution_id: int,
    *,
    study_instance_uid: str,
    series_instance_uid: str = "",
    sop_instance_uid: str = "",
) -> list[InstanceRow]:
    """Instances of a study, series or instance named by UIDs (WADO-RS); [] where there is none."""
    rows = await database.fetch(
        institution_id,
        f"select {INSTANCE_COLUMNS} from archive.study s"  # noqa: S608
        " join archive.series r on r.study_key = s.study_key join archive.instance i on i.series_key = r.series_key"
        " where s.institution_id = $1 and s.study_instance_uid = $2 and ($3 = '' or r.series_instance_uid = $3)"
        " and ($4 = '' or i.sop_instance_uid = $4)"
        " order by r.series_number nulls last, r.series_key, i.instance_number nulls last, i.instance_key",
        institution_id,
        study_instance_uid,
        series_instance_uid,
        sop_instance_uid,
    )
    return [InstanceRow(**row) for row in rows]
