"""The short way into the index: shared commits, the same counters, and the long way for whatever it does not write."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydicom.uid import generate_uid

from dicomnet.archive.index_writer import IndexWriter, Row
from dicomnet.archive.ingest import Ingest, Stored
from dicomnet.archive.objects import LocalObjects
from dicomnet.database import Database, KeptConnection
from dicomnet.keyring import Keyring
from tests.conftest import Urls
from tests.support.dicom_files import as_bytes, make_ct


@pytest.fixture
def ingest(database: Database, tmp_path: Path) -> Iterator[Ingest]:
    door = Ingest(
        database,
        LocalObjects(tmp_path / "blobs"),
        Keyring.load_or_create(tmp_path / "master.key"),
        min_free_bytes=0,
    )
    yield door
    door.close()


class Series:
    """Makes objects of one series and stores them."""

    def __init__(self, ingest: Ingest, institution: int) -> None:
        self.study, self.series = generate_uid(), generate_uid()
        self._ingest, self._institution = ingest, institution

    async def store(self, **changes: Any) -> Stored:
        same = {"StudyInstanceUID": self.study, "SeriesInstanceUID": self.series}
        data = as_bytes(make_ct(**{**same, **changes}))
        return await self._ingest.store(data, institution_id=self._institution, source="test")


@pytest.fixture
def short_way(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many objects each call of the short way took."""
    sizes: list[int] = []
    append = IndexWriter._append_batch

    async def counted(self: IndexWriter, institution_id: int, batch: list[Any]) -> None:
        sizes.append(len(batch))
        await append(self, institution_id, batch)

    monkeypatch.setattr(IndexWriter, "_append_batch", counted)
    return sizes


