"""Threads that make pictures. An executor's future costs two locks, a condition and a copy for each of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Task(Generic[T]):
    make: Callable[[], T]
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[T]


class Makers(Generic[T]):
    """``count`` threads; what they made, or its exception, is told to the loop that asked."""

    def __init__(self, count: int, name: str) -> None:
        self._tasks: SimpleQueue[_Task[T] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._run, name=f"{name}-{i}", daemon=True) for i in range(count)]
        for thread in self._threads:
            thread.start()

    def make(self, make: Callable[[], T]) -> asyncio.Future[T]:
        """What ``make`` returns, made by the next thread that is free."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._tasks.put(_Task(make, loop, done))
        return done

    def close(self) -> None:
        """The threads end after what they have begun; what waits is not made."""
        while not self._tasks.empty():
            self._tasks.get()
        for _ in self._threads:
            self._tasks.put(None)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            loop, done = task.loop, task.done
            try:
                result = task.make()
            except BaseException as error:
                _post(loop, _fail, done, error)
            else:
                _post(loop, _tell, done, result)
                del result
            del task, loop, done  # an idle thread keeps no frame or volume alive


def _post(loop: asyncio.AbstractEventLoop, tell: Callable[..., None], done: asyncio.Future[T], what: object) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits
        loop.call_soon_threadsafe(tell, done, what)


def _tell(done: asyncio.Future[T], result: T) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[T], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)
