"""Rule 26 of docs/stream-protocol.md: a plane of one series with another in colour above it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import generate_uid

from app.errors import BadRequestError
from app.viewing.volume_views import check_volume_view
from render.errors import InvalidViewError
from tests.support.house import House, Viewer
from tests.support.series import ct_series

pytestmark = pytest.mark.asyncio(loop_scope="module")
COUNT, SIDE = 8, 32
FUSION: dict[str, Any] = {"viewport": "f", "kind": "fusion", "width": 64, "height": 64, "answer": "refined"}
WINDOW: dict[str, Any] = {"overlay_voi": "window", "overlay_window_center": 500, "overlay_window_width": 1000}


def pair(*, frame: str = "", second_frame: str | None = None, **changes: Any) -> tuple[list[bytes], list[bytes]]:
    """(CT, PT) of one study. The PT's pixels are twice as large: it covers a larger field."""
    study, frame = generate_uid(), frame or generate_uid()
    base = ct_series(COUNT, SIDE, StudyInstanceUID=study, FrameOfReferenceUID=frame)
    values: dict[str, Any] = {
        "Modality": "PT",
        "RescaleIntercept": 0,
        "StudyInstanceUID": study,
        "FrameOfReferenceUID": frame if second_frame is None else second_frame,
        "PixelSpacing": [1, 1],
        **changes,
    }
    overlay = ct_series(COUNT, SIDE, **values)
    return base, overlay


@asynccontextmanager
async def viewing(house: House, cookie: str, *studies: int) -> AsyncIterator[Viewer]:
    async with house.dial(cookie) as socket:
        viewer = Viewer(socket)
        await viewer.hello()
        for study in studies:
            await viewer.open(study)
        yield viewer


def pixels(data: bytes) -> Any:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), int)


async def test_rule_26_fusion(house: House) -> None:
    base, overlay = pair()
    study, ct = await house.store(*base)
    _, pt = await house.store(*overlay)
    async with viewing(house, await house.staff(), study) as viewer:
        wish = {"t": "view", "series": ct, "overlay": pt, **FUSION, **WINDOW}
        await viewer.send(**wish, generation=1, colour_map="hot", opacity=1, fade=0)
        header, data = await viewer.picture()
        assert (header["kind"], header["series"], header["quality"], header["complete"]) == (
            "fusion",
            ct,
            "refined",
            100,
        )
        assert header["center_mm"] == pytest.approx([7.75, 7.75, (COUNT - 1) * 2.5 / 2])
        told = header["overlay"]
        assert (told["series"], told["stack"], told["stacks"]) == (pt, 0, 1)
        assert (told["window_center"], told["window_width"], told["voi"]) == (500, 1000, "window")
        assert (told["colour_map"], told["opacity"], told["fade"]) == ("hot", 1, 0)
        hot = pixels(data)
        assert (hot[..., 0] - hot[..., 2]).max() > 100  # red and yellow, not gray
        # Nothing of the overlay: the slab of the base alone.
        await viewer.send(**wish, generation=2, opacity=0)
        plain = pixels((await viewer.picture())[1])
        await viewer.send(t="view", series=ct, generation=3, **{**FUSION, "kind": "slab"})
        slab = pixels((await viewer.picture())[1])
        assert np.abs(plain - slab).mean() < 2 and np.ptp(plain, axis=2).max() <= 12
        entries = await house.services.database.fetch(
            house.institution, "select series_key from archive.series where series_key = any($1)", [ct, pt]
        )
        assert len(entries) == 2
        audited = await house.services.database.fetch(
            house.institution,
            "select series_key from audit.entry where study_key = $1 and action = 'series.view' order by entry_id",
            study,
        )
        assert [row["series_key"] for row in audited] == [ct, pt]


async def test_rule_26_what_is_refused(house: House) -> None:
    base, overlay = pair()
    study, ct = await house.store(*base)
    _, pt = await house.store(*overlay)
    frame = str(generate_uid())
    _, elsewhere = await house.store(*pair(second_frame=frame, StudyInstanceUID=_uid(base))[1])
    _, nowhere = await house.store(*pair(second_frame="", StudyInstanceUID=_uid(base))[1])
    # The same frame of reference in another patient's study.
    other_study, other = await house.store(*pair(second_frame=_uid(base, "FrameOfReferenceUID"), PatientID="P777")[1])
    unopened_study, unopened = await house.store(*pair()[1])
    assert len({study, other_study, unopened_study}) == 3
    async with viewing(house, await house.staff(), study, other_study) as viewer:
        for wrong, code in (
            ({"overlay": elsewhere}, "volume.other_frame_of_reference"),
            ({"overlay": nowhere}, "volume.other_frame_of_reference"),
            ({"overlay": other}, "viewing.other_patient"),
            ({"overlay": unopened}, "viewing.not_found"),
            ({"overlay": 1 << 40}, "viewing.not_found"),
            ({"overlay_stack": 3}, "volume.wrong_stack"),
            ({"colour_map": "none"}, "render.invalid_view"),
            ({"opacity": 2}, "render.invalid_view"),
            ({"opacity": "much"}, "http.bad_request"),
        ):
            wish = {"t": "view", "series": ct, "overlay": pt, "generation": 5, **FUSION, **wrong}
            await viewer.send(**wish)
            error = await viewer.text("error")
            assert (error["code"], error["viewport"], error["generation"]) == (code, "f", 5), wrong
        await viewer.send(t="view", series=ct, overlay=pt, generation=6, **FUSION)
        assert (await viewer.picture())[0]["generation"] == 6


async def test_rule_26_a_series_of_another_institution(house: House) -> None:
    base, overlay = pair()
    study, ct = await house.store(*base)
    number = await house.services.database.fetchval(
        None, "select archive.create_institution($1, '另一家', $2)", "fusion2", "FUSION2"
    )
    _, foreign = await house.store(*overlay, institution=int(number))
    async with viewing(house, await house.staff(), study) as viewer:
        await viewer.send(t="view", series=ct, overlay=foreign, generation=1, **FUSION)
        assert (await viewer.text("error"))["code"] == "viewing.not_found"


def _uid(files: list[bytes], keyword: str = "StudyInstanceUID") -> str:
    import pydicom

    return str(pydicom.dcmread(io.BytesIO(files[0]))[keyword].value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour_map": 3},
        {"colour_map": ["hot"]},
        {"opacity": True},
        {"opacity": float("nan")},
        {"fade": 3},
        {"overlay_voi": "window"},
        {"overlay_window_center": [1]},
        {"overlay_projection": "sum"},
        {"overlay_stack": -1},
    ],
)
async def test_wrong_fields_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((BadRequestError, InvalidViewError)):
        check_volume_view({"kind": "fusion", "width": 8, "height": 8, **wrong})
