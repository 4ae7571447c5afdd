"""What a receiver tells and is told: the sender, a received object, the answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Peer:
    """Who sends: titles as sent, network address, and the institution that the called title picked."""

    calling_ae_title: str
    called_ae_title: str
    address: str
    institution_id: int
    correlation_id: str


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """One received object.

    ``content`` is a complete Part 10 file: a path, which the handler takes over (moves or removes), or its bytes, which
    are valid until the handler returns.
    """

    peer: Peer
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    content: Path | memoryview
    length_bytes: int
    sha256: bytes = b""  # of the whole file


@dataclass(frozen=True, slots=True)
class StoreReply:
    """DIMSE status (PS3.7 annex C, PS3.4 table B.2-1) and an error comment of at most 64 characters."""

    status: int
    error_comment: str = ""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A-ASSOCIATE-RJ values (PS3.8, Table 9-21)."""

    result: int = 1
    source: int = 1
    reason: int = 1
