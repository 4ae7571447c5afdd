"""The web role for tests: ``build_app`` behind a real uvicorn on a free port, with the render role when asked for."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from app import locations
from app.delivery.service import NewShare
from app.identity.service import Identity
from app.logging import configure_logging
from app.main import build_app
from app.opening import open_services
from app.services import Services
from app.settings import Settings
from dicomnet.archive.ingest import Stored
from dicomnet.database import Database

ROOT = Path(__file__).resolve().parents[2]


class _Server(uvicorn.Server):
    """Tells when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@dataclass(slots=True)
class Web:
    """A running web role. ``services`` is a second set of the same resources, for what a test does behind its back."""

    url: str
    settings: Settings
    services: Services
    database: Database

    async def token(self, institution_id: int, role: str = "dicomweb-write") -> str:
        """A Bearer token."""
        token, _ = await Identity(self.database, self.settings).create_token(institution_id, role, 1)
        return token

    async def client(self, institution_id: int, role: str = "dicomweb-write") -> httpx.AsyncClient:
        """An HTTP client with a token; the test closes it."""
        token = await self.token(institution_id, role)
        return httpx.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    def anonymous(self) -> httpx.AsyncClient:
        """An HTTP client that is nobody."""
        return httpx.AsyncClient(base_url=self.url, timeout=40)

    async def store(self, institution_id: int, data: bytes) -> Stored:
        """One object into the archive."""
        return await self.services.ingest.store(data, institution_id=institution_id, source="test")

    async def share(self, institution_id: int, study_key: int, **options: Any) -> NewShare:
        """A share link."""
        from app.delivery.service import Shares

        values: dict[str, Any] = {"days": 7, **options}
        return await Shares(self.services).create(institution_id, study_key, "user:1", **values)


@contextmanager
def served(settings: Settings) -> Any:
    """The address of ``build_app`` in a thread of its own."""
    configure_logging("web", "error")
    config = uvicorn.Config(
        build_app(settings), host="127.0.0.1", port=0, http="httptools", ws="websockets-sansio", log_config=None
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.ready.wait(30), "the web role did not start"
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)


@contextmanager
def rendering(settings: Settings) -> Any:
    """The render role as a process; gone at the end of the block."""
    environment = {
        **os.environ,
        "CLOUDFILM_HOME": str(settings.home),
        "CLOUDFILM_RUNTIME_DATABASE_URL": settings.runtime_database_url,
        "CLOUDFILM_RENDER_THREADS": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "render"], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith("ready"), line
        yield process
    finally:
        process.terminate()
        process.wait(15)
        process.stdout.close()


def make_settings(home: Path, runtime_url: str, **changes: Any) -> Settings:
    """Settings of a temporary installation."""
    (home / "run").mkdir(parents=True, exist_ok=True)
    settings = Settings(home=home, runtime_database_url=runtime_url, min_free_disk_mb=1, **changes)
    locations.keyring(settings)
    return settings


@asynccontextmanager
async def running_web(settings: Settings, database: Database) -> AsyncIterator[Web]:
    """A web role and a second set of services beside it."""
    context = served(settings)
    url = await asyncio.to_thread(context.__enter__)
    try:
        async with open_services(settings) as services:
            yield Web(url, settings, services, database)
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)
