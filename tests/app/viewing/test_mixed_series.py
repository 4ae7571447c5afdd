"""A series whose images differ in size and kind: each is shown as itself, and why there is no volume is told."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import generate_uid

from tests.support.dicom_files import as_bytes, make_ct
from tests.support.house import House, Viewer
from tests.support.series import values_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

Pixels = np.ndarray[Any, np.dtype[np.int64]]

BYTES: dict[str, Any] = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
COLOUR: dict[str, Any] = {**BYTES, "RescaleSlope": None, "RescaleIntercept": None}


def images() -> list[dict[str, Any]]:
    """What differs from a CT: nothing; small and wide; MONOCHROME1 of 8 bits; RGB; a palette whose index 1 is green."""
    ramp = np.arange(48, dtype=np.uint8)[:, None] * np.ones((1, 40), np.uint8) * 5
    rgb = np.zeros((30, 50, 3), np.uint8) + np.array((220, 30, 60), np.uint8)
    gray = np.full((10, 90), 1024, "<u2").tobytes()
    return [
        {"Rows": 64, "Columns": 64, "PixelData": values_of(3, 64).tobytes(), "WindowCenter": 176, "WindowWidth": 2400},
        {"Rows": 10, "Columns": 90, "PixelData": gray, "WindowCenter": 0, "WindowWidth": 100},
        dict(
            BYTES,
            Rows=48,
            Columns=40,
            PixelData=ramp.tobytes(),
            PhotometricInterpretation="MONOCHROME1",
            RescaleIntercept=0,
            WindowCenter=128,
            WindowWidth=256,
        ),
        dict(
            COLOUR,
            Rows=30,
            Columns=50,
            PixelData=rgb.tobytes(),
            SamplesPerPixel=3,
            PlanarConfiguration=0,
            PhotometricInterpretation="RGB",
        ),
        dict(COLOUR, Rows=20, Columns=20, PixelData=bytes([1]) * 400, PhotometricInterpretation="PALETTE COLOR"),
    ]


def mixed_series() -> list[bytes]:
    """Part 10 files of one series."""
    study, series = generate_uid(), generate_uid()
    files: list[bytes] = []
    for index, values in enumerate(images()):
        ds = make_ct(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=index + 1, **values)
        ds.ImagePositionPatient = [0, 0, index * 2.5]
        if ds.PhotometricInterpretation == "PALETTE COLOR":
            for channel, entries in enumerate(((0, 0), (0, 0xFF00), (0, 0))):
                ds.add_new(0x00281101 + channel, "US", [2, 0, 16])
                ds.add_new(0x00281201 + channel, "OW", np.array(entries, "<u2").tobytes())
        files.append(as_bytes(ds))
    return files


async def shown(viewer: Viewer, series: int, frame: int, generation: int) -> Pixels:
    """(y, x, 3) levels of a preview; its image is asked for by its own size."""
    height, width = ((64, 64), (10, 90), (48, 40), (30, 50), (20, 20))[frame]
    await viewer.view(series, generation, frame=frame, width=width, height=height, answer="preview")
    header, data = await viewer.picture()
    assert (header["generation"], header["frame"]) == (generation, frame)
    assert header["source_rect"] == [0, 0, width, height]
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.int64)


async def test_each_image_is_shown_as_itself(house: House) -> None:
    study, series = await house.store(*mixed_series())
    async with house.dial(await house.staff()) as socket:
        viewer = Viewer(socket)
        await viewer.hello()
        assert (await viewer.open(study))["series"][0]["frame_count"] == 5
        assert abs((await shown(viewer, series, 1, 1)).mean() - 128) < 4
        inverted = await shown(viewer, series, 2, 2)
        assert inverted[2].mean() > 225  # MONOCHROME1: zero is white
        assert inverted[-3].mean() < 35
        assert np.abs((await shown(viewer, series, 3, 3)).mean((0, 1)) - (220, 30, 60)).max() < 8
        assert np.abs((await shown(viewer, series, 4, 4)).mean((0, 1)) - (0, 255, 0)).max() < 8


async def test_no_volume_of_them_and_the_reason_is_told(house: House) -> None:
    study, series = await house.store(*mixed_series())
    async with house.dial(await house.staff()) as socket:
        viewer = Viewer(socket)
        await viewer.hello()
        await viewer.open(study)
        await viewer.view(series, 1, viewport="b", kind="slab", plane="coronal")
        error = await viewer.text("error")
        assert (error["generation"], error["code"]) == (1, "volume.wrong_stack")
        await shown(viewer, series, 0, 2)
