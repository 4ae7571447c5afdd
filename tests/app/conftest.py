"""Fixtures of the app's tests: a web role on a fresh database, with and without the render role."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from dicomnet.database import Database
from tests.conftest import Urls
from tests.support.web_app import Web, make_settings, rendering, running_web


@pytest_asyncio.fixture
async def web(tmp_path: Path, urls: Urls, database: Database) -> AsyncIterator[Web]:
    """The web role alone."""
    async with running_web(make_settings(tmp_path / "home", urls.runtime), database) as web:
        yield web


@pytest_asyncio.fixture
async def rendering_web(tmp_path: Path, urls: Urls, database: Database) -> AsyncIterator[Web]:
    """The web and the render role."""
    settings = make_settings(tmp_path / "home", urls.runtime)
    role = rendering(settings)
    await asyncio.to_thread(role.__enter__)
    try:
        async with running_web(settings, database) as web:
            yield web
    finally:
        await asyncio.to_thread(role.__exit__, None, None, None)
