"""The one durable job queue of the house: FIFO per key, retries with back-off, dead letters.

Own, on ``FOR UPDATE SKIP LOCKED``, because a job must be enqueued inside the caller's transaction under row-level
security, be ordered per key across retries, and be claimed for all institutions through one narrow function.
pgqueuer (looked at in 2026) retries and holds failed jobs, but serialises per entry point, not per key.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg

from dicomnet.database import Database

_FIRST_RETRY_S = 1.0
_LONGEST_RETRY_S = 900.0


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed job. ``attempts`` counts this attempt; ``worker`` holds the lease."""

    job_id: int
    institution_id: int
    queue: str
    ordering_key: str
    payload: dict[str, Any]
    attempts: int
    max_attempts: int
    correlation_id: str
    worker: str


def retry_delay_s(attempts: int, jitter: float) -> float:
    """Exponential: 1, 2, 4 … 900 s, times 0.75-1.25 by ``jitter`` in [0, 1)."""
    return min(_LONGEST_RETRY_S, _FIRST_RETRY_S * 2.0 ** max(0, attempts - 1)) * (0.75 + 0.5 * jitter)


class JobQueue:
    """Enqueue within a transaction, claim under a lease, complete or fail."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enqueue(
        self,
        institution_id: int,
        queue: str,
        payload: dict[str, Any],
        *,
        ordering_key: str = "",
        single_flight_key: str | None = None,
        delay_s: float = 0.0,
        priority: int = 0,
        max_attempts: int = 8,
        correlation_id: str = "",
        connection: asyncpg.Connection | None = None,
    ) -> int | None:
        """Add a job; None when one with the same single-flight key already waits.

        With ``connection`` the job is part of the caller's transaction.
        """
        sql = "select queue.enqueue($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        arguments = (
            institution_id,
            queue,
            payload,
            ordering_key,
            single_flight_key,
            priority,
            max_attempts,
            correlation_id,
            timedelta(seconds=delay_s),
        )
        if connection is not None:
            return await connection.fetchval(sql, *arguments)
        return await self._database.fetchval(institution_id, sql, *arguments)

    async def claim(self, queues: Sequence[str], worker: str, lease_s: float) -> Job | None:
        """The best ready job of any institution, None when there is none."""
        row = await self._database.fetchrow(
            None, "select * from queue.claim($1, $2, $3)", list(queues), worker, timedelta(seconds=lease_s)
        )
        if row is None:
            return None
        return Job(
            job_id=row["job_id"],
            institution_id=row["institution_id"],
            queue=row["queue"],
            ordering_key=row["ordering_key"],
            payload=row["payload"],
            attempts=row["attempts"],
            max_attempts=row["max_attempts"],
            correlation_id=row["correlation_id"],
            worker=worker,
        )

    async def complete(self, job: Job) -> bool:
        """Done. False when the lease had been lost: somebody else may run the job again."""
        return bool(await self._database.fetchval(None, "select queue.complete($1, $2)", job.job_id, job.worker))

    async def fail(self, job: Job, error: str, *, retry_after_s: float | None = None) -> str | None:
        """Back to 'waiting' after a delay, or 'dead' after the last attempt; None when the lease had been lost."""
        delay = retry_delay_s(job.attempts, random.random()) if retry_after_s is None else retry_after_s  # noqa: S311
        return await self._database.fetchval(
            None, "select queue.fail($1, $2, $3, $4)", job.job_id, job.worker, error, timedelta(seconds=delay)
        )

    async def heartbeat(self, job: Job, lease_s: float) -> bool:
        """Extend the lease. False when it had been lost."""
        return bool(
            await self._database.fetchval(
                None, "select queue.heartbeat($1, $2, $3)", job.job_id, job.worker, timedelta(seconds=lease_s)
            )
        )

    async def dead_letters(self, institution_id: int, *, after: int = 0, limit: int = 50) -> list[dict[str, Any]]:
        """Dead jobs of an institution, oldest first, after a job id."""
        rows = await self._database.fetch(
            institution_id,
            "select job_id, queue, payload, attempts, last_error, finished_at from queue.job "
            "where state = 'dead' and job_id > $1 order by job_id limit $2",
            after,
            limit,
        )
        return [dict(row) for row in rows]

    async def resend(self, institution_id: int, job_id: int) -> bool:
        """A dead job waits again with fresh attempts; its single-flight key is given up."""
        status = await self._database.execute(
            institution_id,
            "update queue.job set state = 'waiting', attempts = 0, run_after = now(), finished_at = null, "
            "single_flight_key = null where job_id = $1 and state = 'dead'",
            job_id,
        )
        return status == "UPDATE 1"
