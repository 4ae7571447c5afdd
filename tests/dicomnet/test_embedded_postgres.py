from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from dicomnet.database_roles import OWNER_ROLE, RUNTIME_ROLE, UnsafeRoleError, create_roles
from dicomnet.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError
from tests.conftest import Urls


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home whose server is stopped whatever happens."""
    yield tmp_path / "home"
    EmbeddedPostgres(tmp_path / "home", durable=False).stop()


def test_a_living_server_is_adopted_and_a_killed_one_comes_back(home: Path) -> None:
    first = EmbeddedPostgres(home, durable=False)
    first.start()
    pid = first.pid
    assert pid is not None
    second = EmbeddedPostgres(home, durable=False)
    second.start()
    assert second.pid == pid
    os.kill(pid, signal.SIGKILL)
    second.start()
    assert second.pid not in {None, pid}
    second.stop()
    assert not second.alive()


def test_a_lock_with_the_number_of_another_process_does_not_stop_the_start(home: Path) -> None:
    server = EmbeddedPostgres(home, durable=False)
    server.start()
    pid = server.pid
    assert pid is not None
    lock = server.data / "postmaster.pid"
    lines = lock.read_text().splitlines()
    other = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        server.stop()
        lock.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        shutil.chown(lock, lock.parent.stat().st_uid, lock.parent.stat().st_gid)
        assert not server.alive()
        server.start()
        assert server.pid not in {None, pid, other.pid}
    finally:
        other.communicate()


def test_an_initialisation_that_was_cut_short_is_made_anew(home: Path) -> None:
    half = home / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18")
    server = EmbeddedPostgres(home, durable=False)
    server.start()
    assert server.alive()
    assert not half.exists()


def test_secrets_are_private_and_the_folders_closed(home: Path) -> None:
    server = EmbeddedPostgres(home, durable=False)
    server.start()
    passwords = sorted((home / "secrets").iterdir())
    assert len(passwords) == 3
    assert {path.stat().st_mode & 0o777 for path in passwords} == {0o600}
    assert len({path.read_text() for path in passwords}) == 3
    assert server.data.stat().st_mode & 0o777 == 0o700
    assert server.socket_folder.stat().st_mode & 0o777 == 0o700


def test_a_socket_folder_of_somebody_else_is_refused(home: Path, tmp_path: Path) -> None:
    home.mkdir()
    victim = tmp_path / "victim"
    victim.mkdir()
    mode = victim.stat().st_mode
    (home / "postgres-socket").symlink_to(victim)
    with pytest.raises(EmbeddedPostgresError):
        EmbeddedPostgres(home, durable=False).start()
    assert (victim.stat().st_mode, victim.stat().st_uid) == (mode, os.geteuid())


def test_a_long_home_gets_a_short_socket_path(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / ("x" * 120), durable=False)
    assert len(os.fsencode(server.socket_folder / ".s.PGSQL.5432")) <= 107


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a server under another account")
def test_a_home_that_the_account_cannot_enter_keeps_its_data_elsewhere_and_says_where(home: Path) -> None:
    home.mkdir(mode=0o700)
    server = EmbeddedPostgres(home, durable=False)
    try:
        server.start()
        assert home not in server.data.parents
        home.chmod(0o755)
        assert EmbeddedPostgres(home).data == server.data, "data do not change their place with the folder's mode"
        assert EmbeddedPostgres(home).alive()
    finally:
        server.stop()
        shutil.rmtree(server.data.parent)


async def test_values_of_rows_do_not_reach_the_servers_log(postgres: EmbeddedPostgres, urls: Urls) -> None:
    connection = await asyncpg.connect(urls.runtime)
    with pytest.raises(asyncpg.InvalidTextRepresentationError):
        await connection.execute("select 'Wang^Secret'::text::bigint")
    await connection.close()
    logs = [*postgres.data.glob("*.log"), *postgres.data.glob("log/*.log")]
    assert len(logs) >= 2
    assert not [path for path in logs if "Secret" in path.read_text("utf-8", "replace")]


async def test_a_managed_server_without_superuser_will_do_and_a_powerful_role_is_refused(
    postgres: EmbeddedPostgres,
) -> None:
    cluster = await asyncpg.connect(postgres.cluster_url)
    try:
        await cluster.execute("create role dba login createrole createdb password 'dba'")
        for role in (OWNER_ROLE, RUNTIME_ROLE):
            await cluster.execute(f"grant {role} to dba with admin option")
        url = postgres.url(OWNER_ROLE, "postgres").split("@", 1)[1]
        owner, runtime = (postgres.url(role).split(":")[2].split("@")[0] for role in (OWNER_ROLE, RUNTIME_ROLE))
        for _ in range(2):
            await create_roles(f"postgresql://dba:dba@{url}", owner, runtime, database="managed")
        await cluster.execute(f"alter role {RUNTIME_ROLE} bypassrls")
        with pytest.raises(UnsafeRoleError):
            await create_roles(postgres.cluster_url, owner, runtime, database="managed")
    finally:
        await cluster.execute(f"alter role {RUNTIME_ROLE} nobypassrls")
        await cluster.execute("drop database if exists managed with (force)")
        await cluster.execute("drop owned by dba")
        await cluster.execute("drop role dba")
        await cluster.close()
