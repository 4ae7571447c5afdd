"""``cloudfilm serve``: starts the database and every role on one machine, restarts what dies, stops cleanly."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from app.cli import parser
from app.logging import configure_logging, get_logger
from app.role_logs import RoleLog, last_line
from app.roles import SUPERVISED
from app.settings import Settings, split_address
from app.tls import certificate_files
from dicomnet.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError

if TYPE_CHECKING:
    from app.bootstrap import FirstStart

_STOP_S = 6.0
_LONGEST_PAUSE_S = 5.0
_READY_S = 120.0
_HOPELESS = 3
_DATABASE_LOOK_S = 0.5


@dataclass(slots=True)
class Child:
    """One supervised process."""

    name: str
    arguments: list[str]
    pass_fds: tuple[int, ...] = ()
    process: asyncio.subprocess.Process | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    hopeless: asyncio.Event = field(default_factory=asyncio.Event)  # died three times at once
    failures: int = 0


class Supervisor:
    """Owns the listening sockets and the children; one per home (a lock file says so)."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.first_start: FirstStart | None = None
        self.http_url = ""
        self.dicom_port = 0
        self._children: list[Child] = []
        self._sockets: list[socket.socket] = []
        self._embedded: EmbeddedPostgres | None = None
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._lock: int | None = None
        self._database_start: asyncio.Task[None] | None = None

    # Start and stop ---------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Everything up and ready, or an exception."""
        home = self.settings.home
        for folder in (home, home / "logs", self.settings.run_folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        if not self.settings.database_url:
            self._embedded = EmbeddedPostgres(home)
            # Shielded: a thread cannot be cancelled, so ``stop`` waits for it instead of leaving a server behind.
            self._database_start = asyncio.create_task(asyncio.to_thread(self._embedded.start))
        # What comes next is loaded while PostgreSQL, a process of its own, makes its files: a second of both.
        await asyncio.to_thread(importlib.import_module, "app.bootstrap")
        if self._database_start is not None:
            await asyncio.shield(self._database_start)
        from app.bootstrap import prepare_database

        self.first_start = await prepare_database(self.settings, self._embedded)
        self._bind()
        web_fd = self._sockets[0].fileno()
        self._children = [
            Child("render", ["render"]),
            Child("web", ["web", "--fd", str(web_fd)], (web_fd,)),
            *(
                Child(f"dicom-{i + 1}", ["dicom", "--port", str(self.dicom_port)])
                for i in range(max(1, self.settings.dicom_processes))
            ),
            Child("worker", ["worker"]),
        ]
        self._tasks = [asyncio.create_task(self._keep(child)) for child in self._children]
        if self._embedded is not None:
            self._tasks.append(asyncio.create_task(self._keep_database(self._embedded)))
        for child in self._children:
            await self._until_ready(child)
        self._write_state()

    async def _until_ready(self, child: Child) -> None:
        """Raises RoleNotReadyError when it dies again and again before it was ready, or takes too long."""
        waiting = {asyncio.create_task(child.ready.wait()), asyncio.create_task(child.hopeless.wait())}
        try:
            await asyncio.wait(waiting, timeout=_READY_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        if not child.ready.is_set():
            log = self.settings.home / "logs" / f"{child.name}.log"
            raise RoleNotReadyError(f"{child.name} did not become ready; see {log}\n{last_line(log)}")

    async def stop(self) -> None:
        """SIGTERM to the children, SIGKILL after 6 s; then the database."""
        self._stopping.set()
        running = [child.process for child in self._children if child.process and child.process.returncode is None]
        for process in running:
            with suppress(ProcessLookupError):
                process.terminate()
        if running:
            _, late = await asyncio.wait([asyncio.create_task(p.wait()) for p in running], timeout=_STOP_S)
            if late:
                for process in running:
                    if process.returncode is None:
                        process.kill()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._database_start is not None:
            await asyncio.gather(self._database_start, return_exceptions=True)
        if self._embedded is not None:
            await asyncio.to_thread(self._embedded.stop)
        for bound in self._sockets:
            bound.close()
        if self._lock is not None:
            os.close(self._lock)

    def _take_lock(self) -> None:
        import fcntl

        self._lock = os.open(
            self.settings.home / "run" / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"cloudfilm: another `cloudfilm serve` uses {self.settings.home}") from None
        self._end_orphans()
        with suppress(OSError):
            os.truncate(self._lock, 0)

    def _end_orphans(self) -> None:
        """Roles of a supervisor that was killed end now: their sockets are needed."""
        import psutil

        state = self.settings.run_folder / "state.json"
        if not state.is_file():
            return
        with suppress(orjson.JSONDecodeError, KeyError, TypeError):
            for entry in orjson.loads(state.read_bytes())["children"]:
                with suppress(psutil.Error):
                    process = psutil.Process(int(entry["pid"]))
                    if abs(process.create_time() - float(entry["created"])) < 2:
                        process.kill()
                        process.wait(5)

    def _write_state(self) -> None:
        import psutil

        rows: list[dict[str, Any]] = []
        for child in self._children:
            if child.process is not None and child.process.returncode is None:
                with suppress(psutil.Error):
                    created = psutil.Process(child.process.pid).create_time()
                    rows.append({"name": child.name, "pid": child.process.pid, "created": created})
        _write_atomically(
            self.settings.run_folder / "state.json", {"pid": os.getpid(), "http": self.http_url, "children": rows}
        )

    def _bind(self) -> None:
        from dicomnet.dimse.scp import reserve_port

        host, port = split_address(self.settings.http)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        http = socket.socket(family, socket.SOCK_STREAM)
        http.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        http.bind((host.strip("[]"), port))
        http.listen(1024)
        http.set_inheritable(True)
        scheme = "https" if certificate_files(self.settings) else "http"
        shown = "127.0.0.1" if host in {"0.0.0.0", "[::]"} else host  # noqa: S104  # shown, not bound
        self.http_url = f"{scheme}://{shown}:{http.getsockname()[1]}"
        dicom_host, dicom_port = split_address(self.settings.dicom)
        reserved, self.dicom_port = reserve_port(dicom_host.strip("[]"), dicom_port)
        self._sockets = [http, reserved]

    # Children ---------------------------------------------------------------------------------------------------

    def _environment(self) -> dict[str, str]:
        environment = {**os.environ, "CLOUDFILM_HOME": str(self.settings.home), SUPERVISED: "1"}
        environment["CLOUDFILM_PUBLIC_URL"] = self.settings.public_url or self.http_url
        # Our own thread pools use the cores; a BLAS that starts one thread per core only gets in their way.
        for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
            environment.setdefault(name, "1")
        return environment

    async def _keep(self, child: Child) -> None:
        """Run, and run again after a death, pausing longer while it dies at once."""
        while not self._stopping.is_set():
            started = time.monotonic()
            child.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "app",
                *child.arguments,
                stdin=asyncio.subprocess.PIPE,  # held open: its end tells the role that this process was killed
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=child.pass_fds,
                env=self._environment(),
                start_new_session=True,
                limit=1 << 20,
            )
            self._write_state()
            reading = asyncio.gather(self._read_ready(child), self._read_log(child))
            status = await child.process.wait()
            await reading
            child.ready.clear()
            if self._stopping.is_set():
                return
            child.failures = child.failures + 1 if time.monotonic() - started < 10 else 0
            if child.failures >= _HOPELESS:
                child.hopeless.set()
            get_logger().warning("role.died", name=child.name, status=status)
            await asyncio.sleep(min(_LONGEST_PAUSE_S, 0.1 * 2**child.failures))

    async def _read_ready(self, child: Child) -> None:
        assert child.process is not None and child.process.stdout is not None  # noqa: S101  # PIPE was asked for
        async for line in child.process.stdout:
            if line.startswith(b"ready"):
                child.ready.set()

    async def _read_log(self, child: Child) -> None:
        assert child.process is not None and child.process.stderr is not None  # noqa: S101  # PIPE was asked for
        log = RoleLog(self.settings.home / "logs" / f"{child.name}.log", mirror=not sys.stderr.isatty())
        while True:
            try:
                line = await child.process.stderr.readline()
            except ValueError:
                continue  # a line beyond the limit is dropped
            if not line:
                log.close()
                return
            log.write(line)

    async def _keep_database(self, embedded: EmbeddedPostgres) -> None:
        pid = await asyncio.to_thread(lambda: embedded.pid)
        while not self._stopping.is_set():
            await asyncio.sleep(_DATABASE_LOOK_S)
            if _lives(pid):
                continue
            get_logger().warning("role.died", name="postgres")
            try:
                self._database_start = asyncio.create_task(asyncio.to_thread(embedded.start))
                await asyncio.shield(self._database_start)
            except EmbeddedPostgresError:
                get_logger().error("postgres.not_started")
            pid = await asyncio.to_thread(lambda: embedded.pid)


class RoleNotReadyError(Exception):
    """A role did not come up; the text names it and its log."""


def _lives(pid: int | None) -> bool:
    """Whether the process runs; one that nobody has waited for yet is dead."""
    import psutil

    try:
        return pid is not None and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _write_atomically(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(orjson.dumps(value))
    temporary.replace(path)


async def run_supervised(settings: Settings, when_ready: Callable[[Supervisor], Any]) -> int:
    """Start, call ``when_ready`` (may be a coroutine function), run until SIGTERM or SIGINT, stop."""
    supervisor = Supervisor(settings)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)

    async def work() -> None:
        await supervisor.start()
        result = when_ready(supervisor)
        if asyncio.iscoroutine(result):
            await result

    working = asyncio.create_task(work())
    waiting = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
            await waiting
        return 0
    finally:
        for task in (working, waiting):
            task.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)
        await supervisor.stop()


