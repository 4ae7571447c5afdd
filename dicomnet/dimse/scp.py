"""One DICOM server process: Verification and Storage. Several may listen on one port (SO_REUSEPORT)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from dicomnet.archive.header import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicomnet.archive.ingest import Ingest
from dicomnet.archive.objects import LocalObjects, open_objects
from dicomnet.database import Database
from dicomnet.dimse.receiver import Receiver, ReceiverSettings
from dicomnet.dimse.store_handler import StoreHandler
from dicomnet.events import INGEST_CHANNEL, Waker
from dicomnet.keyring import Keyring, prepare_names
from dicomnet.sop_classes import VERIFICATION, storage_classes, transfer_syntaxes

log = structlog.get_logger("dicomnet.dimse.scp")


def reserve_port(host: str, port: int) -> tuple[socket.socket, int]:
    """(bound socket that does not listen, its port): the parent holds it, so that port 0 is one port for all children.

    Raises OSError where the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reserved = socket.socket(family, socket.SOCK_STREAM)
    try:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind((host, port))
    except BaseException:
        reserved.close()
        raise
    return reserved, int(reserved.getsockname()[1])


def run_scp(
    *,
    host: str,
    port: int,
    database_url: str,
    home: Path,
    keyring_path: Path,
    ready: Callable[[int], None],
    stop: threading.Event,
    reuse_port: bool = True,
    blobs_url: str = "",
    sop_classes_file: Path | None = None,
    max_object_bytes: int = 4 << 30,
    min_free_bytes: int = 256 << 20,
    max_associations: int = 100,
    max_pdu_bytes: int = 1 << 17,
    association_timeout_s: float = 30.0,
    network_timeout_s: float = 120.0,
    wake_channel: str = INGEST_CHANNEL,
) -> None:
    """Serve until ``stop`` is set; ``ready`` is told the port. ``database_url`` is the runtime role's.

    Running stores finish before this returns (at most 5 s), others are aborted: nothing answered is lost.
    Raises OSError when the port cannot be had, SopClassFileError, KeyringError.
    """
    prepare_names()
    classes = storage_classes(sop_classes_file)
    keyring = Keyring.load_or_create(keyring_path)
    objects = open_objects(blobs_url, home)
    if isinstance(objects, LocalObjects):
        objects.remove_stale_temporaries()

    async def main() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        watcher = threading.Thread(target=_watch, args=(stop, loop, stopped), name="scp-stop", daemon=True)
        watcher.start()
        database = await _connect(database_url)
        waker = Waker(database_url, wake_channel)
        ingest = Ingest(
            database,
            objects,
            keyring,
            is_storage_class=classes.__contains__,
            max_object_bytes=max_object_bytes,
            min_free_bytes=min_free_bytes,
            after_commit=waker.wake,
        )
        handler = StoreHandler(database, ingest)
        syntaxes = transfer_syntaxes()
        receiver = Receiver(
            ReceiverSettings(
                accepted=dict.fromkeys([*classes, VERIFICATION], syntaxes),
                temporary_folder=objects.incoming,
                implementation_class_uid=IMPLEMENTATION_CLASS_UID,
                implementation_version_name=IMPLEMENTATION_VERSION_NAME,
                maximum_pdu_length=max_pdu_bytes,
                maximum_object_length=max_object_bytes,
                association_timeout_s=association_timeout_s,
                network_timeout_s=network_timeout_s,
                maximum_associations=max_associations,
            ),
            handler.admit,
            handler.store,
            _log_event,
        )
        try:
            bound = await receiver.serve(host, port, reuse_port=reuse_port)
            log.info("dimse.listening", port=bound)
            gc.collect()
            gc.freeze()  # what is loaded by now stays: later collections need not walk it
            gc.collect()  # and what is new is judged by what else lives, not by all that was frozen
            ready(bound)
            await stopped.wait()
        finally:
            await receiver.close()
            ingest.close()
            await waker.close()
            await database.close()

    runner: Any = asyncio.run
    with contextlib.suppress(ImportError):
        import uvloop

        runner = uvloop.run
    runner(main())


async def _connect(database_url: str) -> Database:
    """The pool; the database may still be starting."""
    for delay_s in (0.2, 0.5, 1.0, 2.0, 4.0, 8.0):
        try:
            return await Database.connect(database_url, min_size=2, max_size=8)
        except (OSError, ConnectionError) as error:
            log.warning("dimse.database_not_ready", reason=type(error).__name__)
            await asyncio.sleep(delay_s)
    return await Database.connect(database_url, min_size=2, max_size=8)


def _watch(stop: threading.Event, loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    stop.wait()
    with contextlib.suppress(RuntimeError):  # the loop has ended by itself
        loop.call_soon_threadsafe(stopped.set)


def _log_event(event: str, **values: object) -> None:
    log.warning(event, **values)
