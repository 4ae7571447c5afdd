"""Images and clients that nobody wished for: each has a clear state, and nobody else is disturbed."""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, MultiFrameGrayscaleWordSecondaryCaptureImageStorage
from websockets.exceptions import ConnectionClosed

from app.rendering.frames import places
from app.rendering.loader import FrameLoader
from app.rendering.series import OpenSeries, SeriesCache
from app.settings import Settings
from dicomnet.archive.objects import LocalObjects
from dicomnet.database import Database
from render.errors import FrameTooLargeError
from tests.dicomnet.archive.test_open_record import stored
from tests.support.dicom_files import as_bytes, make_ct
from tests.support.house import House, Viewer
from tests.support.series import JPEG_LS, ct_series, values_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def picture_of(house: House, study: int, series: int, **view: Any) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """(header, pixels) of the first preview."""
    async with house.dial(await house.staff()) as socket:
        viewer = Viewer(socket)
        await viewer.hello()
        await viewer.open(study)
        await viewer.view(series, 1, **view)
        header, data = await viewer.picture(60)
        return header, np.asarray(Image.open(io.BytesIO(data)), np.int64)


async def test_one_pixel(house: House) -> None:
    keys = await house.store(as_bytes(make_ct(Rows=1, Columns=1, PixelData=b"\x10\x02")))
    header, pixels = await picture_of(house, *keys)
    assert header["source_rect"] == [0, 0, 1, 1]
    assert pixels.size >= 1


async def test_sixteen_bits_signed_with_padding(house: House) -> None:
    values = np.full((64, 64), 40, np.int16)
    values[:, :20] = -32768
    values[:, 40:] = 400
    ds = make_ct(
        Rows=64,
        Columns=64,
        BitsStored=16,
        HighBit=15,
        PixelRepresentation=1,
        RescaleIntercept=0,
        WindowCenter=200,
        WindowWidth=400,
        PixelData=values.tobytes(),
    )
    ds.add_new(0x00280120, "SS", -32768)
    _, pixels = await picture_of(house, *await house.store(as_bytes(ds)))
    assert pixels[:, :18].max() < 40  # padding is as dark as the darkest value, and no brighter
    assert pixels[:, 44:].min() > 230


@pytest.mark.parametrize("kind", ["<u4", "<f4", "<f8"])
async def test_wide_and_floating_pixels(house: House, kind: str) -> None:
    values = np.linspace(0, 4e6, 64 * 64).reshape(64, 64).astype(kind)
    ds = make_ct(Rows=64, Columns=64, RescaleIntercept=0, WindowCenter=2e6, WindowWidth=4e6)
    if kind == "<u4":
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelData = 32, 32, 31, values.tobytes()
    else:
        del ds.PixelData
        ds.BitsAllocated = 32 if kind == "<f4" else 64
        ds.add_new(0x7FE00008 if kind == "<f4" else 0x7FE00009, "OF" if kind == "<f4" else "OD", values.tobytes())
    _, pixels = await picture_of(house, *await house.store(as_bytes(ds)))
    assert pixels[0].mean() < 15
    assert pixels[-1].mean() > 240


async def test_one_broken_frame_among_400(house: House) -> None:
    frames = [bytes(imagecodecs.jpegls_encode(values_of(index, 16))) for index in range(400)]
    frames[237] = frames[237][:9]
    ds = make_ct(Rows=16, Columns=16, NumberOfFrames=400, WindowCenter=176, WindowWidth=2400)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    ds.file_meta.TransferSyntaxUID = JPEG_LS
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].VR = "OB"
    study, series = await house.store(as_bytes(ds))
    async with house.dial(await house.staff()) as socket:
        viewer = Viewer(socket)
        await viewer.hello()
        opened = await viewer.open(study)
        assert opened["series"][0]["frame_count"] == 400
        for generation, frame in enumerate((236, 237, 238)):
            await viewer.view(series, generation, frame=frame, answer="preview")
            if frame == 237:
                error = await viewer.text("error")
                assert error["code"].startswith("codec.")
                assert error["generation"] == generation
            else:
                assert (await viewer.picture())[0]["frame"] == frame


