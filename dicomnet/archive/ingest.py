"""The only door into the archive: one received object becomes durable bytes, an index row and an event.

Order: fsync(file), rename, fsync(folder), COMMIT; only then does ``Ingest.store`` return. A crash in between leaves an
object without an index row, which a re-send uses again and ``cloudfilm verify`` reports.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import mmap
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
import structlog

from dicomnet.archive.elements import Buffer
from dicomnet.archive.errors import (
    ArchiveUnavailableError,
    DiskFullError,
    IngestError,
    NotDicomError,
    SopClassMismatchError,
    SopClassUnknownError,
    TooLargeError,
)
from dicomnet.archive.header import Header, file_meta, read_header, read_meta, starts_with_element
from dicomnet.archive.index import (
    Identity,
    IndexEntry,
    NameSealer,
    Written,
    path_values,
    read_entry,
    read_identity,
)
from dicomnet.archive.index_writer import IndexWriter, Row
from dicomnet.archive.layout import DEFAULT_RULE, PathRule, PathRuleInvalidError
from dicomnet.archive.objects import ObjectError, Objects
from dicomnet.archive.record_builder import build_record
from dicomnet.database import Database
from dicomnet.keyring import Keyring

log = structlog.get_logger("dicomnet.archive.ingest")

DEFAULT_MAX_OBJECT_BYTES = 4 << 30
DEFAULT_MIN_FREE_BYTES = 256 << 20
_RULE_REFRESH_S = 5.0
_META_BYTES = 1 << 16
_COMPARED_BYTES = 1 << 22
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_RETRY_DELAYS_S = (0.1, 0.4, 1.0, 2.0, 3.0)


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of an object. ``outcome``: new, duplicate (same bytes) or conflict (kept aside)."""

    outcome: str
    instance_key: int
    series_key: int
    study_key: int
    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    object_key: str
    object_size: int


