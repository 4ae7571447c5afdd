from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import asyncpg
import pytest

from app.audit.service import Audit, Entry
from app.logging import correlation_id
from dicomnet.database import Database
from tests.conftest import Urls


async def fill(audit: Audit, institution: int, count: int = 5) -> None:
    for number in range(count):
        await audit.record(institution, "user:1", "series.view", study_key=7, series_key=number, frame_count=number)


async def test_an_entry_is_committed_when_record_returns(database: Database, institution: int, urls: Urls) -> None:
    token = correlation_id.set("request-1234")
    await Audit(database).record(
        institution,
        "user:1",
        "series.view",
        study_key=3,
        series_key=4,
        quality="refined",
        frame_count=9,
        details={"a": 1},
    )
    correlation_id.reset(token)
    other = await Database.connect(urls.runtime)
    row = await other.fetchrow(institution, "select * from audit.entry")
    await other.close()
    assert row is not None
    assert (row["sequence_number"], row["actor"], row["action"]) == (1, "user:1", "series.view")
    assert (row["study_key"], row["series_key"], row["quality"], row["frame_count"]) == (3, 4, "refined", 9)
    assert (row["correlation_id"], row["details"], row["previous_hash"]) == ("request-1234", {"a": 1}, bytes(32))


async def test_the_chain_holds_across_processes_institutions_and_concurrency(
    database: Database, institution: int, second_institution: int
) -> None:
    audits = [Audit(database) for _ in range(3)]  # three processes have three of them
    await asyncio.gather(
        *(
            audit.record(identifier, f"user:{n}", "study.open", details={"n": n})
            for n in range(60)
            for audit in audits
            for identifier in (institution, second_institution)
        )
    )
    for identifier in (institution, second_institution):
        rows = await database.fetch(identifier, "select sequence_number from audit.entry order by 1")
        assert [row["sequence_number"] for row in rows] == list(range(1, 181))
        assert await audits[0].first_broken(identifier) is None


async def test_the_runtime_role_can_neither_change_nor_delete(database: Database, institution: int) -> None:
    await fill(Audit(database), institution, 1)
    for statement in ("update audit.entry set actor = 'x'", "delete from audit.entry", "truncate audit.entry"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.execute(institution, statement)


@pytest.mark.parametrize(
    ("tampering", "broken"),
    [
        ("update audit.entry set actor = 'user:2' where sequence_number = 3", 3),
        ("update audit.entry set at = at + interval '1 microsecond' where sequence_number = 1", 1),
        ("update audit.entry set details = '{\"x\": 1}' where sequence_number = 5", 5),
        ("update audit.entry set frame_count = frame_count + 1 where sequence_number = 2", 2),
        ("update audit.entry set entry_hash = sha256('x') where sequence_number = 4", 4),
        ("update audit.entry set previous_hash = sha256('x') where sequence_number = 4", 4),
        ("delete from audit.entry where sequence_number = 2", 2),
        ("delete from audit.entry where sequence_number = 1", 1),
    ],
)
async def test_tampering_is_found(
    database: Database, institution: int, urls: Urls, tampering: str, broken: int
) -> None:
    audit = Audit(database)
    await fill(audit, institution)
    assert await audit.first_broken(institution) is None
    owner = await asyncpg.connect(urls.owner)
    await owner.execute(tampering)
    await owner.close()
    assert await audit.first_broken(institution) == broken


async def test_what_cannot_be_committed_is_told_and_the_next_entry_goes_on(
    database: Database, institution: int
) -> None:
    audit = Audit(database)
    refused, fine = await asyncio.gather(
        audit.record(institution + 1000, "user:1", "login"),
        audit.record(institution, "user:1", "login"),
        return_exceptions=True,
    )
    assert isinstance(refused, asyncpg.ForeignKeyViolationError)
    assert fine is None
    with pytest.raises(asyncpg.DataError):
        await audit.record(institution, "user:1", "login", frame_count=1 << 40)
    await audit.record(institution, "user:1", "login")
    assert await audit.first_broken(institution) is None


async def test_a_caller_that_went_away_does_not_hold_up_the_others(database: Database, institution: int) -> None:
    audit = Audit(database)
    gone = asyncio.create_task(audit.record(institution, "user:1", "login"))
    stays = asyncio.create_task(audit.record(institution, "user:2", "login"))
    await asyncio.sleep(0)
    gone.cancel()
    await stays
    assert gone.cancelled()
    assert await audit.first_broken(institution) is None


async def test_entries_that_come_together_share_commits(database: Database, institution: int, urls: Urls) -> None:
    audit = Audit(database)
    owner = await asyncpg.connect(urls.owner)
    began = time.perf_counter()
    await asyncio.gather(*(audit.record(institution, "user:1", "series.view", series_key=n) for n in range(1000)))
    took_s = time.perf_counter() - began
    transactions = await owner.fetchval("select count(distinct xmin::text) from audit.entry")
    await owner.close()
    assert transactions <= 10
    assert took_s < 5, "200 entries a second is the least that 300 viewers need"


def test_the_canonical_bytes_do_not_depend_on_the_order_of_details_or_the_zone() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    one = Entry(1, "a", "b", details={"x": 1, "y": 2}, at=moment)
    other = Entry(1, "a", "b", details={"y": 2, "x": 1}, at=moment.astimezone())
    assert one.canonical(1, bytes(32)) == other.canonical(1, bytes(32))
    assert one.canonical(1, bytes(32)) != one.canonical(2, bytes(32))
