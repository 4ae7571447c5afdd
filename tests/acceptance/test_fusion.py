"""PET/CT fusion from outside: the demo's pair is sent over DICOM and looked at over the stream."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.demo.phantoms import dicom_bytes, phantom_pet, phantom_petct_ct
from tests.support.house import Viewer
from tests.support.outside import dial, send_by_dicom, study_key
from tests.support.server import Server

SLICES = 30
VIEW: dict[str, Any] = {"t": "view", "viewport": "f", "width": 256, "height": 256, "plane": "coronal"}


async def refined(viewer: Viewer) -> tuple[dict[str, Any], Any]:
    """(header, (y, x, 3)) of the next refined picture of a whole volume."""
    while True:
        header, data = await viewer.picture()
        if header["quality"] == "refined":
            assert header["complete"] == 100
            return header, np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), int)


async def test_the_pet_is_seen_in_colour_over_the_ct(server: Server) -> None:
    files = [dicom_bytes(ds) for ds in (*phantom_petct_ct(SLICES, 64), *phantom_pet(SLICES, 32))]
    accession_number = await asyncio.to_thread(send_by_dicom, server, files)
    token = await asyncio.to_thread(server.token, "doctor")
    key = await asyncio.to_thread(study_key, server, token, accession_number)
    async with dial(server, token) as socket:
        viewer = Viewer(socket)
        await viewer.hello(webp=True)
        series = {row["modality"]: row["series"] for row in (await viewer.open(key))["series"]}
        ct, pet = series["CT"], series["PT"]
        await viewer.send(**VIEW, kind="fusion", series=ct, overlay=pet, generation=1)
        header, fused = await refined(viewer)
        assert (header["kind"], header["overlay"]["series"], header["overlay"]["colour_map"]) == ("fusion", pet, "hot")
        # The file's own window, Bq/ml: SUV 0 to 6.
        assert header["overlay"]["window_center"] == pytest.approx(header["overlay"]["window_width"] / 2, rel=1e-4)
        place = {name: header[name] for name in ("center_mm", "pixel_spacing_mm")}
        await viewer.send(**VIEW, kind="slab", series=ct, generation=2, **place)
        plain = (await refined(viewer))[1].mean(axis=2)
        await viewer.send(**VIEW, kind="slab", series=pet, generation=3, **place)
        uptake = (await refined(viewer))[1].mean(axis=2)
        colour = fused.max(axis=2) - fused.min(axis=2)
        assert colour[uptake > 100].mean() > 40  # organs with much uptake glow
        cold = uptake < 3
        assert cold.mean() > 0.05 and colour[cold].mean() < 15
        assert np.abs(fused.mean(axis=2) - plain)[cold].mean() < 6
        # Another map, another opacity: the same place in other colours.
        wish = {"series": ct, "overlay": pet, "colour_map": "cool", "opacity": 1.0, "fade": 0.5}
        await viewer.send(**VIEW, kind="fusion", generation=4, **wish)
        _, cool = await refined(viewer)
        assert (cool[..., 2] - cool[..., 0])[uptake > 60].mean() > 40
