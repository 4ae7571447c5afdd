"""The lean receiver against foreign SCUs (pynetdicom in process, DCMTK where installed) and scripted raw sockets."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
import pytest_asyncio
from pydicom.data import get_testdata_file
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE

from dicomnet.dimse.pdu import AssociateRequest
from dicomnet.dimse.receiver import Receiver, ReceiverSettings
from dicomnet.dimse.values import Peer, Rejection, StoreReply, StoreRequest

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"


class House:
    """Collects what the receiver hands over."""

    def __init__(self) -> None:
        self.stored: list[tuple[StoreRequest, bytes]] = []
        self.logged: list[tuple[str, dict[str, Any]]] = []
        self.reply = StoreReply(0)
        self.gate: asyncio.Event | None = None

    async def admit(self, request: AssociateRequest, address: str) -> Peer | Rejection:
        if request.called_ae_title != "CLOUDFILM":
            return Rejection(reason=7)
        return Peer(request.calling_ae_title, request.called_ae_title, address, 1, "c")

    async def store(self, request: StoreRequest) -> StoreReply:
        if self.gate is not None:
            await self.gate.wait()
        content = request.content
        self.stored.append((request, content.read_bytes() if isinstance(content, Path) else bytes(content)))
        return self.reply

    def log(self, event: str, **values: Any) -> None:
        self.logged.append((event, values))


@pytest_asyncio.fixture(params=[1 << 20, 1000], ids=["in memory", "in a file"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[House, Receiver, int]]:
    house = House()
    every = frozenset(str(uid) for uid in AllTransferSyntaxes)
    settings = ReceiverSettings(
        accepted={CT: every, VERIFICATION: every},
        temporary_folder=tmp_path,
        implementation_class_uid="1.2.826.0.1.3680043.9.1",
        implementation_version_name="TEST",
        memory_per_association=request.param,
    )
    receiver = Receiver(settings, house.admit, house.store, house.log)
    port = await receiver.serve("127.0.0.1", 0)
    yield house, receiver, port
    await receiver.close()
    assert list(tmp_path.glob("*.part")) == []


def ct_file() -> Path:
    return Path(str(get_testdata_file("CT_small.dcm")))


def send(port: int, dataset: pydicom.Dataset, title: str = "CLOUDFILM", times: int = 1) -> list[int] | str:
    """C-STORE by pynetdicom; the statuses, or how the association ended."""
    scu = AE("SCU")
    scu.add_requested_context(CT, dataset.file_meta.TransferSyntaxUID)
    scu.add_requested_context(VERIFICATION)
    association = scu.associate("127.0.0.1", port, ae_title=title)
    if association.is_rejected:
        return "rejected"
    assert association.is_established
    try:
        assert association.send_c_echo().Status == 0
        return [int(association.send_c_store(dataset).Status) for _ in range(times)]
    finally:
        association.release()


async def test_the_data_set_is_written_as_it_came(house: tuple[House, Receiver, int]) -> None:
    collected, _, port = house
    dataset = pydicom.dcmread(ct_file())
    assert await asyncio.to_thread(send, port, dataset, times=3) == [0, 0, 0]
    request, content = collected.stored[0]
    assert request.sop_instance_uid == dataset.SOPInstanceUID
    assert request.peer.calling_ae_title == "SCU"
    assert len(collected.stored) == 3
    assert collected.stored[1][1] == content
    written = pydicom.dcmread(io.BytesIO(content))
    assert written.PixelData == dataset.PixelData
    assert written.file_meta.TransferSyntaxUID == dataset.file_meta.TransferSyntaxUID


async def test_the_handlers_status_and_comment_travel(house: tuple[House, Receiver, int]) -> None:
    collected, _, port = house
    collected.reply = StoreReply(0xA700, "ingest.disk_full")
    assert await asyncio.to_thread(send, port, pydicom.dcmread(ct_file())) == [0xA700]


async def test_unknown_title_is_rejected(house: tuple[House, Receiver, int]) -> None:
    _, _, port = house
    assert await asyncio.to_thread(send, port, pydicom.dcmread(ct_file()), "OTHER") == "rejected"


async def test_no_answer_before_the_handler_returns(house: tuple[House, Receiver, int]) -> None:
    collected, _, port = house
    collected.gate = asyncio.Event()
    answered = threading.Event()

    def run() -> list[int] | str:
        result = send(port, pydicom.dcmread(ct_file()))
        answered.set()
        return result

    task = asyncio.create_task(asyncio.to_thread(run))
    await asyncio.sleep(0.3)
    assert not answered.is_set()
    collected.gate.set()
    assert await task == [0]


def dcmtk(name: str) -> str | None:
    """DCMTK's program: Python environments have scripts of pynetdicom under the same names."""
    return shutil.which(name, path=os.pathsep.join(["/usr/bin", "/usr/local/bin", os.environ.get("PATH", "")]))


