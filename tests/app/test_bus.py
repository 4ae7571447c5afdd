"""The bus over both carriers: topics reach every process, a lost carrier is told as a gap, Redis' death loses no view."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from app.bus import GAP, Bus, carrier_of
from app.delivery.service import Shares
from app.opening import open_services
from app.redis_bus import BusUnavailableError, RedisCarrier
from app.settings import Settings, SettingsError
from dicomnet.database import Database
from dicomnet.embedded_postgres import EmbeddedPostgres
from tests.conftest import Urls
from tests.support.house import Viewer, fresh_settings, running_house
from tests.support.series import ct_series
from tests.support.web_app import make_settings


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A Redis of this test alone, on a socket in ``folder``; yields its URL."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip("no redis-server")
    socket = folder / "redis.sock"
    arguments = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    with subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "ready to accept connections" in line.lower():
                break
        else:
            pytest.fail("redis-server did not start")
        try:
            yield f"unix://{socket}?db=3"
        finally:
            process.kill()


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    with redis_server(tmp_path) as url:
        yield url


@pytest.fixture(params=["postgresql", "redis"])
def bus_settings(request: pytest.FixtureRequest, tmp_path: Path, urls: Urls) -> Settings:
    settings = make_settings(tmp_path / "home", urls.runtime)
    if request.param == "redis":
        return replace(settings, redis_url=request.getfixturevalue("redis_url"))
    return settings


@asynccontextmanager
async def listening(bus: Bus, *topics: str) -> AsyncIterator[asyncio.Queue[str]]:
    """A subscription that is known to be heard: a topic of its own has come back."""
    async with bus.subscribe(*topics, "probe") as queue:
        while True:
            await bus.publish("probe")
            try:
                async with asyncio.timeout(0.2):
                    while await queue.get() != "probe":
                        pass
                break
            except TimeoutError:
                continue
        yield queue


async def listening_to(bus: Bus) -> None:
    """The carrier has brought something to this process."""
    async with listening(bus):
        pass


async def expect(queue: asyncio.Queue[str], *wanted: str) -> None:
    """The wanted topics in their order; probes of other tests' starts and gaps may stand between."""
    async with asyncio.timeout(30):
        for topic in wanted:
            while (found := await queue.get()) != topic:
                assert found in ("probe", GAP)


async def test_a_topic_reaches_every_process_that_asked_for_it(
    bus_settings: Settings, urls: Urls, database: Database
) -> None:
    async with AsyncExitStack() as stack:
        here, there = [
            await stack.enter_async_context(Bus(carrier_of(bus_settings, database, urls.runtime)).running())
            for _ in range(2)
        ]
        first = await stack.enter_async_context(listening(here, "share:7:ended", "share:8:ended"))
        second = await stack.enter_async_context(listening(there, "share:8:ended"))
        await there.publish("share:7:ended")
        await here.publish("share:8:ended")
        await expect(first, "share:7:ended", "share:8:ended")
        await expect(second, "share:8:ended")  # `expect` fails on 7, for which it did not ask
        await here.check()


async def test_a_redis_that_died_and_came_back_is_told_as_a_gap(tmp_path: Path) -> None:
    with redis_server(tmp_path) as url:
        carrier = RedisCarrier(url)
        async with Bus(carrier).running() as bus, AsyncExitStack() as stack:
            queue = await stack.enter_async_context(listening(bus, "study:1:changed"))
            while not queue.empty():
                queue.get_nowait()
            subprocess.run(["pkill", "-9", "-f", str(tmp_path / "redis.sock")], check=True)
            async with asyncio.timeout(30):
                while True:
                    try:
                        await bus.publish("study:1:changed")
                    except BusUnavailableError as error:
                        assert error.retryable
                        break
                    await asyncio.sleep(0)
            with pytest.raises(BusUnavailableError):
                await bus.check()
            with redis_server(tmp_path):
                async with asyncio.timeout(30):
                    while await queue.get() != GAP:
                        pass
                await bus.publish("study:1:changed")
                await expect(queue, "study:1:changed")


async def test_two_database_numbers_are_two_houses(redis_url: str) -> None:
    async with (
        Bus(RedisCarrier(redis_url)).running() as one,
        Bus(RedisCarrier(redis_url[:-1] + "4")).running() as other,
        listening(one, "share:1:ended", "share:2:ended") as ours,
        listening(other, "share:1:ended") as theirs,
    ):
        await other.publish("share:1:ended")
        await expect(theirs, "share:1:ended")
        await one.publish("share:2:ended")
        await expect(ours, "share:2:ended")  # fails on 1, which came before it and is the other house's


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:1"])
def test_a_url_that_is_none_is_refused_without_being_printed(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        RedisCarrier(url)
    assert url not in str(caught.value)


async def test_a_revoked_share_closes_its_viewers_through_redis(
    redis_url: str, postgres: EmbeddedPostgres, template: str
) -> None:
    """The viewer's socket is the web server's; the revocation comes from resources of their own, as from another machine."""
    async with (
        fresh_settings(postgres, template, redis_url=redis_url) as settings,
        running_house(settings) as house,
        open_services(settings) as elsewhere,
    ):
        study, _ = await house.store(*ct_series(1))
        cookie, share = await house.share(study)
        async with house.dial(cookie) as socket:
            viewer = Viewer(socket)
            await viewer.hello()
            await viewer.open(study)
            await listening_to(house.services.bus)
            await Shares(elsewhere).revoke(house.institution, share, "user:1")
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    await viewer.next(30)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4403
