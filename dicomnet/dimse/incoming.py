"""A data set on its way in: kept in memory while it is small, in a temporary file when it grows; hashed as it goes."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

OpenTemporary = Callable[[], tuple[int, Path]]


class Incoming:
    """One object being received.

    Creating a file may wait for a commit of the file system's journal, which another association's fsync has begun: on
    the event loop every association would wait with it. So an object that fits into ``memory`` (reused by its
    association from object to object) touches no file here; a thread writes it in one piece later.
    After a write error the rest is read and dropped: the peer gets a status, ``error`` holds the stable code.
    """

    def __init__(self, open_temporary: OpenTemporary, memory: bytearray, head: bytes, limit: int) -> None:
        self.path: Path | None = None
        self.length = 0
        self.error = ""
        self.sha256 = hashlib.sha256()
        self._open_temporary = open_temporary
        self._memory = memory
        self._limit = limit
        self._descriptor = -1
        self.write(head)

    @property
    def content(self) -> Path | memoryview:
        """The complete object: its file, or its bytes, valid until the association receives the next one."""
        return self.path if self.path is not None else memoryview(self._memory)[: self.length].toreadonly()

    def write(self, data: bytes | memoryview) -> None:
        """Take the next bytes; never raises."""
        begin, self.length = self.length, self.length + len(data)
        if self.error:
            return
        if self.length > self._limit:
            self.error = "ingest.too_large"
            return
        self.sha256.update(data)
        if self._descriptor < 0 and self.length <= len(self._memory):
            self._memory[begin : self.length] = data
            return
        try:
            if self._descriptor < 0:
                self._descriptor, self.path = self._open_temporary()
                self._to_file(memoryview(self._memory)[:begin])
            self._to_file(memoryview(data))
        except OSError as error:
            self.error = _code_of(error)

    def _to_file(self, view: memoryview) -> None:
        while view:
            view = view[os.write(self._descriptor, view) :]

    def close(self) -> None:
        """No more bytes follow."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def discard(self) -> None:
        """Leave nothing behind; a file that was handed over is gone by then."""
        self.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _code_of(error: OSError) -> str:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return "ingest.disk_full" if full else "ingest.unavailable"
