"""``build_app(settings)``: the only composition root of the web role."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from app import locations
from app.archive_api.header_process import HeaderProcess
from app.archive_api.instance_finder import InstanceFinder
from app.archive_api.routes import ROUTES as ARCHIVE_ROUTES
from app.audit.service import Audit
from app.bus import Bus, carrier_of
from app.delivery.routes import ROUTES as DELIVERY_ROUTES
from app.http import RouteSpec, build_routes, unrouted
from app.identity.routes import ROUTES as IDENTITY_ROUTES
from app.identity.service import Identity
from app.institutions.routes import ROUTES as INSTITUTION_ROUTES
from app.institutions.service import Institutions
from app.middleware import Frame
from app.operations.lag import LAG
from app.operations.routes import ROUTES as OPERATIONS_ROUTES
from app.operations.static import ROUTES as STATIC_ROUTES
from app.rendering.client import RenderClient
from app.services import Services
from app.settings import Settings
from app.viewing.routes import ROUTES as VIEWING_ROUTES
from app.viewing.surface_routes import ROUTES as SURFACE_ROUTES
from app.viewing.values_routes import ROUTES as VALUES_ROUTES
from dicomnet.archive.ingest import Ingest
from dicomnet.database import Database
from dicomnet.dimse.scp import INGEST_CHANNEL
from dicomnet.events import Waker
from dicomnet.queue import JobQueue
from dicomnet.sop_classes import storage_classes

TABLES: tuple[tuple[RouteSpec, ...], ...] = (
    IDENTITY_ROUTES,
    INSTITUTION_ROUTES,
    ARCHIVE_ROUTES,
    VIEWING_ROUTES,
    VALUES_ROUTES,
    SURFACE_ROUTES,
    DELIVERY_ROUTES,
    OPERATIONS_ROUTES,
    STATIC_ROUTES,
)


@asynccontextmanager
async def open_services(settings: Settings, *, secure: bool = False) -> AsyncIterator[Services]:
    """Open every resource, close them in reverse; used by the web role, commands and tests alike."""
    url = locations.runtime_url(settings)
    database = await Database.connect(url, min_size=2, max_size=12)
    keyring = locations.keyring(settings)
    objects = locations.objects(settings)
    headers = HeaderProcess()
    render = RenderClient(locations.render_socket(settings))
    waker = Waker(url, INGEST_CHANNEL)
    try:
        async with Bus(carrier_of(settings, database, url)).running() as bus:
            yield Services(
                settings=settings,
                database=database,
                objects=objects,
                keyring=keyring,
                ingest=Ingest(
                    database,
                    objects,
                    keyring,
                    is_storage_class=storage_classes(locations.sop_class_file(settings)).__contains__,
                    max_object_bytes=settings.max_upload_mb << 20,
                    min_free_bytes=settings.min_free_disk_mb << 20,
                    after_commit=waker.wake,
                ),
                identity=Identity(database, settings, secure=secure),
                audit=Audit(database),
                institutions=Institutions(database),
                render=render,
                queue=JobQueue(database),
                bus=bus,
                headers=headers,
                instances=InstanceFinder(database),
                secure=secure,
            )
    finally:
        await render.close()
        await waker.close()
        await headers.close()
        await database.close()


def build_app(settings: Settings, *, secure: bool = False) -> ASGIApp:
    """The ASGI app: route tables of every slice inside the frame of headers, ids and limits."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with open_services(settings, secure=secure) as services:
            app.state.services = services
            watching = asyncio.get_running_loop().create_task(LAG.run())
            try:
                yield {}
            finally:
                watching.cancel()

    app = Starlette(
        routes=build_routes(TABLES), lifespan=lifespan, exception_handlers={HTTPException: unrouted, 500: unrouted}
    )
    return Frame(app, secure=secure)
