"""``vr_scaling``: volume rendering by picture size, volume size, threads, and by how many viewers turn it at once.

Viewers are a closed loop: each asks for its next picture, turned a little, as soon as it has one. The product's own
scheduler takes them in turn, one picture at a time on all threads, as the render process does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.harness import Benchmark, BenchmarkError, Options, Result, interleave, summarize, timed_ms
from benchmarks.vr import camera_of, phantom
from render.raycast import VolumeRenderer
from render.scene import PreparedVolume
from render.scheduler import Scheduler, Ticket
from render.transfer import preset
from render.volume import Volume
from render.volume_view import VolumeView

_NAME, _FUNCTION = "vr_scaling", "bone"
_SIDES = (256, 512, 1024)
_VIEWERS = (1, 4, 16, 64)


def halved(volume: Volume) -> Volume:
    """Every second voxel along each axis: an eighth of them in the same place."""
    matrix = volume.index_to_lps_mm.copy()
    matrix[:3, :3] *= 2.0
    return Volume(np.ascontiguousarray(volume.values[::2, ::2, ::2]), matrix)


@contextmanager
def _renderer(threads: int) -> Iterator[VolumeRenderer]:
    renderer = VolumeRenderer(threads)
    try:
        yield renderer
    finally:
        renderer.close()


def _view(volume: Volume, side: int) -> VolumeView:
    return VolumeView(side, side, camera_of("oblique", volume), preset(_FUNCTION))


def _alone(case: str, volume: Volume, side: int, threads: int, count: int) -> Result:
    with _renderer(threads) as renderer:
        prepared, view = renderer.prepare(volume), _view(volume, side)
        if renderer.render(prepared, view).opacity.max() < 0.9:
            raise BenchmarkError(f"{_NAME} {case}: an empty picture")
        (samples,) = interleave(count, lambda: timed_ms(lambda: renderer.render(prepared, view)))
    return summarize(_NAME, case, "ms", samples)


@dataclass(frozen=True)
class _Wanted:
    asked: float
    view: VolumeView


def _together(prepared: PreparedVolume, renderer: VolumeRenderer, viewers: int, rounds: int) -> Result:
    """Ask-to-picture times of so many viewers with ``rounds`` pictures each."""

    def lost(ticket: Ticket[_Wanted]) -> None:
        raise BenchmarkError(f"{_NAME}: a picture of {ticket.viewer} was dropped")

    scheduler = Scheduler[_Wanted](time.monotonic, lost)
    start = time.monotonic()
    for number in range(viewers):
        view = _view(prepared.volume, 512)
        turned = replace(view, camera=view.camera.rotated(0.05 * number, 0.0))
        scheduler.submit(Ticket(f"viewer {number}", "vr", 0, _Wanted(start, turned)))
    waits: list[float] = []
    while (ticket := scheduler.next()) is not None:
        renderer.render(prepared, ticket.job.view)
        now = time.monotonic()
        waits.append((now - ticket.job.asked) * 1000)
        if ticket.generation + 1 < rounds:
            turned = replace(ticket.job.view, camera=ticket.job.view.camera.rotated(0.02, 0.01))
            scheduler.submit(replace(ticket, generation=ticket.generation + 1, job=_Wanted(now, turned)))
    seconds = time.monotonic() - start
    result = summarize(_NAME, f"512 {viewers} viewers", "ms", waits)
    result.steps["pictures_per_s_and_viewer"] = round(len(waits) / seconds / viewers, 2)
    return result


def run(options: Options) -> list[Result]:
    """Each way of growing by itself, all else 512 x 512 pixels of 512 x 512 x 320 voxels on all threads."""
    volume, threads = phantom(), os.cpu_count() or 1
    count = 5 if options.quick else 20
    alone = [(f"{side} picture", volume, side, threads) for side in _SIDES]
    alone += [("512 an eighth of the voxels", halved(volume), 512, threads)]
    alone += [(f"512 {used} threads", volume, 512, used) for used in sorted({1, 2, threads}) if used <= threads]
    results = [_alone(*what, count) for what in alone if options.wants(what[0])]
    with _renderer(threads) as renderer:
        prepared = renderer.prepare(volume)
        for viewers in _VIEWERS:
            if options.wants(f"512 {viewers} viewers"):
                renderer.render(prepared, _view(volume, 512))
                results.append(_together(prepared, renderer, viewers, max(3, 4 * count // viewers)))
    return results


BENCHMARK = Benchmark(_NAME, "volume rendering by picture, volume, threads and viewers", (), run)
