"""The rules of docs/stream-protocol.md, one test each, named by its number."""

from __future__ import annotations

import asyncio
import io
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pydicom
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed

from app.delivery.service import Shares
from app.viewing import stream
from tests.support.house import House, Viewer
from tests.support.series import ct_series

pytestmark = pytest.mark.asyncio(loop_scope="module")
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "stream-protocol.md"


@asynccontextmanager
async def viewing(house: House, cookie: str, **hello: Any) -> AsyncIterator[Viewer]:
    """A viewer that has said hello."""
    async with house.dial(cookie) as socket:
        viewer = Viewer(socket)
        await viewer.hello(**hello)
        yield viewer


async def closing_code(viewer: Viewer, timeout_s: float = 10.0) -> int:
    """The close code that the server sends; what comes before it is read."""
    try:
        while True:
            await viewer.next(timeout_s)
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        return closed.rcvd.code


async def test_rule_1_hello(house: House) -> None:
    cookie = await house.staff()
    async with house.dial(cookie) as socket:
        viewer = Viewer(socket)
        assert await viewer.hello(window=1) == {"t": "hello", "v": 1, "window": 32 << 10}
        await viewer.send(t="hello", v=1)
        assert await closing_code(viewer) == 4400
    async with house.dial(cookie) as socket:
        viewer = Viewer(socket)
        assert (await viewer.hello(window=1 << 30))["window"] == 4 << 20
    for first in ({"t": "ping"}, {"t": "hello", "v": 2}, {"t": "hello", "v": 1, "window": "much"}):
        async with house.dial(cookie) as socket:
            await socket.send(orjson.dumps(first).decode())
            assert await closing_code(Viewer(socket)) == 4400


async def test_rule_2_identity(house: House) -> None:
    async with house.dial() as socket:
        assert await closing_code(Viewer(socket)) == 4401
    async with house.dial("cloudfilm_session=forged") as socket:
        assert await closing_code(Viewer(socket)) == 4401
    async with house.dial(await house.staff(), origin="https://elsewhere.example") as socket:
        assert await closing_code(Viewer(socket)) == 4403
    token, _ = await house.services.identity.create_token(house.institution, "doctor", 1)
    async with house.dial(headers={"Authorization": f"Bearer {token}"}) as socket:
        assert (await Viewer(socket).hello())["v"] == 1
    token, _ = await house.services.identity.create_token(house.institution, "dicomweb-read", 1)
    async with house.dial(headers={"Authorization": f"Bearer {token}"}) as socket:
        assert await closing_code(Viewer(socket)) == 4403


async def test_rule_3_open(house: House) -> None:
    mine, _ = await house.store(*ct_series(2))
    other, other_series = await house.store(*ct_series(2))
    cookie, _ = await house.share(mine)
    async with viewing(house, cookie) as viewer:
        opened = await viewer.open(mine)
        assert [(s["modality"], s["frame_count"]) for s in opened["series"]] == [("CT", 2)]
        errors: list[dict[str, Any]] = []
        for key in (other, 999_999):
            await viewer.send(t="open", study=key)
            errors.append(await viewer.text("error"))
        for error in errors:
            error.pop("correlation_id")
        assert errors[0] == errors[1]
        assert errors[0]["code"] == "viewing.not_found"
        await viewer.view(other_series, 1)
        assert (await viewer.text("error"))["code"] == "viewing.not_found"
    second = int(
        await house.services.database.fetchval(None, "select archive.create_institution('two', '第二医院', 'SECOND')")
    )
    async with viewing(house, await house.staff(institution=second)) as viewer:
        await viewer.send(t="open", study=mine)
        assert (await viewer.text("error"))["code"] == "viewing.not_found"


async def test_rule_4_manifest(house: House) -> None:
    files = ct_series(3, StudyDescription="王小明复查")
    datasets = [pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True) for data in files]
    uids = {
        str(ds[name].value) for ds in datasets for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    }
    study, series = await house.store(*files)
    cookie, _ = await house.share(study)
    async with viewing(house, cookie) as viewer:
        opened = await viewer.open(study)
        await viewer.send(t="manifest", series=series)
        manifest = (await viewer.text("manifest"))["manifest"]
        assert manifest["frame_count"] == 3
        assert manifest["shared"]["spacing_mm"] == [0.5, 0.5]
        assert manifest["shared"]["orientation"] == [1, 0, 0, 0, 1, 0]
        assert manifest["shared"]["windows"] == [[176, 2400]]
        assert [frame.get("position") for frame in manifest["frames"][1:]] == [[0, 0, 2.5], [0, 0, 5]]
        told = orjson.dumps([opened, manifest]).decode()
        for secret in (
            "王",
            "小明",
            "P001",
            "2024",
            "1.2.",
            "医院",
            "A1",
            *(uid.removeprefix("2.25.") for uid in uids),
        ):
            assert secret not in told
        names = {frame["sop_instance_uid"] for frame in (manifest["shared"], *manifest["frames"][1:])}
        assert len(names) == 3  # one for each image, of this installation's own
    async with viewing(house, await house.staff()) as viewer:
        await viewer.open(study)
        await viewer.send(t="manifest", series=series)
        manifest = (await viewer.text("manifest"))["manifest"]
        assert manifest["acquisition"]["kvp"] == "120"
        own = {manifest["sop_instance_uid_root"] + frame["sop_instance_uid"] for frame in manifest["frames"][1:]}
        assert own == {str(ds.SOPInstanceUID) for ds in datasets[1:]}


