"""Objects in an S3 bucket through obstore: the contract of ``objects.Objects`` (extra ``cloudfilm[s3]``).

S3 answers a put only when the object is durable, so put_file is one upload. Credentials come from the environment
(``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_ENDPOINT``, ``AWS_REGION``), never from the URL.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.exceptions import NotFoundError as StoreNotFoundError
from obstore.store import S3Store

from dicomnet.archive.objects import (
    MAX_READ_BYTES,
    KeyInvalidError,
    ObjectError,
    ObjectMissingError,
    RangeInvalidError,
    check_key,
)


class S3Objects:
    """``url``: ``s3://bucket/prefix``. Temporary files lie in the local folder ``incoming``."""

    def __init__(self, url: str, incoming: Path, **options: Any) -> None:
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not bucket:
            raise KeyInvalidError(reason="bucket")
        self.incoming = incoming
        self.incoming.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._store = S3Store(bucket, prefix=prefix.strip("/") or None, **options)

    def open_temporary(self) -> tuple[int, Path]:
        path = self.incoming / f"{os.getpid()}-{secrets.token_hex(8)}.part"
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640), path

    def spool(self, data: bytes | memoryview) -> Path:
        descriptor, path = self.open_temporary()
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def put_file(self, key: str, temporary: Path, *, synced: bool = False) -> None:
        self._put(check_key(key), temporary)
        temporary.unlink(missing_ok=True)

    def put_bytes(self, key: str, data: bytes | memoryview) -> None:
        self._put(check_key(key), data)

    def _put(self, key: str, source: Path | bytes | memoryview) -> None:
        try:
            obstore.put(self._store, key, source)
        except BaseError as error:
            raise ObjectError(reason=type(error).__name__) from error

    def read(self, key: str) -> bytes:
        return b"".join(self.chunks(key))

    def chunks(self, key: str, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        try:
            for chunk in obstore.get(self._store, check_key(key)).stream(min_chunk_size=chunk_bytes):
                yield bytes(chunk)
        except (StoreNotFoundError, FileNotFoundError):
            raise ObjectMissingError() from None
        except BaseError as error:
            raise ObjectError(reason=type(error).__name__) from error

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        if offset < 0 or not 0 <= length <= MAX_READ_BYTES:
            raise RangeInvalidError(offset=offset, length=length)
        if length == 0:
            self.size(key)
            return b""
        try:
            data = bytes(obstore.get_range(self._store, check_key(key), start=offset, length=length))
        except (StoreNotFoundError, FileNotFoundError):
            raise ObjectMissingError() from None
        except BaseError as error:
            if self.size(key) < offset + length:
                raise RangeInvalidError(offset=offset, length=length) from None
            raise ObjectError(reason=type(error).__name__) from error
        if len(data) != length:
            raise RangeInvalidError(offset=offset, length=length)
        return data

    def size(self, key: str) -> int:
        try:
            return int(obstore.head(self._store, check_key(key))["size"])
        except (StoreNotFoundError, FileNotFoundError):
            raise ObjectMissingError() from None
        except BaseError as error:
            raise ObjectError(reason=type(error).__name__) from error

    def exists(self, key: str) -> bool:
        try:
            self.size(key)
        except ObjectMissingError:
            return False
        return True

    def delete(self, key: str) -> None:
        try:
            obstore.delete(self._store, check_key(key))
        except (StoreNotFoundError, FileNotFoundError):
            return
        except BaseError as error:
            raise ObjectError(reason=type(error).__name__) from error

    def listing(self, prefix: str = "") -> Iterator[tuple[str, int, float]]:
        for page in obstore.list(self._store, prefix=check_key(prefix) if prefix else None):
            for item in page:
                yield str(item["path"]), int(item["size"]), item["last_modified"].timestamp()

    def free_bytes(self) -> int | None:
        return None
