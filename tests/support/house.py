"""A running house for tests: database, render process, web server on real sockets, and people who may look."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from app.delivery.service import Shares
from app.identity.service import SHARE_COOKIE, STAFF_COOKIE
from app.main import build_app
from app.opening import open_services
from app.services import Services
from app.settings import Settings
from dicomnet.database import Database
from dicomnet.embedded_postgres import OWNER_ROLE, RUNTIME_ROLE, EmbeddedPostgres

ROOT = Path(__file__).resolve().parents[2]
_numbers = itertools.count(1)


@asynccontextmanager
async def fresh_settings(postgres: EmbeddedPostgres, template: str, **changes: Any) -> AsyncIterator[Settings]:
    """Settings of a house of its own: a database cloned from the template, a temporary home."""
    name = f"house_{next(_numbers)}"
    owner = await asyncpg.connect(postgres.cluster_url)
    await owner.execute(f"create database {name} template {template} owner {OWNER_ROLE}")
    home = Path(tempfile.mkdtemp(prefix="cf-"))
    try:
        yield Settings(home=home, runtime_database_url=postgres.url(RUNTIME_ROLE, name), http="127.0.0.1:0", **changes)
    finally:
        await owner.execute(f"drop database {name} with (force)")
        await owner.close()
        shutil.rmtree(home, ignore_errors=True)


@dataclass(slots=True)
class Role:
    """One of the house's processes, started as on a real machine."""

    settings: Settings
    name: str
    process: asyncio.subprocess.Process | None = None
    arguments: tuple[str, ...] = ()
    pass_fds: tuple[int, ...] = ()

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self.process is not None
        return self.process.pid

    async def start(self) -> None:
        """Returns when it says that it is ready."""
        environment = dict(os.environ)
        for variable, value in {
            "HOME": self.settings.home,
            "RUNTIME_DATABASE_URL": self.settings.runtime_database_url,
            "DECODER_PLUGINS": self.settings.decoder_plugins,
            "DECODE_TIMEOUT_S": self.settings.decode_timeout_s,
            "RENDER_MEMORY_MB": self.settings.render_memory_mb,
            "VOLUME_MEMORY_MB": self.settings.volume_memory_mb,
            "LOG_LEVEL": "warning",
        }.items():
            environment[f"CLOUDFILM_{variable}"] = str(value)
        log = (self.settings.home / f"{self.name}.log").open("ab")
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app",
            self.name,
            *self.arguments,
            cwd=ROOT,
            env=environment,
            pass_fds=self.pass_fds,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
        log.close()
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), 60)
        assert line.startswith(b"ready"), (self.settings.home / f"{self.name}.log").read_text()

    async def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()
        self._close()

    async def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        if self.process is None or self.process.returncode is not None:
            return 0
        self.process.terminate()
        try:
            status = await asyncio.wait_for(self.process.wait(), 15)
        except TimeoutError:
            await self.kill()
            raise
        self._close()
        return status

    def _close(self) -> None:
        transport = getattr(self.process, "_transport", None)
        if transport is not None:
            transport.close()


@dataclass(slots=True)
class House:
    """What a test asks of the running house."""

    settings: Settings
    services: Services
    port: int
    render: Role
    institution: int

    async def store(self, *files: bytes, institution: int | None = None) -> tuple[int, int]:
        """(study key, series key) of the last file."""
        stored = None
        for data in files:
            stored = await self.services.ingest.store(
                data, institution_id=institution or self.institution, source="test"
            )
        assert stored is not None
        return int(stored.study_key), int(stored.series_key)

    async def staff(self, role: str = "doctor", institution: int | None = None) -> str:
        """The Cookie header of a new person."""
        name = f"person{next(_numbers)}"
        identity = self.services.identity
        first = await identity.create_user(institution or self.institution, name, [role])
        _, principal = await identity.login(name, first)
        await identity.change_password(principal, first, "correct horse battery")
        token, _ = await identity.login(name, "correct horse battery")
        return f"{STAFF_COOKIE}={token}"

    async def share(self, study_key: int, *, hide_identity: bool = True, days: float = 1.0) -> tuple[str, int]:
        """(the Cookie header of a phone that gave the code, share key)."""
        shares = Shares(self.services)
        new = await shares.create(self.institution, study_key, "user:1", days=days, hide_identity=hide_identity)
        _, session = await shares.open(new.token, new.code, "192.0.2.1")
        return f"{SHARE_COOKIE}={session}", new.share_key

    @property
    def http(self) -> str:
        """The web server's address."""
        return f"http://127.0.0.1:{self.port}"

    def dial(self, cookie: str = "", **options: Any) -> connect:
        """A WebSocket to the stream."""
        headers = {"Cookie": cookie} if cookie else {}
        headers.update(options.pop("headers", {}))
        return connect(
            f"ws://127.0.0.1:{self.port}/api/stream", additional_headers=headers, compression=None, **options
        )


