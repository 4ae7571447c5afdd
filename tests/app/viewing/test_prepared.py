"""Prepared first pictures: sizes, single flight, versions, and a series with a bad file."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.viewing import prepared
from app.viewing.errors import NoPicturesError
from app.viewing.prepared import BASE_BYTES, first_picture, frames_to_try, thumbnail
from app.viewing.studies import key_series
from dicomnet.archive.query import SeriesRow, list_series
from render.request import StackView
from render.similarity import ssim
from tests.support.house import House
from tests.support.series import ct_series


async def _series(house: House, study_key: int) -> SeriesRow:
    return key_series(await list_series(house.services.database, house.institution, study_key))


def _noisy(count: int) -> list[bytes]:
    """Slices with detail, so that the base picture has to leave some out."""
    rng = np.random.default_rng(7)
    coarse = rng.integers(0, 2400, (64, 64))
    detail = np.kron(coarse, np.ones((8, 8))) + rng.integers(0, 250, (512, 512))
    return ct_series(count, 512, PixelData=detail.astype("<u2").tobytes())


@pytest.mark.asyncio(loop_scope="module")
async def test_base_fits_the_first_flight_and_refined_is_like_the_original(house: House) -> None:
    study, _ = await house.store(*_noisy(3))
    series = await _series(house, study)
    pair = await first_picture(house.services, house.institution, series)
    assert len(pair.base.data) <= BASE_BYTES
    assert pair.base.frame_index == 1
    assert (pair.base.width, pair.base.height) == (512, 512)
    assert pair.refined is not None
    assert len(pair.base.data) < len(pair.refined.data) <= prepared.STACK_BYTES
    again = await first_picture(house.services, house.institution, series)
    assert again == pair
    assert Image.open(io.BytesIO(pair.refined.data)).size == (512, 512)


@pytest.mark.asyncio(loop_scope="module")
async def test_refined_looks_like_the_original(house: House) -> None:
    study, series_key = await house.store(*ct_series(1, 256))
    pair = await first_picture(house.services, house.institution, await _series(house, study))
    best = pair.refined or pair.base
    original = await house.services.render.picture(
        house.institution, series_key, 0, StackView(512, 512), coding={"quality": 100}
    )
    assert ssim(_gray(best.data), _gray(original.data)) >= 0.955


def _gray(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))


@pytest.mark.asyncio(loop_scope="module")
async def test_asked_by_many_at_once_it_is_made_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    study, _ = await house.store(*ct_series(3, 256))
    series = await _series(house, study)
    made: list[Any] = []
    real = prepared.prepare_pair

    async def counted(*arguments: Any, **options: Any) -> Any:
        made.append(arguments)
        return await real(*arguments, **options)

    monkeypatch.setattr(prepared, "prepare_pair", counted)
    pairs = await asyncio.gather(*(first_picture(house.services, house.institution, series) for _ in range(6)))
    assert len(made) == 1
    assert all(pair == pairs[0] for pair in pairs)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_new_version_replaces_the_old(house: House) -> None:
    files = ct_series(4, 64)
    study, series_key = await house.store(*files[:3])
    old = await _series(house, study)
    await first_picture(house.services, house.institution, old)
    await thumbnail(house.services, house.institution, old)
    before = await _objects(house, series_key)
    await house.store(files[3])
    new = await _series(house, study)
    assert new.version > old.version
    pair = await first_picture(house.services, house.institution, new)
    await thumbnail(house.services, house.institution, new)
    assert pair.version == new.version
    after = await _objects(house, series_key)
    assert after and not before & after
    for key in before:
        assert not house.services.objects.exists(key)
    for key in after:
        assert house.services.objects.exists(key)


async def _objects(house: House, series_key: int) -> set[str]:
    rows = await house.services.database.fetch(
        house.institution, "select object_key from viewing.prepared_picture where series_key = $1", series_key
    )
    return {row["object_key"] for row in rows}


@pytest.mark.asyncio(loop_scope="module")
async def test_a_lost_object_is_made_again(house: House) -> None:
    study, series_key = await house.store(*ct_series(1, 64))
    series = await _series(house, study)
    pair = await first_picture(house.services, house.institution, series)
    for key in await _objects(house, series_key):
        house.services.objects.delete(key)
    assert await first_picture(house.services, house.institution, series) == pair


@pytest.mark.asyncio(loop_scope="module")
async def test_one_bad_file_does_not_cost_the_series_its_picture(house: House) -> None:
    study, _ = await house.store(*ct_series(5, frames={2: b"no frame at all"}))
    pair = await first_picture(house.services, house.institution, await _series(house, study))
    assert pair.base.frame_index == 3


@pytest.mark.asyncio(loop_scope="module")
async def test_somebody_who_waits_gets_a_quick_coding_and_the_worker_leaves_it(house: House) -> None:
    study, _ = await house.store(*ct_series(1, 256))
    series = await _series(house, study)
    asked: list[dict[str, Any]] = []
    real = house.services.render.picture

    async def heard(*arguments: Any, **options: Any) -> Any:
        asked.append(options)
        return await real(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(house.services.render, "picture", heard)
        pair = await first_picture(house.services, house.institution, series)
        assert [request["behind"] for request in asked] == [False, False]
        assert any(request["coding"].get("quick") for request in asked)
        assert await first_picture(house.services, house.institution, series, behind=True) == pair
        assert len(asked) == 2
        other, _ = await house.store(*ct_series(1, 256))
        await first_picture(house.services, house.institution, await _series(house, other), behind=True)
        assert [request["behind"] for request in asked[2:]] == [True, True]
        assert not any(request["coding"].get("quick") for request in asked[2:])


def test_neighbours_are_tried_nearest_first() -> None:
    assert frames_to_try(2, 5) == [2, 3, 1, 4]
    assert frames_to_try(0, 2) == [0, 1]
    assert frames_to_try(0, 1) == [0]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_study_without_pictures_says_so() -> None:
    with pytest.raises(NoPicturesError):
        key_series([])
