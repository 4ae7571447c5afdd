"""The single roles: what ``cloudfilm serve`` starts, and what runs alone on larger installations."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import socket
import sys
import threading
from contextlib import suppress

import uvicorn
import uvloop

from app import locations
from app.cli import parser
from app.logging import configure_logging, get_logger
from app.settings import Settings, split_address
from app.tls import certificate_files

SUPERVISED = "CLOUDFILM_SUPERVISED"
_LAST_S = 8.0
_M_ARENA_MAX = -8  # malloc.h


def _follow_supervisor() -> None:
    """End when standard input ends: the supervisor holds its other side, so even kill -9 of it leaves no orphans."""
    if os.environ.pop(SUPERVISED, "") != "1":
        return

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(_LAST_S)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="follow-supervisor", daemon=True).start()


def _begin(role: str, settings: Settings) -> None:
    configure_logging(role, settings.log_level)
    _follow_supervisor()


def share_arenas() -> None:
    """Two heaps for all threads instead of one for each (glibc): what one thread freed, another can use.

    Must come before the first thread. Decoded frames and pictures are made by one thread and dropped by another; with a
    heap for each, the render process kept up to 50 MB of freed memory beside 50 MB in use, with two heaps half of that.
    """
    with suppress(AttributeError, OSError):  # another C library has no such switch
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def collect_and_freeze() -> None:
    """What the imports made lives as long as the process; frozen, no collection looks at it again.

    A full collection would walk all of it: 75 ms measured in the web role, with every socket waiting. The one after the
    freeze tells the collector that nothing else lives: it waits until a quarter as much as it last saw alive is new, and
    with the imports still counted that was more than 10^5 dead tracebacks and tasks (1 to 2 MB per 10^4 views).
    """
    gc.collect()
    gc.freeze()
    gc.collect()
    gc.set_threshold(700, 10, 2)  # a full collection is cheap now: what lost sockets leave goes within seconds


def _report_ready(detail: str = "") -> None:
    """The supervisor waits for this line on standard output."""
    collect_and_freeze()
    print(f"ready {detail}".rstrip(), flush=True)


class _Server(uvicorn.Server):
    """uvicorn that says when it serves."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            _report_ready()


def web(settings: Settings, argv: list[str]) -> int:
    """HTTP and WebSocket. ``--fd N``: serve on an inherited listening socket."""
    arguments = parser("web", "the web role")
    arguments.add_argument("--fd", type=int)
    given = arguments.parse_args(argv)
    _begin("web", settings)
    from app.main import build_app
    from app.protocol import BoundedHttp
    from dicomnet.keyring import prepare_names

    prepare_names()
    files = certificate_files(settings)
    host, port = split_address(settings.http)
    config = uvicorn.Config(
        build_app(settings, secure=files is not None),
        host=host,
        port=port,
        http=BoundedHttp,
        loop="uvloop",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=1 << 16,
        timeout_keep_alive=max(120, settings.keep_alive_s),
        timeout_graceful_shutdown=3,
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=True,
        ssl_certfile=str(files[0]) if files else None,
        ssl_keyfile=str(files[1]) if files else None,
    )
    sockets = [socket.socket(fileno=given.fd)] if given.fd is not None else None
    _Server(config).run(sockets)
    return 0


def render(settings: Settings, argv: list[str]) -> int:
    """Pictures over a Unix socket."""
    parser("render", "the render role").parse_args(argv)
    share_arenas()
    _begin("render", settings)
    from app.rendering.process import run

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(settings, _report_ready))
    return 0


def worker(settings: Settings, argv: list[str]) -> int:
    """Durable jobs at low priority."""
    parser("worker", "the worker role").parse_args(argv)
    _begin("worker", settings)
    from app.viewing.worker import run

    asyncio.run(run(settings, _report_ready))
    return 0


def dicom(settings: Settings, argv: list[str]) -> int:
    """The DICOM server. ``--port N`` is the supervisor's reserved port, shared by several processes."""
    arguments = parser("dicom", "the DICOM role")
    arguments.add_argument("--port", type=int)
    given = arguments.parse_args(argv)
    _begin("dicom", settings)
    from dicomnet.dimse.scp import run_scp

    host, port = split_address(settings.dicom)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_scp(
        host=host,
        port=given.port or port,
        database_url=locations.runtime_url(settings),
        home=settings.home,
        keyring_path=locations.key_path(settings),
        blobs_url=settings.blobs_url,
        sop_classes_file=locations.sop_class_file(settings),
        max_object_bytes=settings.max_upload_mb << 20,
        min_free_bytes=settings.min_free_disk_mb << 20,
        ready=lambda bound: _report_ready(str(bound)),
        stop=stop,
    )
    return 0


async def until_stopped() -> None:
    """Wait for SIGTERM or SIGINT (used by the render and worker roles)."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    with suppress(Exception):
        get_logger().info("role.stopping", argv=sys.argv[1:2])
