"""The render process over its socket, as the web role uses it; killed and hurt."""

from __future__ import annotations

import asyncio
import io
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image

from app import locations
from app.rendering import client as client_module
from app.rendering import wire
from app.rendering.client import RenderClient
from app.rendering.errors import RemoteError, RenderTimeoutError, RenderUnavailableError, SupersededError
from dicomnet.embedded_postgres import EmbeddedPostgres
from render.request import StackView
from tests.support.hostile_decoders import CRASH, SLEEP
from tests.support.house import House, fresh_settings, running_house
from tests.support.series import JPEG_LS, ct_series, values_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
VIEW = StackView(32, 32, voi="window", window_center=176, window_width=2400)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[House]:
    """With decoders that hang and crash."""
    plugins = "tests.support.hostile_decoders:decoders"
    async with (
        fresh_settings(postgres, template, decoder_plugins=plugins, decode_timeout_s=8.0) as settings,
        running_house(settings) as house,
    ):
        yield house


def _level(data: bytes) -> int:
    """Gray level of the mark in the top left quarter."""
    return int(np.asarray(Image.open(io.BytesIO(data)).convert("L"))[4:8, 4:8].mean())


def _expected(index: int) -> float:
    """The window of ``VIEW`` on the mark's value (PS3.3 C.11.2.1.2.1)."""
    value = float(values_of(index, 32)[0, 0]) - 1024
    return min(255.0, max(0.0, ((value - 175.5) / 2399 + 0.5) * 255))


async def test_only_the_owner_may_use_the_socket(house: House) -> None:
    mode = locations.render_socket(house.settings).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize("syntax", [None, JPEG_LS])
async def test_many_requests_at_once_each_get_their_picture(house: House, syntax: Any) -> None:
    _, series = await house.store(*ct_series(20, syntax=syntax))
    render = house.services.render
    made = await asyncio.gather(
        *(render.picture(house.institution, series, i, VIEW, coding={"quality": 95}) for i in range(20))
    )
    for index, picture in enumerate(made):
        assert abs(_level(picture.data) - _expected(index)) < 4
        assert picture.meta["backend"]
        assert picture.meta["quality"] == "refined"


async def test_nobody_sees_another_institutions_series(house: House) -> None:
    _, series = await house.store(*ct_series(1))
    second = await house.services.database.fetchval(
        None, "select archive.create_institution('two', '第二医院', 'SECOND')"
    )
    with pytest.raises(RemoteError) as caught:
        await house.services.render.picture(int(second), series, 0, VIEW)
    assert caught.value.code == "viewing.not_found"


async def test_a_newer_view_of_the_viewport_supersedes(house: House) -> None:
    _, series = await house.store(*ct_series(2, 256))
    large = StackView(3000, 3000)
    render = house.services.render
    await render.picture(house.institution, series, 0, VIEW)
    asked = [
        asyncio.create_task(
            render.picture(house.institution, series, 0, large, viewer="v", viewport="a", generation=generation)
        )
        for generation in range(12)
    ]
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(results[-1], client_module.RenderedPicture)
    assert sum(isinstance(result, SupersededError) for result in results) >= 6


async def test_an_unknown_operation_harms_nobody(house: House) -> None:
    with pytest.raises(RemoteError) as caught:
        await house.services.render.ask("dance")
    assert caught.value.code == "rendering.failed"
    assert set(caught.value.message) == {"zh", "en"}
    reader, writer = await asyncio.open_unix_connection(str(locations.render_socket(house.settings)))
    writer.write(b"\xff" * 64)
    with suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    assert (await house.services.render.health())["backend"]


async def test_a_viewer_that_leaves_takes_no_frame_from_others(house: House) -> None:
    """Two wait for one untried frame; the first goes away while it is decoded."""
    _, series = await house.store(*ct_series(2, frames={0: SLEEP, 1: SLEEP}))
    path = locations.render_socket(house.settings)
    leaving, staying = RenderClient(path), RenderClient(path)
    first = asyncio.create_task(leaving.picture(house.institution, series, 0, VIEW))
    second = asyncio.create_task(staying.picture(house.institution, series, 0, VIEW))
    await asyncio.sleep(0.3)
    await leaving.close()
    first.cancel()
    with pytest.raises(RemoteError) as caught:
        await second
    assert caught.value.code == "codec.failed"  # after five seconds, by the decoder's own word
    await asyncio.gather(first, return_exceptions=True)
    await staying.close()


async def test_hanging_and_crashing_frames_cost_only_themselves(house: House) -> None:
    _, good = await house.store(*ct_series(6))
    _, packed = await house.store(*ct_series(6, syntax=JPEG_LS))
    _, bad = await house.store(*ct_series(4, frames={0: SLEEP, 1: CRASH, 2: SLEEP, 3: SLEEP}))
    render = house.services.render
    hurt = [asyncio.create_task(render.picture(house.institution, bad, i, VIEW)) for i in range(4)]
    for index in range(6):
        for series in (good, packed):
            await render.picture(house.institution, series, index, VIEW)
    assert not hurt[0].done()  # nobody waited for a hanging frame
    results = await asyncio.gather(*hurt, return_exceptions=True)
    assert [getattr(error, "code", "") for error in results][1] == "codec.crashed"
    faults = await house.services.database.fetch(
        house.institution,
        "select frame_faults from archive.instance where series_key = $1 and frame_faults <> '{}'::jsonb",
        bad,
    )
    assert [row["frame_faults"] for row in faults] == [{"0": "codec.crashed"}]


async def test_killed_while_asked_the_request_meets_the_next_process(house: House) -> None:
    _, series = await house.store(*ct_series(2, 256))
    await house.services.render.picture(house.institution, series, 0, VIEW)
    large = StackView(4000, 4000)
    asked = [asyncio.create_task(house.services.render.picture(house.institution, series, i, large)) for i in (0, 1)]
    await asyncio.sleep(0.01)
    await house.render.kill()
    await house.render.start()
    pictures = await asyncio.gather(*asked)
    assert all(Image.open(io.BytesIO(picture.data)).size == (4000, 4000) for picture in pictures)


async def test_without_a_process_the_error_says_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_RECONNECT_FOR_S", 0.3)
    lonely = RenderClient(house.settings.home / "nobody.sock")
    with pytest.raises(RenderUnavailableError) as caught:
        await lonely.health()
    assert caught.value.retryable


async def test_a_request_that_kills_the_process_is_not_sent_for_ever(house: House) -> None:
    path = house.settings.home / "dying.sock"
    met = 0

    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal met
        await wire.read(reader)
        met += 1
        writer.close()

    async with await asyncio.start_unix_server(die, str(path)):
        dying = RenderClient(path)
        with pytest.raises(RenderUnavailableError):
            await dying.health(5.0)
        await dying.close()
    assert met == 2


async def test_an_answer_that_never_comes_times_out(house: House) -> None:
    path = house.settings.home / "silent.sock"

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(listen, str(path)):
        silent = RenderClient(path)
        with pytest.raises(RenderTimeoutError):
            await silent.health(0.2)
        await silent.close()
