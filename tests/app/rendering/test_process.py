"""The render process from inside: what opening a series needs, and what it notices later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

import pydicom
import pydicom.filereader
import pytest
import pytest_asyncio

from app.rendering import series as series_module
from app.rendering.errors import FrameFaultError
from app.rendering.loader import decoded_here, note_fault
from app.rendering.process import RenderProcess
from app.rendering.series import SeriesCache
from dicomnet.embedded_postgres import EmbeddedPostgres
from render.request import StackView
from tests.support.house import House, fresh_settings, running_house
from tests.support.series import JPEG_LS, RLE, ct_series

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[House]:
    """For its database, its store and its door."""
    async with fresh_settings(postgres, template) as settings, running_house(settings) as house:
        yield house


@asynccontextmanager
async def inside(house: House) -> AsyncIterator[RenderProcess]:
    process = RenderProcess(house.settings, house.services.database)
    try:
        yield process
    finally:
        await process.close()


def _wish(house: House, series_key: int, frame_index: int) -> dict[str, Any]:
    place = {"institution_id": house.institution, "series_key": series_key, "frame_index": frame_index}
    return {**place, "view": asdict(StackView(32, 32))}


async def test_opening_a_series_parses_no_dicom(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _, plain = await house.store(*ct_series(3))
    _, packed = await house.store(*ct_series(3, syntax=JPEG_LS))

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a DICOM file was parsed")

    monkeypatch.setattr(pydicom, "dcmread", refuse)
    monkeypatch.setattr(pydicom.filereader, "dcmread", refuse)
    monkeypatch.setattr(pydicom.filereader, "read_partial", refuse)
    async with inside(house) as process:
        for series_key in (plain, packed):
            where = {"institution_id": house.institution, "series_key": series_key}
            told, _ = await process._op_manifest(where)
            assert told["manifest"]["frame_count"] == 3
            for index in range(3):
                made, data = await process._op_picture(_wish(house, series_key, index))
                assert data
                assert (made["width"], made["height"]) == (32, 32)


async def test_a_passed_trial_is_noticed_without_reopening(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_module, "_TRIAL_LOOK_S", 0.0)
    _, series_key = await house.store(*ct_series(2, syntax=JPEG_LS))
    cache = SeriesCache(house.services.database)
    assert (await cache.get(house.institution, series_key)).untried
    await house.services.database.execute(
        house.institution, "update archive.instance set frame_trial = 'passed' where series_key = $1", series_key
    )
    async with asyncio.timeout(10):
        while (await cache.get(house.institution, series_key)).untried:
            await asyncio.sleep(0)
    assert {place.record.frame_trial for place in (await cache.get(house.institution, series_key)).frames} == {"passed"}


async def test_a_newer_version_is_read_when_it_is_asked_for(house: House) -> None:
    files = ct_series(3)
    _, series_key = await house.store(*files[:2])
    cache = SeriesCache(house.services.database)
    old = await cache.get(house.institution, series_key)
    await house.store(files[2])
    assert await cache.get(house.institution, series_key, old.version) is old
    new = await cache.get(house.institution, series_key, old.version + 1)
    assert len(new.frames) == 3


async def test_a_frame_that_did_harm_is_not_tried_again(house: House) -> None:
    _, series_key = await house.store(*ct_series(2, syntax=JPEG_LS))
    cache = SeriesCache(house.services.database)
    instance_key = (await cache.get(house.institution, series_key)).frames[1].record.instance_key
    await note_fault(house.services.database, house.institution, instance_key, 0, "codec.crashed")
    async with inside(house) as process:
        await process._op_picture(_wish(house, series_key, 0))
        with pytest.raises(FrameFaultError):
            await process._op_picture(_wish(house, series_key, 1))
        told, _ = await process._op_manifest({"institution_id": house.institution, "series_key": series_key})
        assert told["manifest"]["frames"][1]["fault"] == "codec.crashed"


async def test_who_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    native = "1.2.840.10008.1.2.1"
    assert decoded_here(native, "pending")
    assert decoded_here(JPEG_LS, "passed")
    assert not decoded_here(JPEG_LS, "pending")
    assert not decoded_here(JPEG_LS, "failed")
    monkeypatch.setattr("app.rendering.loader.plugin_syntaxes", lambda: frozenset({str(RLE), native}))
    assert not decoded_here(RLE, "passed")
    assert not decoded_here(native, "passed")


async def test_what_is_prepared_and_then_asked_for_is_made_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _, series_key = await house.store(*ct_series(2))
    async with inside(house) as process:
        made: list[Any] = []
        make = process._make
        monkeypatch.setattr(process, "_make", lambda *args: made.append(args) or make(*args))
        wish = _wish(house, series_key, 0)
        answers = await asyncio.gather(
            process._op_picture({**wish, "id": 1, "behind": True}),
            process._op_picture({**wish, "id": 2}),
            process._op_picture({**wish, "id": 3, "coding": {"quality": 50}}),
        )
        assert answers[0] == answers[1]
        assert answers[2][1] != answers[0][1]
        assert len(made) == 2
        assert not process._shared
        assert process._running_behind == 0
