"""Stored bytes under keys: local files or S3, one contract.

A key is a relative path of plain components. ``put_file`` returns only when the bytes and their name survive a power
cut: fsync(file), rename, fsync(folder), and every folder that was new is fsynced in its parent too.
All methods are synchronous and thread-safe; an object is never changed once put.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from dicomnet.errors import DicomnetError

_COMPONENT = r"[0-9A-Za-z_@+=,-][0-9A-Za-z._@+=,-]{0,127}"
_KEY = re.compile(f"{_COMPONENT}(?:/{_COMPONENT})*")
_MAX_KEY_CHARS = 900
MAX_READ_BYTES = 1 << 32


class ObjectError(DicomnetError):
    """Base of the store's errors."""

    code = "objects.failed"
    message = {"zh": "读取存储失败", "en": "The object store failed"}


class ObjectMissingError(ObjectError):
    """No object under that key."""

    code = "objects.missing"
    message = {"zh": "存储中没有该文件", "en": "The object is not in the store"}


class KeyInvalidError(ObjectError):
    """The key would leave the store, or is no key."""

    code = "objects.key_invalid"
    message = {"zh": "存储路径不合法", "en": "The object key is not allowed"}


class RangeInvalidError(ObjectError):
    """The range reaches outside the object."""

    code = "objects.range_invalid"
    message = {"zh": "读取范围超出文件", "en": "The range is outside the object"}


def check_key(key: str) -> str:
    """``key`` when every component is plain (no "..", no separators, no hidden names). Raises KeyInvalidError."""
    if not 0 < len(key) <= _MAX_KEY_CHARS or _KEY.fullmatch(key) is None:
        raise KeyInvalidError(length=len(key))
    return key


class Objects(Protocol):
    """What the rest of the house may do with stored bytes. ``incoming``: where temporary files lie."""

    incoming: Path

    def open_temporary(self) -> tuple[int, Path]:
        """(file descriptor open for reading and writing, path) of a new file from which ``put_file`` is cheap."""
        ...

    def spool(self, data: bytes | memoryview) -> Path:
        """A temporary file with ``data`` for ``put_file(…, synced=True)``. Raises OSError and then leaves nothing."""
        ...

    def put_file(self, key: str, temporary: Path, *, synced: bool = False) -> None:
        """Make the file durable under ``key``; the temporary name is gone afterwards. Raises ObjectError, OSError.

        ``synced``: the file comes from ``spool``, its bytes need no further fsync.
        """
        ...

    def put_bytes(self, key: str, data: bytes | memoryview) -> None:
        """Store ``data`` durably. Raises ObjectError, OSError."""
        ...

    def read(self, key: str) -> bytes:
        """All bytes. Raises ObjectMissingError."""
        ...

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``. Raises ObjectMissingError, RangeInvalidError."""
        ...

    def chunks(self, key: str, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """The bytes in pieces. Raises ObjectMissingError."""
        ...

    def size(self, key: str) -> int:
        """Length in bytes. Raises ObjectMissingError."""
        ...

    def exists(self, key: str) -> bool:
        """Whether there is an object under ``key``."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens where there is none."""
        ...

    def listing(self, prefix: str = "") -> Iterator[tuple[str, int, float]]:
        """(key, size in bytes, modification time as Unix seconds) of every object under ``prefix``."""
        ...

    def free_bytes(self) -> int | None:
        """Free space for new objects; None where that has no meaning."""
        ...


