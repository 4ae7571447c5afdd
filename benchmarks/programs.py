"""Programs under test: our server and its peers, each started in a network namespace (or here) and ended for certain."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from benchmarks.harness import BenchmarkError
from benchmarks.link import inside
from benchmarks.needs import find_program, orthanc_plugin

ROOT = Path(__file__).resolve().parents[1]
_ROLES = ("web", "render", "worker", "dicom")


def free_port(namespace: str = "") -> int:
    """A port that is free now (Orthanc and storescp cannot be told "any")."""

    def probe() -> int:
        with socket.create_server(("127.0.0.1", 0)) as bound:
            return int(bound.getsockname()[1])

    return inside(namespace, probe) if namespace else probe()


def wait_for(port: int, namespace: str = "", timeout_s: float = 60.0, host: str = "127.0.0.1") -> None:
    """Until something listens. Raises BenchmarkError."""

    def connect() -> None:
        socket.create_connection((host, port), 1).close()

    end = time.monotonic() + timeout_s
    while True:
        try:
            inside(namespace, connect) if namespace else connect()
            return
        except OSError:
            if time.monotonic() > end:
                raise BenchmarkError(f"nothing listens on {host}:{port}") from None
            time.sleep(0.1)


class Program:
    """A child process with a folder of its own; ``with`` ends it."""

    def __init__(self, namespace: str = "") -> None:
        self.namespace = namespace
        self._folder = tempfile.TemporaryDirectory(prefix="cloudfilm-bench-", ignore_cleanup_errors=True)
        self.folder = Path(self._folder.name)
        self.folder.chmod(0o755)
        self.process: subprocess.Popen[bytes] | None = None

    def command(self, *arguments: str) -> list[str]:
        """The command line, inside the namespace where there is one."""
        return [*(["ip", "netns", "exec", self.namespace] if self.namespace else []), *arguments]

    def spawn(self, arguments: Sequence[str], environment: dict[str, str] | None = None) -> None:
        """Start it; its output goes to ``output.log`` in its folder."""
        with (self.folder / "output.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(*arguments),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
                cwd=ROOT,
            )

    def output(self) -> str:
        """What it printed."""
        return (self.folder / "output.log").read_text("utf-8", "replace")

    def cpu_s(self) -> float:
        """Processor time of it, its descendants and what works in its folder (a database is nobody's child), seconds."""
        return sum(self.cpu_s_of_roles().values())

    def cpu_s_of_roles(self) -> dict[str, float]:
        """The same by role (``web``, ``render``, ``postgres``, ...; '' for the rest), seconds."""
        assert self.process is not None  # it was started
        root = psutil.Process(self.process.pid)
        found = {process.pid: process for process in (root, *root.children(recursive=True))}
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.cwd().startswith(str(self.folder)):
                    found[process.pid] = process
        used: dict[str, float] = {}
        for process in found.values():
            with suppress(psutil.Error):
                words, times = process.cmdline(), process.cpu_times()
                is_database = bool(words) and "postgres" in words[0]
                role = "postgres" if is_database else next((name for name in _ROLES if name in words), "")
                used[role] = used.get(role, 0.0) + float(times.user + times.system)
        return used

    def settle(self, timeout_s: float = 120.0) -> None:
        """Until it uses less than a twentieth of a core for a second: jobs of what arrived are done. Raises BenchmarkError."""
        end = time.monotonic() + timeout_s
        before, quiet = -1.0, 0
        while quiet < 3:
            if time.monotonic() > end:
                raise BenchmarkError(f"{type(self).__name__} does not come to rest")
            used = self.cpu_s()
            quiet = quiet + 1 if 0 <= used - before < 0.05 * 0.3 else 0
            before = used
            time.sleep(0.3)

    def end(self) -> None:
        """SIGTERM, after 15 s SIGKILL."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def start(self) -> None:
        """To be told by each program."""
        raise BenchmarkError(f"{type(self).__name__} cannot be started")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        with suppress(OSError):
            self._folder.cleanup()


class CloudFilm(Program):
    """``cloudfilm serve`` with TLS, on an address of its namespace."""

    def __init__(self, namespace: str = "", host: str = "127.0.0.1", *, tls: bool = True) -> None:
        super().__init__(namespace)
        self.host, self.tls = host, tls
        self.url = ""
        self.dicom_port = 0
        self.password = ""
        self._http_port = 0

    def _environment(self) -> dict[str, str]:
        return {
            "CLOUDFILM_HOME": str(self.folder / "home"),
            "CLOUDFILM_HTTP": f"{self.host}:{self._http_port}",
            "CLOUDFILM_DICOM": "127.0.0.1:0",
            "CLOUDFILM_TLS": "1" if self.tls else "0",
            "CLOUDFILM_PUBLIC_URL": "",
        }

    def start(self) -> None:
        """Until ready. Raises BenchmarkError."""
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        self.spawn([sys.executable, "-m", "app", "serve", "--ready-file", str(ready)], self._environment())
        end = time.monotonic() + 90
        while not ready.is_file():
            if time.monotonic() > end or (self.process is not None and self.process.poll() is not None):
                raise BenchmarkError(f"cloudfilm serve did not become ready: {self.output()[-800:]}")
            time.sleep(0.1)
        state: dict[str, Any] = json.loads(ready.read_text("utf-8"))
        self.url = str(state["http"])
        self.dicom_port = int(state["dicom"]["port"])
        self._http_port = int(self.url.rpartition(":")[2])
        found = re.search(r"one-time password: (\S+)", self.output())
        self.password = found.group(1) if found else self.password

    def restart(self) -> None:
        """End and start again on the same port with the same data."""
        self.end()
        self.start()

    def run(self, *arguments: str) -> dict[str, Any]:
        """A cloudfilm command with --json against this server."""
        done = subprocess.run(
            self.command(sys.executable, "-m", "app", *arguments, "--json"),
            env={**os.environ, **self._environment()},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode:
            raise BenchmarkError(f"cloudfilm {' '.join(arguments[:2])}: {done.stderr[-400:]}")
        return json.loads(done.stdout.strip().splitlines()[-1])


class Orthanc(Program):
    """Orthanc with DICOMweb, GDCM and its web viewer; durable storage when asked; TCP_NODELAY as its manual advises."""

    def __init__(self, namespace: str = "", host: str = "127.0.0.1", *, sync: bool = True) -> None:
        super().__init__(namespace)
        self.host, self.sync = host, sync
        self.http_port = self.dicom_port = 0
        self.version = ""

    @property
    def url(self) -> str:
        """HTTP address. (Its own viewer is measured without TLS, which spares it a round trip.)"""
        return f"http://{self.host}:{self.http_port}"

    def start(self) -> None:
        """Until it answers."""
        self.http_port, self.dicom_port = free_port(self.namespace), free_port(self.namespace)
        plugins = [orthanc_plugin(p) for p in ("libOrthancDicomWeb.so", "libOrthancGdcm.so", "libOrthancWebViewer.so")]
        config = {
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "Plugins": [str(plugin) for plugin in plugins if plugin],
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "RemoteAccessAllowed": True,
            "AuthenticationEnabled": False,
            "SyncStorageArea": self.sync,
            "DicomAlwaysAllowStore": True,
            "UnknownSopClassAccepted": True,
            "DicomThreadsCount": 4,
            "HttpThreadsCount": 16,
            "KeepAlive": True,
            "TcpNoDelay": True,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
            "WebViewer": {"CachePath": str(self.folder / "cache")},
        }
        path = self.folder / "orthanc.json"
        path.write_text(json.dumps(config))
        self.spawn([find_program("Orthanc"), str(path)], {"TCP_NODELAY": "1"})
        wait_for(self.http_port, self.namespace, host=self.host)
        wait_for(self.dicom_port, self.namespace)
        self.version = str(self.get("/system")["Version"])

    def get(self, path: str) -> Any:
        """JSON or text of its REST API."""

        def fetch() -> Any:
            with urllib.request.urlopen(self.url + path, timeout=30) as answer:
                data = answer.read()
                return json.loads(data) if "json" in answer.headers.get("Content-Type", "") else data.decode()

        return inside(self.namespace, fetch) if self.namespace else fetch()

    def find(self, sop_instance_uid: str) -> str:
        """Orthanc's own identifier of an instance. Raises BenchmarkError."""
        body = json.dumps({"Level": "Instance", "Query": {"SOPInstanceUID": sop_instance_uid}}).encode()

        def look() -> list[str]:
            with urllib.request.urlopen(self.url + "/tools/find", body, timeout=30) as answer:
                return json.loads(answer.read())

        found = inside(self.namespace, look) if self.namespace else look()
        if not found:
            raise BenchmarkError("Orthanc does not have an instance that was sent to it")
        return found[0]


class Storescp(Program):
    """DCMTK's receiver: writes files without fsync, so it is a ceiling and not a peer."""

    def __init__(self) -> None:
        super().__init__()
        self.dicom_port = 0

    def start(self) -> None:
        """Until it listens."""
        self.dicom_port = free_port()
        stored = self.folder / "stored"
        stored.mkdir()
        self.spawn(
            [find_program("storescp"), "--fork", "+xa", "-od", str(stored), str(self.dicom_port)], {"TCP_NODELAY": "1"}
        )
        wait_for(self.dicom_port)

    def stored(self) -> list[Path]:
        """Its files."""
        return list((self.folder / "stored").iterdir())


def dcmsend(folder: Path, port: int, called: str, namespace: str = "") -> None:
    """Send a folder of files in the syntaxes they have. Raises BenchmarkError."""
    inner = [find_program("dcmsend"), "-dn", "-aec", called, "+sd", "127.0.0.1", str(port), str(folder)]
    command = ["ip", "netns", "exec", namespace, *inner] if namespace else inner
    done = subprocess.run(command, env={**os.environ, "TCP_NODELAY": "1"}, capture_output=True, text=True)
    if done.returncode:
        raise BenchmarkError(f"dcmsend: {done.stderr[-400:]}")


def program_version(name: str) -> str:
    """The version a program of DCMTK prints."""
    done = subprocess.run([find_program(name), "--version"], capture_output=True, text=True)
    found = re.search(r"v?(\d+\.\d+\.\d+)", done.stdout + done.stderr)
    return found.group(1) if found else ""
