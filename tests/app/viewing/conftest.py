"""One running house for a module's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from dicomnet.embedded_postgres import EmbeddedPostgres
from tests.support.house import House, fresh_settings, running_house


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[House]:
    """Database, render process and web server."""
    async with fresh_settings(postgres, template) as settings, running_house(settings) as house:
        yield house
