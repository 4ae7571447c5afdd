from __future__ import annotations

import asyncpg

from dicomnet.database import Database
from dicomnet.events import EventCursor, Listener, Waker
from tests.conftest import Urls

INSERT = "insert into archive.event (institution_id, kind, payload) values ($1, 'instance_stored', $2)"


async def test_transactions_that_commit_in_reverse_are_not_missed(
    database: Database, institution: int, urls: Urls
) -> None:
    cursor = EventCursor(database, "c")
    slow = await asyncpg.connect(urls.runtime)
    await slow.execute(f"begin; set local cloudfilm.institution_id = '{institution}'")
    await slow.execute(INSERT, institution, '{"n": 1}')
    await database.execute(institution, INSERT, institution, {"n": 2})
    assert await cursor.read() == [], "the younger one waits for the older transaction"
    await slow.execute("commit")
    await slow.close()
    events = await cursor.read()
    assert [event.payload["n"] for event in events] == [1, 2]
    assert await cursor.read() == events, "until commit the same ones come again"
    await cursor.commit(events[0])
    assert [event.payload["n"] for event in await cursor.read()] == [2]
    await cursor.commit(events[1])
    await cursor.commit(events[0])
    assert await cursor.read() == [], "a cursor never goes back"


async def test_reading_starts_at_the_cursor_not_at_the_first_event_ever(
    database: Database, institution: int, urls: Urls
) -> None:
    owner = await asyncpg.connect(urls.owner)
    await owner.execute(
        "insert into archive.event (institution_id, kind, payload) "
        f"select {institution}, 'instance_stored', '{{}}' from generate_series(1, 100000)"
    )
    await owner.execute(
        "insert into archive.event_cursor (consumer, transaction_id, event_id) "
        "select 'c', max(transaction_id), max(event_id) from archive.event"
    )
    await owner.execute("analyze archive.event")
    await owner.close()
    cursor = EventCursor(database, "c")
    assert await cursor.read() == []
    await database.execute(institution, INSERT, institution, {"n": 1})
    assert len(await cursor.read()) == 1
    async with database.transaction(None) as connection:
        assert len(await connection.fetch("select * from archive.read_events('c', 10)")) == 1
        read = await connection.fetchval(
            "select coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables "
            "where schemaname = 'archive' and relname = 'event'"
        )
    assert 0 < read < 100


async def test_wake_ups_are_coalesced_and_reach_the_listener(urls: Urls) -> None:
    waker = Waker(urls.runtime, "stored", interval_s=0.05)
    async with Listener(urls.runtime, ("stored",)).running() as listener:
        await listener.ready()
        assert await listener.next(5) == ("", "")
        for _ in range(50):
            waker.wake()
        assert await listener.next(5) == ("stored", "")
        assert await listener.next(0.3) is None
    await waker.close()


async def test_wake_ups_that_go_on_are_spaced(urls: Urls) -> None:
    waker = Waker(urls.runtime, "stored", interval_s=0.01, spacing_s=600.0)
    async with Listener(urls.runtime, ("stored",)).running() as listener:
        await listener.ready()
        assert await listener.next(30) == ("", "")
        waker.wake()
        assert await listener.next(30) == ("stored", ""), "the first goes at once"
        waker.wake()
        assert await listener.next(0.3) is None, "the next one waits for its time"
    await waker.close()


async def test_a_listener_comes_back_after_its_connection_was_killed(urls: Urls) -> None:
    async with Listener(urls.runtime, ("stored",)).running() as listener:
        await listener.ready()
        assert await listener.next(5) == ("", "")
        owner = await asyncpg.connect(urls.runtime)
        await owner.execute("select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%'")
        assert await listener.next(5) == ("", "")
        await listener.ready()
        await owner.execute("select pg_notify('stored', 'x')")
        assert await listener.next(5) == ("stored", "x")
        await owner.close()
