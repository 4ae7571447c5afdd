"""3D made by the server, from outside: a CT sent over DICOM is cut, turned, sliced and coloured over the stream."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import httpx
import numpy as np
from PIL import Image

from app.demo.phantoms import dicom_bytes, phantom_ct
from tests.support.house import Viewer
from tests.support.outside import dial, send_by_dicom, study_key
from tests.support.server import Server
from tests.support.surface_files import read_glb, read_stl

SLICES, MATRIX = 40, 96
VIEW: dict[str, Any] = {"t": "view", "viewport": "v", "answer": "refined", "width": 160, "height": 160}
BONE: dict[str, Any] = {"kind": "volume", "transfer": "bone"}


class Pictures:
    """Refined pictures of one series, asked for one after the other."""

    def __init__(self, viewer: Viewer, series: int) -> None:
        self.viewer, self.series, self.generation = viewer, series, 0
        self.header: dict[str, Any] = {}

    async def of(self, **wish: Any) -> Any:
        """(y, x, 3)."""
        self.generation += 1
        await self.viewer.send(**VIEW, series=self.series, generation=self.generation, **wish)
        self.header, data = await self.viewer.picture(60)
        assert self.header["generation"] == self.generation and self.header["complete"] == 100
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), int)

    async def cut(self, **message: Any) -> dict[str, Any]:
        await self.viewer.send(t="cuts", viewport="v", **message)
        return await self.viewer.text("cuts")


async def test_planes_renderings_scalpel_slices_and_colours(server: Server) -> None:
    files = [dicom_bytes(ds) for ds in phantom_ct(SLICES, MATRIX)]
    accession_number = await asyncio.to_thread(send_by_dicom, server, files)
    token = await asyncio.to_thread(server.token, "doctor")
    key = await asyncio.to_thread(study_key, server, token, accession_number)
    async with dial(server, token) as socket:
        viewer = Viewer(socket)
        await viewer.hello()
        series = int((await viewer.open(key))["series"][0]["series"])
        pictures = Pictures(viewer, series)
        mpr = await pictures.of(kind="slab", plane="coronal")
        mip = await pictures.of(kind="slab", plane="coronal", thickness_mm=1000, projection="maximum")
        assert mip.mean() > mpr.mean() + 10
        whole = await pictures.of(**BONE)
        camera = pictures.header["camera"]
        lit = int((whole.max(axis=2) > 40).sum())
        assert lit > 1000
        assert np.abs(await pictures.of(**BONE, camera="L") - whole).mean() > 3
        await _scalpel(pictures, whole, camera, lit)
        sliced = await pictures.of(**BONE, slices=True)
        assert _gray(sliced) > _gray(whole) + 500  # soft tissue between the bones
        own = [[150, 0.0, [0, 0, 0]], [400, 0.8, [20, 60, 255]], [1500, 1.0, [20, 60, 255]]]
        blue = await pictures.of(kind="volume", transfer=own)
        assert (blue[..., 2] - blue[..., 0]).max() > 100
    await asyncio.to_thread(_surfaces, server, token, series)


def _gray(picture: Any) -> int:
    """Pixels that are lit without a colour."""
    return int(((np.ptp(picture, axis=2) <= 8) & (picture.max(axis=2) > 25)).sum())


async def _scalpel(pictures: Pictures, whole: Any, camera: dict[str, Any], lit: int) -> None:
    """Every mode takes something; undone, all is there again."""
    x, y, z = camera["focal_point"]
    square = [[0, 0], [80, 0], [80, 160], [0, 160]]
    curve = {"kind": "curve", "camera": camera, "width": 160, "height": 160, "points": square}
    cuts: list[dict[str, Any]] = [
        {"kind": "box", "low": [x, y - 500, z - 500], "high": [x + 500, y + 500, z + 500]},
        {"kind": "plane", "point": [x, y, z], "normal": [0, 0, 1]},
        curve,
        {**curve, "remove": "outside"},
        {"kind": "brush", "centers": [[x, y, z]], "radius_mm": 120},
    ]
    for cut in cuts:
        assert (await pictures.cut(do="add", cuts=[cut]))["cuts"] == 1
        seen = await pictures.of(**BONE, cuts="kept")
        assert (seen.max(axis=2) > 40).sum() < 0.9 * lit, cut["kind"]
        assert (await pictures.cut(do="undo")) == {"t": "cuts", "viewport": "v", "cuts": 0, "undone": 1}
    assert np.array_equal(await pictures.of(**BONE, cuts="kept"), whole)


def _surfaces(server: Server, token: str, series: int) -> None:
    """The same bones as files for other programs."""
    with server.client(headers={"Authorization": f"Bearer {token}"}) as client:
        client.timeout = httpx.Timeout(120)
        address = f"/api/series/{series}/surface?level=250&triangles=20000"
        stl = client.get(f"{address}&format=stl").raise_for_status()
        assert len(read_stl(stl.content).triangles) == int(stl.headers["x-surface-triangles"]) <= 20_000
        glb, _ = read_glb(client.get(f"{address}&format=glb").raise_for_status().content)
        assert glb.is_closed and glb.volume > 0
