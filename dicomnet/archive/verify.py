"""Compare the object store with the index: every stored object against its hash, what is missing, what is left over."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from dicomnet.archive.objects import ObjectError, ObjectMissingError, Objects
from dicomnet.database import Database

_BATCH = 500
# An object is durable before its index row: younger ones may be on their way.
ORPHAN_AGE_S = 3600.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One object that is not as it should be. ``problem``: missing, changed, unreadable or orphan."""

    problem: str
    object_key: str
    institution_id: int | None = None
    instance_key: int | None = None


@dataclass(slots=True)
class Report:
    """Sums of a run; ``findings`` holds every fault."""

    checked: int = 0
    bytes_checked: int = 0
    findings: list[Finding] = field(default_factory=list[Finding])

    @property
    def ok(self) -> bool:
        """Whether nothing is lost or changed (orphans are harmless)."""
        return all(finding.problem == "orphan" for finding in self.findings)


async def verify(
    database: Database,
    objects: Objects,
    institution_ids: list[int],
    *,
    orphan_age_s: float = ORPHAN_AGE_S,
    remove_orphans: bool = False,
    on_progress: Callable[[Report], None] | None = None,
) -> Report:
    """Read every object of the institutions; bounded memory. With ``remove_orphans`` left-over objects are deleted.

    An object counts as an orphan when no index row names it and it is older than ``orphan_age_s``.
    """
    report = Report()
    for institution_id in institution_ids:
        async for row in _rows(database, institution_id):
            finding, size = await asyncio.to_thread(_check, objects, institution_id, row)
            report.checked += 1
            report.bytes_checked += size
            if finding is not None:
                report.findings.append(finding)
            if on_progress is not None:
                on_progress(report)
        await _find_orphans(database, objects, institution_id, report, orphan_age_s, remove_orphans)
    return report


async def _rows(database: Database, institution_id: int) -> AsyncIterator[Any]:
    """Every object of the index, instances first, then those kept aside, in batches by key."""
    for table, key in (("instance", "instance_key"), ("conflict", "conflict_key")):
        last = 0
        while True:
            rows = await database.fetch(
                institution_id,
                f"select {key} as row_key, instance_key, object_key, object_size, object_sha256"  # noqa: S608
                f" from archive.{table} where {key} > $1 order by {key} limit {_BATCH}",
                last,
            )
            for row in rows:
                yield row
            if len(rows) < _BATCH:
                break
            last = rows[-1]["row_key"]


def _check(objects: Objects, institution_id: int, row: Any) -> tuple[Finding | None, int]:
    digest = hashlib.sha256()
    size = 0
    try:
        for chunk in objects.chunks(row["object_key"]):
            digest.update(chunk)
            size += len(chunk)
    except ObjectMissingError:
        return Finding("missing", row["object_key"], institution_id, row["instance_key"]), 0
    except (ObjectError, OSError):
        return Finding("unreadable", row["object_key"], institution_id, row["instance_key"]), size
    if size != row["object_size"] or digest.digest() != row["object_sha256"]:
        return Finding("changed", row["object_key"], institution_id, row["instance_key"]), size
    return None, size


async def _find_orphans(
    database: Database,
    objects: Objects,
    institution_id: int,
    report: Report,
    orphan_age_s: float,
    remove_orphans: bool,
) -> None:
    oldest_allowed = time.time() - orphan_age_s
    listing = objects.listing(f"i{institution_id}")
    while batch := await asyncio.to_thread(_take, listing):
        candidates = [key for key, _, modified in batch if modified <= oldest_allowed]
        rows = await database.fetch(
            institution_id,
            "select object_key from archive.instance where object_key = any ($1::text[])"
            " union all select object_key from archive.conflict where object_key = any ($1::text[])",
            candidates,
        )
        known = {row["object_key"] for row in rows}
        for key in candidates:
            if key not in known:
                report.findings.append(Finding("orphan", key, institution_id))
                if remove_orphans:
                    await asyncio.to_thread(objects.delete, key)


def _take(listing: Any) -> list[tuple[str, int, float]]:
    batch: list[tuple[str, int, float]] = []
    for item in listing:
        batch.append(item)
        if len(batch) == _BATCH:
            break
    return batch
