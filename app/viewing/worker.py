"""The worker role: follows what was stored, tries every frame in a disposable decoder, prepares first pictures."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import asyncpg

from app import locations
from app.errors import describe_error
from app.logging import correlation_id, get_logger
from app.opening import open_services
from app.rendering.decode_pool import HARMFUL, DecodePool
from app.rendering.loader import decoded_here, note_fault
from app.services import Services
from app.settings import Settings
from app.viewing.prepared import first_picture, thumbnail
from app.viewing.studies import key_series
from app.viewing.values_job import VALUES, code_series, enqueue_values
from dicomnet.archive.open_record import OpenRecord, frame_spec, load_instance, read_frame_bytes
from dicomnet.archive.query import SeriesRow, list_series
from dicomnet.backoff import Backoff
from dicomnet.events import INGEST_CHANNEL, EventCursor, Listener
from dicomnet.queue import Job
from render.codec import register_plugins
from render.errors import CodecError

PREPARE = "prepare"
_QUIET_S = 0.7
_POLL_S = 5.0
_LEASE_S = 15.0  # renewed while the job runs; after a kill -9 another worker takes over when it ran out
_RUNNERS = ((PREPARE,), (PREPARE, VALUES))  # codestreams never keep everybody from what somebody waits for
_TRIAL_S = 30.0  # of one job; the rest of the series follows in a job behind the others
_BATCH = 32
_MOST_HARMFUL = 3  # frames that hung or killed a decoder before the rest of their instance is not tried


async def follow_events(services: Services, listener: Listener) -> None:
    """Events become one waiting job per series; durable, so nothing is missed while this role is down."""
    cursor = EventCursor(services.database, PREPARE)
    while True:
        events = await cursor.read(1000)
        series = {(event.institution_id, event.payload.get("series_key")) for event in events}
        for institution_id, series_key in series:
            if series_key is not None:
                await services.queue.enqueue(
                    institution_id,
                    PREPARE,
                    {"series_key": series_key},
                    single_flight_key=str(series_key),
                    ordering_key=f"series-{series_key}",
                    delay_s=_QUIET_S,
                )
        if events:
            await cursor.commit(events[-1])
        if len(events) < 1000:
            await listener.next(_POLL_S)


async def run_jobs(services: Services, pool: DecodePool, name: str, queues: tuple[str, ...]) -> None:
    """Claim and run, one at a time; errors retry with back-off, then lie in the dead letters."""
    while True:
        job = await services.queue.claim(queues, name, _LEASE_S)
        if job is None:
            await asyncio.sleep(0.2)
            continue
        correlation_id.set(job.correlation_id or f"job-{job.job_id}")
        beating = asyncio.create_task(_heartbeat(services, job))
        try:
            if await run_job(services, pool, job):
                await services.queue.complete(job)
            else:
                await services.queue.fail(job, "still arriving", retry_after_s=_QUIET_S)
        except Exception as error:
            described = describe_error(error)
            text = described.code if described else type(error).__name__
            get_logger().warning("job.failed", job=job.job_id, error=text, exc_info=None if described else error)
            await services.queue.fail(job, text)
        finally:
            beating.cancel()


async def _heartbeat(services: Services, job: Job) -> None:
    """Keep the lease of a long job; after a kill -9 it runs out and another worker takes the job."""
    while True:
        await asyncio.sleep(_LEASE_S / 3)
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await services.queue.heartbeat(job, _LEASE_S)


async def run_job(services: Services, pool: DecodePool, job: Job) -> bool:
    """By its queue; False when it has to come again soon."""
    if job.queue != VALUES:
        return await prepare_series(services, pool, job)
    series_key = int(job.payload["series_key"])
    if not await code_series(services, pool, job.institution_id, series_key):
        await enqueue_values(services, job.institution_id, series_key)
    return True


async def prepare_series(services: Services, pool: DecodePool, job: Job) -> bool:
    """Thumbnail, first picture, trial decode. False while the series still grows (asked at most three times)."""
    institution_id, series_key = job.institution_id, int(job.payload["series_key"])
    if job.payload.get("only_trial"):
        await _try_all(services, pool, institution_id, series_key)
        await enqueue_values(services, institution_id, series_key)
        return True
    row = await services.database.fetchrow(
        institution_id,
        "select study_key, now() - updated_at < interval '0.5 s' as arriving from archive.series where series_key = $1",
        series_key,
    )
    if row is None:
        return True
    if row["arriving"] and job.attempts <= 3:
        return False
    rows = await list_series(services.database, institution_id, row["study_key"])
    series = next((r for r in rows if r.series_key == series_key), None)
    if series is not None and series.frame_count:
        # First what somebody may be waiting for; the render process keeps untried frames in disposable children too.
        await _prepare(services, institution_id, series, rows)
    await _try_all(services, pool, institution_id, series_key)
    await enqueue_values(services, institution_id, series_key)
    await services.bus.publish(f"study:{row['study_key']}:changed")
    return True


async def _prepare(services: Services, institution_id: int, series: SeriesRow, rows: list[SeriesRow]) -> None:
    try:
        await thumbnail(services, institution_id, series, behind=True)
        if key_series(rows).series_key == series.series_key:
            await first_picture(services, institution_id, series, behind=True)
    except Exception as error:
        described = describe_error(error)
        # A frame that cannot be decoded is a fact of the series, not a reason to try again.
        if described is None or described.retryable:
            raise
        get_logger().info("prepare.no_picture", series=series.series_key, code=described.code)


async def _try_all(services: Services, pool: DecodePool, institution_id: int, series_key: int) -> None:
    """Try for a while; what is left follows in a job of its own behind other series."""
    if not await try_frames(services, pool, institution_id, series_key):
        await services.queue.enqueue(
            institution_id,
            PREPARE,
            {"series_key": series_key, "only_trial": True},
            single_flight_key=f"trial-{series_key}",
            priority=-1,
        )


async def try_frames(services: Services, pool: DecodePool, institution_id: int, series_key: int) -> bool:
    """Decode every frame of the instances that were not tried, outside every shared process; False when time ran out.

    Verdicts are written as they come, so that a killed worker goes on where it was.
    """
    deadline = time.monotonic() + _TRIAL_S
    pending = await services.database.fetch(
        institution_id,
        "select instance_key from archive.instance where series_key = $1 and frame_trial = 'pending' order by instance_key",
        series_key,
    )
    passed: list[int] = []
    for row in pending:
        record = await load_instance(services.database, institution_id, row["instance_key"])
        if record is None:
            continue
        if await _try_record(services, pool, institution_id, record, f"{institution_id}/{series_key}"):
            passed.append(record.instance_key)
        else:
            await _mark(services, institution_id, [record.instance_key], "failed")
        late = time.monotonic() > deadline
        if late or len(passed) >= _BATCH:
            await _mark(services, institution_id, passed, "passed")
            passed = []
        if late and row is not pending[-1]:
            return False
    await _mark(services, institution_id, passed, "passed")
    return True


async def _try_record(
    services: Services, pool: DecodePool, institution_id: int, record: OpenRecord, owner: str
) -> bool:
    """Whether every frame decoded within the time of a job; others stay in disposable children for ever."""
    spec = frame_spec(record)
    if record.number_of_frames == 0 or decoded_here(spec.transfer_syntax_uid, "pending"):
        return True  # no decoder is involved
    deadline = time.monotonic() + _TRIAL_S
    harmful = len(record.frame_faults)
    good = not record.frame_faults
    for index in range(record.number_of_frames):
        if str(index) in record.frame_faults:
            continue
        if harmful >= _MOST_HARMFUL or time.monotonic() > deadline:
            return False
        data = await asyncio.to_thread(read_frame_bytes, services.objects, record, index)
        try:
            await pool.decode(data, spec, want_values=False, owner=owner)
        except CodecError as error:
            good = False
            if error.code in HARMFUL:
                harmful += 1
                await note_fault(services.database, institution_id, record.instance_key, index, error.code)
    return good


async def _mark(services: Services, institution_id: int, instance_keys: list[int], state: str) -> None:
    if instance_keys:
        await services.database.execute(
            institution_id,
            "update archive.instance set frame_trial = $2 where instance_key = any($1::bigint[])",
            instance_keys,
            state,
        )


async def run(settings: Settings, ready: Callable[[], None]) -> None:
    """Work until SIGTERM, at low priority."""
    from app.roles import until_stopped

    with suppress(OSError):
        os.nice(10)
    register_plugins(settings.decoder_plugins)
    name = f"{socket.gethostname()}-{os.getpid()}"
    pool = DecodePool(len(_RUNNERS), settings.decode_timeout_s, settings.decode_memory_mb, settings.decoder_plugins)
    async with (
        open_services(settings) as services,
        Listener(locations.runtime_url(settings), (INGEST_CHANNEL,)).running() as listener,
    ):
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(_forever(lambda: follow_events(services, listener))),
            *(asyncio.create_task(_forever(partial(run_jobs, services, pool, name, queues))) for queues in _RUNNERS),
        ]
        ready()
        await until_stopped()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await pool.close()


async def _forever(work: Callable[[], Any]) -> None:
    """Run a loop again after an error (the database may be restarting)."""
    backoff = Backoff()
    while True:
        started = time.monotonic()
        try:
            await work()
        except Exception as error:
            get_logger().warning("worker.interrupted", kind=type(error).__name__)
            if time.monotonic() - started > backoff.longest_s:
                backoff.succeeded()
            await backoff.pause()
