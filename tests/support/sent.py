"""A study of given files on the server, sent by C-STORE; and the view that the page's address holds."""

from __future__ import annotations

import base64
import io
import json
import re
from typing import Any

import pydicom
from playwright.sync_api import Page

from dicomnet.dimse.scu import send
from tests.support.demo_ct import Study
from tests.support.server import Server, wait_until


def sent(server: Server, patient_id: str, files: list[bytes], modality: str = "CT") -> Study:
    """Send them and wait until the study of this patient has them all."""
    instances = [pydicom.dcmread(io.BytesIO(data)) for data in files]
    address = server.dicom
    contexts = {(str(ds.SOPClassUID), str(ds.file_meta.TransferSyntaxUID)) for ds in instances}
    send(address.host, address.port, instances, contexts, called_ae_title=address.ae_title)
    with server.admin() as client:

        def complete() -> int:
            rows = client.get("/api/studies", params={"q": patient_id}).json()["studies"]
            return next((int(row["study_key"]) for row in rows if row["instance_count"] == len(files)), 0)

        return Study(server, wait_until(complete, 60, "the study's arrival"), modality)


def linked_view(page: Page) -> dict[str, Any]:
    """The view in the address: ``zoom``, ``centerX``, ``centerY``, … Empty without one."""
    found = re.search(r"#view=([\w-]+)$", str(page.evaluate("location.href")))
    if not found:
        return {}
    text = found.group(1)
    return dict(json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))["views"][0])


def under(page: Page, view: dict[str, Any], at: tuple[float, float], columns: int, rows: int) -> tuple[float, float]:
    """Image point (column, row) under a place of the page, of an unturned view with square pixels."""
    box = page.locator("#stage").bounding_box()
    assert box is not None
    scale = min(box["width"] / columns, box["height"] / rows) * view["zoom"]
    across, down = at[0] - box["x"] - box["width"] / 2, at[1] - box["y"] - box["height"] / 2
    return view["centerX"] * columns + across / scale, view["centerY"] * rows + down / scale
