"""Shared fixtures: one embedded PostgreSQL for the whole run, a fresh migrated database for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from dicomnet.database import Database
from dicomnet.database_roles import OWNER_ROLE, RUNTIME_ROLE
from dicomnet.embedded_postgres import EmbeddedPostgres
from dicomnet.migrate import migrate
from tests.support.folders import open_to_all

ROOT = Path(__file__).resolve().parents[1]
MIGRATIONS = (ROOT / "dicomnet" / "migrations", ROOT / "app" / "migrations")
_numbers = itertools.count(1)


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """pytest's folder, open to the account that runs PostgreSQL: data of a closed home would go to /var/lib."""
    return open_to_all(tmp_path)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real files; tests that need it skip without it."""
    folder = os.environ.get("CLOUDFILM_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("CLOUDFILM_TEST_DATA names no folder")
    return Path(folder)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server without fsync, shared by all tests of the run."""
    home = open_to_all(tmp_path_factory.mktemp("postgres"))
    server = EmbeddedPostgres(home, durable=False)
    server.start()
    yield server
    server.stop()


@dataclass(frozen=True, slots=True)
class Urls:
    """Addresses of one fresh database."""

    owner: str
    runtime: str
    name: str


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def template(postgres: EmbeddedPostgres) -> str:
    """A migrated database that fresh ones are cloned from."""
    name = "cloudfilm_template"
    connection = await asyncpg.connect(postgres.cluster_url)
    await connection.execute(f"create database {name} owner {OWNER_ROLE}")
    await connection.close()
    await migrate(postgres.url(OWNER_ROLE, name), MIGRATIONS)
    return name


@asynccontextmanager
async def fresh_database(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[Urls]:
    """A database cloned from the template, dropped afterwards."""
    name = f"test_{next(_numbers)}"
    connection = await asyncpg.connect(postgres.cluster_url)
    await connection.execute(f"create database {name} template {template} owner {OWNER_ROLE}")
    yield Urls(postgres.url(OWNER_ROLE, name), postgres.url(RUNTIME_ROLE, name), name)
    await connection.execute(f"drop database {name} with (force)")
    await connection.close()


@pytest_asyncio.fixture
async def urls(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[Urls]:
    """A fresh database for one test."""
    async with fresh_database(postgres, template) as urls:
        yield urls


@pytest_asyncio.fixture
async def database(urls: Urls) -> AsyncIterator[Database]:
    """The runtime role's pool on a fresh database."""
    database = await Database.connect(urls.runtime)
    yield database
    await database.close()


@pytest_asyncio.fixture
async def institution(database: Database) -> int:
    """A first institution with AE title CLOUDFILM."""
    return int(await database.fetchval(None, "select archive.create_institution('one', '第一医院', 'CLOUDFILM')"))


@pytest_asyncio.fixture
async def second_institution(database: Database, institution: int) -> int:
    """A second institution with AE title SECOND."""
    assert institution
    return int(await database.fetchval(None, "select archive.create_institution('two', '第二医院', 'SECOND')"))
