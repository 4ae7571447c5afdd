"""The stream from outside: a series sent over DICOM is shown at once while the rest of it loads."""

from __future__ import annotations

import asyncio
import io

import pytest
from PIL import Image

from tests.support.house import Viewer
from tests.support.outside import dial, send_by_dicom, study_key
from tests.support.series import ct_series
from tests.support.server import Server


@pytest.mark.req("5.4")
async def test_tools_answer_while_the_rest_loads(server: Server) -> None:
    accession_number = await asyncio.to_thread(send_by_dicom, server, ct_series(60, 256))
    token = await asyncio.to_thread(server.token, "doctor")
    key = await asyncio.to_thread(study_key, server, token, accession_number)
    async with dial(server, token) as socket:
        viewer = Viewer(socket)
        await viewer.hello(webp=True)
        series = (await viewer.open(key))["series"][0]
        assert series["frame_count"] == 60
        await viewer.send(t="prefetch", series=series["series"], frames=list(range(60)))
        tools = [
            {"voi": "window", "window_center": -600, "window_width": 1500},
            {"zoom": 2.0, "center_x": 0.3},
            {"rotation_degrees": 90, "flip_horizontal": True, "invert": True},
        ]
        for generation, tool in enumerate(tools, 1):
            await viewer.view(series["series"], generation, frame=30, width=256, height=256, **tool)
            header, data = await viewer.picture(30)
            while header["generation"] != generation:
                header, data = await viewer.picture(30)
            assert header["quality"] == "preview"
            assert Image.open(io.BytesIO(data)).size == (256, 256)
        header, data = await viewer.picture(30)
        assert (header["quality"], header["media_type"]) == ("refined", "image/webp")
