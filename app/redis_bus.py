"""The bus over Redis publish and subscribe, for houses of several machines (extra ``redis``)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from app.bus import CHANNEL, GAP
from app.errors import AppError
from app.settings import SettingsError
from dicomnet.backoff import Backoff

_TIMEOUT_S = 5.0
_SILENCE_S = 10.0  # then the line is asked whether it lives; as long again without an answer, and it is dead


class BusUnavailableError(AppError):
    """Redis takes no messages; what was to be told is in the tables, but other processes do not know."""

    code = "bus.unavailable"
    message = {"zh": "消息服务暂时不可用，请稍后重试", "en": "The message service is not available, please try again"}
    retryable = True


class RedisCarrier:
    """One channel per Redis database number (Redis' own channels know none), so that two houses can share a server.

    Raises SettingsError for a URL that is none, or where the package ``redis`` is missing.
    """

    def __init__(self, url: str) -> None:
        try:
            from redis import asyncio as redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
            from redis.exceptions import RedisError
        except ImportError as error:
            raise SettingsError("REDIS_URL is set, but the extra cloudfilm[redis] is not installed") from error
        try:
            self._client: Any = redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
                url,
                decode_responses=True,
                socket_timeout=_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
                # Once more over a new connection: an idle one may have been closed by a firewall.
                retry=Retry(NoBackoff(), 1),
            )
        except ValueError as error:
            raise SettingsError("REDIS_URL is not a Redis URL") from error
        self._errors: tuple[type[Exception], ...] = (RedisError, OSError)
        database = self._client.connection_pool.connection_kwargs.get("db") or 0
        self._channel = f"{CHANNEL}:{database}"
        self._topics: asyncio.Queue[str] = asyncio.Queue(10_000)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RedisCarrier]:
        """Listen while the block runs, through restarts of Redis."""
        task = asyncio.get_running_loop().create_task(self._keep_listening())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._client.aclose()

    async def send(self, topic: str) -> None:
        """Raises BusUnavailableError."""
        try:
            await self._client.publish(self._channel, topic)
        except self._errors as error:
            raise BusUnavailableError from error

    async def next(self) -> str:
        """The next topic, or ``GAP``."""
        return await self._topics.get()

    async def check(self) -> None:
        """Raises BusUnavailableError when Redis does not answer."""
        try:
            await self._client.ping()
        except self._errors as error:
            raise BusUnavailableError from error

    async def _keep_listening(self) -> None:
        backoff = Backoff(longest_s=1.0)  # messages are missed meanwhile
        while True:
            try:
                async with self._client.pubsub() as subscription:
                    await subscription.subscribe(self._channel)
                    await self._listen(subscription, backoff)
            except self._errors:
                await backoff.pause()

    async def _listen(self, subscription: Any, backoff: Backoff) -> None:
        """Until the line is lost. The confirmation of a subscription, the library's own renewals included, is a gap."""
        asked = False
        while True:
            message = await subscription.get_message(timeout=_SILENCE_S)
            if message is None:
                if asked:
                    raise TimeoutError
                await subscription.ping()
                asked = True
                continue
            asked = False
            if message["type"] == "subscribe":
                backoff.succeeded()
                self._put(GAP)
            elif message["type"] == "message":
                self._put(message["data"])

    def _put(self, topic: str) -> None:
        if self._topics.full():  # then something is lost, and the oldest place says so
            self._topics.get_nowait()
            topic = GAP
        self._topics.put_nowait(topic)
