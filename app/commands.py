"""What commands share: an open set of services, JSON or plain output, errors as one line."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

import asyncpg
import orjson

from app.errors import describe_error
from app.opening import open_services
from app.services import Services
from app.settings import Settings


def run_with_services(settings: Settings, work: Callable[[Services], Awaitable[int]]) -> int:
    """Open services against the running (or an external) database; a domain error is printed, status 1."""

    async def run() -> int:
        async with open_services(settings) as services:
            return await work(services)

    try:
        return asyncio.run(run())
    except (OSError, asyncpg.PostgresConnectionError) as error:
        print(
            f"cloudfilm: the database does not answer ({type(error).__name__}); is `cloudfilm serve` running?",
            file=sys.stderr,
        )
        return 1
    except Exception as error:
        described = describe_error(error)
        if described is None:
            raise
        print(
            f"cloudfilm: {described.message['en']} [{described.code}] {described.data or ''}".rstrip(), file=sys.stderr
        )
        return 1


def print_result(values: dict[str, object], *, as_json: bool) -> None:
    """One JSON object on a line, or ``name: value`` lines."""
    if as_json:
        print(orjson.dumps(values, default=str).decode())
        return
    for name, value in values.items():
        print(f"{name}: {value}")
