"""A few disposable decoder processes: a frame that hangs or kills one costs that frame, nothing else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from app.rendering import wire
from app.rendering.errors import DecoderUnavailableError
from render.codec import DecodedFrame, FrameSpec
from render.errors import CodecError

_START_S = 30.0


class DecoderDiedError(CodecError):
    """The decoder crashed on this frame."""

    code = "codec.crashed"
    message = {"zh": "解码程序因这幅图像异常退出", "en": "The decoder crashed on this image"}


class DecoderHungError(CodecError):
    """The decoder did not finish this frame in time."""

    code = "codec.timeout"
    message = {"zh": "这幅图像解码超时", "en": "Decoding this image took too long"}


# Failures that say: never again in a shared process.
HARMFUL = ("codec.crashed", "codec.timeout", "codec.out_of_memory")


@dataclass(slots=True)
class _Child:
    process: asyncio.subprocess.Process
    served: int = 0

    async def ask(self, header: dict[str, Any], body: bytes, most: int) -> tuple[dict[str, Any], bytes]:
        assert self.process.stdin is not None and self.process.stdout is not None  # noqa: S101  # PIPEs were asked for
        self.process.stdin.write(wire.pack(header, body))
        await self.process.stdin.drain()
        return await wire.read(self.process.stdout, most)

    async def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


def values_bytes(spec: FrameSpec) -> int:
    """Bytes of a frame's decoded values."""
    return spec.rows * spec.columns * spec.samples_per_pixel * spec.dtype.itemsize


@dataclass(slots=True)
class _Gate:
    """Slots of one owner, and how many of its requests know of them."""

    slots: asyncio.Semaphore
    users: int = 0


class DecodePool:
    """At most ``size`` children; each serves one frame at a time and is used again after a good answer.

    One ``owner`` (a series) has at most ``size - 1`` of them, so that a series of hanging frames leaves others a child.
    """

    def __init__(self, size: int, timeout_s: float, memory_mb: int, plugins: str) -> None:
        self._slots = asyncio.Semaphore(size)
        self._most_per_owner = max(1, size - 1)
        self._gates: dict[str, _Gate] = {}
        self._idle: list[_Child] = []
        self._timeout_s = timeout_s
        self._memory_mb = memory_mb
        self._plugins = plugins

    async def _start(self) -> _Child:
        """Raises DecoderUnavailableError: nothing is known against the frame then."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app.rendering.decode_child",
            str(self._memory_mb),
            self._plugins,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=1 << 20,
        )
        child = _Child(process)
        assert process.stdout is not None  # noqa: S101  # PIPE was asked for
        try:
            await asyncio.wait_for(wire.read(process.stdout), _START_S)
        except (OSError, asyncio.IncompleteReadError, wire.WireError):
            await child.kill()
            raise DecoderUnavailableError from None
        except asyncio.CancelledError:
            await child.kill()
            raise
        return child

    @asynccontextmanager
    async def _turn(self, owner: str) -> AsyncIterator[None]:
        gate = self._gates.setdefault(owner, _Gate(asyncio.Semaphore(self._most_per_owner)))
        gate.users += 1
        try:
            async with gate.slots, self._slots:
                yield
        finally:
            gate.users -= 1
            if not gate.users:
                del self._gates[owner]

    async def decode(
        self, data: bytes, spec: FrameSpec, *, want_values: bool = True, owner: str = ""
    ) -> tuple[DecodedFrame, float, float]:
        """(frame, lowest, highest value).

        Raises CodecError, DecoderDiedError, DecoderHungError, DecoderUnavailableError.
        """
        header = {"spec": asdict(spec), "want_values": want_values, "most": values_bytes(spec) + wire.LARGEST_MESSAGE}
        async with self._turn(owner):
            try:
                answer, body = await self._ask(header, data)
            except _WornError:
                # The frames before may have spoilt this child's memory: judged in a child of its own.
                answer, body = await self._ask(header, data, fresh=True)
        if "error" in answer:
            raise _error_of(answer)
        values = np.empty((0, 0), answer["dtype"])
        if want_values:
            values = np.frombuffer(body, answer["dtype"]).reshape(tuple(answer["shape"]))
        frame = DecodedFrame(values, answer["photometric"], answer["decoder"])
        return frame, float(answer["lowest"]), float(answer["highest"])

    async def _ask(self, header: dict[str, Any], data: bytes, *, fresh: bool = False) -> tuple[dict[str, Any], bytes]:
        child = self._idle.pop() if self._idle and not fresh else await self._start()
        good = False
        try:
            answer, body = await asyncio.wait_for(child.ask(header, data, header["most"]), self._timeout_s)
            good = answer.get("error") != "codec.out_of_memory"
            child.served += 1
            return answer, body
        except TimeoutError:
            raise DecoderHungError(timeout_s=self._timeout_s) from None
        except (OSError, asyncio.IncompleteReadError, wire.WireError):
            if child.served:
                raise _WornError from None
            raise DecoderDiedError from None
        finally:
            if good:
                self._idle.append(child)
            else:
                await child.kill()

    async def warm(self) -> None:
        """Have one child ready, so that the first untried frame does not wait for its imports."""
        async with self._slots:
            if not self._idle:
                with suppress(DecoderUnavailableError):
                    self._idle.append(await self._start())

    async def close(self) -> None:
        """End idle children."""
        while self._idle:
            await self._idle.pop().kill()


class _WornError(Exception):
    """A child that had decoded other frames before died."""


def _error_of(answer: dict[str, Any]) -> CodecError:
    if answer["error"] == "codec.out_of_memory":
        error: CodecError = DecoderDiedError()
    else:
        error = CodecError()
        error.data = answer["data"]
    error.code = answer["error"]
    if answer["message"]:
        error.message = answer["message"]
    return error
