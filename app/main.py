"""``build_app(settings)``: the only composition root of the web role."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from app.archive_api.routes import ROUTES as ARCHIVE_ROUTES
from app.delivery.routes import ROUTES as DELIVERY_ROUTES
from app.http import RouteSpec, build_routes, unrouted
from app.identity.routes import ROUTES as IDENTITY_ROUTES
from app.institutions.routes import ROUTES as INSTITUTION_ROUTES
from app.middleware import Frame
from app.opening import open_services
from app.operations.lag import LAG
from app.operations.routes import ROUTES as OPERATIONS_ROUTES
from app.operations.static import ROUTES as STATIC_ROUTES
from app.settings import Settings
from app.viewing.key_image_routes import ROUTES as KEY_IMAGE_ROUTES
from app.viewing.routes import ROUTES as VIEWING_ROUTES
from app.viewing.surface_routes import ROUTES as SURFACE_ROUTES
from app.viewing.values_routes import ROUTES as VALUES_ROUTES

# Routes are tried one after the other: those of pictures come first.
TABLES: tuple[tuple[RouteSpec, ...], ...] = (
    ARCHIVE_ROUTES,
    VIEWING_ROUTES,
    VALUES_ROUTES,
    SURFACE_ROUTES,
    IDENTITY_ROUTES,
    INSTITUTION_ROUTES,
    KEY_IMAGE_ROUTES,
    DELIVERY_ROUTES,
    OPERATIONS_ROUTES,
    STATIC_ROUTES,
)


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
