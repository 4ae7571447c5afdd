"""The DICOM server process from outside: order of durability, killed processes, bad input, institutions."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import random
import shutil
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.transport import AssociationSocket

from dicomnet.archive.objects import LocalObjects
from dicomnet.archive.verify import verify
from dicomnet.database import Database
from dicomnet.dimse.scp import reserve_port
from dicomnet.embedded_postgres import EmbeddedPostgres
from dicomnet.migrate import migrate
from tests.conftest import MIGRATIONS, Urls
from tests.support import durable_order
from tests.support.dicom_files import make_ct
from tests.support.scp_process import ScpProcess, associated, send

MUTATIONS = ["no fsync of the file", "no fsync of the folder", "no commit"]


def series(count: int, **changes: Any) -> list[FileDataset]:
    """Instances of one series."""
    study, of_series = generate_uid(), generate_uid()
    return [
        make_ct(StudyInstanceUID=study, SeriesInstanceUID=of_series, InstanceNumber=number, **changes)
        for number in range(1, count + 1)
    ]


@pytest.fixture
def scp(tmp_path: Path, urls: Urls, institution: int) -> Iterator[ScpProcess]:
    server = ScpProcess(tmp_path, urls.runtime)
    server.start()
    yield server
    assert server.stop() == 0


async def test_sent_objects_are_archived_for_the_called_institution(
    scp: ScpProcess, database: Database, institution: int, second_institution: int
) -> None:
    datasets = series(3)
    first = await asyncio.to_thread(send, scp.port, datasets)
    second = await asyncio.to_thread(send, scp.port, datasets, "SECOND")
    assert [status.Status for status in first + second] == [0] * 6
    for number in (institution, second_institution):
        rows = await database.fetch(number, "select sop_instance_uid, institution_id from archive.instance order by 1")
        assert [row["sop_instance_uid"] for row in rows] == sorted(ds.SOPInstanceUID for ds in datasets)
        assert {row["institution_id"] for row in rows} == {number}


async def test_an_unknown_or_suspended_title_is_rejected(
    scp: ScpProcess, database: Database, second_institution: int
) -> None:
    await database.fetchval(None, "select archive.set_institution_suspended('two', true)")
    for title in ("NOBODY", "SECOND"):
        with pytest.raises(ConnectionError, match="rejected"):
            await asyncio.to_thread(send, scp.port, series(1), title)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"PixelData": bytes(20)}, 0xC003, "ingest.pixel_data_short"),
        ({"SeriesInstanceUID": "../../x"}, 0xC006, "ingest.uid_invalid"),
    ],
)
@pytest.mark.filterwarnings("ignore")
async def test_a_refusal_has_a_status_and_its_code_as_comment(
    scp: ScpProcess, database: Database, institution: int, changes: dict[str, Any], status: int, code: str
) -> None:
    good, bad = make_ct(), make_ct()
    for keyword, value in changes.items():
        setattr(bad, keyword, value)

    def run() -> list[Any]:
        with associated(scp.port, good) as association:
            return [association.send_c_store(bad), association.send_c_store(good)]

    refused, accepted = await asyncio.to_thread(run)
    assert refused.Status == status
    assert refused.ErrorComment == code
    assert accepted.Status == 0
    assert await database.fetchval(institution, "select count(*) from archive.instance") == 1
    assert list((scp.home / "blobs" / "incoming").iterdir()) == []
    log = (scp.home / "scp.log").read_text()
    (entry,) = [json.loads(line) for line in log.splitlines() if "dimse.store_refused" in line]
    assert (entry["code"], entry["status"]) == (code, f"0x{status:04X}")
    assert entry["calling_ae_title"] == "TESTSCU"
    assert entry["correlation_id"]
    assert "小明" not in log
    assert "\\u5c0f" not in log


async def test_another_class_than_announced_is_kept_with_a_warning(
    scp: ScpProcess, database: Database, institution: int
) -> None:
    good, other = make_ct(), make_ct()
    other.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"

    def run() -> Any:
        with associated(scp.port, good) as association:
            return _send_as(association, other, good.SOPClassUID)

    answer = await asyncio.to_thread(run)
    assert answer.Status == 0xB007
    assert answer.ErrorComment == "ingest.sop_class_mismatch"
    assert await database.fetchval(institution, "select sop_class_uid from archive.instance") == other.SOPClassUID
    assert "dimse.sop_class_mismatch" in (scp.home / "scp.log").read_text()


def _send_as(association: Any, dataset: FileDataset, sop_class_uid: str) -> Any:
    """C-STORE with another class in the command than in the data set."""
    request = C_STORE()
    request.MessageID = 7
    request.AffectedSOPClassUID = sop_class_uid
    request.AffectedSOPInstanceUID = dataset.SOPInstanceUID
    request.Priority = 2
    request.DataSet = BytesIO(encode(dataset, False, True) or b"")
    context = association.accepted_contexts[0]
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, context.context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return answer


async def test_a_full_disk_answers_out_of_resources(tmp_path: Path, urls: Urls, institution: int) -> None:
    server = ScpProcess(tmp_path, urls.runtime, min_free_bytes=1 << 60)
    server.start()
    (status,) = await asyncio.to_thread(send, server.port, series(1))
    assert status.Status == 0xA700
    assert status.ErrorComment == "ingest.disk_full"
    assert server.stop() == 0
    assert LocalObjects(tmp_path / "blobs").incoming.is_dir()
    assert list((tmp_path / "blobs").rglob("*.dcm")) == []


async def test_garbage_and_cut_connections_leave_nothing(scp: ScpProcess, database: Database, institution: int) -> None:
    def attack() -> None:
        for data in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x01\x00\xff\xff\xff\xff",
            b"\x04\x00\x00\x00\x00\x08" + bytes(8),
            b"",
        ):
            with socket.create_connection(("127.0.0.1", scp.port), timeout=10) as peer:
                peer.sendall(data)

    await asyncio.to_thread(attack)
    (status,) = await asyncio.to_thread(send, scp.port, series(1))
    assert status.Status == 0
    assert list((scp.home / "blobs" / "incoming").iterdir()) == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("mutation", ["", *MUTATIONS])
async def test_no_answer_leaves_before_file_folder_and_commit_are_durable(
    tmp_path: Path, urls: Urls, institution: int, mutation: str
) -> None:
    trace = tmp_path / "trace"
    server = ScpProcess(tmp_path, urls.runtime, wrapper=[*durable_order.STRACE, str(trace)], mutation=mutation)
    server.start()
    statuses = await asyncio.to_thread(send, server.port, series(4))
    server.stop()
    assert [status.Status for status in statuses] == [0] * 4
    order = durable_order.check(trace, tmp_path / "blobs")
    assert order.answers == 4
    if not mutation:
        assert order.faults == []
    else:
        assert len(order.faults) == 4, mutation


async def test_one_port_for_several_processes(tmp_path: Path, urls: Urls, database: Database, institution: int) -> None:
    reserved, port = reserve_port("127.0.0.1", 0)
    servers = [ScpProcess(tmp_path, urls.runtime, port=port) for _ in range(2)]
    for server in servers:
        server.port = port
        assert server.start() == port
    reserved.close()
    datasets = series(12)
    await asyncio.gather(*(asyncio.to_thread(send, port, datasets[i::6]) for i in range(6)))
    assert await database.fetchval(institution, "select count(*) from archive.instance") == 12
    assert [server.stop() for server in servers] == [0, 0]


class Transfer:
    """Sends every instance until it was answered with success, over several associations; remembers which were."""

    def __init__(self, port: int, datasets: list[FileDataset], associations: int = 3) -> None:
        self.port = port
        self.succeeded: list[str] = []
        self.progress = threading.Condition()
        self.give_up = threading.Event()
        self._senders = [
            threading.Thread(target=self._send, args=(datasets[part::associations],)) for part in range(associations)
        ]

    def start(self) -> None:
        for sender in self._senders:
            sender.start()

    def join(self, timeout_s: float) -> None:
        for sender in self._senders:
            sender.join(timeout_s)

    def _send(self, waiting: list[FileDataset]) -> None:
        while waiting and not self.give_up.is_set():
            try:
                with associated(self.port, waiting[0]) as association:
                    while waiting:
                        status = association.send_c_store(waiting[0])
                        if "Status" not in status:
                            break
                        if status.Status == 0:
                            with self.progress:
                                self.succeeded.append(waiting.pop(0).SOPInstanceUID)
                                self.progress.notify_all()
            except (ConnectionError, RuntimeError):
                self.give_up.wait(0.05)  # the server is coming back

    def wait_for(self, count: int, timeout_s: float = 60.0) -> None:
        """Until ``count`` instances were answered with success."""
        with self.progress:
            assert self.progress.wait_for(lambda: len(self.succeeded) >= count, timeout_s)


@pytest_asyncio.fixture
async def durable_postgres(tmp_path: Path) -> AsyncIterator[EmbeddedPostgres]:
    """A server of its own, with fsync, that a test may kill."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.name.startswith("pytest"):
            folder.chmod(0o755)
    server = EmbeddedPostgres(tmp_path)
    server.start()
    await migrate(server.owner_url, MIGRATIONS)
    yield server
    server.stop()


