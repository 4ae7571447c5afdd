"""Rendered resources: the right picture at the right size, and what cannot be asked for."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from tests.app.archive_api.test_wado import instance_path
from tests.support.dicom_files import as_bytes, make_ct
from tests.support.web_app import Web


def _flat(value: int, number: int, **changes: object) -> bytes:
    pixels = np.full((64, 64), value, "<u2").tobytes()
    return as_bytes(
        make_ct(
            StudyInstanceUID="1.8",
            SeriesInstanceUID="1.8.1",
            InstanceNumber=number,
            ImagePositionPatient=[0, 0, number],
            Rows=64,
            Columns=64,
            PixelData=pixels,
            WindowCenter=0,
            WindowWidth=2000,
            **changes,
        )
    )


def _grey(data: bytes) -> tuple[tuple[int, int], float]:
    picture = Image.open(io.BytesIO(data)).convert("L")
    return picture.size, float(np.asarray(picture).mean())


async def test_each_level_shows_its_picture(rendering_web: Web, institution: int) -> None:
    web = rendering_web
    dark, middle, bright = [
        await web.store(institution, _flat(value, n)) for n, value in ((1, 100), (2, 1024), (3, 1900))
    ]
    async with await web.client(institution, "dicomweb-read") as client:
        shown: dict[str, float] = {}
        for name, stored in (("dark", dark), ("middle", middle), ("bright", bright)):
            answer = await client.get(instance_path(stored) + "/rendered")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg"), answer.text
            size, shown[name] = _grey(answer.content)
            assert size == (64, 64)
        assert shown["dark"] < 40 < 110 < shown["middle"] < 150 < 220 < shown["bright"]
        for path in ("/dicom-web/studies/1.8", "/dicom-web/studies/1.8/series/1.8.1"):
            series = await client.get(path + "/rendered?viewport=32,32")
            size, grey = _grey(series.content)
            assert size == (32, 32)
            assert abs(grey - shown["middle"]) < 3
            thumbnail = await client.get(path + "/thumbnail")
            assert thumbnail.headers["content-type"] == "image/jpeg"
            assert max(_grey(thumbnail.content)[0]) <= 140
        window = await client.get(instance_path(middle) + "/frames/1/rendered?window=-1000,10,linear")
        assert _grey(window.content)[1] > 250
        webp = await client.get(instance_path(dark) + "/rendered", headers={"Accept": "image/webp"})
        assert webp.headers["content-type"] == "image/webp"
        for query, status in (
            ("?viewport=0,5", 400),
            ("?viewport=99999,5", 400),
            ("?window=a,b", 400),
            ("?window=1,0", 400),
            ("?quality=101", 400),
        ):
            assert (await client.get(instance_path(dark) + "/rendered" + query)).status_code == status, query
        assert (await client.get(instance_path(dark) + "/frames/2/rendered")).status_code == 404
        video = await client.get(instance_path(dark) + "/rendered", headers={"Accept": "video/mp4"})
        assert (video.status_code, video.json()["code"]) == (406, "dicomweb.not_acceptable")
