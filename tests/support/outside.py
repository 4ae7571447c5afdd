"""What a modality and a viewer do from outside: C-STORE, HTTP and the stream with a Bearer token."""

from __future__ import annotations

import io
import secrets
from collections import defaultdict
from typing import Any

import pydicom
from pydicom.uid import generate_uid
from pynetdicom import AE
from websockets.asyncio.client import connect

from tests.support.server import Server, wait_until


def send_by_dicom(server: Server, files: list[bytes]) -> str:
    """C-STORE every file as a study of its own; each is answered with success. Returns its accession number.

    Phantoms always have the same UIDs, and a shared server may already hold them: all three levels get new ones.
    """
    datasets = [pydicom.dcmread(io.BytesIO(data)) for data in files]
    accession_number = secrets.token_hex(6)
    fresh: defaultdict[str, str] = defaultdict(generate_uid)
    ae = AE(ae_title="MODALITY")
    for sop_class, syntax in {(ds.SOPClassUID, ds.file_meta.TransferSyntaxUID) for ds in datasets}:
        ae.add_requested_context(sop_class, syntax)
    association = ae.associate(server.dicom.host, server.dicom.port, ae_title=server.dicom.ae_title)
    assert association.is_established
    try:
        for ds in datasets:
            ds.AccessionNumber = accession_number
            for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
                setattr(ds, keyword, fresh[getattr(ds, keyword)])
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            assert association.send_c_store(ds).Status == 0
    finally:
        association.release()
    return accession_number


def study_key(server: Server, token: str, accession_number: str) -> int:
    """The key under which the house's own pages know a study."""
    with server.client(headers={"Authorization": f"Bearer {token}"}) as client:

        def find() -> int:
            answer = client.get("/api/studies", params={"accession_number": accession_number}).raise_for_status()
            rows: list[dict[str, Any]] = answer.json()["studies"]
            return int(rows[0]["study_key"]) if rows else 0

        return int(wait_until(find, 60, "the study in the list"))


def dial(server: Server, token: str = "", *, cookie: str = "") -> connect:
    """The stream of a running server, for a Bearer token or a browser's cookies."""
    address = server.http.replace("http", "ws", 1) + "/api/stream"
    headers = {"Authorization": f"Bearer {token}"} if token else {"Cookie": cookie}
    return connect(address, additional_headers=headers, compression=None)