@pytest.mark.timeout(170)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
async def test_every_instance_answered_with_success_survives_killed_processes(
    tmp_path: Path, durable_postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AssociationSocket, "_shutdown_socket", close_for_certain)
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    database = await Database.connect(durable_postgres.runtime_url)
    institution = int(await database.fetchval(None, "select archive.create_institution('one', '医院', 'CLOUDFILM')"))
    await database.close()
    datasets = series(500)
    sent = {ds.SOPInstanceUID: encode(ds, False, True) for ds in datasets}
    server = ScpProcess(tmp_path, durable_postgres.runtime_url)
    server.start()
    transfer = Transfer(server.port, datasets)
    transfer.start()
    try:
        points = sorted(chance.sample(range(10, 480), 8))
        for number, point in enumerate(points):
            await asyncio.to_thread(transfer.wait_for, point)
            await asyncio.sleep(chance.random() * 0.02)
            if number % 2:
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
            else:
                await asyncio.to_thread(kill_postgres, durable_postgres)
        await asyncio.to_thread(transfer.wait_for, 500)
    finally:
        transfer.give_up.set()
        await asyncio.to_thread(transfer.join, 30)
        server.stop()
    assert sorted(transfer.succeeded) == sorted(sent)
    await check_all_there(durable_postgres, tmp_path, institution, sent)
    del transfer
    gc.collect()