def serve_command(settings: Settings, argv: list[str]) -> int:
    """``cloudfilm serve [--ready-file PATH]``."""
    arguments = parser("serve", "all roles on one machine")
    arguments.add_argument("--ready-file", type=Path)
    given = arguments.parse_args(argv)
    configure_logging("supervisor", settings.log_level)

    def ready(supervisor: Supervisor) -> None:
        host, _ = split_address(settings.dicom)
        state: dict[str, Any] = {
            "http": supervisor.http_url,
            "dicom": {
                "host": "127.0.0.1" if host == "0.0.0.0" else host,  # noqa: S104  # shown, not bound
                "port": supervisor.dicom_port,
                "ae_title": settings.ae_title,
            },
            "pid": os.getpid(),
        }
        if given.ready_file is not None:
            _write_atomically(given.ready_file, state)
        print(
            f"CloudFilm serves {supervisor.http_url}, DICOM {settings.ae_title} on port {supervisor.dicom_port}",
            flush=True,
        )
        if supervisor.first_start is not None:
            print(
                f"first login: {supervisor.first_start.username}  one-time password: "
                f"{supervisor.first_start.one_time_password}",
                flush=True,
            )

    try:
        return asyncio.run(run_supervised(settings, ready))
    except (RoleNotReadyError, EmbeddedPostgresError) as error:
        print(f"cloudfilm: {error}", file=sys.stderr)
        return 1
