"""The pool every process works with: as the runtime role, each transaction in the name of one institution."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, cast

import asyncpg
import orjson

from dicomnet.errors import DicomnetError

# Of each connection: a process that hangs inside a transaction would hold back every reader of events.
# Our statements read pages: starting parallel workers costs more than it saves (10 ms measured for 50 rows).
_SERVER_SETTINGS = {
    "application_name": "cloudfilm",
    "jit": "off",
    "idle_in_transaction_session_timeout": "120s",
    "max_parallel_workers_per_gather": "0",
}


_MOST_IDLE = 3  # connections that a process keeps at hand
_SETTING = "cloudfilm.institution_id"
_CUT = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
)


class NotCommittedError(DicomnetError):
    """A statement had failed inside the block and its error was swallowed: PostgreSQL rolled everything back."""

    code = "database.not_committed"
    message = {"zh": "数据未能保存", "en": "The changes were not saved"}
    retryable = True


def _encode_json(value: Any) -> str:
    return orjson.dumps(value).decode()


async def _prepare(connection: asyncpg.Connection) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, schema="pg_catalog", encoder=_encode_json, decoder=orjson.loads)


async def _reset(connection: Any) -> None:
    """On return to the pool: nothing is kept per session, so only an open transaction has to end: no round trip."""
    if connection.is_in_transaction():
        await connection.execute("rollback")


def _drop(connection: asyncpg.Connection) -> None:
    """Close without a word. A connection that its server cut may have left the pool already: then it is gone."""
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


def _is_free(connection: Any) -> bool:
    """Whether a statement can be sent as the first of a transaction. Of one that was cut the pool may know already."""
    try:
        return not connection.is_closed() and not connection.is_in_transaction()
    except asyncpg.InterfaceError:
        return False


async def _undo(connection: asyncpg.Connection) -> None:
    """ROLLBACK where there is still a connection; a cut one was rolled back by the server."""
    try:
        if not connection.is_closed():
            await connection.execute("rollback")
    except _CUT:
        _drop(connection)


@contextmanager
def _named_when_cut(connection: asyncpg.Connection) -> Iterator[None]:
    """A connection found cut is a connection error, whatever state asyncpg was in when it noticed."""
    try:
        yield
    except asyncpg.InternalClientError as error:
        _drop(connection)
        raise asyncpg.ConnectionDoesNotExistError("the connection was cut") from error


class Database:
    """asyncpg pool with row-level security in mind.

    Every statement runs inside a transaction that has set ``cloudfilm.institution_id`` first; with ``None`` nothing
    is set and every table is empty (only security-definer functions answer).
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._kept: list[KeptConnection] = []
        self._at_hand: list[Any] = []
        self._wanting = 0
        self._closing = False

    @classmethod
    async def connect(cls, url: str, *, min_size: int = 1, max_size: int = 8) -> Database:
        """Open the pool. Raises OSError or asyncpg.PostgresError when the server cannot be reached."""
        pool = await asyncpg.create_pool(
            url,
            min_size=min_size,
            max_size=max_size,
            init=_prepare,
            reset=_reset,
            command_timeout=60,
            server_settings=_SERVER_SETTINGS,
            max_inactive_connection_lifetime=0,
        )
        return cls(pool)

    async def close(self) -> None:
        """Close every connection, waiting for running statements at most 5 s."""
        self._closing = True
        for kept in self._kept:
            await kept.release()
        while self._at_hand:
            await self._pool.release(self._at_hand.pop())
        try:
            await asyncio.wait_for(self._pool.close(), 5)
        except TimeoutError:
            self._pool.terminate()

    async def take(self) -> Any:
        """A connection: one at hand, else the pool's next. Going through the pool costs two tasks and a turn of the loop."""
        while self._at_hand:
            connection = self._at_hand.pop()
            if _is_free(connection):
                return connection
            await self.drop(connection)
        self._wanting += 1
        try:
            return await self._pool.acquire()
        finally:
            self._wanting -= 1

    async def give(self, connection: Any) -> None:
        """Back after statements that went well: to be at hand where nobody waits for the pool."""
        is_kept = not self._wanting and not self._closing and len(self._at_hand) < _MOST_IDLE
        if is_kept and _is_free(connection):
            self._at_hand.append(connection)
        else:
            await self.drop(connection)

    async def drop(self, connection: Any) -> None:
        """Back to the pool, which puts it in order."""
        await self._pool.release(connection)

    @asynccontextmanager
    async def transaction(
        self, institution_id: int | None, *, plan_anew: bool = False
    ) -> AsyncIterator[asyncpg.Connection]:
        """A transaction in the name of an institution; commits at the end, rolls back on an exception.

        ``plan_anew``: statements are planned for the values they are sent with. A plan for any value takes a page of 50
        rows for a tenth of the table and reads the whole of it (a cached statement may get one at its sixth use).
        Raises NotCommittedError when the block hid the failure of one of its statements.
        """
        # One round trip: BEGIN and SET LOCAL travel as one simple query. The literal is an int by type.
        begin = "begin" if institution_id is None else f"begin; set local {_SETTING} = '{int(institution_id)}'"
        if plan_anew:
            begin += "; set local plan_cache_mode = force_custom_plan"
        pooled = await self._begin(begin)
        connection = cast("asyncpg.Connection", pooled)
        try:
            try:
                yield connection
            except BaseException:
                await _undo(connection)
                raise
            if await connection.execute("commit") != "COMMIT":
                raise NotCommittedError
        except BaseException:
            await self.drop(pooled)
            raise
        await self.give(pooled)

    async def _begin(self, begin: str) -> Any:
        """A connection inside a transaction. Those that a restarted server cut are passed over: nothing has run yet."""
        for attempt in range(self._pool.get_max_size() + 1):
            connection = await self.take()
            try:
                await connection.execute(begin)
            except BaseException as error:
                if isinstance(error, _CUT):
                    _drop(cast("asyncpg.Connection", connection))
                await self.drop(connection)
                if not isinstance(error, _CUT) or attempt == self._pool.get_max_size():
                    raise
            else:
                return connection
        raise asyncpg.InterfaceError("no connection")

    @asynccontextmanager
    async def _one_statement(self, institution_id: int | None) -> AsyncIterator[asyncpg.Connection]:
        """One statement is a transaction by itself: without an institution it needs one round trip instead of three."""
        if institution_id is not None:
            async with self.transaction(institution_id) as connection:
                yield connection
        else:
            pooled = await self.take()
            connection = cast("asyncpg.Connection", pooled)
            try:
                with _named_when_cut(connection):
                    yield connection
            except BaseException:
                await self.drop(pooled)
                raise
            await self.give(pooled)

    async def fetch(self, institution_id: int | None, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Rows of one statement in a transaction of its own."""
        async with self._one_statement(institution_id) as connection:
            return await connection.fetch(sql, *arguments)

    async def fetchrow(self, institution_id: int | None, sql: str, *arguments: Any) -> asyncpg.Record | None:
        """The first row of one statement, None when there is none."""
        async with self._one_statement(institution_id) as connection:
            return await connection.fetchrow(sql, *arguments)

    async def fetchval(self, institution_id: int | None, sql: str, *arguments: Any) -> Any:
        """The first column of the first row."""
        async with self._one_statement(institution_id) as connection:
            return await connection.fetchval(sql, *arguments)

    async def execute(self, institution_id: int | None, sql: str, *arguments: Any) -> str:
        """Run one statement; returns PostgreSQL's status text."""
        async with self._one_statement(institution_id) as connection:
            return str(await connection.execute(sql, *arguments))

    def keep_connection(self) -> KeptConnection:
        """A connection of the pool for one user's statements, taken with the first of them."""
        kept = KeptConnection(self)
        self._kept.append(kept)
        return kept

    async def call(self, sql: str, *arguments: Any) -> asyncpg.Record | None:
        """One statement in one round trip, committed when this returns: for functions that set the institution."""
        async with self._one_statement(None) as connection:
            return await connection.fetchrow(sql, *arguments)


class KeptConnection:
    """A connection that stays with its user from statement to statement, one at a time, each a transaction by itself.

    No institution is set: for functions that set it. A connection whose statement failed goes back to the pool.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pooled: Any = None

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """Rows of one statement, committed when this returns. Raises what asyncpg raises."""
        if self._pooled is not None and not _is_free(self._pooled):
            await self.release()
        if self._pooled is None:
            self._pooled = await self._database.take()
        connection = cast("asyncpg.Connection", self._pooled)
        try:
            with _named_when_cut(connection):
                return await connection.fetch(sql, *arguments)
        except BaseException:
            await self.release()
            raise

    async def release(self) -> None:
        """Give the connection back; the next statement takes one again."""
        pooled, self._pooled = self._pooled, None
        if pooled is not None:
            await self._database.drop(pooled)