async def test_rule_5_view(house: House) -> None:
    study, series = await house.store(*ct_series(3))
    async with viewing(house, await house.staff(), webp=True) as viewer:
        await viewer.open(study)
        await viewer.view(series, 7, frame=2, width=48, height=48, voi="window", window_center=100, window_width=500)
        header, data = await viewer.picture()
        assert (header["viewport"], header["generation"], header["series"], header["frame"]) == ("a", 7, series, 2)
        assert (header["window_center"], header["window_width"], header["voi"]) == (100, 500, "window")
        assert header["backend"]
        assert header["version"] >= 3
        assert header["source_rect"] == [0, 0, 32, 32]
        assert header["media_type"] == "image/jpeg"
        assert Image.open(io.BytesIO(data)).size == (48, 48) == (header["width"], header["height"])
        header, data = await viewer.picture()
        assert header["media_type"] == "image/webp"
        assert Image.open(io.BytesIO(data)).format == "WEBP"
        wrong: list[dict[str, Any]] = [
            {"width": 9999},
            {"zoom": 1e9},
            {"rotation_degrees": 45},
            {"voi": "window"},
            {"width": "x"},
        ]
        for bad in wrong:
            await viewer.view(series, 8, **bad)
            error = await viewer.text("error")
            assert error["code"] in {"render.invalid_view", "http.bad_request"}, error
    async with viewing(house, await house.staff()) as viewer:
        await viewer.view(series, 1)
        assert (await viewer.text("error"))["code"] == "viewing.not_found"


async def test_rule_6_latest_wins(house: House) -> None:
    study, series = await house.store(*ct_series(60))
    async with viewing(house, await house.staff()) as viewer:
        await viewer.open(study)
        for generation in range(60):
            await viewer.view(series, generation, frame=generation)
        generations: list[int] = []
        while not generations or generations[-1] != 59:
            generations.append((await viewer.picture())[0]["generation"])
        assert generations == sorted(generations)
        assert len(generations) < 60
        await viewer.view(series, 3)
        await viewer.view(series, 60)
        header, _ = await viewer.picture()
        assert header["generation"] in {59, 60}  # 59: its refined picture; 3 is older and never comes


async def test_rule_7_preview_then_refined(house: House) -> None:
    study, series = await house.store(*ct_series(2))
    async with viewing(house, await house.staff()) as viewer:
        await viewer.open(study)
        await viewer.view(series, 1)
        first, _ = await viewer.picture()
        began = asyncio.get_running_loop().time()
        second, _ = await viewer.picture()
        waited = asyncio.get_running_loop().time() - began
        assert [(p["generation"], p["quality"]) for p in (first, second)] == [(1, "preview"), (1, "refined")]
        assert waited > 0.1
        await viewer.view(series, 2)
        assert (await viewer.picture())[0]["quality"] == "preview"
        await viewer.view(series, 3)
        header, _ = await viewer.picture()
        assert (header["generation"], header["quality"]) == (3, "preview")


async def test_rule_8_credit(house: House) -> None:
    study, series = await house.store(*ct_series(40, 256))
    async with viewing(house, await house.staff(), window=32 << 10) as viewer:
        await viewer.open(study)
        viewer.acknowledges = False
        received = 0
        generation = 0
        while received < 14_000:
            await viewer.view(series, generation, frame=generation % 40, width=512, height=512)
            header, data = await viewer.picture()
            if header["quality"] == "preview":
                generation += 1
            received += len(data) + 4 + len(orjson.dumps(header))
        for late in range(generation, generation + 5):
            await viewer.view(series, late, frame=late % 40, width=512, height=512)
        with pytest.raises(TimeoutError):
            await viewer.next(0.5)
        await viewer.send(t="credit", bytes=received)
        header, _ = await viewer.picture()
        assert header["generation"] == generation + 4
        # The granted window holds whatever the way carries: none of more is ever under way.
        viewer.acknowledges = True
        for more in range(generation + 5, generation + 40):
            await viewer.view(series, more, frame=more % 40, width=512, height=512)
            while (await viewer.picture())[0]["generation"] != more:
                pass
        await viewer.send(t="ping", at=1)
        assert (await viewer.text("pong"))["way"]["window"] <= 32 << 10


