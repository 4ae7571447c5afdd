"""Prepared first pictures and thumbnails: made once per series version, kept as objects, made on demand if missing.

*base* fits the first flight of a TCP connection together with its page; *refined* reaches SSIM 0.96 to the rendering.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from app.errors import AppError
from app.services import Services
from app.viewing.errors import NoPicturesError
from app.viewing.studies import PROJECTIONS, first_frame
from dicomnet.archive.objects import ObjectError
from dicomnet.archive.query import SeriesRow
from render.engine import RENDERER_VERSION
from render.request import JPEG, WEBP, StackView

T = TypeVar("T")

BASE_BYTES = 8_800
STACK_SIDE, PROJECTION_SIDE, BASE_PROJECTION_SIDE = 512, 1080, 420
MIN_SSIM = 0.96
STACK_BYTES, PROJECTION_BYTES = 42_000, 100_000
THUMBNAIL_SIDE = 140
_MOST_FRAMES_TRIED = 4


@dataclass(frozen=True, slots=True)
class PreparedPicture:
    """One stored picture."""

    data: bytes
    media_type: str
    frame_index: int
    width: int
    height: int
    window_center: float | None
    window_width: float | None
    backend: str


@dataclass(frozen=True, slots=True)
class PreparedPair:
    """What the opened page carries; ``refined`` is None where the base already is good enough."""

    series_key: int
    version: int
    base: PreparedPicture
    refined: PreparedPicture | None


_running: dict[tuple[int, int, int, str], asyncio.Task[Any]] = {}


async def _once(key: tuple[int, int, int, str], make: Callable[[], Awaitable[Any]]) -> Any:
    """Single flight within this process."""
    task = _running.get(key)
    if task is None:

        async def run() -> Any:
            return await make()

        task = asyncio.get_running_loop().create_task(run())
        _running[key] = task
        task.add_done_callback(lambda _: _running.pop(key, None))
    return await asyncio.shield(task)


async def first_picture(
    services: Services, institution_id: int, series: SeriesRow, *, behind: bool = False
) -> PreparedPair:
    """The pair of the series' present version, prepared or made now. Raises NoPicturesError and decoding errors.

    ``behind``: nobody asks yet, so those who wait go first and the fewest bytes are sought. For somebody who waits the
    first coding that is similar enough will do: a few more bytes, a sixth of the time.
    """
    if series.frame_count == 0:
        raise NoPicturesError
    base = await _load(services, institution_id, series, "base")
    if base is not None:
        refined = await _load(services, institution_id, series, "refined")
        return PreparedPair(series.series_key, series.version, base, refined)
    key = (institution_id, series.series_key, series.version, "pair")
    return await _once(key, lambda: prepare_pair(services, institution_id, series, behind=behind))


async def thumbnail(
    services: Services, institution_id: int, series: SeriesRow, *, behind: bool = False
) -> PreparedPicture:
    """140 pixels, JPEG; prepared or made now."""
    found = await _load(services, institution_id, series, "thumbnail")
    if found is not None:
        return found
    key = (institution_id, series.series_key, series.version, "thumbnail")
    return await _once(key, lambda: prepare_thumbnail(services, institution_id, series, behind=behind))


async def prepare_pair(
    services: Services, institution_id: int, series: SeriesRow, *, behind: bool = False
) -> PreparedPair:
    """Make and keep base and refined."""
    projection = series.modality in PROJECTIONS
    side = PROJECTION_SIDE if projection else STACK_SIDE
    view = StackView(side, side * 3 if projection else side, media_type=WEBP)
    small = StackView(BASE_PROJECTION_SIDE, BASE_PROJECTION_SIDE * 3, media_type=WEBP) if projection else view
    similar = {"min_ssim": MIN_SSIM, "max_bytes": PROJECTION_BYTES if projection else STACK_BYTES, "quick": not behind}

    async def both(frame: int) -> tuple[PreparedPicture, PreparedPicture]:
        return await asyncio.gather(
            _render(services, institution_id, series, frame, small, {"max_bytes": BASE_BYTES}, behind),
            _render(services, institution_id, series, frame, view, similar, behind),
        )

    base, refined = await _first_good(series, both)
    if len(refined.data) <= BASE_BYTES:
        base, better = refined, None
    else:
        better = refined
    if better is not None:
        await _keep(services, institution_id, series, "refined", better)
    await _keep(services, institution_id, series, "base", base)
    return PreparedPair(series.series_key, series.version, base, better)


async def prepare_thumbnail(
    services: Services, institution_id: int, series: SeriesRow, *, behind: bool = False
) -> PreparedPicture:
    """Make and keep the thumbnail."""
    view = StackView(THUMBNAIL_SIDE, THUMBNAIL_SIDE, media_type=JPEG)
    picture = await _first_good(
        series, lambda frame: _render(services, institution_id, series, frame, view, {"quality": 72}, behind)
    )
    await _keep(services, institution_id, series, "thumbnail", picture)
    return picture


def frames_to_try(first: int, count: int) -> list[int]:
    """The wished frame, then its neighbours on both sides, nearest first."""
    around = [first + step * sign for step in range(1, count) for sign in (1, -1)]
    return [first, *(frame for frame in around if 0 <= frame < count)][:_MOST_FRAMES_TRIED]


async def _first_good(series: SeriesRow, make: Callable[[int], Awaitable[T]]) -> T:
    """Of the wished frame, or of the nearest that can be decoded: one bad file does not cost the series its picture."""
    frames = frames_to_try(first_frame(series), series.frame_count)
    for frame in frames[:-1]:
        try:
            return await make(frame)
        except AppError as error:
            if error.retryable:
                raise
    return await make(frames[-1])


async def _render(
    services: Services,
    institution_id: int,
    series: SeriesRow,
    frame: int,
    view: StackView,
    coding: dict[str, Any],
    behind: bool,
) -> PreparedPicture:
    made = await services.render.picture(
        institution_id,
        series.series_key,
        frame,
        view,
        version=series.version,
        coding=coding,
        behind=behind,
        timeout_s=30,
    )
    return PreparedPicture(
        made.data,
        made.media_type,
        frame,
        made.meta["width"],
        made.meta["height"],
        made.meta["window_center"],
        made.meta["window_width"],
        made.meta["backend"],
    )


async def _load(services: Services, institution_id: int, series: SeriesRow, kind: str) -> PreparedPicture | None:
    row = await services.database.fetchrow(
        institution_id,
        "select * from viewing.prepared_picture where series_key = $1 and series_version = $2 and kind = $3 "
        "and preset = 'file' and profile = '' and renderer_version = $4",
        series.series_key,
        series.version,
        kind,
        RENDERER_VERSION,
    )
    if row is None:
        return None
    try:
        data = await asyncio.to_thread(services.objects.read, row["object_key"])
    except ObjectError:
        return None  # the row outlived its object: made again
    return PreparedPicture(
        data,
        row["media_type"],
        row["frame_index"],
        row["picture_width"],
        row["picture_height"],
        row["window_center"],
        row["window_width"],
        row["backend"],
    )


async def _keep(
    services: Services, institution_id: int, series: SeriesRow, kind: str, picture: PreparedPicture
) -> None:
    extension = "webp" if picture.media_type == WEBP else "jpg"
    key = f"derived/{institution_id}/{series.series_key}/{series.version}-{RENDERER_VERSION}-{kind}.{extension}"
    await asyncio.to_thread(services.objects.put_bytes, key, picture.data)
    async with services.database.transaction(institution_id) as connection:
        await connection.execute(
            """
            insert into viewing.prepared_picture (institution_id, series_key, series_version, kind, width, preset, profile,
              renderer_version, media_type, object_key, object_size, frame_index, picture_width, picture_height,
              window_center, window_width, backend)
            values ($1, $2, $3, $4, 0, 'file', '', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
            on conflict do nothing""",
            institution_id,
            series.series_key,
            series.version,
            kind,
            RENDERER_VERSION,
            picture.media_type,
            key,
            len(picture.data),
            picture.frame_index,
            picture.width,
            picture.height,
            picture.window_center,
            picture.window_width,
            picture.backend,
        )
        stale = await connection.fetch(
            "delete from viewing.prepared_picture where series_key = $1 and kind = $2 "
            "and (series_version < $3 or renderer_version <> $4) returning object_key",
            series.series_key,
            kind,
            series.version,
            RENDERER_VERSION,
        )
    for row in stale:
        await asyncio.to_thread(services.objects.delete, row["object_key"])
