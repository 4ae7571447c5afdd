"""QIDO at series and instance level (PS3.18 10.6): studies, series and instances joined, page by page.

Rows run from the newest study to the oldest and by key inside a study. A page continues behind the last row by its
keys; names are matched again in clear, since blind indexes hold bigrams only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from dicomnet.archive.query import (
    INSTANCE_COLUMNS,
    SERIES_COLUMNS,
    STUDY_COLUMNS,
    InstanceRow,
    SeriesRow,
    StudyFilters,
    StudyRow,
    limit_by_term,
    split_terms,
    study_row,
    study_where,
)
from dicomnet.archive.search_sql import Where, fetch_newest, page_of, text_match
from dicomnet.database import Database
from dicomnet.keyring import Keyring, name_matches
from dicomnet.sop_classes import modality_terms


@dataclass(frozen=True, slots=True)
class SeriesFilters:
    """Matching at series level; empty fields do not limit."""

    series_instance_uids: Sequence[str] = ()
    modality: str = ""
    series_number: int | None = None
    series_description: str = ""
    body_part_examined: str = ""
    protocol_name: str = ""


@dataclass(frozen=True, slots=True)
class InstanceFilters:
    """Matching at instance level; empty fields do not limit."""

    sop_instance_uids: Sequence[str] = ()
    sop_class_uids: Sequence[str] = ()
    instance_number: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One result; ``instance`` is None at series level."""

    study: StudyRow
    series: SeriesRow
    instance: InstanceRow | None


async def search(
    database: Database,
    keyring: Keyring,
    institution_id: int,
    studies: StudyFilters,
    series: SeriesFilters,
    instances: InstanceFilters | None = None,
    *,
    offset: int = 0,
    limit: int = 100,
) -> tuple[list[Found], bool]:
    """(results, whether there are more). ``instances`` None searches for series. The caller bounds offset and limit."""

    async def fetch(last: Found | None, count: int, skip: int) -> list[Found]:
        filters = (studies, series, instances)
        return await _batch(database, keyring, institution_id, filters, last, count, skip)

    keep = (
        (lambda found: name_matches(found.study.patient_name, studies.patient_name)) if studies.patient_name else None
    )
    return await page_of(fetch, keep, offset=offset, limit=limit)


async def _batch(
    database: Database,
    keyring: Keyring,
    institution_id: int,
    filters: tuple[StudyFilters, SeriesFilters, InstanceFilters | None],
    last: Found | None,
    count: int,
    skip: int,
) -> list[Found]:
    studies, series, instances = filters
    columns, below, order = STUDY_COLUMNS + ", " + SERIES_COLUMNS, "", "r.series_key"
    if instances is not None:
        columns += ", " + INSTANCE_COLUMNS
        below, order = " join archive.instance i on i.series_key = r.series_key", "r.series_key, i.instance_key"
    # A study has the modalities of its series: its terms lead to a rare one at once.
    asked = studies if studies.modalities or not series.modality else replace(studies, modalities=(series.modality,))
    named = series.series_instance_uids or (instances is not None and instances.sop_instance_uids)
    terms, left = ([], studies) if named else split_terms(asked)
    tables, ordered = "archive.study s join archive.patient p using (patient_key)", "s"
    if terms:
        tables, ordered = f"archive.study_term t join {tables} on s.study_key = t.study_key", "t"
    async with database.transaction(institution_id, plan_anew=True) as connection:
        where = await study_where(connection, keyring, institution_id, left)
        if terms:
            limit_by_term(where, institution_id, left)
        await _limit_to_studies_of(where, connection, institution_id, series, instances)
        _limit_series(where, series)
        if instances is not None:
            _limit_instances(where, instances)
        if last is not None:
            _continue_behind(where, last, ordered)
        found = await fetch_newest(
            connection,
            f"select {columns} from {tables} join archive.series r on r.study_key = s.study_key{below}",  # noqa: S608
            where,
            f"{ordered}.study_at desc, {ordered}.study_key desc, {order}",
            terms,
            count,
            skip,
            lambda row: _place(tuple(row.values()), instances is not None),
        )
    return [_found(keyring, institution_id, tuple(row.values()), instances is not None) for row in found]


