"""A real ``cloudfilm serve`` on a temporary home and free ports, for tests from outside."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from dicomnet.embedded_postgres import EmbeddedPostgres

ROOT = Path(__file__).resolve().parents[2]
START_S = 150.0
NEW_PASSWORD = "a-long-test-password"


def wait_until(condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
    """The condition's first true value, looked at every 50 ms; fails the test after the timeout."""
    pause, deadline = threading.Event(), time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {timeout_s} s")
        pause.wait(0.05)


@dataclass(frozen=True, slots=True)
class DicomAddress:
    host: str
    port: int
    ae_title: str


class Server:
    """One ``cloudfilm serve`` of its own; ``restart`` keeps its home."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.username, self.password = "admin", ""
        self.output: list[str] = []
        self.ready_file = home / "ready.json"
        self.settings = settings
        self._tokens: dict[str, str] = {}
        self.process: subprocess.Popen[str]

    # Life -------------------------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """What every command of this server runs with."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CLOUDFILM_")}
        return {
            **kept,
            "CLOUDFILM_HOME": str(self.home),
            "CLOUDFILM_HTTP": "127.0.0.1:0",
            "CLOUDFILM_DICOM": "127.0.0.1:0",
            "CLOUDFILM_RENDER_MEMORY_MB": "256",
            **{f"CLOUDFILM_{name.upper()}": value for name, value in self.settings.items()},
        }

    def start(self) -> Server:
        """Start and wait for the ready file."""
        self.ready_file.unlink(missing_ok=True)
        with (self.home / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "serve", "--ready-file", str(self.ready_file)],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()
        wait_until(lambda: self.ready_file.exists() or self.process.poll() is not None, START_S, "ready file")
        if self.process.poll() is not None:
            pytest.fail(f"serve ended: {(self.home / 'serve.log').read_text()[-4000:]}")
        state = json.loads(self.ready_file.read_text())
        self.http: str = state["http"]
        self.dicom = DicomAddress(**state["dicom"])
        self.pid: int = state["pid"]
        return self

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            self.output.extend(process.stdout)

    def terminate(self) -> float:
        """SIGTERM; seconds until it had ended."""
        began = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            if self.process.poll() is None:
                self.process.kill()
        self._reader.join(5)
        return time.monotonic() - began

    def kill_supervisor(self) -> None:
        """kill -9 of the supervisor alone."""
        self.process.kill()
        self.process.wait(10)
        self._reader.join(5)

    def restart(self) -> Server:
        """SIGTERM and start again."""
        self.terminate()
        return self.start()

    def clean_up(self) -> None:
        """End everything that belongs to this home."""
        if self.process.poll() is None:
            self.terminate()
        for process in self.processes():
            process.kill()
        database = self.database_process()
        if database is not None:
            database.terminate()
            database.wait(15)

    # Processes --------------------------------------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """Roles and their children that run for this home, whoever their parent is."""
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("CLOUDFILM_HOME") == str(self.home) and "postgres" not in process.name():
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def role_pid(self, name: str) -> int:
        """The process of a role as the supervisor wrote it down (web, render, worker, dicom-1 …), 0 for none."""
        rows = json.loads((self.home / "run" / "state.json").read_text())["children"]
        return next((int(row["pid"]) for row in rows if row["name"] == name), 0)

    def database_process(self) -> psutil.Process | None:
        """The embedded PostgreSQL's postmaster, None when it does not run."""
        pid = EmbeddedPostgres(self.home).pid
        try:
            process = psutil.Process(pid) if pid is not None else None
            return process if process is not None and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None

    # Use --------------------------------------------------------------------------------------------------------

    def cli(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """``cloudfilm …`` against this server's home."""
        done = subprocess.run(
            [sys.executable, "-m", "app", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done

    def cli_json(self, *arguments: str) -> dict[str, Any]:
        """The JSON object that a command printed."""
        return json.loads(self.cli(*arguments, "--json").stdout.splitlines()[-1])

    def token(self, role: str) -> str:
        """A Bearer token of the role, the same one at every call."""
        if role not in self._tokens:
            self._tokens[role] = str(self.cli_json("token", "create", "--role", role)["token"])
        return self._tokens[role]

    @property
    def one_time_password(self) -> str:
        """What the first start printed."""
        return wait_until(
            lambda: next(iter(re.findall(r"one-time password: (\S+)", "".join(self.output))), ""), 30, "password"
        )

    def client(self, **options: Any) -> httpx.Client:
        """An HTTP client without a login."""
        return httpx.Client(base_url=self.http, trust_env=False, timeout=30, verify=False, **options)

    @contextmanager
    def admin(self) -> Iterator[httpx.Client]:
        """A client that is logged in as the administrator, whose password is changed at the first call."""
        with self.client() as client:
            if not self.password:
                first = {"username": self.username, "password": self.one_time_password}
                client.post("/api/login", json=first).raise_for_status()
                client.post("/api/password", json={"old": first["password"], "new": NEW_PASSWORD}).raise_for_status()
                self.password = NEW_PASSWORD
            client.post("/api/login", json={"username": self.username, "password": self.password}).raise_for_status()
            yield client


def make_home(folder: Path) -> Path:
    """A home that PostgreSQL's account can enter."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in (folder, *folder.parents):
        part.chmod(0o755)
        if part.name.startswith("pytest-of-"):
            break
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests that leave it as they found it."""
    server = Server(make_home(tmp_path_factory.mktemp("server")))
    try:
        yield server.start()
    finally:
        server.clean_up()
        shutil.rmtree(server.home, ignore_errors=True)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server that this test may kill; not started yet."""
    server = Server(make_home(tmp_path / "home"), dicom_processes="1")
    try:
        yield server
    finally:
        if hasattr(server, "process"):
            server.clean_up()


def kill(pid: int) -> None:
    """kill -9."""
    os.kill(pid, signal.SIGKILL)