async def test_rule_9_cancel(house: House) -> None:
    study, series = await house.store(*ct_series(2, 256))
    async with viewing(house, await house.staff(), window=32 << 10) as viewer:
        await viewer.open(study)
        viewer.acknowledges = False
        await viewer.view(series, 1, width=2000, height=2000)
        assert (await viewer.picture())[0]["quality"] == "preview"
        await viewer.send(t="cancel", viewport="a")
        await viewer.send(t="credit", bytes=1 << 22)
        await viewer.send(t="ping", at=1)
        await viewer.text("pong")
        with pytest.raises(TimeoutError):
            await viewer.next(0.5)


async def test_rule_10_errors(house: House) -> None:
    good, good_series = await house.store(*ct_series(2))
    bad, bad_series = await house.store(*ct_series(2, frames={1: b"no frame at all"}))
    async with viewing(house, await house.staff()) as viewer:
        await viewer.open(good)
        await viewer.open(bad)
        await viewer.view(bad_series, 5, frame=1, viewport="left")
        await viewer.view(good_series, 6, viewport="right")
        error, shown = None, None
        while error is None or shown is None:
            message = await viewer.next()
            if isinstance(message, tuple):
                shown = message[0]
            elif message["t"] == "error":
                error = message
        assert (error["viewport"], error["generation"]) == ("left", 5)
        assert error["code"].startswith("codec.")
        assert set(error["message"]) == {"zh", "en"}
        assert error["correlation_id"]
        assert (shown["viewport"], shown["generation"]) == ("right", 6)
        await viewer.view(good_series, 7, frame=40, viewport="right")
        while (message := await viewer.text("error"))["generation"] != 7:
            pass
        assert message["code"] == "viewing.not_found"


async def test_rule_11_prefetch(house: House) -> None:
    study, series = await house.store(*ct_series(12))
    async with viewing(house, await house.staff()) as viewer:
        await viewer.open(study)
        before = (await house.services.render.health())["entries"]
        await viewer.send(t="prefetch", series=series, frames=[*range(12), -4, 999])
        for _ in range(200):
            if (await house.services.render.health())["entries"] >= before + 12:
                break
            await asyncio.sleep(0.01)
        assert (await house.services.render.health())["entries"] == before + 12
        await viewer.send(t="ping", at=5)
        assert (await viewer.text("pong"))["at"] == 5
        assert not viewer.pictures
        await viewer.send(t="prefetch", series=series, frames=list(range(513)))
        assert await closing_code(viewer) == 4400


@pytest.mark.parametrize(
    "message",
    [b"\x00\x01", "no JSON", "[1]", "null", '{"t":"sing"}', '{"t":"open","study":"x"}', '{"t":"x' + "x" * 8200 + '"}'],
)
async def test_rule_12_garbage(house: House, message: str | bytes) -> None:
    async with viewing(house, await house.staff()) as viewer:
        await viewer.socket.send(message)
        assert await closing_code(viewer) == 4400


async def test_rule_13_rate(house: House) -> None:
    async with viewing(house, await house.staff()) as viewer:
        sending = asyncio.create_task(_flood(viewer))
        assert await closing_code(viewer, 30) == 4429
        await sending


async def _flood(viewer: Viewer) -> None:
    try:
        for number in range(5000):
            await viewer.send(t="ping", at=number)
    except ConnectionClosed:
        return


async def test_rule_14_idle(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "IDLE_S", 0.4)
    async with viewing(house, await house.staff()) as viewer:
        await viewer.send(t="ping", at=12.5)
        assert (await viewer.text("pong"))["at"] == 12.5
        assert await closing_code(viewer) == 4408


async def test_rule_15_revocation(house: House) -> None:
    study, series = await house.store(*ct_series(2))
    cookie, share = await house.share(study)
    async with viewing(house, cookie) as viewer:
        await viewer.open(study)
        await viewer.view(series, 1)
        await viewer.picture()
        await Shares(house.services).revoke(house.institution, share, "user:1")
        assert await closing_code(viewer, 1.0) == 4403
    cookie, share = await house.share(study)
    await house.services.database.execute(
        house.institution,
        "update delivery.share set expires_at = now() + interval '1 s' where share_key = $1",
        share,
    )
    async with viewing(house, cookie) as viewer:
        assert await closing_code(viewer, 2.5) == 4403


