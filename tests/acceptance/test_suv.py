"""The SUV factor of a real PET, told over the stream, against the one its real world value map gives."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pydicom
import pytest

from tests.support.house import Viewer
from tests.support.outside import dial
from tests.support.server import Server
from tests.support.volume_page import store_study

FOLDER = Path(os.environ.get("CLOUDFILM_TEST_DATA", "/nonexistent")) / "petct-acrin"


@pytest.mark.skipif(not FOLDER.is_dir(), reason="no CLOUDFILM_TEST_DATA with petct-acrin")
async def test_the_factor_is_that_of_the_real_world_value_map(server: Server) -> None:
    images = sorted(path for folder in FOLDER.glob("PT-*") for path in folder.rglob("*") if path.is_file())
    told = {
        float(item.RealWorldValueSlope)
        for path in FOLDER.glob("RWV-*/*")
        for mapped in pydicom.dcmread(path).get("ReferencedImageRealWorldValueMappingSequence", [])
        for item in mapped.RealWorldValueMappingSequence
        if item.MeasurementUnitsCodeSequence[0].CodeValue == "{SUVbw}g/ml"
    }
    patient_id = str(pydicom.dcmread(images[0], stop_before_pixels=True).PatientID)
    files = [path.read_bytes() for path in images[:40]]
    study = await asyncio.to_thread(store_study, server, patient_id, files)
    token = await asyncio.to_thread(server.token, "doctor")
    async with dial(server, token) as socket:
        viewer = Viewer(socket)
        await viewer.hello()
        series = next(row["series"] for row in (await viewer.open(study))["series"] if row["modality"] == "PT")
        await viewer.send(t="manifest", series=series)
        suv = (await viewer.text("manifest"))["manifest"]["suv"]
    assert suv["reason"] == ""
    assert any(suv["factor"] == pytest.approx(slope, rel=2e-5) for slope in told)
