"""From a received object to its DIMSE status: who may send, what is stored, what the sender is told."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping

import asyncpg
import structlog

from dicomnet.archive.errors import IngestError
from dicomnet.archive.ingest import Ingest
from dicomnet.archive.query import resolve_ae
from dicomnet.database import Database
from dicomnet.dimse.pdu import AssociateRequest
from dicomnet.dimse.values import Peer, Rejection, StoreReply, StoreRequest

log = structlog.get_logger("dicomnet.dimse")

SUCCESS = 0x0000
SOP_CLASS_NOT_SUPPORTED = 0x0122
OUT_OF_RESOURCES = 0xA700
DATA_SET_DOES_NOT_MATCH = 0xB007
CANNOT_UNDERSTAND = 0xC000

# Stable code -> DIMSE status (PS3.4 Table B.2-1). Codes that are not here are 0xC000.
STATUS_OF_CODE: Mapping[str, int] = {
    "ingest.disk_full": OUT_OF_RESOURCES,
    "ingest.unavailable": OUT_OF_RESOURCES,
    "ingest.too_large": OUT_OF_RESOURCES,
    "ingest.sop_class_unknown": SOP_CLASS_NOT_SUPPORTED,
    "ingest.not_dicom": 0xC001,
    "ingest.truncated": 0xC002,
    "ingest.pixel_data_short": 0xC003,
    "ingest.too_complex": 0xC004,
    "ingest.missing_uid": 0xC005,
    "ingest.uid_invalid": 0xC006,
}

# A-ASSOCIATE-RJ (PS3.8 Table 9-21).
CALLED_TITLE_UNKNOWN = Rejection(result=1, source=1, reason=7)
INSTITUTION_SUSPENDED = Rejection(result=1, source=1, reason=1)
TEMPORARILY_UNAVAILABLE = Rejection(result=2, source=3, reason=1)

_TITLE = re.compile(r"[ -\[\]-~]{1,16}")  # default repertoire without backslash and control characters


class StoreHandler:
    """Admission and C-STORE of one process, on top of the ingest door."""

    def __init__(self, database: Database, ingest: Ingest) -> None:
        self._database = database
        self._ingest = ingest

    async def admit(self, request: AssociateRequest, address: str) -> Peer | Rejection:
        """The institution of the called AE title, or why the association is rejected."""
        called, calling = request.called_ae_title.strip(), request.calling_ae_title.strip()
        if _TITLE.fullmatch(called) is None:
            return CALLED_TITLE_UNKNOWN
        try:
            found = await resolve_ae(self._database, called)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.error("dimse.admission_failed", address=address, reason=type(error).__name__)
            return TEMPORARILY_UNAVAILABLE
        if found is None:
            return CALLED_TITLE_UNKNOWN
        if found.suspended:
            log.warning("dimse.institution_suspended", address=address, institution_id=found.institution_id)
            return INSTITUTION_SUSPENDED
        return Peer(calling, called, address, found.institution_id, uuid.uuid4().hex)

    async def store(self, request: StoreRequest) -> StoreReply:
        """Archive one object. 0x0000 is returned only after the commit; every refusal is logged."""
        peer = request.peer
        try:
            stored = await self._ingest.store(
                request.content,
                institution_id=peer.institution_id,
                source=f"ae:{peer.calling_ae_title}",
                transfer_syntax_uid=request.transfer_syntax_uid,
                sop_class_uid=request.sop_class_uid,
                sop_instance_uid=request.sop_instance_uid,
                sha256=request.sha256,
            )
        except IngestError as error:
            status = STATUS_OF_CODE.get(error.code, CANNOT_UNDERSTAND)
            log.warning(
                "dimse.store_refused",
                code=error.code,
                status=f"0x{status:04X}",
                calling_ae_title=peer.calling_ae_title,
                address=peer.address,
                institution_id=peer.institution_id,
                correlation_id=peer.correlation_id,
                **{f"data_{key}": value for key, value in error.data.items()},
            )
            return StoreReply(status, error.code)
        if stored.sop_class_uid != request.sop_class_uid:
            # A warning, not a refusal: the object is kept (PS3.4 Table B.2-1, B007).
            log.warning("dimse.sop_class_mismatch", announced=request.sop_class_uid, found=stored.sop_class_uid)
            return StoreReply(DATA_SET_DOES_NOT_MATCH, "ingest.sop_class_mismatch")
        return StoreReply(SUCCESS)
