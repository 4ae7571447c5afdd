"""Deflated data sets are inflated once, into bounded temporary files."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dicomnet.archive import inflated
from dicomnet.archive.errors import NotDicomError, TooLargeError, TruncatedError
from dicomnet.archive.inflated import InflatedFiles
from dicomnet.archive.objects import LocalObjects, ObjectMissingError

HEAD = b"preamble and meta group"


class CountingObjects(LocalObjects):
    """Counts how often an object is read as a whole."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads = 0
        self.lock = threading.Lock()

    def chunks(self, key: str, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        with self.lock:
            self.reads += 1
        return super().chunks(key, 1000)


def deflated(data: bytes) -> bytes:
    engine = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return HEAD + engine.compress(data) + engine.flush()


@pytest.fixture
def objects(tmp_path: Path) -> CountingObjects:
    return CountingObjects(tmp_path)


def frames(count: int, side: int = 64) -> bytes:
    return np.random.default_rng(count).integers(0, 255, count * side * side, np.uint8).tobytes()


def test_five_thousand_frames_cost_one_inflation(objects: CountingObjects) -> None:
    data = frames(5000)
    objects.put_bytes("a/b", deflated(data))
    files = InflatedFiles()
    size = 64 * 64
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: files.read(objects, "a/b", len(HEAD), i * size, size), range(5000)))
    assert b"".join(found) == data
    assert objects.reads == 1
    assert files.used_bytes == len(data)
    assert not list(objects.incoming.iterdir())  # the file has no name
    files.close()
    assert files.used_bytes == 0
    assert files.read(objects, "a/b", len(HEAD), 0, 10) == data[:10]
    files.close()


def test_files_and_bytes_are_bounded(objects: CountingObjects) -> None:
    for name in "abcd":
        objects.put_bytes(f"x/{name}", deflated(name.encode() * 1000))
    files = InflatedFiles(most_bytes=2500, most_files=8)
    for name in "abcab":
        assert files.read(objects, f"x/{name}", len(HEAD), 5, 3) == name.encode() * 3
        assert files.used_bytes <= 2500
    assert objects.reads == 5  # c put a out, a put b out
    assert files.read(objects, "x/b", len(HEAD), 990, 100) == b"b" * 10
    files.close()
    few = InflatedFiles(most_files=2)
    for name in "abcd":
        few.read(objects, f"x/{name}", len(HEAD), 0, 1)
    assert few.used_bytes == 2000
    few.close()


def test_what_cannot_be_inflated_is_told_and_tried_again(
    objects: CountingObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.put_bytes("x/short", deflated(frames(20))[:-50])
    objects.put_bytes("x/wrong", HEAD + b"\xff" * 100)
    objects.put_bytes("x/good", deflated(b"1" * 5000))
    files = InflatedFiles()
    for key, error in (("x/short", TruncatedError), ("x/wrong", NotDicomError), ("x/none", ObjectMissingError)):
        with pytest.raises(error):
            files.read(objects, key, len(HEAD), 0, 10)
    monkeypatch.setattr(inflated, "MAX_INFLATED_BYTES", 4000)
    with pytest.raises(TooLargeError):
        files.read(objects, "x/good", len(HEAD), 0, 10)
    monkeypatch.setattr(inflated, "MAX_INFLATED_BYTES", 5000)
    assert files.read(objects, "x/good", len(HEAD), 4999, 10) == b"1"
    assert files.used_bytes == 5000
    files.close()
