"""The process that parses DICOM headers for the web role: one at a time, started anew when it died or hangs.

Parsing holds the interpreter and meets whatever foreign programs wrote, so it never runs in the web process. Starting
the child takes tens of milliseconds; that, and waiting for it, happens in a thread of its own, never in the loop.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, TypeVar, TypeVarTuple, cast

from app.archive_api.errors import DicomwebError

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

_LONGEST_S = 60.0  # a batch of headers takes milliseconds; what takes this long hangs
_SPAWN = multiprocessing.get_context("spawn")  # a fork of a process with threads may hold their locks for ever


class HeaderProcessError(DicomwebError):
    """The process that reads headers ended or hung on this request; the request may be tried again."""

    code = "dicomweb.unavailable"
    message = {"zh": "暂时无法读取文件头，请重试", "en": "Headers cannot be read for now, please try again"}
    retryable = True


class _DiedError(Exception):
    """The child ended before it answered."""


class HeaderProcess:
    """Runs functions of modules that the child can import, in the order of asking."""

    def __init__(self, timeout_s: float = _LONGEST_S) -> None:
        self._timeout_s = timeout_s
        self._thread = ThreadPoolExecutor(1, "headers")  # its queue is the order of asking
        self._process: Any = None
        self._pipe: Connection[Any, Any] | None = None
        self._closed = False

    async def run(self, function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        """``function(*arguments)`` in the child; what it raises is raised here.

        A child that died is replaced and asked once more: another request, or a person's kill, may have ended it.
        Raises HeaderProcessError when the second one dies too, or one hangs.
        """
        succeeded, value = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._ask, function, arguments
        )
        if not succeeded:
            raise value
        return cast(Result, value)

    def _ask(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[bool, Any]:
        """(whether it succeeded, result or exception)."""
        for _ in range(2):
            with suppress(_DiedError):
                return self._ask_once(function, arguments)
        return False, HeaderProcessError()

    def _ask_once(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[bool, Any]:
        pipe = self._living()
        try:
            pipe.send((function, arguments))
            if pipe.poll(self._timeout_s):
                return pipe.recv()
        except (EOFError, OSError):
            self._end()
            raise _DiedError from None
        self._end()
        return False, HeaderProcessError(timeout_s=self._timeout_s)

    def _living(self) -> Connection[Any, Any]:
        """The child's pipe; starts a child where there is none."""
        if self._closed:
            raise _DiedError
        if self._pipe is None:
            ours, theirs = _SPAWN.Pipe()
            process = _SPAWN.Process(target=_serve, args=(theirs,), name="headers", daemon=True)
            process.start()
            theirs.close()
            self._process, self._pipe = process, ours
        return self._pipe

    @property
    def pid(self) -> int | None:
        """The child's process id; None before the first request."""
        return None if self._process is None else self._process.pid

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None

    async def close(self) -> None:
        """End the child; what still waits raises HeaderProcessError."""
        self._closed = True
        process = self._process
        if process is not None:
            with suppress(ValueError):  # ended by its own thread meanwhile
                process.kill()
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
        self._end()


def _end_with_parent() -> None:
    """The child ends when its owner was killed: by itself it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=lambda: (parent.join(), os._exit(0)), daemon=True).start()


def _serve(pipe: Connection[Any, Any]) -> None:
    """The child: answer until the pipe ends."""
    _end_with_parent()
    with suppress(EOFError, OSError):
        while True:
            function, arguments = pipe.recv()
            try:
                answer: tuple[bool, Any] = True, function(*arguments)
            except Exception as error:
                answer = False, error
            pipe.send(answer)
