"""Migrations: plain SQL files, in order, each in its own transaction, never edited once released."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from dicomnet.errors import DicomnetError

_LOCK = 0x636C6F7564  # "cloud"


class MigrationError(DicomnetError):
    """A migration that was applied has changed, or one failed; ``data['file']`` names it."""

    code = "database.migration"
    message = {"zh": "数据库升级失败", "en": "A database migration failed"}


async def migrate(owner_url: str, folders: Sequence[Path]) -> list[str]:
    """Apply what is missing from each folder, in the order given; returns the names applied now.

    Safe to call from several processes at once (advisory lock). Raises MigrationError.
    """
    connection = await asyncpg.connect(owner_url)
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        await connection.execute(
            "create table if not exists public.cloudfilm_migration "
            "(name text primary key, sha256 text not null, applied_at timestamptz not null default now())"
        )
        done: dict[str, str] = {
            str(row["name"]): str(row["sha256"])
            for row in await connection.fetch("select name, sha256 from public.cloudfilm_migration")
        }
        known = {f"{folder.parent.name}/{path.name}" for folder in folders for path in folder.glob("*.sql")}
        owners = {folder.parent.name for folder in folders}
        for name in sorted(done):
            if name.split("/")[0] in owners and name not in known:
                raise MigrationError(file=name, what="the database is newer than this program")
        applied: list[str] = []
        for folder in folders:
            for path in sorted(folder.glob("*.sql")):
                name = f"{folder.parent.name}/{path.name}"
                text = path.read_text("utf-8")
                digest = hashlib.sha256(text.encode()).hexdigest()
                if name in done:
                    if done[name] != digest:
                        raise MigrationError(file=name, what="changed after it was applied")
                    continue
                await _apply(connection, name, text, digest)
                applied.append(name)
        return applied
    finally:
        await connection.close()


async def _apply(connection: asyncpg.Connection, name: str, text: str, digest: str) -> None:
    try:
        async with connection.transaction():
            await connection.execute(text)
            await connection.execute(
                "insert into public.cloudfilm_migration (name, sha256) values ($1, $2)", name, digest
            )
    except asyncpg.PostgresError as error:
        raise MigrationError(file=name, what=str(error)) from error