async def test_rule_15_logout(house: House) -> None:
    import httpx

    cookie = await house.staff()
    async with viewing(house, cookie) as viewer:
        async with httpx.AsyncClient(base_url=house.http, headers={"Cookie": cookie}) as client:
            assert (await client.post("/api/logout")).status_code == 200
        assert await closing_code(viewer, 1.0) == 4403


async def test_rule_16_resume(house: House) -> None:
    study, series = await house.store(*ct_series(4))
    cookie = await house.staff()
    async with viewing(house, cookie) as viewer:
        await viewer.open(study)
        await viewer.view(series, 41, frame=1)
        await viewer.picture()
        viewer.socket.transport.abort()
    async with house.dial(cookie) as socket:
        viewer = Viewer(socket)
        await viewer.send(t="hello", v=1)
        await viewer.send(t="open", study=study)
        await viewer.view(series, 42, frame=3)
        header, _ = await viewer.picture()
        assert (header["generation"], header["frame"]) == (42, 3)


async def test_rule_17_audit(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    study, series = await house.store(*ct_series(5))
    async with viewing(house, await house.staff()) as viewer:
        await viewer.open(study)
        for generation in (1, 2):
            await viewer.view(series, generation)
            while (await viewer.picture())[0]["quality"] != "refined":
                pass
        entries = await house.services.database.fetch(
            house.institution,
            "select actor, action, quality, frame_count from audit.entry where study_key = $1 order by entry_id",
            study,
        )
        told = [(row["action"], row["quality"], row["frame_count"]) for row in entries]
        assert told == [("study.open", "", 0), ("series.view", "preview", 5), ("series.view", "refined", 5)]
        assert entries[0]["actor"].startswith("user:")

    async def refuse(*_: Any, **__: Any) -> None:
        raise OSError("the database is gone")

    async with viewing(house, await house.staff()) as viewer:
        await viewer.open(study)
        monkeypatch.setattr(type(house.services.audit), "record", refuse)
        await viewer.view(series, 1)
        error = await viewer.text("error")
        assert error["code"] == "app.internal"
        assert not viewer.pictures


async def test_rule_18_a_client_that_does_not_read(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SEND_S", 0.5)
    study, series = await house.store(*ct_series(8, 256))
    ended = asyncio.Event()
    run = stream.Session.run

    async def watched(session: stream.Session) -> None:
        await run(session)
        ended.set()

    monkeypatch.setattr(stream.Session, "run", watched)
    # A small receive buffer is never grown by the kernel: a few pictures fill the way, however slow the machine.
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 10)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", house.port))
    async with house.dial(await house.staff(), max_queue=1, sock=narrow) as deaf:
        viewer = Viewer(deaf)
        await viewer.hello(window=4 << 20)
        await viewer.open(study)
        deaf.transport.pause_reading()
        sending = asyncio.create_task(_ask_on(viewer, series))
        await asyncio.wait_for(ended.wait(), 35)  # unanswered pings would end it after 40 s
        sending.cancel()
        await asyncio.wait([sending])
        deaf.transport.abort()


async def _ask_on(viewer: Viewer, series: int) -> None:
    generation = 0
    while True:
        generation += 1
        await viewer.view(series, generation, frame=generation % 8, width=2000, height=2000)
        await viewer.send(t="credit", bytes=1 << 20)
        await asyncio.sleep(0.05)


async def test_rule_19_changed(house: House) -> None:
    files = ct_series(3)
    study, series = await house.store(*files[:2])
    async with viewing(house, await house.staff()) as viewer:
        opened = await viewer.open(study)
        before = opened["series"][0]["version"]
        await house.store(files[2])
        await house.services.bus.publish(f"study:{study}:changed")
        assert await viewer.text("changed") == {"t": "changed", "study": study}
        opened = await viewer.open(study)
        assert opened["series"][0]["version"] > before
        assert opened["series"][0]["frame_count"] == 3
        await viewer.view(series, 1, frame=2)
        header, _ = await viewer.picture()
        assert header["version"] == opened["series"][0]["version"]


async def test_every_rule_has_a_test() -> None:
    rules = {int(n) for n in re.findall(r"^(\d+)\. \*\*", DOCUMENT.read_text("utf-8"), re.MULTILINE)}
    texts = [path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py")]
    tested = {int(n) for text in texts for n in re.findall(r"^async def test_rule_(\d+)_", text, re.MULTILINE)}
    assert rules == set(range(1, max(rules) + 1))
    assert rules == tested
