"""``first_volume``: from the stored HTJ2K codestreams of a CT of 400 slices to its first 3D picture, and to the whole one.

As the render process does: every fourth slice first, decoded a few ahead of the thread that puts them in their places,
then cells, maps of empty space, the picture and its JPEG; the rest afterwards with what is decoded already. Files come
from the page cache; there is no database and no connection between.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Benchmark, BenchmarkError, Need, Options, Result, against, summarize
from benchmarks.render.phantom import SPACING_MM, body_volume
from render.camera import facing
from render.codec import FrameSpec, decode_frame
from render.encode import encode
from render.frame import Frame
from render.raycast import VolumeRenderer
from render.request import JPEG
from render.stack import SlicePlane, StackPlan, assemble, plan_stacks, thinned
from render.transfer import preset
from render.volume import Volume
from render.volume_view import VolumeView

_SLICES, _SIDE = 400, 512
_EVERY, _AHEAD = 4, 4  # as app/rendering/volumes.py
_LIMIT_MS = 2500.0
_HTJ2K = FrameSpec("1.2.840.10008.1.2.4.201", _SIDE, _SIDE, pixel_representation=1)


def _missing_encoder() -> str:
    import imagecodecs

    return "" if imagecodecs.HTJ2K.available else "imagecodecs without OpenJPH"


def _store(folder: Path) -> Volume:
    """The phantom's slices as lossless codestreams; returns the volume they are of."""
    import imagecodecs

    volume = body_volume(_SLICES, _SIDE)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        coded = pool.map(lambda values: imagecodecs.htj2k_encode(values, reversible=True), volume.values)
        for key, data in enumerate(coded):
            (folder / f"{key}.j2c").write_bytes(data)
    return volume


def _planes() -> list[SlicePlane]:
    across, down, between = SPACING_MM
    return [
        SlicePlane(k, (0.0, 0.0, k * between), (1, 0, 0), (0, 1, 0), (down, across), _SIDE, _SIDE, between)
        for k in range(_SLICES)
    ]


class _Series:
    """The stored slices on their way into memory; ``kept`` are decoded already."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._folder, self._pool = folder, ThreadPoolExecutor(threads)
        self._kept: dict[int, Frame] = {}

    def _decode(self, key: int) -> Frame:
        return Frame(decode_frame((self._folder / f"{key}.j2c").read_bytes(), _HTJ2K).values)

    def assembled(self, plan: StackPlan, *, keep: bool) -> Volume:
        """The plan's volume."""
        wanted = [key for key in plan.keys if key not in self._kept]
        coming: dict[int, Future[Frame]] = {}
        numbers = {key: number for number, key in enumerate(wanted)}

        def frame_of(key: int) -> Frame:
            if key in self._kept:
                return self._kept[key] if keep else self._kept.pop(key)
            for next_key in wanted[numbers[key] : numbers[key] + _AHEAD]:
                if next_key not in coming:
                    coming[next_key] = self._pool.submit(self._decode, next_key)
            frame = coming[key].result()
            del coming[key]
            if keep:
                self._kept[key] = frame
            return frame

        return assemble(plan, frame_of)

    def close(self) -> None:
        """Stop the threads."""
        self._pool.shutdown()


@dataclass(frozen=True)
class _Opened:
    """Milliseconds to each of the first picture's steps and to the whole picture, and both pictures."""

    steps: dict[str, float]
    whole_ms: float
    first: NDArray[np.uint8]
    whole: NDArray[np.uint8]
    values: NDArray[np.generic]


def _picture(renderer: VolumeRenderer, volume: Volume, tick: Callable[[str], None]) -> NDArray[np.uint8]:
    prepared = renderer.prepare(volume)
    tick("prepared")
    camera = facing("A", volume.center_lps_mm, 210.0).rotated(0.17, 0.08)
    picture = renderer.render(prepared, VolumeView(_SIDE, _SIDE, camera, preset("bone")))
    tick("rendered")
    encode(picture.pixels, JPEG, 85)
    tick("encoded")
    return picture.pixels


def _open(folder: Path, renderer: VolumeRenderer, threads: int) -> _Opened:
    steps: dict[str, float] = {}
    started = time.perf_counter()

    def tick(name: str) -> None:
        steps[name] = (time.perf_counter() - started) * 1000

    planes = _planes()
    (plan,) = plan_stacks(planes)
    series = _Series(folder, threads)
    try:
        coarse = series.assembled(thinned(planes, plan, _EVERY), keep=True)
        tick("decoded")
        first = _picture(renderer, coarse, tick)
        found = dict(steps)
        volume = series.assembled(plan, keep=False)
        whole = _picture(renderer, volume, tick)
    finally:
        series.close()
    return _Opened(found, steps["encoded"], first, whole, volume.values)


def _check(opened: _Opened, volume: Volume) -> None:
    if not np.array_equal(opened.values, volume.values):
        raise BenchmarkError("first_volume: the whole volume is not what was stored")
    a, b = (picture.astype(np.float64).mean(axis=2).ravel() for picture in (opened.first, opened.whole))
    alike = float(np.corrcoef(a, b)[0, 1])
    if alike < 0.9 or b.max() < 100:
        raise BenchmarkError(f"first_volume: the first picture is another one (correlation {alike:.3f})")


def run(options: Options) -> list[Result]:
    """First and whole picture of the same openings."""
    threads = os.cpu_count() or 1
    renderer = VolumeRenderer(threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        volume = _store(folder)
        try:
            _check(_open(folder, renderer, threads), volume)
            opened = [_open(folder, renderer, threads) for _ in range(3 if options.quick else 10)]
        finally:
            renderer.close()
        stored = sum(path.stat().st_size for path in folder.iterdir())
    first = summarize("first_volume", "512 x 512 x 400 first", "ms", [one.steps["encoded"] for one in opened])
    first.steps = {name: round(float(np.median([one.steps[name] for one in opened])), 1) for name in opened[0].steps}
    first.bytes = stored
    whole = summarize("first_volume", "512 x 512 x 400 whole", "ms", [one.whole_ms for one in opened])
    return [against(first, f"<= {_LIMIT_MS:g} ms", first.p50 <= _LIMIT_MS), whole]


BENCHMARK = Benchmark(
    "first_volume",
    "stored HTJ2K slices of a CT (512 x 512 x 400) to the first 3D picture and to the whole one",
    (Need("HTJ2K encoder", _missing_encoder),),
    run,
)
