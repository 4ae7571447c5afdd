"""``cloudfilm import`` and ``cloudfilm verify``."""

from __future__ import annotations

import asyncio
import shutil
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from app.cli import parser
from app.commands import print_result, run_with_services
from app.errors import describe_error
from app.services import Services
from app.settings import Settings
from dicomnet.archive.ingest import Ingest
from dicomnet.archive.verify import Report
from dicomnet.archive.verify import verify as verify_objects

_CHUNK = 1 << 20
_PROGRESS_EVERY = 25
_AT_ONCE = 4
_NOT_IMAGES = {"dicomdir"}


def import_files(settings: Settings, argv: list[str]) -> int:
    """``import PATH [--institution I] [--json]``: a file, a folder or a zip; status 1 when something was refused."""
    arguments = parser("import", import_files.__doc__ or "")
    arguments.add_argument("path", type=Path)
    arguments.add_argument("--institution")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args(argv)
    if not given.path.exists():
        arguments.error(f"there is no {given.path}")

    async def work(services: Services) -> int:
        institution_id = await services.institutions.resolve(given.institution)
        tally = _Tally()
        sources = _sources(given.path, services.ingest, settings.max_upload_mb << 20)
        await asyncio.gather(*(_take_in(sources, services.ingest, institution_id, tally) for _ in range(_AT_ONCE)))
        _progress("")
        outcomes = tally.outcomes
        await services.audit.record(
            institution_id, "system:command", "import", frame_count=outcomes["new"], details={"files": outcomes.total()}
        )
        summary = {name: outcomes[name] for name in ("new", "duplicate", "conflict", "refused")}
        print_result({**summary, "studies": len(tally.studies)}, as_json=given.json)
        return 1 if outcomes["refused"] else 0

    return run_with_services(settings, work)


@dataclass(slots=True)
class _Tally:
    outcomes: Counter[str] = field(default_factory=Counter[str])
    studies: set[int] = field(default_factory=set[int])


async def _take_in(sources: Iterator[tuple[str, Path]], ingest: Ingest, institution_id: int, tally: _Tally) -> None:
    """Take files from the shared iterator until it ends; a refusal is told and counted, a failure of ours ends all."""
    for name, temporary in sources:
        try:
            stored = await ingest.store(temporary, institution_id=institution_id, source="import")
            tally.outcomes[stored.outcome] += 1
            tally.studies.add(stored.study_key)
        except Exception as error:
            described = describe_error(error)
            if described is None or described.statuses.http >= 500:
                raise
            tally.outcomes["refused"] += 1
            print(f"{name}: {described.message['en']} [{described.code}]", file=sys.stderr)
        finally:
            temporary.unlink(missing_ok=True)
        if tally.outcomes.total() % _PROGRESS_EVERY == 0:
            counted = tally.outcomes
            _progress(f"{counted.total()} files, {counted['new']} new, {counted['refused']} refused")


def _sources(path: Path, ingest: Ingest, limit: int) -> Iterator[tuple[str, Path]]:
    """(name to show, temporary copy on the store's own file system) of each file; the originals stay untouched."""
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if p.is_file() and p.name.lower() not in _NOT_IMAGES):
            if _is_zip(file):
                yield from _members(file, ingest, limit)
            else:
                with file.open("rb") as stream:
                    yield str(file.relative_to(path)), _copied(stream, ingest, limit)
    elif _is_zip(path):
        yield from _members(path, ingest, limit)
    else:
        with path.open("rb") as stream:
            yield path.name, _copied(stream, ingest, limit)


def _is_zip(path: Path) -> bool:
    """By its first bytes: pixel data may hold whatever the end of a zip looks like."""
    with path.open("rb") as stream:
        return stream.read(2) == b"PK" and zipfile.is_zipfile(path)


def _members(path: Path, ingest: Ingest, limit: int) -> Iterator[tuple[str, Path]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir() and Path(member.filename).name.lower() not in _NOT_IMAGES:
                with archive.open(member) as stream:
                    yield f"{path.name}/{member.filename}", _copied(stream, ingest, limit)


def _copied(stream: IO[bytes], ingest: Ingest, limit: int) -> Path:
    """The bytes in a file the door may rename; one byte more than allowed is enough to be refused there."""
    descriptor, temporary = ingest.temporary()
    with open(descriptor, "wb") as target:  # noqa: PTH123  # a descriptor, not a path
        left = limit + 1
        while left > 0 and (chunk := stream.read(min(_CHUNK, left))):
            target.write(chunk)
            left -= len(chunk)
    return temporary


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        with suppress(OSError):
            print(f"\r{text[:width].ljust(width)}\r", end="", file=sys.stderr, flush=True)


def verify(settings: Settings, argv: list[str]) -> int:
    """``verify [--remove-orphans] [--json]``: stored objects against their hashes, the audit against its chain."""
    arguments = parser("verify", verify.__doc__ or "")
    arguments.add_argument("--remove-orphans", action="store_true", help="delete objects that no index row names")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args(argv)

    def shown(report: Report) -> None:
        if report.checked % 200 == 0:
            _progress(f"{report.checked} objects, {report.bytes_checked >> 20} MiB")

    async def work(services: Services) -> int:
        identifiers = [row[0] for row in await services.institutions.all()]
        report = await verify_objects(
            services.database, services.objects, identifiers, remove_orphans=given.remove_orphans, on_progress=shown
        )
        _progress("")
        for finding in report.findings:
            print(f"{finding.problem}: {finding.object_key}", file=sys.stderr)
        broken: dict[str, int] = {}
        for identifier in identifiers:
            if (number := await services.audit.first_broken(identifier)) is not None:
                broken[str(identifier)] = number
                print(f"audit chain of institution {identifier} is broken at entry {number}", file=sys.stderr)
        result: dict[str, object] = {
            "objects": report.checked,
            "bytes": report.bytes_checked,
            **Counter(finding.problem for finding in report.findings),
            "audit_broken_at": broken,
            "ok": report.ok and not broken,
        }
        print_result(result, as_json=given.json)
        return 0 if result["ok"] else 1

    return run_with_services(settings, work)
