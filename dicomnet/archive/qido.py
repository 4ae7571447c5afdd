"""QIDO at series and instance level (PS3.18 10.6): studies, series and instances joined, page by page.

Rows run from the newest study to the oldest and by key inside a study. A page continues behind the last row by its
keys; names are matched again in clear, since blind indexes hold bigrams only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dicomnet.archive.query import (
    INSTANCE_COLUMNS,
    SERIES_COLUMNS,
    STUDY_COLUMNS,
    InstanceRow,
    SeriesRow,
    StudyFilters,
    StudyRow,
    study_row,
    study_where,
)
from dicomnet.archive.search_sql import Where, text_match
from dicomnet.database import Database
from dicomnet.keyring import Keyring, name_matches
from dicomnet.sop_classes import modality_terms

MAX_BATCH = 1000
_MAX_ROUNDS = 40


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
    rows: list[Found] = []
    last: Found | None = None
    wanted = offset + limit + 1
    for _ in range(_MAX_ROUNDS):
        size = min(MAX_BATCH, wanted - len(rows))
        batch = await _batch(database, keyring, institution_id, (studies, series, instances), last, size)
        rows.extend(found for found in batch if name_matches(found.study.patient_name, studies.patient_name))
        if len(batch) < size or len(rows) >= wanted:
            break
        last = batch[-1]
    return rows[offset : offset + limit], len(rows) > offset + limit


async def _batch(
    database: Database,
    keyring: Keyring,
    institution_id: int,
    filters: tuple[StudyFilters, SeriesFilters, InstanceFilters | None],
    last: Found | None,
    limit: int,
) -> list[Found]:
    studies, series, instances = filters
    columns, tables, order = STUDY_COLUMNS + ", " + SERIES_COLUMNS, "", "r.series_key"
    if instances is not None:
        columns += ", " + INSTANCE_COLUMNS
        tables, order = " join archive.instance i on i.series_key = r.series_key", "r.series_key, i.instance_key"
    async with database.transaction(institution_id) as connection:
        where = await study_where(connection, keyring, institution_id, studies)
        _limit_series(where, series)
        if instances is not None:
            _limit_instances(where, instances)
        if last is not None:
            _continue_behind(where, last)
        sql = (
            f"select {columns} from archive.study s join archive.patient p using (patient_key)"  # noqa: S608
            f" join archive.series r on r.study_key = s.study_key{tables} where {where.sql}"
            f" order by s.study_at desc, s.study_key desc, {order} limit {where.value(limit)}"
        )
        rows: list[Any] = await connection.fetch(sql, *where.arguments)
    return [_found(keyring, institution_id, tuple(row.values()), instances is not None) for row in rows]


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


def _continue_behind(where: Where, last: Found) -> None:
    at, key = last.study.study_at, last.study.study_key
    inside = "r.series_key > {}"
    inner: list[Any] = [last.series.series_key]
    if last.instance is not None:
        inside = "(r.series_key, i.instance_key) > ({}, {})"
        inner.append(last.instance.instance_key)
    where.add(
        "((s.study_at, s.study_key) < ({}, {}) or (s.study_at = {} and s.study_key = {} and " + inside + "))",
        at,
        key,
        at,
        key,
        *inner,
    )


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
