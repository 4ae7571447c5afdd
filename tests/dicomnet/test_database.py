from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from dicomnet.database import Database, NotCommittedError
from dicomnet.migrate import MigrationError, migrate
from tests.conftest import MIGRATIONS, Urls
from tests.support.rows import fill_every_table

TABLES = """
    select c.oid::regclass::text as name, c.relrowsecurity, c.relforcerowsecurity
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'public')
      and n.nspname not like 'pg_toast%'"""


async def test_every_table_forces_row_level_security(database: Database, urls: Urls) -> None:
    owner = await asyncpg.connect(urls.owner)
    rows = await owner.fetch(TABLES)
    policies = await owner.fetch("select schemaname || '.' || tablename as name, roles from pg_policies")
    await owner.close()
    assert len(rows) >= 15
    protected = {row["name"] for row in policies if "cloudfilm_runtime" in row["roles"]}
    for row in rows:
        assert row["relrowsecurity"], row["name"]
        assert row["relforcerowsecurity"], row["name"]
        assert row["name"] in protected


async def test_with_no_institution_set_every_table_is_empty(
    database: Database, institution: int, second_institution: int, urls: Urls
) -> None:
    owner = await asyncpg.connect(urls.owner)
    await fill_every_table(owner, institution)
    names = [row["name"] for row in await owner.fetch(TABLES)]
    for name in names:
        assert await owner.fetchval(f"select count(*) from {name}") > 0, f"{name}: see tests/support/rows.py"
    await owner.close()
    for name in names:
        assert await database.fetchval(institution, f"select count(*) from {name}") > 0, name
        assert await database.fetchval(None, f"select count(*) from {name}") == 0, name
        seen = await database.fetch(second_institution, f"select institution_id from {name}")
        assert {row["institution_id"] for row in seen} <= {second_institution}, name


async def test_functions_around_the_policies_are_narrow(urls: Urls) -> None:
    owner = await asyncpg.connect(urls.owner)
    rows = await owner.fetch(
        """select p.oid::regprocedure::text as name, p.proconfig, n.nspname as schema,
             has_function_privilege('public', p.oid, 'execute') as everybody
           from pg_proc p join pg_namespace n on n.oid = p.pronamespace
           where p.prosecdef and n.nspname not in ('pg_catalog', 'information_schema')"""
    )
    await owner.close()
    assert len(rows) >= 15
    for row in rows:
        assert not row["everybody"], row["name"]
        # Beside the search path a function may only steer its plans.
        assert f"search_path={row['schema']}, pg_temp" in row["proconfig"], row["name"]
        others = [value for value in row["proconfig"] if not value.startswith("search_path=")]
        assert all(value.startswith(("enable_", "plan_cache_mode=")) for value in others), row["name"]


async def test_another_institution_sees_and_writes_nothing(
    database: Database, institution: int, second_institution: int
) -> None:
    insert = "insert into archive.patient (institution_id, patient_id, patient_name_sealed) values ($1, '1', '')"
    await database.execute(institution, insert, institution)
    assert await database.fetchval(institution, "select count(*) from archive.patient") == 1
    assert await database.fetchval(second_institution, "select count(*) from archive.patient") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.execute(second_institution, insert, institution)


async def test_the_runtime_role_is_neither_superuser_nor_bypasses(database: Database) -> None:
    row = await database.fetchrow(
        None, "select rolsuper, rolbypassrls, rolcreaterole from pg_roles where rolname = current_user"
    )
    assert row is not None
    assert not row["rolsuper"]
    assert not row["rolbypassrls"]
    assert not row["rolcreaterole"]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.fetch(None, "select * from public.cloudfilm_migration")


async def test_the_institution_does_not_leak_into_the_next_transaction(database: Database, institution: int) -> None:
    assert await database.fetchval(institution, "select archive.current_institution()") == institution
    assert await database.fetchval(None, "select archive.current_institution()") is None


async def test_an_exception_rolls_back(database: Database, institution: int) -> None:
    with pytest.raises(LookupError):
        async with database.transaction(institution) as connection:
            await connection.execute("update archive.institution set name = 'x'")
            raise LookupError
    assert await database.fetchval(institution, "select name from archive.institution") == "第一医院"


