from __future__ import annotations

import asyncio

from dicomnet.database import Database
from dicomnet.queue import JobQueue, retry_delay_s


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
