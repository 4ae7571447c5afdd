"""Health, readiness, metrics and the description of the API."""

from __future__ import annotations

import asyncio
import shutil

from starlette.requests import Request
from starlette.responses import Response

from app.errors import NotFoundError
from app.http import PUBLIC, JSONResponse, RouteSpec, client_address
from app.identity.models import Principal
from app.operations.lag import LAG
from app.services import Services

_LOCAL = {"127.0.0.1", "::1", ""}


async def healthz(request: Request, services: Services, principal: Principal) -> Response:
    """The process lives and its loop turns; touches nothing else."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request, services: Services, principal: Principal) -> Response:
    """Database, render process, bus, disk and clock; 503 when one is missing. Says no addresses."""
    checks: dict[str, str] = {}
    try:
        skew_s = await asyncio.wait_for(
            services.database.fetchval(
                None, "select extract(epoch from clock_timestamp())::float8 - $1::float8", _now()
            ),
            3,
        )
        checks["database"] = "ok"
        checks["clock"] = "ok" if abs(float(skew_s)) < 5 else "skewed"
    except Exception as error:
        checks["database"] = type(error).__name__
    try:
        await services.render.health(timeout_s=2)
        checks["render"] = "ok"
    except Exception as error:
        checks["render"] = type(error).__name__
    try:
        await asyncio.wait_for(services.bus.check(), 2)
        checks["bus"] = "ok"
    except Exception as error:
        checks["bus"] = type(error).__name__
    free = shutil.disk_usage(services.settings.home).free
    checks["disk"] = "ok" if free > services.settings.min_free_disk_mb << 20 else "low"
    ready = all(value == "ok" for value in checks.values())
    return JSONResponse({"ready": ready, "checks": checks}, 200 if ready else 503)


def _now() -> float:
    import time

    return time.time()


def _memory_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


async def metrics(request: Request, services: Services, principal: Principal) -> Response:
    """Prometheus text; only from this machine."""
    if client_address(request) not in _LOCAL:
        raise NotFoundError
    lines = [
        "# TYPE cloudfilm_loop_lag_seconds summary",
        f'cloudfilm_loop_lag_seconds{{quantile="0.5"}} {LAG.quantile(0.5):.6f}',
        f'cloudfilm_loop_lag_seconds{{quantile="0.99"}} {LAG.quantile(0.99):.6f}',
        "# TYPE cloudfilm_web_resident_bytes gauge",
        f"cloudfilm_web_resident_bytes {_memory_bytes()}",
        "# TYPE cloudfilm_disk_free_bytes gauge",
        f"cloudfilm_disk_free_bytes {shutil.disk_usage(services.settings.home).free}",
    ]
    return Response("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")


async def openapi(request: Request, services: Services, principal: Principal) -> Response:
    """OpenAPI 3.1 of the route tables."""
    from app.main import TABLES

    paths: dict[str, dict[str, object]] = {}
    for table in TABLES:
        for spec in table:
            for method in spec.methods:
                paths.setdefault(spec.path.replace(":path", ""), {})[method.lower()] = {
                    "summary": spec.summary or spec.path,
                    "security": [] if spec.permission == PUBLIC else [{"session": []}, {"bearer": []}],
                    "x-permission": spec.permission,
                    "responses": {"default": {"description": "problem JSON on errors (RFC 9457)"}},
                }
    return JSONResponse(
        {
            "openapi": "3.1.0",
            "info": {"title": "CloudFilm", "version": "0.1.0"},
            "paths": paths,
            "components": {
                "securitySchemes": {
                    "session": {"type": "apiKey", "in": "cookie", "name": "cloudfilm_session"},
                    "bearer": {"type": "http", "scheme": "bearer"},
                }
            },
        }
    )


ROUTES = (
    RouteSpec("/healthz", healthz, PUBLIC, summary="alive", anonymous=True),
    RouteSpec("/readyz", readyz, PUBLIC, summary="ready to serve", anonymous=True),
    RouteSpec("/metrics", metrics, PUBLIC, summary="Prometheus metrics, local only", anonymous=True),
    RouteSpec("/openapi.json", openapi, PUBLIC, summary="this description", anonymous=True),
)
