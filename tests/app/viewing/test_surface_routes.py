"""Surfaces over HTTP: who may have one, what is told, what is written down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import numpy as np
import pytest

from tests.support.house import House
from tests.support.series import ct_series
from tests.support.surface_files import read_glb, read_stl

pytestmark = pytest.mark.asyncio(loop_scope="module")
SIDE = 24


def ball() -> list[bytes]:
    """A ball of 8 mm at 500 HU in air; 24 slices of 1 mm. Sent from the feet up, in any order."""
    z, y, x = np.indices((SIDE, SIDE, SIDE)).astype(float)
    distance = np.sqrt((x - 11.5) ** 2 + (y - 11.5) ** 2 + (z - 11.5) ** 2)
    values = np.clip(1024 + 500 + 200 * (8 - distance), 24, 2600).astype(np.uint16)
    return [
        data
        for number in range(SIDE)
        for data in ct_series(
            1,
            SIDE,
            StudyInstanceUID="1.2.826.0.1.3680043.9.1.7",
            SeriesInstanceUID="1.2.826.0.1.3680043.9.1.7.1",
            InstanceNumber=number + 1,
            ImagePositionPatient=[0, 0, number],
            PixelSpacing=[1, 1],
            PixelData=values[number].tobytes(),
        )
    ]


@asynccontextmanager
async def browser(house: House, cookie: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=house.http, headers={"Cookie": cookie}, timeout=60) as client:
        yield client


async def test_a_surface_is_a_file_and_is_audited(house: House) -> None:
    study, series = await house.store(*ball())
    address = f"/api/series/{series}/surface?level=500"
    async with browser(house, await house.staff()) as client:
        answer = await client.get(f"{address}&format=stl")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "model/stl")
        assert "private" in answer.headers["cache-control"]
        assert answer.headers["content-disposition"] == f'attachment; filename="surface-{series}.stl"'
        stl = read_stl(answer.content)
        assert stl.is_closed and stl.volume == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.02)
        assert stl.places.mean(axis=0) == pytest.approx([11.5] * 3, abs=0.2)  # LPS
        assert int(answer.headers["x-surface-triangles"]) == len(stl.triangles)
        assert float(answer.headers["x-surface-volume-mm3"]) == pytest.approx(stl.volume, rel=1e-3)
        assert answer.headers["x-surface-complete"] == "100"
        glb = await client.get(f"{address}&format=glb&triangles=600")
        assert glb.headers["content-type"] == "model/gltf-binary"
        mesh, _ = read_glb(glb.content)
        assert mesh.is_closed and len(mesh.triangles) <= 600
        again = await client.get(f"{address}&format=stl", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert glb.headers["etag"] != answer.headers["etag"]
    rows = await house.services.database.fetch(
        house.institution, "select action, details from audit.entry where study_key = $1 order by entry_id", study
    )
    assert [row["action"] for row in rows] == ["series.surface"] * 2
    assert '"level": 500' in rows[0]["details"] or rows[0]["details"]["level"] == 500


async def test_shares_and_viewers_get_none(house: House) -> None:
    study, series = await house.store(*ct_series(3))
    share, _ = await house.share(study, hide_identity=False)
    for cookie, status in ((share, 403), (await house.staff("viewer"), 403), ("", 401)):
        async with browser(house, cookie) as client:
            answer = await client.get(f"/api/series/{series}/surface?level=500")
            assert answer.status_code == status


async def test_bad_requests_are_told(house: House) -> None:
    _, series = await house.store(*ct_series(3))
    async with browser(house, await house.staff()) as client:
        for query, status, code in (
            ("", 400, "http.bad_request"),
            ("level=x", 400, "http.bad_request"),
            ("level=nan", 400, "http.bad_request"),
            ("level=1&format=obj", 400, "http.bad_request"),
            ("level=1&triangles=many", 400, "http.bad_request"),
            ("level=1&triangles=10", 422, "render.invalid_view"),
            ("level=1&keep=some", 422, "render.invalid_view"),
            ("level=1&stack=-1", 400, "http.bad_request"),
            ("level=1&stack=7", 422, "volume.wrong_stack"),
            ("level=30000", 422, "surface.empty"),
        ):
            answer = await client.get(f"/api/series/{series}/surface?{query}")
            assert (answer.status_code, answer.json()["code"]) == (status, code), query
        assert (await client.get("/api/series/987654/surface?level=1")).status_code == 404
