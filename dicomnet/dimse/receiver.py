"""A lean Storage and Verification SCP on asyncio: bytes of a C-STORE go from the socket to memory or to a file.

It parses PDUs and command sets, never data sets: the data set is kept as it came behind a Part 10 header of ours,
and a handler is awaited before any answer leaves (DICOM PS3.7 section 9, PS3.8 section 9, PS3.10 section 7).
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dicomnet.dimse.association import Association
from dicomnet.dimse.pdu import AssociateRequest
from dicomnet.dimse.values import Peer, Rejection, StoreReply, StoreRequest

StoreHandler = Callable[[StoreRequest], Awaitable[StoreReply]]
Admission = Callable[[AssociateRequest, str], Awaitable[Peer | Rejection]]
Log = Callable[..., None]


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """What one receiver accepts. Lengths in bytes, times in seconds."""

    accepted: Mapping[str, frozenset[str]]  # abstract syntax -> transfer syntaxes
    temporary_folder: Path
    implementation_class_uid: str
    implementation_version_name: str
    maximum_pdu_length: int = 1 << 18
    maximum_object_length: int = 4 << 30
    memory_per_association: int = 1 << 20  # a data set that fits is not written before it is complete
    association_timeout_s: float = 30.0
    network_timeout_s: float = 120.0
    maximum_associations: int = 100


@dataclass(slots=True)
class Receiver:
    """Listens, keeps the associations, ends them. ``serve`` may be called for an own or a given socket."""

    settings: ReceiverSettings
    admit: Admission
    store: StoreHandler
    log: Log
    associations: set[Association] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def serve(self, host: str, port: int, *, reuse_port: bool = False) -> int:
        """Start listening; returns the port. Temporary files of an earlier life are removed."""
        for left in self.settings.temporary_folder.glob(f"{os.getpid()}-*.part"):
            left.unlink()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Association(self), host, port, reuse_port=reuse_port or None)
        return int(self._server.sockets[0].getsockname()[1])

    def open_temporary(self) -> tuple[int, Path]:
        """(descriptor, path) of a new file for a data set. Raises OSError."""
        path = self.settings.temporary_folder / f"{os.getpid()}-{uuid.uuid4().hex}.part"
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), path

    async def close(self, grace_s: float = 5.0) -> None:
        """Stop listening, let running stores finish within ``grace_s``, then abort what is left."""
        if self._server is None:
            return
        self._server.close()
        running = [association.busy for association in self.associations if association.busy is not None]
        if running:
            await asyncio.wait(running, timeout=grace_s)
        for association in list(self.associations):
            association.abort_locally()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._server.wait_closed(), 1.0)
