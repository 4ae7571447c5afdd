"""Series as volumes in memory: planned from the open records, a first one from every fourth slice, bounded by bytes."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from app.rendering.errors import FrameFaultError
from app.rendering.frames import FramePlace
from app.rendering.loader import FrameLoader
from app.rendering.series import OpenSeries
from app.settings import Settings
from render.errors import CodecError
from render.frame import Frame
from render.residency import Residency
from render.stack import SlicePlane, StackPlan, VolumeTooLargeError, WrongStackError, assemble, plan_stacks, thinned
from render.volume import Volume

_EVERY = 4  # slices of the first volume
_WORTH_A_FIRST = 24  # a shorter series is whole nearly as soon
_AT_ONCE = 2  # volumes being made
_AHEAD = 4  # slices being decoded for one volume
_MOST_PLANS = 64
_LONGEST_SLICE_S = 120.0
_PER_VOXEL = 3  # bytes while it is made and after: 16 bits and a mask, or the first volume and its slices
_PER_CELL = (
    2 * 4 + 1 + 4 * (64 + 8)
)  # what scene.py keeps: bounds, what cuts leave, four functions' sights and distances

Place = tuple[int, int, int, int]  # institution, series, version, stack


@dataclass(frozen=True)
class _Planned:
    slices: tuple[SlicePlane, ...]
    stacks: tuple[StackPlan, ...]


@dataclass(frozen=True)
class ReadyVolume:
    """A volume that can be shown now. ``stacks``: how many volumes (phases, stacks) the series has.
    ``frame_of_reference_uid``: of its places, empty where the file has none."""

    volume: Volume
    stacks: int
    frame_of_reference_uid: str = ""


@dataclass
class _Making:
    """A volume on its way. ``first`` ends with the first volume that can be shown."""

    first: asyncio.Future[Volume]
    whole: asyncio.Task[Volume]


def _bytes_of(volume: Volume) -> int:
    """What a volume may keep in memory: its values, its cells, a mask of cuts of a byte per voxel, and what volume
    rendering keeps of each cell."""
    return volume.nbytes + int(volume.values.size) + _PER_CELL * volume_cells(volume)


def volume_cells(volume: Volume) -> int:
    """Cells of 8 x 8 x 8 voxels."""
    return math.prod(-(-size // 8) for size in volume.shape)


def slice_planes(frames: Sequence[FramePlace]) -> list[SlicePlane]:
    """Planes of all frames that can be decoded; scouts are left out where there is anything else.

    Raises WrongStackError where a frame has no geometry.
    """
    usable = [
        (key, place) for key, place in enumerate(frames) if str(place.frame_index) not in place.record.frame_faults
    ]
    sections = [(key, place) for key, place in usable if "LOCALIZER" not in place.record.image_type]
    chosen = sections or usable
    # PS3.3 C.7.4.1: a series has one frame of reference. A de-identifier that gave every image a new UID has said nothing
    # of where they lie to each other; their places still do.
    alone = len(chosen) > 2 and len({place.record.frame_of_reference_uid for _, place in chosen}) == len(chosen)
    return [_slice_plane(key, place, "" if alone else place.record.frame_of_reference_uid) for key, place in chosen]


def _slice_plane(key: int, place: FramePlace, reference: str) -> SlicePlane:
    record, own = place.record, place.override
    position, orientation = place.value("image_position_patient"), place.value("image_orientation_patient")
    spacing = place.value("pixel_spacing_mm")
    if not position or not orientation or not spacing or len(position) != 3 or len(orientation) != 6:
        raise WrongStackError(what="geometry")
    if record.samples_per_pixel != 1 or record.photometric_interpretation == "PALETTE COLOR":
        raise WrongStackError(what="colour")
    phase = (own.temporal_position_index if own is not None else None) or 0
    return SlicePlane(
        key,
        (float(position[0]), float(position[1]), float(position[2])),
        (float(orientation[0]), float(orientation[1]), float(orientation[2])),
        (float(orientation[3]), float(orientation[4]), float(orientation[5])),
        (float(spacing[0]), float(spacing[1])),
        record.rows,
        record.columns,
        place.value("slice_thickness_mm"),
        stack=f"{reference}/{(own.stack_id if own is not None else None) or ''}",
        order=(
            float(phase),
            float(record.acquisition_number or 0),
            float(record.instance_number or 0),
            float(place.frame_index),
        ),
    )


def volume_key(series: OpenSeries, stack: int) -> Place:
    """What a volume is kept under."""
    return series.institution_id, series.series_key, series.version, stack


class VolumeLoader:
    """Single flight per volume over a byte budget. Making one goes on though nobody waits; at most two at once."""

    def __init__(self, settings: Settings, frames: FrameLoader) -> None:
        self._frames = frames
        self._budget = settings.volume_memory_mb << 20
        self.residency: Residency[Volume] = Residency(self._budget, _bytes_of, time.monotonic)
        self._plans: OrderedDict[tuple[int, int, int], _Planned] = OrderedDict()
        self._making: dict[Place, _Making] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._alone = asyncio.Lock()
        self._threads = ThreadPoolExecutor(_AT_ONCE + 1, "volumes")

    async def get(self, series: OpenSeries, stack: int = 0, wait_s: float = 0.0) -> ReadyVolume:
        """The most complete volume there is; an incomplete one is waited on for ``wait_s`` to become whole.

        Raises WrongStackError, VolumeTooLargeError, and what decoding raises.
        """
        planned = await self._plan(series)
        if not 0 <= stack < len(planned.stacks):
            raise WrongStackError(what="stack")
        key = volume_key(series, stack)
        references = {series.frames[key].record.frame_of_reference_uid for key in planned.stacks[stack].keys}
        reference = references.pop() if len(references) == 1 else ""
        whole = self.residency.get(key)
        if whole is not None:
            return ReadyVolume(whole, len(planned.stacks), reference)
        making = self._making.get(key) or self._start(key, series, planned)
        await asyncio.wait({making.first, making.whole}, return_when=asyncio.FIRST_COMPLETED)
        if wait_s > 0 and not making.whole.done():
            await asyncio.wait({making.whole}, timeout=wait_s)
        done = making.whole if making.whole.done() else making.first
        return ReadyVolume(done.result(), len(planned.stacks), reference)

    async def plans(self, series: OpenSeries) -> tuple[StackPlan, ...]:
        """The volumes that a series has, as ``stack`` counts them: the fullest first. Raises WrongStackError."""
        return (await self._plan(series)).stacks

    async def _plan(self, series: OpenSeries) -> _Planned:
        key = (series.institution_id, series.series_key, series.version)
        planned = self._plans.get(key)
        if planned is None:
            planned = await asyncio.get_running_loop().run_in_executor(self._threads, _plan_series, series)
            self._plans[key] = planned
            while len(self._plans) > _MOST_PLANS:
                self._plans.popitem(last=False)
        self._plans.move_to_end(key)
        return planned

    def _start(self, key: Place, series: OpenSeries, planned: _Planned) -> _Making:
        plan = planned.stacks[key[3]]
        if _PER_VOXEL * plan.voxels > self._budget:
            raise VolumeTooLargeError(wanted=_PER_VOXEL * plan.voxels, allowed=self._budget)
        loop = asyncio.get_running_loop()
        first: asyncio.Future[Volume] = loop.create_future()
        making = _Making(first, loop.create_task(self._make(key, series, planned.slices, plan, first)))
        self._making[key] = making
        making.whole.add_done_callback(lambda done: self._made(key, done))
        return making

    def _made(self, key: Place, task: asyncio.Task[Volume]) -> None:
        making = self._making.pop(key)
        making.first.cancel()
        if not task.cancelled():
            task.exception()  # seen: nobody may be waiting

    async def _make(
        self,
        key: Place,
        series: OpenSeries,
        slices: Sequence[SlicePlane],
        plan: StackPlan,
        first: asyncio.Future[Volume],
    ) -> Volume:
        kept: dict[int, Frame | None] = {}
        nbytes = _PER_VOXEL * plan.voxels
        try:
            async with self._turn(nbytes):
                self.residency.begin(key, nbytes)
                if len(plan.keys) >= _WORTH_A_FIRST:
                    coarse = thinned(slices, plan, _EVERY)
                    volume = await self._assembled(series, coarse, kept, keep=True)
                    if not first.done():
                        first.set_result(volume)
                volume = await self._assembled(series, plan, kept, keep=False)
            if _bytes_of(volume) > self._budget:  # its values turned out to need 32 bits
                raise VolumeTooLargeError(wanted=_bytes_of(volume), allowed=self._budget)
        except asyncio.CancelledError:
            self.residency.abandon(key)
            raise
        except Exception as error:
            self.residency.fail(key, error)
            raise
        self.residency.finish(key, volume)
        return volume

    @asynccontextmanager
    async def _turn(self, nbytes: int) -> AsyncIterator[None]:
        """One of the slots; all of them for a volume beyond its share, so that those being made fit the budget together."""
        if nbytes <= self._budget // _AT_ONCE:
            async with self._slots:
                yield
            return
        async with AsyncExitStack() as stack:
            async with self._alone:  # two that wait for all slots would hold each other's
                for _ in range(_AT_ONCE):
                    await stack.enter_async_context(self._slots)
            yield

    async def _assembled(
        self, series: OpenSeries, plan: StackPlan, kept: dict[int, Frame | None], *, keep: bool
    ) -> Volume:
        """Slices are decoded a few ahead of the thread that puts them in their places."""
        loop = asyncio.get_running_loop()
        wanted = list(plan.keys)
        ahead: dict[int, asyncio.Task[Frame | None]] = {}

        async def take(number: int) -> Frame | None:
            for key in wanted[number : number + _AHEAD]:
                if key not in kept and key not in ahead:
                    ahead[key] = loop.create_task(self._decode(series, key))
            key = wanted[number]
            frame = kept[key] if key in kept else await ahead.pop(key)
            if keep:
                kept[key] = frame
            else:
                kept.pop(key, None)
            return frame

        numbers = {key: number for number, key in enumerate(wanted)}

        def frame_of(key: int) -> Frame | None:
            return asyncio.run_coroutine_threadsafe(take(numbers[key]), loop).result(_LONGEST_SLICE_S)

        try:
            volume = await loop.run_in_executor(self._threads, assemble, plan, frame_of)
        finally:
            for task in ahead.values():
                task.cancel()
            await asyncio.gather(*ahead.values(), return_exceptions=True)
        return replace(volume, unit=series.frames[wanted[0]].record.rescale_type)

    async def _decode(self, series: OpenSeries, key: int) -> Frame | None:
        """None: this slice cannot be decoded; the others make the volume."""
        try:
            return await self._frames.borrow(series, series.place(key))
        except (CodecError, FrameFaultError):
            return None

    async def close(self) -> None:
        """Stop what is being made."""
        running = [making.whole for making in self._making.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)


def _plan_series(series: OpenSeries) -> _Planned:
    slices = slice_planes(series.frames)
    return _Planned(tuple(slices), tuple(plan_stacks(slices)))