@asynccontextmanager
async def running_house(settings: Settings) -> AsyncIterator[House]:
    """Render process and web server up; both down afterwards."""
    render = Role(settings, "render")
    await render.start()
    listening = socket.create_server(("127.0.0.1", 0))
    app = build_app(settings)
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=1 << 16,
        log_config=None,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve([listening]))
    try:
        while not server.started:
            assert not serving.done(), "the web server did not start"
            await asyncio.sleep(0.01)
        services: Services = _services(app)
        yield House(settings, services, listening.getsockname()[1], render, await _institution(services))
    finally:
        server.should_exit = True
        await serving
        listening.close()
        await render.stop()


@asynccontextmanager
async def house_of_processes(settings: Settings) -> AsyncIterator[tuple[House, Role]]:
    """(house, its web role): as ``running_house``, the web server in a process of its own, so that it can be measured."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    descriptor = listening.fileno()
    render = Role(settings, "render")
    web = Role(settings, "web", arguments=("--fd", str(descriptor)), pass_fds=(descriptor,))
    try:
        await render.start()
        await web.start()
        async with open_services(settings) as services:
            house = House(settings, services, listening.getsockname()[1], render, await _institution(services))
            yield house, web
    finally:
        listening.close()
        await web.stop()
        await render.stop()


async def _institution(services: Services) -> int:
    return int(
        await services.database.fetchval(None, "select archive.create_institution('one', '第一医院', 'CLOUDFILM')")
    )


def _services(app: Any) -> Services:
    """The services of the app inside its frame."""
    return app._app.state.services


@dataclass(slots=True)
class Viewer:
    """A client of the stream: sends messages, sorts what comes."""

    socket: ClientConnection
    acknowledges: bool = True  # rule 8: each picture at once
    pictures: list[tuple[dict[str, Any], bytes]] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, **fields: Any) -> None:
        """One JSON message."""
        await self.socket.send(orjson.dumps(fields).decode())

    async def hello(self, **fields: Any) -> dict[str, Any]:
        """Rule 1."""
        await self.send(t="hello", v=1, **fields)
        return await self.text("hello")

    async def next(self, timeout_s: float = 20.0) -> dict[str, Any] | tuple[dict[str, Any], bytes]:
        """The next message: a JSON object, or (header, picture bytes)."""
        message = await asyncio.wait_for(self.socket.recv(), timeout_s)
        if isinstance(message, str):
            value = orjson.loads(message)
            self.texts.append(value)
            return value
        if self.acknowledges:
            await self.send(t="credit", bytes=len(message))
        picture = parse_picture(message)
        self.pictures.append(picture)
        return picture

    async def text(self, kind: str, timeout_s: float = 20.0) -> dict[str, Any]:
        """The next text of a kind; others are kept aside."""
        while True:
            message = await self.next(timeout_s)
            if isinstance(message, dict) and message["t"] == kind:
                return message

    async def picture(self, timeout_s: float = 20.0) -> tuple[dict[str, Any], bytes]:
        """The next picture. Fails on an error message."""
        while True:
            message = await self.next(timeout_s)
            if isinstance(message, tuple):
                return message
            assert message["t"] != "error", message

    async def open(self, study_key: int) -> dict[str, Any]:
        """Rule 3."""
        await self.send(t="open", study=study_key)
        return await self.text("opened")

    async def view(self, series_key: int, generation: int, frame: int = 0, **fields: Any) -> None:
        """Rule 5."""
        values: dict[str, Any] = {"viewport": "a", "width": 64, "height": 64, **fields}
        await self.send(t="view", series=series_key, generation=generation, frame=frame, **values)


def parse_picture(message: bytes) -> tuple[dict[str, Any], bytes]:
    """By the offsets table of docs/stream-protocol.md."""
    (length,) = struct.unpack_from(">I", message)
    return orjson.loads(message[4 : 4 + length]), message[4 + length :]


async def database_of(settings: Settings) -> Database:
    """A pool of the house's database."""
    return await Database.connect(settings.runtime_database_url)
