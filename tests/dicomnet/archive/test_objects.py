"""One contract for every object store."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dicomnet.archive.objects import (
    KeyInvalidError,
    LocalObjects,
    ObjectMissingError,
    Objects,
    RangeInvalidError,
    open_objects,
)


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """A local S3 server (moto) with the bucket cloudfilm-test."""
    program = shutil.which("moto_server")
    if program is None:
        pytest.skip("moto_server is not installed")
    process = subprocess.Popen([program, "-p", "0"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    address = next((found[0] for line in process.stderr if (found := re.search(r"http://127.0.0.1:\d+", line))), None)
    if address is None:
        pytest.skip("moto_server does not start")
    drain = threading.Thread(target=process.stderr.read, daemon=True)
    drain.start()
    with urllib.request.urlopen(urllib.request.Request(f"{address}/cloudfilm-test", method="PUT"), timeout=10):
        yield address
    process.terminate()
    process.wait(10)
    drain.join(10)
    process.stderr.close()


@pytest.fixture(params=["local", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Objects:
    if request.param == "local":
        return LocalObjects(tmp_path / "store")
    monkeypatch.setenv("AWS_ENDPOINT", request.getfixturevalue("s3_endpoint"))
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return open_objects(f"s3://cloudfilm-test/{tmp_path.name}", tmp_path)


def temporary(objects: Objects, data: bytes) -> Path:
    descriptor, path = objects.open_temporary()
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    return path


def test_a_file_is_put_under_its_key_and_its_temporary_name_is_gone(objects: Objects) -> None:
    path = temporary(objects, b"0123456789")
    objects.put_file("i1/a/b/c.dcm", path)
    assert not path.exists()
    assert objects.read("i1/a/b/c.dcm") == b"0123456789"
    assert objects.size("i1/a/b/c.dcm") == 10
    assert objects.exists("i1/a/b/c.dcm")
    assert b"".join(objects.chunks("i1/a/b/c.dcm", 3)) == b"0123456789"
    assert [(key, size) for key, size, _ in objects.listing("i1")] == [("i1/a/b/c.dcm", 10)]


def test_ranges_are_exact_or_refused(objects: Objects) -> None:
    objects.put_bytes("x/y", b"0123456789")
    assert objects.read_range("x/y", 3, 4) == b"3456"
    assert objects.read_range("x/y", 10, 0) == b""
    for offset, length in ((8, 3), (11, 1), (-1, 2), (0, -1), (0, 1 << 40)):
        with pytest.raises(RangeInvalidError):
            objects.read_range("x/y", offset, length)


def test_what_is_not_there_is_missing(objects: Objects) -> None:
    assert not objects.exists("no/such")
    calls: list[Callable[[], object]] = [
        lambda: objects.read("no/such"),
        lambda: objects.read_range("no/such", 0, 1),
        lambda: objects.size("no/such"),
        lambda: list(objects.chunks("no/such")),
    ]
    for call in calls:
        with pytest.raises(ObjectMissingError):
            call()
    objects.delete("no/such")
    objects.put_bytes("no/such", b"x")
    objects.delete("no/such")
    assert not objects.exists("no/such")


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/.b", "a/b/", "a\\b", "a\0b", "x" * 901, "a/."]
)
def test_a_key_never_leaves_the_store(objects: Objects, key: str) -> None:
    for call in (objects.read, objects.size, objects.exists, objects.delete):
        with pytest.raises(KeyInvalidError):
            call(key)
    with pytest.raises(KeyInvalidError):
        objects.put_bytes(key, b"x")


def test_a_reader_sees_the_whole_object_or_none(objects: Objects) -> None:
    data = os.urandom(1 << 20)
    seen: list[bytes] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            if objects.exists("a/b"):
                seen.append(objects.read("a/b"))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(5):
        objects.put_bytes("a/b", data)
    done.set()
    reader.join()
    assert all(item == data for item in seen)


def test_durable_means_file_then_name_then_every_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = LocalObjects(tmp_path)
    path = temporary(objects, b"x")
    steps: list[str] = []
    real_fsync, real_rename = os.fsync, Path.rename

    def fsync(descriptor: int) -> None:
        steps.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        real_fsync(descriptor)

    def rename(source: Path, target: Path) -> Path:
        result = real_rename(source, target)
        steps.append("rename")
        return result

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    objects.put_file("i1/day/object.dcm", path)
    assert steps == [f"fsync {path.name}", "fsync objects", "fsync i1", "rename", "fsync day"]


def test_what_dead_processes_left_is_removed_and_the_living_keep_theirs(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    mine = temporary(objects, b"x")
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    (objects.incoming / f"{pid}-abc.part").write_bytes(b"half")
    assert objects.remove_stale_temporaries() == 1
    assert list(objects.incoming.iterdir()) == [mine]


def test_other_addresses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyInvalidError):
        open_objects("ftp://host/x", tmp_path)
    assert isinstance(open_objects("", tmp_path), LocalObjects)
