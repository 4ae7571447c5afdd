"""A few disposable decoder processes: a frame that hangs or kills one costs that frame, nothing else."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from app.rendering import wire
from render.codec import DecodedFrame, FrameSpec
from render.errors import CodecError


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

    async def ask(self, header: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        assert self.process.stdin is not None and self.process.stdout is not None  # noqa: S101  # PIPEs were asked for
        self.process.stdin.write(wire.pack(header, body))
        await self.process.stdin.drain()
        return await wire.read(self.process.stdout)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()


class DecodePool:
    """At most ``size`` children; each serves one frame at a time and is used again after a good answer."""

    def __init__(self, size: int, timeout_s: float, memory_mb: int, plugins: str) -> None:
        self._slots = asyncio.Semaphore(size)
        self._idle: list[_Child] = []
        self._timeout_s = timeout_s
        self._memory_mb = memory_mb
        self._plugins = plugins

    async def _start(self) -> _Child:
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
        await asyncio.wait_for(wire.read(process.stdout), 30)
        return child

    async def decode(
        self, data: bytes, spec: FrameSpec, *, want_values: bool = True
    ) -> tuple[DecodedFrame, float, float]:
        """(frame, lowest, highest value). Raises CodecError, DecoderDiedError, DecoderHungError."""
        async with self._slots:
            child = self._idle.pop() if self._idle else await self._start()
            good = False
            try:
                header = {"spec": asdict(spec), "want_values": want_values}
                answer, body = await asyncio.wait_for(child.ask(header, data), self._timeout_s)
                good = True
            except TimeoutError:
                raise DecoderHungError(timeout_s=self._timeout_s) from None
            except (OSError, asyncio.IncompleteReadError, wire.WireError):
                raise DecoderDiedError from None
            finally:
                if good:
                    self._idle.append(child)
                else:
                    child.kill()
                    await child.process.wait()
        if "error" in answer:
            error = CodecError(**answer["data"]) if answer["error"] != "codec.out_of_memory" else DecoderDiedError()
            error.code = answer["error"]
            if answer["message"]:
                error.message = answer["message"]
            raise error
        shape = tuple(answer["shape"])
        values = (
            np.frombuffer(body, answer["dtype"]).reshape(shape) if want_values else np.empty((0, 0), answer["dtype"])
        )
        frame = DecodedFrame(values, answer["photometric"], answer["decoder"])
        return frame, float(answer["lowest"]), float(answer["highest"])

    async def close(self) -> None:
        """End idle children."""
        for child in self._idle:
            child.kill()
            await child.process.wait()
        self._idle.clear()
