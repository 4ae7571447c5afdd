"""First start: tables, one institution, one administrator with a one-time password."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import asyncpg

from app import locations
from app.identity.service import Identity
from app.institutions.service import Institutions
from app.settings import Settings
from dicomnet.database import Database
from dicomnet.embedded_postgres import EmbeddedPostgres
from dicomnet.migrate import migrate

ADMINISTRATOR = "admin"
FIRST_INSTITUTION = "default"


@dataclass(frozen=True, slots=True)
class FirstStart:
    """What is printed once: nothing of it is stored in clear."""

    username: str
    one_time_password: str


async def prepare_database(settings: Settings, embedded: EmbeddedPostgres | None) -> FirstStart | None:
    """Migrate, and at first start create institution and administrator; None at later starts."""
    owner_url = embedded.owner_url if embedded is not None else await locations.prepare_external(settings)
    for attempt in range(20):
        try:
            await migrate(owner_url, locations.migration_folders())
            break
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError):
            if attempt == 19:
                raise
            await asyncio.sleep(0.5)
    database = await Database.connect(locations.runtime_url(settings))
    try:
        institutions = Institutions(database)
        identity = Identity(database, settings)
        if not await institutions.all():
            await institutions.create(FIRST_INSTITUTION, "CloudFilm", settings.ae_title)
        if await database.fetchrow(None, "select 1 from identity.find_user($1)", ADMINISTRATOR) is not None:
            return None
        first = await institutions.resolve(None)
        password = await identity.create_user(first, ADMINISTRATOR, ["super_admin"])
        return FirstStart(ADMINISTRATOR, password)
    finally:
        await database.close()