@pytest.mark.skipif(dcmtk("storescu") is None, reason="DCMTK is not installed")
async def test_dcmtk_sends_and_echoes(house: tuple[House, Receiver, int]) -> None:
    collected, _, port = house
    for program in (["echoscu"], ["storescu", "-R"]):
        arguments = [str(dcmtk(program[0])), *program[1:], "-aec", "CLOUDFILM", "127.0.0.1", str(port)]
        if program[0] == "storescu":
            arguments.append(str(ct_file()))
        process = await asyncio.create_subprocess_exec(*arguments)
        assert await process.wait() == 0
    assert len(collected.stored) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x01\x00\xff\xff\xff\xff",
        b"\x04\x00\x00\x00\x00\x04\x00\x00\x00\x00",
        b"\x01\x00\x00\x00\x00\x08AAAAAAAA",
        b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00",
        bytes(64),
    ],
)
async def test_garbage_is_answered_with_abort_and_others_go_on(house: tuple[House, Receiver, int], data: bytes) -> None:
    collected, receiver, port = house
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    assert answer[:1] == b"\x07"
    assert await asyncio.to_thread(send, port, pydicom.dcmread(ct_file())) == [0]
    assert not receiver.associations or all(a.busy is None for a in receiver.associations)
    assert len(collected.stored) == 1


async def test_an_association_cut_in_the_middle_of_an_object_leaves_nothing(
    house: tuple[House, Receiver, int], tmp_path: Path
) -> None:
    collected, _, port = house
    relay_cut_after = 20_000

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", port)

        async def back() -> None:
            while data := await upstream_reader.read(4096):
                writer.write(data)

        returning = asyncio.create_task(back())
        passed = 0
        while passed < relay_cut_after and (data := await reader.read(4096)):
            passed += len(data)
            upstream_writer.write(data)
        upstream_writer.transport.abort()
        writer.transport.abort()
        returning.cancel()

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    relay_port = int(server.sockets[0].getsockname()[1])

    def run() -> None:
        scu = AE("SCU")
        scu.add_requested_context(CT, "1.2.840.10008.1.2.1")
        association = scu.associate("127.0.0.1", relay_port, ae_title="CLOUDFILM")
        assert association.is_established
        assert "Status" not in association.send_c_store(pydicom.dcmread(ct_file()))

    await asyncio.to_thread(run)
    server.close()
    assert collected.stored == []
    async with asyncio.timeout(5):
        while list(tmp_path.glob("*.part")):
            await asyncio.sleep(0.02)


async def test_an_object_beyond_the_limit_is_refused_and_the_association_goes_on(tmp_path: Path) -> None:
    house = House()
    every = frozenset(str(uid) for uid in AllTransferSyntaxes)
    settings = ReceiverSettings(
        accepted={CT: every, VERIFICATION: every},
        temporary_folder=tmp_path,
        implementation_class_uid="1.2.3",
        implementation_version_name="TEST",
        maximum_object_length=10_000,
    )
    receiver = Receiver(settings, house.admit, house.store, house.log)
    port = await receiver.serve("127.0.0.1", 0)
    assert await asyncio.to_thread(send, port, pydicom.dcmread(ct_file()), times=2) == [0xA700, 0xA700]
    await receiver.close()
    assert house.stored == []
    receiver = Receiver(replace(settings, maximum_object_length=1 << 20), house.admit, house.store, house.log)
    port = await receiver.serve("127.0.0.1", 0)
    assert await asyncio.to_thread(send, port, pydicom.dcmread(ct_file())) == [0]
    await receiver.close()
