from __future__ import annotations

import asyncio

import asyncpg
import pytest

from dicomnet.database import Database
from dicomnet.queue import Job, JobQueue, retry_delay_s
from tests.conftest import Urls


async def claimed(queue: JobQueue, worker: str = "w", lease_s: float = 30) -> Job:
    job = await queue.claim(["q"], worker, lease_s)
    assert job is not None
    return job


async def test_fifo_per_key_across_a_retry(database: Database, institution: int) -> None:
    queue = JobQueue(database)
    for number in (1, 2):
        await queue.enqueue(institution, "q", {"n": number}, ordering_key="k")
    await queue.enqueue(institution, "q", {"n": 3}, ordering_key="other")
    first = await queue.claim(["q"], "w", 30)
    second = await queue.claim(["q"], "w", 30)
    assert first is not None
    assert second is not None
    assert (first.payload["n"], second.payload["n"]) == (1, 3)
    assert await queue.claim(["q"], "w", 30) is None
    assert await queue.fail(first, "broken", retry_after_s=3600) == "waiting"
    assert await queue.claim(["q"], "w", 30) is None, "the younger job waits behind the failed one"
    await database.execute(institution, "update queue.job set run_after = now()")
    again = await queue.claim(["q"], "w", 30)
    assert again is not None
    assert (again.payload["n"], again.attempts) == (1, 2)
    assert await queue.complete(again)
    last = await queue.claim(["q"], "w", 30)
    assert last is not None
    assert last.payload["n"] == 2


async def test_dead_letters_and_resend(database: Database, institution: int) -> None:
    queue = JobQueue(database)
    await queue.enqueue(institution, "q", {"n": 1}, max_attempts=1)
    job = await queue.claim(["q"], "w", 30)
    assert job is not None
    assert await queue.fail(job, "why") == "dead"
    dead = await queue.dead_letters(institution)
    assert [(row["job_id"], row["last_error"]) for row in dead] == [(job.job_id, "why")]
    assert await queue.resend(institution, job.job_id)
    assert await queue.claim(["q"], "w", 30) is not None


async def test_a_crashed_workers_job_is_claimed_again_and_it_lost_the_lease(
    database: Database, institution: int
) -> None:
    queue = JobQueue(database)
    await queue.enqueue(institution, "q", {})
    crashed = await queue.claim(["q"], "one", 0.0)
    again = await queue.claim(["q"], "two", 30)
    assert crashed is not None
    assert again is not None
    assert again.job_id == crashed.job_id
    assert not await queue.complete(crashed)
    assert not await queue.heartbeat(crashed, 30)
    assert await queue.heartbeat(again, 30)
    assert await queue.complete(again)


async def test_single_flight_and_the_callers_transaction(database: Database, institution: int) -> None:
    queue = JobQueue(database)
    assert await queue.enqueue(institution, "q", {}, single_flight_key="s") is not None
    assert await queue.enqueue(institution, "q", {}, single_flight_key="s") is None
    try:
        async with database.transaction(institution) as connection:
            await queue.enqueue(institution, "q", {}, single_flight_key="t", connection=connection)
            raise LookupError
    except LookupError:
        pass
    assert await database.fetchval(institution, "select count(*) from queue.job") == 1


async def test_concurrent_claimers_never_share_a_job(database: Database, institution: int) -> None:
    queue = JobQueue(database)
    for number in range(40):
        await queue.enqueue(institution, "q", {"n": number})
    taken: list[int] = []

    async def worker(name: str) -> None:
        while (job := await queue.claim(["q"], name, 30)) is not None:
            taken.append(job.payload["n"])
            assert await queue.complete(job)

    await asyncio.gather(*(worker(str(i)) for i in range(6)))
    assert sorted(taken) == list(range(40))


def test_the_delay_doubles_up_to_a_limit() -> None:
    delays = [retry_delay_s(n, 0.5) for n in range(1, 14)]
    assert delays[:4] == [1.0, 2.0, 4.0, 8.0]
    assert delays[-1] == 900.0


async def test_a_job_that_kills_its_worker_each_time_dies_with_the_last_attempt(
    database: Database, institution: int
) -> None:
    queue = JobQueue(database)
    await queue.enqueue(institution, "q", {"n": 1}, ordering_key="k", max_attempts=2)
    await queue.enqueue(institution, "q", {"n": 2}, ordering_key="k")
    for attempt in (1, 2):
        job = await claimed(queue, lease_s=0)
        assert (job.payload["n"], job.attempts) == (1, attempt)
    assert (await claimed(queue)).payload["n"] == 2, "the key goes on behind the dead letter"
    (dead,) = await queue.dead_letters(institution)
    assert dead["payload"] == {"n": 1}
    assert dead["last_error"] == "lease expired"