def close_for_certain(transport: AssociationSocket) -> None:
    """In place of pynetdicom's own, which leaves the sockets of refused connections to the garbage collector."""
    if transport.socket is not None:
        with contextlib.suppress(OSError):
            transport.socket.shutdown(socket.SHUT_RDWR)
        transport.socket.close()


def kill_postgres(postgres: EmbeddedPostgres) -> None:
    """kill -9 of the postmaster, then what the supervisor does."""
    pid = postgres.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    postgres.start()


async def check_all_there(
    postgres: EmbeddedPostgres, home: Path, institution: int, sent: dict[str, bytes | None]
) -> None:
    database = await Database.connect(postgres.runtime_url)
    objects = LocalObjects(home / "blobs")
    rows = await database.fetch(institution, "select sop_instance_uid, object_key from archive.instance")
    assert sorted(row["sop_instance_uid"] for row in rows) == sorted(sent)
    for row in rows:
        expected = sent[row["sop_instance_uid"]]
        assert expected
        assert objects.read(row["object_key"]).endswith(expected)
    counted = await database.fetchrow(institution, "select instance_count, version from archive.series")
    assert counted is not None
    assert (counted["instance_count"], counted["version"]) == (500, 500)
    assert await database.fetchval(institution, "select count(*) from archive.event") == 500
    assert await database.fetchval(institution, "select count(*) from archive.conflict") == 0
    report = await verify(database, objects, [institution], orphan_age_s=0)
    assert report.checked == 500
    assert report.findings == []
    await database.close()
