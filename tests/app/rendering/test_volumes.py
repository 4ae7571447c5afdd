"""Volumes in the render process: a first one early, one flight, bounded by bytes, faults beside good slices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from app.rendering.errors import SupersededError
from app.rendering.frames import FramePlace
from app.rendering.process import RenderProcess
from app.rendering.series import OpenSeries
from app.rendering.slabs import make_slab
from app.rendering.volume_pictures import _prepared
from app.rendering.volumes import slice_planes
from dicomnet.archive.open_record import FrameOverride, OpenRecord
from dicomnet.embedded_postgres import EmbeddedPostgres
from render.encode import decode
from render.errors import InvalidViewError
from render.frame import Frame
from render.native.pool import CancelledPictureError
from render.raycast import Cancel
from render.request import PLANES, PNG, SlabView
from render.residency import Residence
from render.stack import VolumeTooLargeError, WrongStackError, plan_stacks
from tests.support.house import House, fresh_settings, running_house
from tests.support.series import ct_series, values_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
COUNT, SIDE = 30, 32


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[House]:
    """For its database, its store and its door."""
    async with fresh_settings(postgres, template) as settings, running_house(settings) as house:
        yield house


@asynccontextmanager
async def inside(house: House, **changes: Any) -> AsyncIterator[RenderProcess]:
    process = RenderProcess(replace(house.settings, **changes), house.services.database)
    try:
        yield process
    finally:
        await process.close()


def wish(house: House, series_key: int, view: SlabView, **more: Any) -> dict[str, Any]:
    return {"institution_id": house.institution, "series_key": series_key, "view": asdict(view), **more}


def axial(number: float, quality: str = "refined") -> SlabView:
    """One slice, a pixel for a voxel, without loss."""
    spacing = 0.7
    center = ((SIDE - 1) / 2 * spacing, (SIDE - 1) / 2 * spacing, number * 2.5)
    return SlabView(
        SIDE,
        SIDE,
        center_mm=center,
        pixel_spacing_mm=spacing,
        voi="window",
        window_center=1400.0,
        window_width=2800.0,
        quality=quality,
        media_type=PNG,
    )


def expected(number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    stored = values_of(number, SIDE).astype(np.float64)
    return np.floor(np.clip((stored - 1399.5) / 2799.0 + 0.5, 0, 1) * 255 + 1e-6).astype(np.uint8)


PLAIN: dict[str, Any] = {"PixelSpacing": [0.7, 0.7], "RescaleIntercept": 0, "RescaleSlope": 1}


async def test_a_plane_of_a_stored_series_shows_its_values(house: House) -> None:
    files = ct_series(COUNT, SIDE, **PLAIN)
    _, series_key = await house.store(*[files[n] for n in np.random.default_rng(1).permutation(COUNT)])
    async with inside(house) as process:
        for number in (0, 11, COUNT - 1):
            told, data = await process._op_slab(wish(house, series_key, axial(number)))
            assert np.array_equal(decode(data, colour=False), expected(number))
            assert (told["complete"], told["stacks"], told["voi"]) == (100, 1, "window")
            assert told["report"]["resampled"] == () and told["report"]["missing"] == 0
        view = SlabView(40, 40, *PLANES["coronal"], thickness_mm=1e5, kind="maximum")
        told, _ = await process._op_slab(wish(house, series_key, view))
        assert told["samples"] >= SIDE and told["thickness_mm"] == pytest.approx((SIDE - 1) * 0.7, abs=0.01)
        assert told["center_mm"][2] == pytest.approx((COUNT - 1) * 2.5 / 2)
        health, _ = await process._op_health({})
        assert 0 < health["volume_used_bytes"] <= health["volume_budget_bytes"]


async def test_the_first_picture_comes_from_every_fourth_slice(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _, series_key = await house.store(*ct_series(COUNT, SIDE, **PLAIN))
    async with inside(house) as process:
        rest = asyncio.Event()
        borrow = process._loader.borrow
        decoded: list[FramePlace] = []

        async def slowly(series: OpenSeries, place: FramePlace) -> Frame:
            decoded.append(place)
            if len(decoded) > 9:  # slices 0, 4 … 28 and the last
                await rest.wait()
            return await borrow(series, place)

        monkeypatch.setattr(process._loader, "borrow", slowly)
        told, data = await process._op_slab(wish(house, series_key, axial(8, "preview")))
        assert told["complete"] == 100 * 9 // COUNT
        assert np.array_equal(decode(data, colour=False), expected(8))
        refined = asyncio.create_task(process._op_slab(wish(house, series_key, axial(9))))
        others = [process._op_slab(wish(house, series_key, axial(9, "preview"))) for _ in range(3)]
        assert all(told["complete"] < 100 for told, _ in await asyncio.gather(*others))
        rest.set()
        told, data = await refined
        assert told["complete"] == 100 and np.array_equal(decode(data, colour=False), expected(9))
        assert len(decoded) == COUNT  # each once, though five asked


async def test_slices_that_cannot_be_decoded_are_told(house: House) -> None:
    _, series_key = await house.store(*ct_series(COUNT, SIDE, frames={7: b"no picture"}, **PLAIN))
    async with inside(house) as process:
        told, data = await process._op_slab(wish(house, series_key, axial(12)))
        assert told["complete"] == 96 and told["report"]["missing_mm"] == [17.5]
        assert np.array_equal(decode(data, colour=False), expected(12))


async def test_volumes_being_made_fit_the_budget_together(house: House) -> None:
    keys = [(await house.store(*ct_series(24, 128, **PLAIN)))[1] for _ in range(3)]
    async with inside(house, volume_memory_mb=2) as process:  # one of them takes more than half of it
        asked = [asyncio.create_task(process._op_slab(wish(house, key, axial(3)))) for key in keys]
        used: list[int] = []
        while not all(task.done() for task in asked):
            usage = process._volumes.residency.usage()
            assert usage.used_bytes <= usage.budget_bytes
            used.append(usage.used_bytes)
            await asyncio.sleep(0.001)
        assert max(used) > 24 * 128 * 128 * 2, "a volume is counted while it is made"
        assert [(await task)[0]["complete"] for task in asked] == [100, 100, 100]


async def test_a_volume_beyond_the_budget_is_refused_and_small_ones_take_turns(house: House) -> None:
    _, large = await house.store(*ct_series(3, 600, **PLAIN))  # 2.1 MB
    small = [(await house.store(*ct_series(5, 320, **PLAIN)))[1] for _ in range(3)]  # 1 MB each
    async with inside(house, volume_memory_mb=2) as process:
        for _ in range(2):
            with pytest.raises(VolumeTooLargeError):
                await process._op_slab(wish(house, large, SlabView(8, 8)))
        for series_key in (*small, *small):
            told, _ = await process._op_slab(wish(house, series_key, SlabView(8, 8)))
            assert told["complete"] == 100
            usage = process._volumes.residency.usage()
            assert usage.used_bytes <= usage.budget_bytes


async def test_what_a_viewer_looks_at_is_kept_while_others_come_and_go(house: House) -> None:
    keys = [(await house.store(*ct_series(24, 64, **PLAIN)))[1] for _ in range(5)]
    async with inside(house, volume_memory_mb=1) as process:  # three of them
        kept = process._volumes.residency
        place = (house.institution, keys[0], (await process._series.get(house.institution, keys[0])).version, 0)
        who = {"viewer": "looks", "viewport": "a", "generation": 1}
        await process._op_slab(wish(house, keys[0], axial(3)) | who)
        for key in keys[1:]:
            await process._op_slab(wish(house, key, axial(3)))
        assert kept.usage().evicted > 0 and kept.state(place) is Residence.HOST
        await process._op_cancel({"viewer": "looks"})
        for key in keys[1:4]:
            await process._op_slab(wish(house, key, axial(3)))
        assert kept.state(place) is Residence.ABSENT


async def test_a_picture_in_the_making_ends_with_its_viewer(house: House) -> None:
    _, series_key = await house.store(*ct_series(24, 64, **PLAIN))
    async with inside(house) as process:
        ready = await process._volumes.get(await process._series.get(house.institution, series_key), wait_s=10.0)
        view = {"width": 64, "height": 64, "camera": "A", "transfer": "muscle", "quality": "refined"}
        who = {"viewer": "left", "viewport": "a", "generation": 1, "institution_id": house.institution}
        with _prepared(ready.volume).lock:  # the worker has begun, and waits here
            asked = asyncio.create_task(process._op_volume({"series_key": series_key, "view": view, **who}))
            while "left" not in process._making or len(process._scheduler):
                await asyncio.sleep(0.001)
            assert (await process._op_cancel({"viewer": "left"}))[0] == {"dropped": 0}, "it does not wait, it is made"
        with pytest.raises(SupersededError):
            await asked
        assert process._making == {}
        cancel = Cancel()
        cancel.cancel()
        with pytest.raises(CancelledPictureError):
            make_slab(ready, SlabView(64, 64), {}, cancel)


async def test_what_makes_no_volume_is_refused(house: House) -> None:
    _, turned = await house.store(*ct_series(2, SIDE))
    async with inside(house) as process:
        with pytest.raises(WrongStackError):
            await process._op_slab(wish(house, turned, SlabView(8, 8), stack=1))
        with pytest.raises(InvalidViewError):
            await process._op_slab(wish(house, turned, SlabView(8, 8)) | {"view": {"width": 8, "height": 8, "kind": 3}})
        with pytest.raises(InvalidViewError):
            await process._op_slab(wish(house, turned, SlabView(8, 8)) | {"view": {"width": 8, "height": 8, "x": 3}})


async def test_a_maximum_from_the_front_equals_the_slab_through_everything(house: House) -> None:
    _, series_key = await house.store(*ct_series(COUNT, SIDE, **PLAIN))
    async with inside(house) as process:
        wanted = {"institution_id": house.institution, "series_key": series_key}
        fields = {"width": 48, "height": 40, "camera": "A", "transfer": "mip", "quality": "refined", "media_type": PNG}
        told, data = await process._op_volume({**wanted, "view": fields})
        camera = told["camera"]
        view = SlabView(
            *(48, 40, *PLANES["coronal"], tuple(camera["focal_point"])),
            *(camera["parallel_scale_mm"] * 2 / 40, 1e4, "maximum"),
            media_type=PNG,
        )
        _, expected_data = await process._op_slab(wish(house, series_key, view))
        assert np.array_equal(decode(data, colour=False), decode(expected_data, colour=False))
        assert decode(data, colour=False).max() > 100
        assert told["transfer"] == "mip" and told["step_mm"] == pytest.approx(0.7)


# Records to planes ----------------------------------------------------------------------------------------------

RECORD = OpenRecord(
    "1.2.3",
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.1.2.1",
    rows=8,
    columns=9,
    number_of_frames=1,
    image_position_patient=(0.0, 0.0, 0.0),
    image_orientation_patient=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    pixel_spacing_mm=(0.5, 0.6),
)


def at(z: float, **changes: Any) -> FramePlace:
    return FramePlace(replace(RECORD, image_position_patient=(0.0, 0.0, z), **changes), 0)


async def test_scouts_and_faulty_frames_are_left_out() -> None:
    scout = at(0.0, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"), image_orientation_patient=(0, 1, 0, 0, 0, -1))
    places = [scout, at(0.0), at(2.0), at(4.0, frame_faults={"0": "codec.crashed"}), at(6.0)]
    planes = slice_planes(places)
    assert [plane.key for plane in planes] == [1, 2, 4]
    assert [plane.key for plane in slice_planes([scout])] == [0]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"image_orientation_patient": None}, "geometry"),
        ({"pixel_spacing_mm": None}, "geometry"),
        ({"samples_per_pixel": 3}, "colour"),
        ({"photometric_interpretation": "PALETTE COLOR"}, "colour"),
    ],
)
async def test_records_without_a_plane_are_refused(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(WrongStackError) as refused:
        slice_planes([at(0.0), at(2.0, **changes)])
    assert refused.value.data["what"] == what


async def test_functional_groups_give_stacks_and_phases() -> None:
    overrides = tuple(
        FrameOverride(
            image_position_patient=(0.0, 0.0, 3.0 * number),
            image_orientation_patient=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
            stack_id=stack,
            temporal_position_index=phase,
        )
        for phase in (2, 1)
        for stack in ("a", "b")
        for number in range(3)
    )
    record = replace(RECORD, number_of_frames=12, per_frame=overrides, image_position_patient=None)
    plans = plan_stacks(slice_planes([FramePlace(record, n) for n in range(12)]))
    assert [plan.keys for plan in plans] == [(6, 7, 8), (0, 1, 2), (9, 10, 11), (3, 4, 5)]


async def test_a_frame_of_reference_for_each_image_says_nothing() -> None:
    places = [at(2.0 * n, frame_of_reference_uid=f"2.25.{n}") for n in range(5)]
    assert [plan.keys for plan in plan_stacks(slice_planes(places))] == [(0, 1, 2, 3, 4)]
    # Two that hold several images each are kept apart, and so are two images of two.
    places = [at(2.0 * n, frame_of_reference_uid=f"2.25.{n // 3}") for n in range(6)]
    assert [plan.keys for plan in plan_stacks(slice_planes(places))] == [(0, 1, 2), (3, 4, 5)]
    with pytest.raises(WrongStackError):
        plan_stacks(slice_planes([at(2.0 * n, frame_of_reference_uid=f"2.25.{n}") for n in range(2)]))