async def test_what_is_ready_while_a_commit_is_under_way_shares_the_next_one(
    database: Database,
    institution: int,
    ingest: Ingest,
    short_way: list[int],
    urls: Urls,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    series = Series(ingest, institution)
    await series.store()
    arrived = asyncio.Semaphore(0)
    write = IndexWriter.write

    async def noticed(self: IndexWriter, institution_id: int, row: Row) -> Any:
        arrived.release()
        return await write(self, institution_id, row)

    monkeypatch.setattr(IndexWriter, "write", noticed)
    owner = await asyncpg.connect(urls.owner)
    async with owner.transaction():
        await owner.execute("select from archive.series for update")  # holds the first call
        storing = [asyncio.create_task(series.store()) for _ in range(9)]
        for _ in storing:
            await arrived.acquire()
        assert not any(task.done() for task in storing), "no answer before the commit"
    stored = await asyncio.gather(*storing)
    await owner.close()
    assert {item.outcome for item in stored} == {"new"}
    assert sum(short_way) == 9
    assert len(short_way) <= 3, "one call was under way, the others shared the next"
    row = await database.fetchrow(institution, "select instance_count, version, frame_count from archive.series")
    assert tuple(row or ()) == (10, 10, 10)
    events = await database.fetch(institution, "select payload->>'instance_key' as key from archive.event")
    keys = await database.fetch(institution, "select instance_key from archive.instance")
    assert sorted(int(event["key"]) for event in events) == sorted(key["instance_key"] for key in keys)


async def test_counters_and_terms_come_out_as_on_the_long_way(
    database: Database, institution: int, ingest: Ingest, short_way: list[int]
) -> None:
    series = Series(ingest, institution)
    await series.store(Modality="CT", BodyPartExamined="CHEST")
    await series.store(Modality="PT", BodyPartExamined="CHEST", StationName="S1")
    await series.store(Modality="CT", BodyPartExamined="ABDOMEN", StationName="S2")
    assert short_way == [1, 1]
    row = await database.fetchrow(
        institution,
        "select instance_count, series_count, modalities, body_parts, station_names from archive.study",
    )
    assert tuple(row or ()) == (3, 1, ["CT", "PT"], ["CHEST", "ABDOMEN"], ["S1", "S2"])
    terms = await database.fetch(institution, "select term from archive.study_term order by term")
    assert [term["term"] for term in terms] == ["body_part:ABDOMEN", "body_part:CHEST", "modality:CT", "modality:PT"]


async def test_a_series_that_is_gone_is_made_again(
    database: Database, institution: int, ingest: Ingest, short_way: list[int]
) -> None:
    series = Series(ingest, institution)
    first = await series.store()
    for table in ("instance", "series"):
        await database.execute(institution, f"delete from archive.{table}")
    second = await series.store()
    assert (second.outcome, short_way) == ("new", [1])
    assert second.series_key != first.series_key
    assert second.study_key == first.study_key
    assert (await series.store()).series_key == second.series_key


async def test_the_same_uid_again_is_a_duplicate_or_a_conflict_on_the_short_way_too(
    database: Database, institution: int, ingest: Ingest, short_way: list[int]
) -> None:
    series = Series(ingest, institution)
    await series.store()
    uid = generate_uid()
    outcomes = [
        (await series.store(SOPInstanceUID=uid)).outcome,
        (await series.store(SOPInstanceUID=uid)).outcome,
        (await series.store(SOPInstanceUID=uid, PixelData=bytes(128))).outcome,
    ]
    assert outcomes == ["new", "duplicate", "conflict"]
    assert await database.fetchval(institution, "select instance_count from archive.series") == 2


async def test_a_fault_of_the_short_way_costs_nothing_but_time(
    database: Database, institution: int, ingest: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = Series(ingest, institution)
    await series.store()

    async def cut(self: KeptConnection, sql: str, *arguments: Any) -> Any:
        assert "append_instances" in sql
        raise asyncpg.ConnectionDoesNotExistError("cut")

    monkeypatch.setattr(KeptConnection, "fetch", cut)
    stored = await asyncio.gather(*(series.store() for _ in range(4)))
    assert {item.outcome for item in stored} == {"new"}
    assert await database.fetchval(institution, "select instance_count from archive.series") == 5


async def test_a_killed_connection_of_the_short_way_is_replaced(
    database: Database, institution: int, ingest: Ingest, short_way: list[int], urls: Urls
) -> None:
    series = Series(ingest, institution)
    for _ in range(2):
        await series.store()
    owner = await asyncpg.connect(urls.runtime)
    await owner.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and query like '%append_instances%'"
    )
    await owner.close()
    assert [(await series.store()).outcome for _ in range(2)] == ["new", "new"]
    assert await database.fetchval(institution, "select instance_count from archive.series") == 4
    assert short_way == [1, 1, 1]


async def test_two_institutions_at_once_each_write_their_own(
    database: Database, institution: int, second_institution: int, ingest: Ingest
) -> None:
    both = Series(ingest, institution), Series(ingest, second_institution)
    for series in both:
        await series.store()
    stored = await asyncio.gather(*(series.store() for _ in range(4) for series in both))
    assert {item.outcome for item in stored} == {"new"}
    for owner in (institution, second_institution):
        assert await database.fetchval(owner, "select instance_count from archive.series") == 5


async def test_keys_of_one_institution_write_nothing_for_another(
    database: Database, institution: int, second_institution: int, ingest: Ingest
) -> None:
    first = await Series(ingest, institution).store()
    written = await database.fetch(
        None,
        "select * from archive.append_instances($1, $2, $3, '{1.2.3}', '{k}', '{1}', '{1}', '{1}', '{1}', '{1}', '{1}',"
        " '{1}', '{1}', '{x}', '{x}', '{CT}', '{}', '{}')",
        second_institution,
        [first.series_key],
        [first.study_key],
    )
    assert written == []
    assert await database.fetchval(institution, "select instance_count from archive.series") == 1
    assert await database.fetchval(second_institution, "select count(*) from archive.instance") == 0


async def test_an_instance_is_of_its_series_its_study_and_its_institution(
    database: Database, institution: int, second_institution: int, ingest: Ingest
) -> None:
    first = await Series(ingest, institution).store()
    other = await Series(ingest, institution).store()
    insert = (
        "insert into archive.instance (institution_id, series_key, study_key, sop_instance_uid, sop_class_uid,"
        " transfer_syntax_uid, object_key, object_size, object_sha256, open_record)"
        " values ($1, $2, $3, '1.2.3', '1', '1', 'k', 1, 'x', 'x')"
    )
    for owner, series_key, study_key in (
        (institution, first.series_key, other.study_key),
        (second_institution, first.series_key, first.study_key),
        (institution, 0, first.study_key),
    ):
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await database.execute(owner, insert, owner, series_key, study_key)
    await database.execute(institution, insert, institution, first.series_key, first.study_key)
