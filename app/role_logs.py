"""Log files of the roles: appended line by line, bounded in size, open only once."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

LARGEST_BYTES = 20 << 20


class RoleLog:
    """One role's file; at 20 MiB it becomes ``.1`` and starts anew. A full disk loses lines, never the role."""

    def __init__(self, path: Path, largest_bytes: int = LARGEST_BYTES, *, mirror: bool = False) -> None:
        """``mirror``: also to our own standard error, for containers whose logs are collected there."""
        self._path = path
        self._largest_bytes = largest_bytes
        self._mirror = mirror
        self._stream: BinaryIO | None = None
        self._size = 0

    def write(self, line: bytes) -> None:
        """Append one line."""
        if self._mirror:
            with suppress(OSError, ValueError):
                sys.stderr.write(line.decode("utf-8", "replace"))
        try:
            if self._stream is None:
                self._stream = self._path.open("ab", buffering=0)
                self._size = self._stream.tell()
            self._stream.write(line)
            self._size += len(line)
            if self._size > self._largest_bytes:
                self.close()
                self._path.replace(self._path.with_suffix(".log.1"))
        except OSError:
            self.close()

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self._stream is not None:
            with suppress(OSError):
                self._stream.close()
            self._stream = None


def last_line(path: Path) -> str:
    """The last line of a log, to tell a person why; empty when there is none."""
    with suppress(OSError):
        lines = path.read_bytes()[-4096:].decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""
    return ""
