"""Lists, QIDO and claims of a house of many institutions: read in order from indexes, with row-level security on.

The same generator makes the million studies of ``cloudfilm bench run lists``; here it is a sixtieth of it. Plans are
looked at, not times: on a small table everything is quick.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio

from benchmarks.large_house import RARE_NAME, Institution, Size, make_house
from dicomnet.archive.qido import InstanceFilters, SeriesFilters, search
from dicomnet.archive.query import StudyCursor, StudyFilters, list_studies
from dicomnet.database import Database
from dicomnet.embedded_postgres import EmbeddedPostgres
from dicomnet.keyring import Keyring
from tests.conftest import Urls, fresh_database
from tests.support.explain import Plan, plans_of

RING = Keyring(bytes(range(32)))
SIZE = Size(studies=16_000, patients=5000, institutions=20, jobs=10_000, names=200)
_BIG = {"study", "series", "instance", "patient", "study_term"}

Action = Callable[[Database], Awaitable[object]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[tuple[Urls, Institution]]:
    """Made once for the module: no test of it changes studies."""
    async with fresh_database(postgres, template) as urls:
        yield urls, (await make_house(urls.owner, RING, SIZE))[0]


@pytest.fixture
def urls(house: tuple[Urls, Institution]) -> Urls:
    return house[0]


@pytest.fixture
def largest(house: tuple[Urls, Institution]) -> Institution:
    return house[1]


async def _plans(urls: Urls, largest: Institution, action: Action) -> list[Plan]:
    plans = await plans_of(urls.runtime, largest.institution_id, action)
    found = [plan for plan in plans if " from archive.study" in plan.sql]
    assert found
    return found


def _page(largest: Institution, filters: StudyFilters, after: StudyCursor | None = None) -> Action:
    return lambda database: list_studies(database, RING, largest.institution_id, filters, after, 50)


def _below(
    largest: Institution,
    series: SeriesFilters,
    instances: InstanceFilters | None = None,
    *,
    studies: StudyFilters | None = None,
    offset: int = 0,
) -> Action:
    return lambda database: search(
        database,
        RING,
        largest.institution_id,
        studies or StudyFilters(),
        series,
        instances,
        offset=offset,
        limit=50,
    )


async def test_pages_are_read_in_order_and_no_table_is_read_whole(urls: Urls, largest: Institution) -> None:
    deep = StudyCursor(datetime.now(UTC) - timedelta(days=4 * 365), 0)
    some = InstanceFilters()
    for name, action in {
        "first page": _page(largest, StudyFilters()),
        "deep page": _page(largest, StudyFilters(), deep),
        "CT": _page(largest, StudyFilters(modalities=("CT",))),
        "CT deep": _page(largest, StudyFilters(modalities=("CT", "MR")), deep),
        "description": _page(largest, StudyFilters(study_description="chest*")),
        "series": _below(largest, SeriesFilters()),
        "series further on": _below(largest, SeriesFilters(), offset=1000),
        "rare series": _below(largest, SeriesFilters(modality="NM")),
        "instances": _below(largest, SeriesFilters(), some),
    }.items():
        for plan in await _plans(urls, largest, action):
            assert not plan.scanned() & _BIG, name
            assert not plan.sorts(), name
            assert not any(node["Node Type"].startswith("Gather") for node in plan.nodes()), name

    # What names single studies is found first.
    uid = f"1.2.{largest.institution_id}.7"
    some = InstanceFilters()
    for name, action in {
        "PatientID": _page(largest, StudyFilters(patient_id="P77")),
        "accession": _page(largest, StudyFilters(accession_number="A77", modalities=("CT",))),
        "description of none": _page(largest, StudyFilters(study_description="zzz*")),
        "rare name": _page(largest, StudyFilters(patient_name=f"*{RARE_NAME[1:3]}*")),
        "study UID": _page(largest, StudyFilters(study_instance_uids=(uid,))),
        "series UID": _below(largest, SeriesFilters(series_instance_uids=(f"{uid}.1",))),
        "instance UID": _below(largest, SeriesFilters(), InstanceFilters(sop_instance_uids=(f"{uid}.1.1",))),
        "instances of PatientID": _below(largest, SeriesFilters(), some, studies=StudyFilters(patient_id="P77")),
    }.items():
        for plan in await _plans(urls, largest, action):
            assert not plan.scanned() & _BIG, name
            assert "study_by_time" not in plan.indexes(), f"{name}: not by walking through the years"


async def test_rows_are_the_same_however_they_are_found_and_a_claim_skips_finished_jobs(
    urls: Urls, largest: Institution
) -> None:
    """An offset inside the database, in pages behind a cursor, and by terms: one order, no gap, nothing twice."""
    database = await Database.connect(urls.runtime)
    house, uid = largest.institution_id, f"1.2.{largest.institution_id}.7"

    async def found(
        series: SeriesFilters, offset: int, limit: int, studies: StudyFilters | None = None
    ) -> list[tuple[int, int]]:
        rows, _ = await search(
            database, RING, house, studies or StudyFilters(), series, InstanceFilters(), offset=offset, limit=limit
        )
        return [(row.study.study_key, row.instance.instance_key) for row in rows if row.instance is not None]

    try:
        for series in (SeriesFilters(), SeriesFilters(modality="DR"), SeriesFilters(modality="MG")):
            whole = await found(series, 0, 300)
            assert len(set(whole)) == 300
            assert [key for key, _ in whole] == sorted((key for key, _ in whole), reverse=True)
            assert await found(series, 120, 60) == whole[120:180]
        named = StudyFilters(patient_name="*王*")
        whole = await found(SeriesFilters(), 0, 100, named)
        assert await found(SeriesFilters(), 40, 30, named) == whole[40:70]
        one = SeriesFilters(series_instance_uids=(f"{uid}.2",))
        assert len(await found(one, 0, 10)) == 1
        page = await list_studies(database, RING, house, StudyFilters(), None, 80)
        assert (await list_studies(database, RING, house, StudyFilters(), None, 20, offset=60)).rows == page.rows[60:]
        for words, least in (("chest*", 80), ("*PLAIN", 80), ("ches*t", 0)):
            page = await list_studies(database, RING, house, StudyFilters(study_description=words), None, 80)
            assert len(page.rows) == least, words
        both = StudyFilters(modalities=("DX", "MR"))
        page = await list_studies(database, RING, house, both, None, 80)
        assert (await list_studies(database, RING, house, both, None, 20, offset=60)).rows == page.rows[60:]
        # The oldest unfinished job of a key is looked for among unfinished ones: half of the 10,000 jobs are done.
        async with database.transaction(None) as connection:
            before = await _rows_read(connection)
            assert await connection.fetchrow("select * from queue.claim($1, 'w', interval '30 s')", ["prepare"])
            assert 0 < await _rows_read(connection) - before < 500
    finally:
        await database.close()


async def _rows_read(connection: asyncpg.Connection) -> int:
    sql = (
        "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables"
        " where relid = 'queue.job'::regclass"
    )
    return int(await connection.fetchval(sql) or 0)
