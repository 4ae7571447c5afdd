"""Opens what ``Services`` holds. Apart from the routes, so that commands and the worker do not load them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app import locations
from app.archive_api.header_process import HeaderProcess
from app.archive_api.instance_finder import InstanceFinder
from app.audit.service import Audit
from app.bus import Bus, carrier_of
from app.identity.service import Identity
from app.institutions.service import Institutions
from app.rendering.client import RenderClient
from app.services import Services
from app.settings import Settings
from dicomnet.archive.ingest import Ingest
from dicomnet.database import Database
from dicomnet.events import INGEST_CHANNEL, Waker
from dicomnet.queue import JobQueue
from dicomnet.sop_classes import storage_classes


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