class Ingest:
    """The door. One per process; safe for many ``store`` calls at once on one event loop."""

    def __init__(
        self,
        database: Database,
        objects: Objects,
        keyring: Keyring,
        *,
        is_storage_class: Callable[[str], bool] | None = None,
        max_object_bytes: int = DEFAULT_MAX_OBJECT_BYTES,
        min_free_bytes: int = DEFAULT_MIN_FREE_BYTES,
        after_commit: Callable[[], None] | None = None,
        threads: int = 8,
    ) -> None:
        """``is_storage_class`` says which SOP classes are kept (None: all); ``after_commit`` wakes consumers."""
        self._database = database
        self._objects = objects
        self._index = IndexWriter(database, NameSealer(keyring))
        self._is_storage_class = is_storage_class
        self._max_object_bytes = max_object_bytes
        self._min_free_bytes = min_free_bytes
        self._after_commit = after_commit
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="ingest")
        self._rules: dict[int, tuple[float, PathRule]] = {}

    def close(self) -> None:
        """Wait for running work and end the threads."""
        self._threads.shutdown(wait=True)

    def check_free_space(self) -> None:
        """Raises DiskFullError when a new object should not be begun."""
        free = self._objects.free_bytes()
        if free is not None and free < self._min_free_bytes:
            raise DiskFullError(free_bytes=free)

    def temporary(self) -> tuple[int, Path]:
        """(descriptor, path) of a file for bytes that arrive in pieces. Raises DiskFullError."""
        self.check_free_space()
        try:
            return self._objects.open_temporary()
        except OSError as error:
            raise _from_os_error(error) from error

    async def store(
        self,
        received: Path | bytes | memoryview,
        *,
        institution_id: int,
        source: str,
        transfer_syntax_uid: str | None = None,
        sop_class_uid: str | None = None,
        sop_instance_uid: str | None = None,
        sop_class_checked: bool = False,
        sha256: bytes = b"",
    ) -> Stored:
        """Archive one object; returns after the commit.

        ``received``: a complete file, which is taken over (moved or removed, whatever happens), or its bytes.
        The UIDs are those that the sender announced outside the data set. ``sop_class_checked``: refuse a data set
        whose class is another one than announced. ``sha256``: of the file, where the receiver hashed it on the way.
        Raises IngestError.
        """
        loop = asyncio.get_running_loop()
        try:
            rule = await self._rule(institution_id)
        except BaseException:
            await loop.run_in_executor(self._threads, _remove, received)
            raise
        announced = _Announced(transfer_syntax_uid, sop_class_uid, sop_instance_uid, sop_class_checked, sha256)
        durable = await loop.run_in_executor(
            self._threads, self._make_durable, received, institution_id, rule, announced
        )
        written = await self._write(institution_id, durable)
        if written.outcome == "new":
            outcome = "new"
        else:
            outcome = await self._settle(institution_id, durable, written)
        if self._after_commit is not None and outcome != "duplicate":
            self._after_commit()
        identity = durable.entry.identity
        if outcome == "conflict" or identity.derived:
            log.warning(
                "ingest.conflict" if outcome == "conflict" else "ingest.uid_derived",
                source=source,
                institution_id=institution_id,
                instance_key=written.instance_key,
            )
        return Stored(
            outcome,
            written.instance_key,
            written.series_key,
            written.study_key,
            identity.sop_instance_uid,
            identity.sop_class_uid,
            identity.study_instance_uid,
            identity.series_instance_uid,
            durable.object_key if outcome == "conflict" else written.object_key,
            durable.object_size,
        )

    async def _rule(self, institution_id: int) -> PathRule:
        """The institution's path rule, read again after five seconds; the default where it cannot be used."""
        now = asyncio.get_running_loop().time()
        known = self._rules.get(institution_id)
        if known is not None and now - known[0] < _RULE_REFRESH_S:
            return known[1]
        try:
            row = await self._database.fetchrow(
                institution_id, "select path_rule from archive.institution where institution_id = $1", institution_id
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if known is not None:
                return known[1]
            raise ArchiveUnavailableError(reason=type(error).__name__) from error
        if row is None:
            raise ArchiveUnavailableError(reason="unknown institution")
        try:
            rule = PathRule.parse(row["path_rule"])
        except PathRuleInvalidError:
            log.warning("ingest.path_rule_invalid", institution_id=institution_id)
            rule = PathRule.parse(DEFAULT_RULE)
        self._rules[institution_id] = (now, rule)
        return rule

    def _make_durable_from_memory(
        self, data: bytes | memoryview, institution_id: int, rule: PathRule, announced: _Announced
    ) -> Row:
        """What ``_make_durable`` does, for the bytes of a Part 10 file: what is refused never touches the disk."""
        try:
            self.check_free_space()
            if len(data) > self._max_object_bytes:
                raise TooLargeError(limit=self._max_object_bytes, size=len(data))
            entry, sha256, values = self._inspect(data, announced)
            key = rule.key(institution_id, values, sha256)
            self._objects.put_bytes(key, data)
            return Row(entry, key, len(data), sha256)
        except OSError as error:
            raise _from_os_error(error) from error
        except ObjectError as error:
            raise ArchiveUnavailableError(reason=error.code) from error

    def _make_durable(
        self, received: Path | bytes | memoryview, institution_id: int, rule: PathRule, announced: _Announced
    ) -> Row:
        """In a thread: check, read the header, name the object, make its bytes durable."""
        if not isinstance(received, Path) and _is_part10(received):
            return self._make_durable_from_memory(received, institution_id, rule, announced)
        temporary = received if isinstance(received, Path) else None
        try:
            self.check_free_space()
            if temporary is None:
                temporary = self._objects.spool(b"" if isinstance(received, Path) else received)
            size = temporary.stat().st_size
            if size > self._max_object_bytes:
                raise TooLargeError(limit=self._max_object_bytes, size=size)
            if size == 0:
                raise NotDicomError(size=0)
            complete = self._with_part10_header(temporary, announced)
            if complete != temporary:
                temporary, announced = complete, replace(announced, sha256=b"")
            with _mapped(temporary) as view:
                entry, sha256, values = self._inspect(view, announced)
                size = len(view)  # with the Part 10 header that a bare data set has got
            key = rule.key(institution_id, values, sha256)
            self._objects.put_file(key, temporary)
            temporary = None
            return Row(entry, key, size, sha256)
        except OSError as error:
            raise _from_os_error(error) from error
        except ObjectError as error:
            raise ArchiveUnavailableError(reason=error.code) from error
        finally:
            if temporary is not None:
                temporary.unlink(missing_ok=True)

    def _with_part10_header(self, temporary: Path, announced: _Announced) -> Path:
        """A file that is stored is a Part 10 file: what came bare gets a preamble and, if missing, a meta group."""
        with temporary.open("rb") as file:
            head = file.read(132)
        if head[128:132] == b"DICM" and not starts_with_element(head):
            return temporary
        with _mapped(temporary) as view:
            header = read_header(view, announced.transfer_syntax_uid)
            identity = read_identity(
                header, hashlib.sha256(view).digest(), announced.sop_class_uid, announced.sop_instance_uid
            )
            if header.meta.elements:
                prefix = bytes(128) + (b"" if head[:4] == b"DICM" else b"DICM")
            else:
                prefix = file_meta(
                    sop_class_uid=identity.sop_class_uid,
                    sop_instance_uid=identity.sop_instance_uid,
                    transfer_syntax_uid=header.transfer_syntax_uid,
                )
            descriptor, path = self._objects.open_temporary()
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(prefix)
                    file.write(view)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        temporary.unlink(missing_ok=True)
        return path

    def _inspect(self, view: Buffer, announced: _Announced) -> tuple[IndexEntry, bytes, dict[str, str]]:
        """(index entry, SHA-256, values for the path rule) of a Part 10 file, read once."""
        header = read_header(view, announced.transfer_syntax_uid)
        sha256 = announced.sha256 or hashlib.sha256(view).digest()
        identity = read_identity(header, sha256, announced.sop_class_uid, announced.sop_instance_uid)
        self._check_class(header, identity, announced)
        record = build_record(header, identity.sop_class_uid, identity.sop_instance_uid)
        return read_entry(header, identity, record), sha256, path_values(header.dataset, identity)

    def _check_class(self, header: Header, identity: Identity, announced: _Announced) -> None:
        if self._is_storage_class is not None and not self._is_storage_class(identity.sop_class_uid):
            raise SopClassUnknownError(sop_class_uid=identity.sop_class_uid)
        said = announced.sop_class_uid
        if not announced.check_class or not said or said == identity.sop_class_uid:
            return
        if self._is_storage_class is None or self._is_storage_class(said):  # else the sender announced no class at all
            raise SopClassMismatchError(announced=said, found=identity.sop_class_uid)

    async def _write(self, institution_id: int, durable: Row) -> Written:
        """Write the index row. A lost connection is tried again: the call may have committed, and is idempotent."""
        for delay_s in (*_RETRY_DELAYS_S, None):
            try:
                return await self._index.write(institution_id, durable)
            except (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError, *_RESTARTING) as error:
                if delay_s is None:
                    raise ArchiveUnavailableError(reason=type(error).__name__) from error
                await asyncio.sleep(delay_s)
            except asyncpg.PostgresError as error:
                log.error("ingest.index_failed", sqlstate=error.sqlstate, institution_id=institution_id)
                raise ArchiveUnavailableError(reason=str(error.sqlstate)) from error
        raise ArchiveUnavailableError(reason="unreachable")

    async def _settle(self, institution_id: int, durable: Row, written: Written) -> str:
        """The UID is in the index already: 'duplicate' or 'conflict'."""
        loop = asyncio.get_running_loop()
        if written.outcome == "duplicate" or await loop.run_in_executor(
            self._threads, self._same_data_set, written.object_key, durable.object_key
        ):
            if durable.object_key != written.object_key:
                await loop.run_in_executor(self._threads, self._discard, durable.object_key)
            return "duplicate"
        await self._database.call(
            "select archive.store_conflict($1, $2, $3, $4, $5)",
            institution_id,
            written.instance_key,
            durable.object_key,
            durable.object_size,
            durable.object_sha256,
        )
        return "conflict"

    def _discard(self, key: str) -> None:
        with contextlib.suppress(ObjectError, OSError):
            self._objects.delete(key)

    def _same_data_set(self, first_key: str, second_key: str) -> bool:
        """Whether two stored objects differ in their file meta only (the same object came by another way)."""
        places: list[tuple[str, int]] = []
        lengths: list[int] = []
        for key in (first_key, second_key):
            size = self._objects.size(key)
            meta, offset = read_meta(self._objects.read_range(key, 0, min(size, _META_BYTES)))
            places.append((meta.text(0x00020010), offset))
            lengths.append(size - offset)
        if places[0][0] != places[1][0] or lengths[0] != lengths[1]:
            return False
        for start in range(0, lengths[0], _COMPARED_BYTES):
            length = min(_COMPARED_BYTES, lengths[0] - start)
            first = self._objects.read_range(first_key, places[0][1] + start, length)
            if first != self._objects.read_range(second_key, places[1][1] + start, length):
                return False
        return True


@dataclass(frozen=True, slots=True)
class _Announced:
    """What the sender said of an object outside of it."""

    transfer_syntax_uid: str | None
    sop_class_uid: str | None
    sop_instance_uid: str | None
    check_class: bool
    sha256: bytes


_RESTARTING = (
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
)


class _mapped:  # noqa: N801  # a context manager, used like a function
    """The bytes of a file, read only, without copying."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> mmap.mmap:
        with self._path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._map

    def __exit__(self, *exc_info: object) -> None:
        with contextlib.suppress(BufferError):  # an exception on its way may still hold a view
            self._map.close()


def _is_part10(data: bytes | memoryview) -> bool:
    """Whether the bytes are stored as they are."""
    return bytes(data[128:132]) == b"DICM" and not starts_with_element(data)


def _remove(received: Path | bytes | memoryview) -> None:
    if isinstance(received, Path):
        received.unlink(missing_ok=True)


def _from_os_error(error: OSError) -> IngestError:
    if error.errno in _NO_SPACE:
        return DiskFullError(reason=errno.errorcode.get(error.errno or 0, ""))
    return ArchiveUnavailableError(reason=errno.errorcode.get(error.errno or 0, "OSError"))