async def test_one_key_stays_in_order_when_its_enqueuers_overlap(database: Database, institution: int) -> None:
    queue = JobQueue(database)
    async with database.transaction(institution) as connection:
        await queue.enqueue(institution, "q", {"n": 1}, ordering_key="k", connection=connection)
        later = asyncio.create_task(queue.enqueue(institution, "q", {"n": 2}, ordering_key="k"))
        other = await queue.enqueue(institution, "q", {"n": 3}, ordering_key="other")
        assert other is not None, "another key does not wait"
        assert not later.done()
        assert (await claimed(queue)).payload["n"] == 3
        assert await queue.claim(["q"], "w", 30) is None
    await later
    assert (await claimed(queue)).payload["n"] == 1
    assert await queue.claim(["q"], "w", 30) is None


async def test_priorities_go_first_over_all_queues_and_a_delay_holds(database: Database, institution: int) -> None:
    queue = JobQueue(database)
    await queue.enqueue(institution, "a", {"n": 1})
    await queue.enqueue(institution, "b", {"n": 2}, priority=5, correlation_id="c-2")
    await queue.enqueue(institution, "a", {"n": 3}, priority=1)
    await queue.enqueue(institution, "a", {"n": 4}, priority=9, delay_s=3600)
    await queue.enqueue(institution, "elsewhere", {"n": 5}, priority=9)
    order: list[int] = []
    while (job := await queue.claim(["a", "b"], "w", 30)) is not None:
        order.append(job.payload["n"])
        assert job.correlation_id == ("c-2" if job.payload["n"] == 2 else "")
    assert order == [2, 3, 1]


async def test_a_failed_job_gives_its_single_flight_key_to_the_one_that_waits(
    database: Database, institution: int
) -> None:
    queue = JobQueue(database)
    await queue.enqueue(institution, "q", {"n": 1}, single_flight_key="s")
    first = await claimed(queue)
    assert await queue.enqueue(institution, "q", {"n": 2}, single_flight_key="s") is not None
    assert await queue.fail(first, "broken", retry_after_s=0) == "waiting"
    assert {(await claimed(queue)).payload["n"], (await claimed(queue)).payload["n"]} == {1, 2}


async def test_nobody_enqueues_for_or_sees_another_institution(
    database: Database, institution: int, second_institution: int
) -> None:
    queue = JobQueue(database)
    await queue.enqueue(institution, "q", {}, max_attempts=1)
    job = await claimed(queue)
    await queue.fail(job, "why")
    assert await queue.dead_letters(second_institution) == []
    assert not await queue.resend(second_institution, job.job_id)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.transaction(second_institution) as connection:
            await queue.enqueue(institution, "q", {}, connection=connection)


async def test_claiming_stays_quick_behind_a_long_backlog(database: Database, institution: int, urls: Urls) -> None:
    owner = await asyncpg.connect(urls.owner)
    await owner.execute(
        "insert into queue.job (institution_id, queue, payload, run_after) "
        f"select {institution}, 'q', '{{}}', now() - interval '1 s' from generate_series(1, 50000)"
    )
    await owner.execute("analyze queue.job")
    await owner.close()
    async with database.transaction(None) as connection:
        assert len(await connection.fetch("select * from queue.claim('{q}', 'w', interval '30 s')")) == 1
        read = await connection.fetchval(
            "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables "
            "where schemaname = 'queue' and relname = 'job'"
        )
    assert 0 < read < 100, "a claim reads the head of the index, not the backlog"


READ = (
    "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables "
    "where schemaname = 'queue' and relname = 'job'"
)


async def test_a_blocked_key_with_a_long_backlog_does_not_slow_the_others(
    database: Database, institution: int, urls: Urls
) -> None:
    owner = await asyncpg.connect(urls.owner)
    insert = (
        "insert into queue.job (institution_id, queue, payload, ordering_key, run_after) "
        f"select {institution}, 'q', '{{}}', $1, now() - $2 * interval '1 s' from generate_series(1, $3)"
    )
    await owner.execute(insert, "blocked", 90, 50_000)
    await owner.execute(insert, "behind", 30, 1)
    await owner.execute(insert, "", 20, 1)
    await owner.execute("analyze queue.job")
    queue = JobQueue(database)
    assert (await claimed(queue)).ordering_key == "blocked"  # its oldest job runs now and blocks 49,999
    found: list[str] = []
    for _ in range(3):
        async with database.transaction(None) as connection:
            rows = await connection.fetch("select ordering_key from queue.claim('{q}', 'w', interval '30 s')")
            read = await connection.fetchval(READ)
        assert 0 < read < 1000, "a claim reads a window and the head of each key, not the backlog"
        found += [row["ordering_key"] for row in rows]
    assert found == ["behind", ""], "then nothing is ready"
    plan = await owner.fetch(
        "explain select j.job_id from queue.job j where j.queue = 'q' and j.state in ('waiting', 'running')"
        " and j.ordering_key <> '' and (j.ordering_key, j.institution_id) > ('blocked', 1)"
        " order by j.ordering_key, j.institution_id, j.job_id limit 1"
    )
    await owner.close()
    text = "\n".join(row[0] for row in plan)
    assert "job_order" in text, "the next key is one step in an index"
    assert "Sort" not in text