def _place(values: tuple[Any, ...], with_instance: bool) -> tuple[Any, ...]:
    """Sorts as the statement does when the highest comes first: newest study, then lowest keys."""
    first, second = len(_STUDY_NAMES), len(_STUDY_NAMES) + len(_SERIES_NAMES)
    study = dict(zip(_STUDY_NAMES, values[:first], strict=True))
    inner = -int(values[second]) if with_instance else 0
    return study["study_at"], study["study_key"], -int(values[first]), inner


async def _limit_to_studies_of(
    where: Where, connection: Any, institution_id: int, series: SeriesFilters, instances: InstanceFilters | None
) -> None:
    """UIDs below the study lead to their studies first."""
    for table, column, uids in (
        ("series", "series_instance_uid", series.series_instance_uids),
        ("instance", "sop_instance_uid", instances.sop_instance_uids if instances is not None else ()),
    ):
        if uids:
            rows = await connection.fetch(
                f"select distinct study_key from archive.{table}"  # noqa: S608
                f" where institution_id = $1 and {column} = any ($2::text[])",
                institution_id,
                list(uids),
            )
            where.add("s.study_key = any ({}::bigint[])", [row["study_key"] for row in rows])
            where.few = True


def _limit_series(where: Where, series: SeriesFilters) -> None:
    if series.series_instance_uids:
        where.add("r.series_instance_uid = any ({}::text[])", list(series.series_instance_uids))
    if series.modality:
        where.add("r.modality = any ({}::text[])", sorted(modality_terms(series.modality)))
    if series.series_number is not None:
        where.add("r.series_number = {}", series.series_number)
    text_match(where, "r.series_description", series.series_description, fold_case=True)
    text_match(where, "r.body_part_examined", series.body_part_examined, fold_case=True)
    text_match(where, "r.protocol_name", series.protocol_name, fold_case=True)


def _limit_instances(where: Where, instances: InstanceFilters) -> None:
    if instances.sop_instance_uids:
        where.add("i.sop_instance_uid = any ({}::text[])", list(instances.sop_instance_uids))
    if instances.sop_class_uids:
        where.add("i.sop_class_uid = any ({}::text[])", list(instances.sop_class_uids))
    if instances.instance_number is not None:
        where.add("i.instance_number = {}", instances.instance_number)


def _continue_behind(where: Where, last: Found, ordered: str) -> None:
    at, key = last.study.study_at, last.study.study_key
    inside = "r.series_key > {}"
    inner: list[Any] = [last.series.series_key]
    if last.instance is not None:
        inside = "(r.series_key, i.instance_key) > ({}, {})"
        inner.append(last.instance.instance_key)
    where.add(
        f"(({ordered}.study_at, {ordered}.study_key) < ({{}}, {{}})"
        f" or ({ordered}.study_at = {{}} and {ordered}.study_key = {{}} and {inside}))",
        at,
        key,
        at,
        key,
        *inner,
    )
    # The same bound once more, as a range that the index can begin at.
    where.add(f"({ordered}.study_at, {ordered}.study_key) <= ({{}}, {{}})", at, key)


def _names(columns: str) -> list[str]:
    return [column.strip().partition(".")[2] for column in columns.split(",")]


_STUDY_NAMES, _SERIES_NAMES, _INSTANCE_NAMES = map(_names, (STUDY_COLUMNS, SERIES_COLUMNS, INSTANCE_COLUMNS))


def _found(keyring: Keyring, institution_id: int, values: tuple[Any, ...], with_instance: bool) -> Found:
    first, second = len(_STUDY_NAMES), len(_STUDY_NAMES) + len(_SERIES_NAMES)
    study = study_row(keyring, institution_id, dict(zip(_STUDY_NAMES, values[:first], strict=True)))
    series = SeriesRow(**dict(zip(_SERIES_NAMES, values[first:second], strict=True)))
    instance = None
    if with_instance:
        instance = InstanceRow(**dict(zip(_INSTANCE_NAMES, values[second:], strict=True)))
    return Found(study, series, instance)