async def test_a_swallowed_failure_is_not_taken_for_a_commit(database: Database, institution: int) -> None:
    with pytest.raises(NotCommittedError):
        async with database.transaction(institution) as connection:
            await connection.execute("update archive.institution set name = 'x'")
            with pytest.raises(asyncpg.DivisionByZeroError):
                await connection.execute("select 1 / 0")
    assert await database.fetchval(institution, "select name from archive.institution") == "第一医院"


async def test_the_pool_goes_on_after_its_connections_were_cut(
    database: Database, institution: int, urls: Urls
) -> None:
    owner = await asyncpg.connect(urls.runtime)
    for round_number in range(20):  # the cut is noticed before, while or after the next statement is sent
        await owner.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()",
            urls.name,
        )
        await asyncio.sleep(round_number % 5 * 0.0005)
        assert await database.fetchval(institution, "select count(*) from archive.institution") == 1
    await owner.close()


async def test_connections_at_hand_are_not_withheld_from_those_who_wait(urls: Urls) -> None:
    database = await Database.connect(urls.runtime, max_size=2)

    async def ask(number: int) -> int:
        async with database.transaction(None) as connection:
            return int(await connection.fetchval("select $1::int", number))

    async with asyncio.timeout(30):
        for _ in range(20):
            assert await asyncio.gather(*(ask(number) for number in range(9))) == list(range(9))
            assert await database.fetchval(None, "select 7") == 7
        kept = database.keep_connection()
        async with database.transaction(None):
            one, other = asyncio.create_task(ask(1)), asyncio.create_task(kept.fetch("select 2"))
            await asyncio.wait({one, other}, return_when=asyncio.FIRST_COMPLETED)
        await one
        await other
    await database.close()


async def test_a_statement_that_fails_leaves_its_connection_in_order(database: Database) -> None:
    for _ in range(3):
        with pytest.raises(asyncpg.DivisionByZeroError):
            await database.fetchval(None, "select 1 / 0")
        assert await database.fetchval(None, "select 1") == 1
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await database.fetchval(None, "select pg_sleep(30)")
    assert await database.fetchval(None, "select 1") == 1


@pytest.mark.parametrize("noticed", [False, True])
async def test_a_connection_cut_inside_a_transaction_is_named_and_the_pool_goes_on(
    database: Database, institution: int, urls: Urls, noticed: bool
) -> None:
    owner = await asyncpg.connect(urls.runtime)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        async with database.transaction(institution) as connection:
            await connection.execute("update archive.institution set name = 'x'")
            pid = await connection.fetchval("select pg_backend_pid()")
            await owner.fetchval("select pg_terminate_backend($1, 5000)", pid)
            if noticed:  # the pool has taken the connection back before the next statement
                while not connection.is_closed():
                    await asyncio.sleep(0.01)
            await connection.execute("select 1")
    assert await database.fetchval(institution, "select name from archive.institution") == "第一医院"
    await owner.close()


async def test_migrations_apply_once_and_a_changed_file_is_refused(urls: Urls, tmp_path: Path) -> None:
    assert await migrate(urls.owner, MIGRATIONS) == []
    folder = tmp_path / "late" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0001_x.sql").write_text("create table public.x (a int)")
    assert await migrate(urls.owner, [folder]) == ["late/0001_x.sql"]
    assert await migrate(urls.owner, [folder]) == []
    (folder / "0001_x.sql").write_text("create table public.y (a int)")
    with pytest.raises(MigrationError):
        await migrate(urls.owner, [folder])
    (folder / "0001_x.sql").write_text("create table public.x (a int)")
    (folder / "0001_x.sql").rename(folder / "0009_x.sql")
    with pytest.raises(MigrationError, match="newer"):
        await migrate(urls.owner, [folder])
    (folder / "0009_x.sql").rename(folder / "0001_x.sql")
    (folder / "0002_x.sql").write_text("create table public.z (a int); select 1/0")
    with pytest.raises(MigrationError):
        await migrate(urls.owner, [folder])
    connection = await asyncpg.connect(urls.owner)
    assert await connection.fetchval("select to_regclass('public.z')") is None
    await connection.close()
