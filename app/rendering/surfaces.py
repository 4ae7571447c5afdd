"""Surfaces for the render process: one at a time, each made by a disposable child that may use bounded time and memory."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import orjson

from app.rendering import wire
from app.rendering.errors import RemoteError, SurfaceBusyError, SurfaceFailedError, SurfaceTimeoutError
from render.surface import SurfaceRequest
from render.volume import Volume

LONGEST_S = 60.0
_MOST_WAITING = 4
_BASE_MEMORY_MB = 3072
_VOLUMES = 4  # its values, padded values, halves and the mesh


class SurfaceMaker:
    """``timeout_s``: of one surface, without the wait for its turn."""

    def __init__(self, timeout_s: float = LONGEST_S) -> None:
        self._timeout_s = timeout_s
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def make(self, volume: Volume, request: SurfaceRequest, media_type: str) -> tuple[dict[str, Any], bytes]:
        """(triangles, volume_mm3 …, the file). Raises RenderError's codes, SurfaceBusyError, SurfaceTimeoutError,
        SurfaceFailedError."""
        if self._waiting >= _MOST_WAITING:
            raise SurfaceBusyError
        self._waiting += 1
        try:
            async with self._turn:
                return await self._make(volume, request, media_type)
        finally:
            self._waiting -= 1

    async def _make(self, volume: Volume, request: SurfaceRequest, media_type: str) -> tuple[dict[str, Any], bytes]:
        asked = {
            "dtype": volume.values.dtype.str,
            "shape": volume.shape,
            "index_to_lps_mm": volume.index_to_lps_mm.tolist(),
            "request": asdict(request),
            "format": media_type,
        }
        descriptor = os.memfd_create("surface")
        try:
            await asyncio.to_thread(_write, descriptor, volume)
            memory_mb = _BASE_MEMORY_MB + (_VOLUMES * volume.nbytes >> 20)
            told, data = await self._run(descriptor, memory_mb, orjson.dumps(asked).decode())
        finally:
            os.close(descriptor)
        if "error" in told:
            raise RemoteError(told["error"], told["message"], told["data"], False)
        return told, data

    async def _run(self, descriptor: int, memory_mb: int, asked: str) -> tuple[dict[str, Any], bytes]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app.rendering.surface_child",
            *(str(descriptor), str(memory_mb), asked),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            pass_fds=(descriptor,),
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # each of its threads would count against the limit
            limit=1 << 20,
        )
        assert process.stdout is not None  # noqa: S101  # PIPE was asked for
        try:
            return await asyncio.wait_for(wire.read(process.stdout), self._timeout_s)
        except TimeoutError:
            raise SurfaceTimeoutError from None
        except (asyncio.IncompleteReadError, wire.WireError):
            raise SurfaceFailedError from None
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _write(descriptor: int, volume: Volume) -> None:
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(memoryview(volume.values).cast("B"))
