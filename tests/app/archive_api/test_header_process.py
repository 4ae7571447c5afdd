"""The header process dies or hangs: the next request has a new one, nobody restarts the web role."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.archive_api.header_process import HeaderProcess, HeaderProcessError


@pytest_asyncio.fixture
async def headers() -> AsyncIterator[HeaderProcess]:
    headers = HeaderProcess()
    yield headers
    await headers.close()


async def test_a_killed_process_is_replaced_within_the_next_request(headers: HeaderProcess) -> None:
    first = await headers.run(os.getpid)
    assert first not in {os.getpid(), 0}
    assert await headers.run(os.getpid) == first == headers.pid
    os.kill(first, signal.SIGKILL)
    second = await headers.run(os.getpid)
    assert second == headers.pid != first


async def test_a_request_that_kills_two_processes_is_refused_and_the_next_one_answered(headers: HeaderProcess) -> None:
    killing = asyncio.create_task(headers.run(os.abort))
    waiting = asyncio.create_task(headers.run(int, "7"))
    with pytest.raises(HeaderProcessError) as caught:
        await killing
    assert caught.value.retryable
    assert await waiting == 7


async def test_a_hanging_request_ends_and_the_next_one_is_answered() -> None:
    headers = HeaderProcess(timeout_s=2.0)
    try:
        hanging = asyncio.create_task(headers.run(time.sleep, 600))
        waiting = asyncio.create_task(headers.run(int, "7"))
        with pytest.raises(HeaderProcessError):
            await hanging
        assert await waiting == 7
    finally:
        await headers.close()


async def test_what_a_function_raises_is_raised_here(headers: HeaderProcess) -> None:
    with pytest.raises(ValueError, match="seven"):
        await headers.run(int, "seven")
    assert await headers.run(int, "7") == 7


async def test_closing_ends_the_process(headers: HeaderProcess) -> None:
    pid = await headers.run(os.getpid)
    await headers.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
