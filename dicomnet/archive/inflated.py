"""Deflated data sets, inflated once into temporary files, so that a frame is a ranged read and not a new inflation.

A multi-frame object of 5,000 frames would otherwise be inflated as a whole for each of them. Files have no name (they
are gone when their descriptor is) and their number and bytes are bounded; the least used goes first. Thread-safe.
"""

from __future__ import annotations

import os
import tempfile
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dicomnet.archive.errors import NotDicomError, TooLargeError, TruncatedError
from dicomnet.archive.header import MAX_INFLATED_BYTES
from dicomnet.archive.objects import Objects

_PIECE_BYTES = 1 << 20


@dataclass(slots=True)
class _Copy:
    """One inflated data set; ``descriptor`` is -1 until it is whole, and again when it was dropped."""

    descriptor: int = -1
    nbytes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class InflatedFiles:
    """At most ``most_bytes`` in ``most_files`` files, of which the newest always stays."""

    def __init__(self, most_bytes: int = 2 << 30, most_files: int = 16) -> None:
        self._most_bytes = most_bytes
        self._most_files = most_files
        self._copies: OrderedDict[tuple[int, str], _Copy] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, objects: Objects, key: str, begin: int, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset`` of the inflated data set that begins at ``begin`` of an object.

        Fewer where it ends before. Raises ObjectError, NotDicomError, TooLargeError, TruncatedError, OSError.
        """
        copy = self._claim((id(objects), key))
        with copy.lock:
            if copy.descriptor < 0:
                copy.descriptor, copy.nbytes = _inflate(objects, key, begin)
            data = os.pread(copy.descriptor, length, offset)
        self._trim()
        return data

    def _claim(self, name: tuple[int, str]) -> _Copy:
        with self._lock:
            copy = self._copies.setdefault(name, _Copy())
            self._copies.move_to_end(name)
            return copy

    def _trim(self) -> None:
        """Drop the least used; one that is being read is waited for (a read is short, an inflation keeps its place)."""
        while True:
            with self._lock:
                whole = [name for name, copy in self._copies.items() if copy.descriptor >= 0]
                used = sum(self._copies[name].nbytes for name in whole)
                if len(whole) < 2 or (len(whole) <= self._most_files and used <= self._most_bytes):
                    return
                copy = self._copies.pop(whole[0])
            _drop(copy)

    @property
    def used_bytes(self) -> int:
        """Bytes of all files."""
        with self._lock:
            return sum(copy.nbytes for copy in self._copies.values())

    def close(self) -> None:
        """Drop everything."""
        with self._lock:
            copies = list(self._copies.values())
            self._copies.clear()
        for copy in copies:
            _drop(copy)


def _drop(copy: _Copy) -> None:
    with copy.lock:
        if copy.descriptor >= 0:
            os.close(copy.descriptor)
            copy.descriptor, copy.nbytes = -1, 0


def _inflate(objects: Objects, key: str, begin: int) -> tuple[int, int]:
    """(descriptor of a file without a name, its bytes)."""
    objects.incoming.mkdir(parents=True, exist_ok=True)
    descriptor, path = tempfile.mkstemp(prefix="inflated-", dir=objects.incoming)
    try:
        Path(path).unlink()
        total = 0
        for piece in _pieces(objects, key, begin):
            total += len(piece)
            if total > MAX_INFLATED_BYTES:
                raise TooLargeError(limit=MAX_INFLATED_BYTES)
            os.write(descriptor, piece)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, total


def _pieces(objects: Objects, key: str, begin: int) -> Iterator[bytes]:
    """Inflated pieces of at most 1 MiB (PS3.5 A.5, RFC 1951)."""
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    skip = begin
    for chunk in objects.chunks(key):
        data = chunk[skip:]
        skip = max(0, skip - len(chunk))
        while data and not engine.eof:
            try:
                piece = engine.decompress(data, _PIECE_BYTES)
            except zlib.error:
                raise NotDicomError(reason="deflated data set") from None
            if piece:
                yield piece
            data = engine.unconsumed_tail
        if engine.eof:
            return
    while not engine.eof:
        piece = engine.decompress(engine.unconsumed_tail, _PIECE_BYTES)
        if not piece:
            raise TruncatedError(reason="deflated data set")
        yield piece


inflated_files = InflatedFiles()