class LocalObjects:
    """Objects as plain files under ``root/objects``, temporary files beside them under ``root/incoming``."""

    def __init__(self, root: Path) -> None:
        self.root = root / "objects"
        self.incoming = root / "incoming"
        for folder in (self.root, self.incoming):
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)

    def path(self, key: str) -> Path:
        """The file of ``key``. Raises KeyInvalidError."""
        return self.root / check_key(key)

    def open_temporary(self) -> tuple[int, Path]:
        path = self.incoming / f"{os.getpid()}-{secrets.token_hex(8)}.part"
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640), path

    def spool(self, data: bytes | memoryview) -> Path:
        descriptor, path = self.open_temporary()
        try:
            try:
                write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def put_file(self, key: str, temporary: Path, *, synced: bool = False) -> None:
        target = self.path(key)
        if not synced:
            _fsync(temporary, os.O_RDONLY)
        folder = target.parent
        try:
            temporary.rename(target)
        except FileNotFoundError:
            self._make_folders(folder)
            temporary.rename(target)
        _fsync(folder, os.O_RDONLY | os.O_DIRECTORY)

    def _make_folders(self, folder: Path) -> None:
        """Create ``folder`` and its parents; each new name is made durable in its parent."""
        missing: list[Path] = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for new in reversed(missing):
            with contextlib.suppress(FileExistsError):
                new.mkdir(mode=0o750)
            _fsync(new.parent, os.O_RDONLY | os.O_DIRECTORY)

    def put_bytes(self, key: str, data: bytes | memoryview) -> None:
        check_key(key)
        temporary = self.spool(data)
        try:
            self.put_file(key, temporary, synced=True)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def read(self, key: str) -> bytes:
        try:
            return self.path(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            raise ObjectMissingError() from None

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        if offset < 0 or not 0 <= length <= MAX_READ_BYTES:
            raise RangeInvalidError(offset=offset, length=length)
        with self._open(key) as descriptor:
            pieces: list[bytes] = []
            while length > 0:
                piece = os.pread(descriptor, length, offset)
                if not piece:
                    raise RangeInvalidError(offset=offset, length=length)
                pieces.append(piece)
                offset += len(piece)
                length -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @contextlib.contextmanager
    def _open(self, key: str) -> Iterator[int]:
        try:
            descriptor = os.open(self.path(key), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise ObjectMissingError() from None
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def chunks(self, key: str, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        with self._open(key) as descriptor:
            while piece := os.read(descriptor, chunk_bytes):
                yield piece

    def size(self, key: str) -> int:
        try:
            return self.path(key).stat().st_size
        except FileNotFoundError:
            raise ObjectMissingError() from None

    def exists(self, key: str) -> bool:
        return self.path(key).is_file()

    def delete(self, key: str) -> None:
        path = self.path(key)
        try:
            path.unlink()
        except FileNotFoundError:
            return
        _fsync(path.parent, os.O_RDONLY | os.O_DIRECTORY)

    def listing(self, prefix: str = "") -> Iterator[tuple[str, int, float]]:
        start = self.root / check_key(prefix) if prefix else self.root
        for folder, folders, names in os.walk(start):
            folders.sort()
            for name in sorted(names):
                path = Path(folder) / name
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    yield path.relative_to(self.root).as_posix(), status.st_size, status.st_mtime

    def free_bytes(self) -> int | None:
        return shutil.disk_usage(self.incoming).free

    def remove_stale_temporaries(self, older_than_s: float = 0.0) -> int:
        """Delete what processes that no longer live left half-received; returns how many files.

        ``older_than_s`` spares files of living processes of another host that shares the folder.
        """
        removed = 0
        now = time.time()
        for path in self.incoming.glob("*.part"):
            pid = path.name.partition("-")[0]
            with contextlib.suppress(FileNotFoundError):
                if (pid.isdigit() and _alive(int(pid))) or now - path.stat().st_mtime < older_than_s:
                    continue
                path.unlink()
                removed += 1
        return removed


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_objects(url: str, home: Path) -> Objects:
    """The store of the settings: files under ``home/blobs`` where ``url`` is empty, else ``s3://bucket/prefix``.

    Raises KeyInvalidError for any other URL.
    """
    if not url:
        return LocalObjects(home / "blobs")
    if url.startswith("s3://"):
        from dicomnet.archive.objects_s3 import S3Objects  # an extra: cloudfilm[s3]

        return S3Objects(url, home / "incoming")
    if url.startswith("file://"):
        return LocalObjects(Path(url.removeprefix("file://")))
    raise KeyInvalidError(reason="unknown blobs_url")