async def test_five_thousand_deflated_frames(house: House) -> None:
    values = (np.arange(5000, dtype=np.uint16)[:, None, None] % 2400 * np.ones((1, 16, 16), np.uint16)).tobytes()
    ds = make_ct(Rows=16, Columns=16, NumberOfFrames=5000, WindowCenter=176, WindowWidth=2400, PixelData=values)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = MultiFrameGrayscaleWordSecondaryCaptureImageStorage
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    study, series = await house.store(as_bytes(ds))
    async with house.dial(await house.staff()) as socket:
        viewer = Viewer(socket)
        await viewer.hello()
        assert (await viewer.open(study))["series"][0]["frame_count"] == 5000
        seen: list[float] = []
        for generation, frame in enumerate((0, 2399, 2400, 4799, 4999)):
            await viewer.view(series, generation, frame=frame, answer="preview")
            header, data = await viewer.picture()
            assert header["frame"] == frame
            seen.append(float(np.asarray(Image.open(io.BytesIO(data))).mean()))
        assert seen[1] > seen[4] > seen[0] + 5
        assert abs(seen[2] - seen[0]) < 3
        assert abs(seen[3] - seen[1]) < 3


async def test_twenty_thousand_pixels_a_side(house: House) -> None:
    side = 20_000
    ds = make_ct(Rows=side, Columns=side, BitsAllocated=8, BitsStored=8, HighBit=7, RescaleIntercept=0)
    ds.WindowCenter, ds.WindowWidth = 128, 256
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    values = np.zeros((side, side), np.uint8)
    values[: side // 2] = 200
    ds.PixelData = values.data.cast("B").tobytes()
    ds["PixelData"].VR = "OB"
    del values
    study, series = await house.store(as_bytes(ds))
    header, pixels = await picture_of(house, study, series, width=200, height=200)
    assert header["source_rect"] == [0, 0, side, side]
    assert pixels[:95].min() > 190
    assert pixels[105:].max() < 10
    async with house.dial(await house.staff()) as socket:
        viewer = Viewer(socket)
        await viewer.hello()
        await viewer.open(study)
        where = {"viewport": "t", "series": series, "frame": 0, "level": 0, "size": 256}
        await viewer.send(t="tiles", generation=1, tiles=[[78, 78], [78, 0]], **where)
        rects = [(await viewer.picture())[0]["source_rect"] for _ in range(2)]
        assert sorted(rects) == [[19968, 0, 32, 256], [19968, 19968, 32, 32]]
    usage = await house.services.render.health()
    assert usage["used_bytes"] <= usage["budget_bytes"]


async def test_a_frame_beyond_the_budget_is_told(tmp_path: Path) -> None:
    objects, record = stored(tmp_path, make_ct(Rows=700, Columns=700, PixelData=bytes(700 * 700 * 2)))
    assert isinstance(objects, LocalObjects)
    database = cast(Database, None)  # nothing is asked of it
    with ThreadPoolExecutor(1) as threads:
        loader = FrameLoader(Settings(render_memory_mb=1), database, objects, SeriesCache(database), threads)
        frames = tuple(places([record]))
        with pytest.raises(FrameTooLargeError):
            await loader.load(OpenSeries(1, 1, 1, frames, 0.0, False), frames[0])
        assert loader.residency.usage().used_bytes == 0
        await loader.close()


async def test_a_million_views_a_minute_disturb_nobody(house: House) -> None:
    study, series = await house.store(*ct_series(4))
    cookie = await house.staff()
    async with house.dial(cookie) as quiet, house.dial(cookie) as loud:
        good, bad = Viewer(quiet), Viewer(loud)
        for viewer in (good, bad):
            await viewer.hello()
            await viewer.open(study)

        async def flood() -> int:
            try:
                for generation in range(100_000):
                    await bad.view(series, generation, frame=generation % 4)
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd is not None else 0
            return 0

        flooding = asyncio.create_task(flood())
        for generation in range(20):
            await good.view(series, generation, frame=generation % 4, answer="preview")
            assert (await good.picture(30))[0]["generation"] == generation
        assert await asyncio.wait_for(flooding, 30) == 4429
        assert (await house.services.render.health())["waiting"] == 0
