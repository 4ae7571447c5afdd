"""Disposable decoders: a frame that hangs or kills its child costs that frame, nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import pytest_asyncio

from app.rendering.decode_pool import DecodePool, DecoderDiedError, DecoderHungError
from app.rendering.errors import DecoderUnavailableError
from render.codec import FrameSpec
from render.errors import CodecError
from tests.support.hostile_decoders import CRASH, SLEEP
from tests.support.series import JPEG_LS, RLE, values_of

PLUGINS = "tests.support.hostile_decoders:decoders"
ROOT = Path(__file__).resolve().parents[3]


def _spec(uid: str, side: int = 16) -> FrameSpec:
    return FrameSpec(uid, side, side, bits_stored=12, high_bit=11)


def _good(index: int = 3) -> bytes:
    return bytes(imagecodecs.jpegls_encode(values_of(index, 16)))


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[DecodePool]:
    pool = DecodePool(2, 1.0, 2048, PLUGINS)
    yield pool
    await pool.close()


async def test_values_come_back(pool: DecodePool) -> None:
    frame, lowest, highest = await pool.decode(_good(), _spec(JPEG_LS))
    assert np.array_equal(frame.values, values_of(3, 16))
    assert (lowest, highest) == (values_of(3, 16).min(), values_of(3, 16).max())
    assert frame.decoder == "charls"
    trial, again, _ = await pool.decode(_good(), _spec(JPEG_LS), want_values=False)
    assert trial.values.size == 0
    assert again == lowest


async def test_an_undecodable_frame_keeps_its_child(pool: DecodePool) -> None:
    with pytest.raises(CodecError) as caught:
        await pool.decode(b"no frame at all", _spec(JPEG_LS))
    assert caught.value.code == "codec.failed"
    assert set(caught.value.message) == {"zh", "en"}
    frame, _, _ = await pool.decode(_good(), _spec(JPEG_LS))
    assert frame.values.shape == (16, 16)


async def test_a_crash_costs_one_frame(pool: DecodePool) -> None:
    await pool.decode(_good(), _spec(JPEG_LS))  # the crash meets a child that served before: judged in a fresh one
    with pytest.raises(DecoderDiedError):
        await pool.decode(CRASH, _spec(RLE))
    frame, _, _ = await pool.decode(_good(), _spec(JPEG_LS))
    assert frame.values.shape == (16, 16)


async def test_a_hanging_series_leaves_others_a_child(pool: DecodePool) -> None:
    hanging = [asyncio.create_task(pool.decode(SLEEP, _spec(RLE), owner="bad")) for _ in range(3)]
    frame, _, _ = await pool.decode(_good(), _spec(JPEG_LS), owner="good")
    assert frame.values.shape == (16, 16)
    assert not hanging[-1].done()
    errors = await asyncio.gather(*hanging, return_exceptions=True)
    assert all(isinstance(error, DecoderHungError) for error in errors)


async def test_memory_is_bounded() -> None:
    pool = DecodePool(1, 20.0, 700, "")
    try:
        side = 24_000
        with pytest.raises(CodecError):
            await pool.decode(bytes(side * side), FrameSpec("1.2.840.10008.1.2.1", side, side, bits_allocated=8))
        frame, _, _ = await pool.decode(_good(), _spec(JPEG_LS))
        assert frame.values.shape == (16, 16)
    finally:
        await pool.close()


async def test_a_child_that_cannot_start_accuses_no_frame() -> None:
    pool = DecodePool(1, 1.0, 2048, "no_such_module:decoders")
    with pytest.raises(DecoderUnavailableError):
        await pool.decode(_good(), _spec(JPEG_LS))


async def test_a_hanging_child_ends_with_its_owner() -> None:
    script = f"""
        import asyncio
        from app.rendering.decode_pool import DecodePool
        from render.codec import FrameSpec
        async def main():
            pool = DecodePool(1, 60.0, 2048, {PLUGINS!r})
            child = await pool._start()
            print(child.process.pid, flush=True)
            await child.ask({{"spec": {{"transfer_syntax_uid": {str(RLE)!r}, "rows": 8, "columns": 8}}}}, {SLEEP!r})
        asyncio.run(main())
    """
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(script), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    pid = int(await owner.stdout.readline())
    watch = os.pidfd_open(pid)
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(watch, gone.set)
    owner.send_signal(signal.SIGKILL)
    await owner.wait()
    try:
        await asyncio.wait_for(gone.wait(), 3)
    finally:
        asyncio.get_running_loop().remove_reader(watch)
        os.close(watch)
