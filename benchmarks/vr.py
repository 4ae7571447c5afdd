"""``vr``: shaded volume rendering of the demo's CT, 512 x 512 x 320, by view and by transfer function.

The peer is VTK's fixed-point ray caster with the same camera, points, step, light and number of threads, in turn
with ours. Its gradients are made before (once per volume); ours are made while rays march.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.demo.body_ct import FIELD_OF_VIEW_MM, body_slice
from benchmarks.harness import (
    Benchmark,
    BenchmarkError,
    Options,
    Result,
    against,
    interleave,
    pair_with,
    peer_of,
    summarize,
    timed_ms,
)
from benchmarks.vr_peer import VTK, FixedPointPeer
from render.camera import Camera, facing
from render.raycast import VolumeRenderer
from render.scene import PreparedVolume
from render.transfer import preset
from render.volume import Volume
from render.volume_view import VolumeView

_SLICES, _LENGTH_MM, _RADIUS_MM = 320, 400.0, 230.0
_LIMIT_MS = {512: 60.0, 1024: 240.0}
_SPREAD = 1.5
_FUNCTIONS = ("bone", "vessels", "muscle", "skin", "lung", "airway")
_WITH_PEER = ("bone", "vessels")
_OTHERS = ("mr", "pet_hot")  # of volumes of their own


@dataclass(frozen=True)
class _Rig:
    renderer: VolumeRenderer
    prepared: PreparedVolume
    peer: FixedPointPeer
    side: int


def phantom() -> Volume:
    """The demo's contrast CT with its axes along the patient's, feet first."""
    step = _LENGTH_MM / _SLICES
    values = np.stack([body_slice((_SLICES - 1 - k) * step) for k in range(_SLICES)])
    pixel = FIELD_OF_VIEW_MM / values.shape[2]
    matrix = np.diag([pixel, pixel, step, 1.0])
    matrix[:3, 3] = (-FIELD_OF_VIEW_MM / 2, -FIELD_OF_VIEW_MM / 2, -_LENGTH_MM)
    return Volume(values, matrix)


def camera_of(view: str, volume: Volume) -> Camera:
    """A patient-aligned preset, or 'oblique'."""
    if view == "oblique":
        return facing("A", volume.center_lps_mm, _RADIUS_MM).rotated(0.17, 0.08)
    return facing(view, volume.center_lps_mm, _RADIUS_MM)


def other_volume(name: str, volume: Volume) -> Volume:
    """The same body as an MR of every second voxel (fat bright, bone and air dark), or as a PET of every sixth: what is
    perfused, with noise."""
    every = 2 if name == "mr" else 6
    hounsfield = volume.values[::every, ::every, ::every].astype(np.float32)
    matrix = volume.index_to_lps_mm.copy()
    matrix[:3, :3] *= every
    if name == "mr":
        tissue = np.clip((hounsfield + 160) / 60, 0, 1) * np.clip((420 - hounsfield) / 250, 0.05, 1)
        return Volume(np.ascontiguousarray(tissue * (700 - np.clip(hounsfield, -120, 120)), np.int16), matrix)
    noise = np.random.default_rng(4).gamma(9.0, 1 / 9, hounsfield.shape)
    return Volume(np.ascontiguousarray(np.clip(hounsfield + 50, 0, 350) * noise, np.float32), matrix)


def _agree(ours: NDArray[np.uint8], theirs: NDArray[np.uint8], name: str) -> tuple[float, float]:
    """Correlation of gray values and overlap of silhouettes. Raises BenchmarkError when they are different pictures."""
    a, b = (picture.astype(np.float64).mean(axis=2) for picture in (ours, theirs))
    correlation = float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    seen, wanted = a > 24, b > 24
    overlap = float((seen & wanted).sum() / max(1, (seen | wanted).sum()))
    if correlation < 0.97 or overlap < 0.93:
        raise BenchmarkError(f"vr {name}: correlation {correlation:.3f}, silhouettes {overlap:.3f}")
    return correlation, overlap


def _case(rig: _Rig, name: str, view_name: str, count: int, *, with_peer: bool) -> Result:
    volume, function = rig.prepared.volume, preset(name)
    camera = camera_of(view_name, volume)
    view = VolumeView(rig.side, rig.side, camera, function)
    picture = rig.renderer.render(rig.prepared, view)
    case = f"{rig.side} {name} {view_name}"

    def ours() -> float:
        return timed_ms(lambda: rig.renderer.render(rig.prepared, view))

    if with_peer:
        rig.peer.show(camera, function, picture.step_mm)
        rig.peer.draw()
        agreement = _agree(picture.pixels, rig.peer.picture(), case)
        samples, theirs = interleave(count, ours, lambda: timed_ms(rig.peer.draw, peer=True))
        result = pair_with(
            summarize("vr", case, "ms", samples),
            [peer_of("VTK fixed-point", rig.peer.version, theirs, "ms")],
        )
        result.steps["correlation"], result.steps["silhouettes"] = (round(value, 4) for value in agreement)
    else:
        (samples,) = interleave(count, ours)
        result = summarize("vr", case, "ms", samples)
    limit = _LIMIT_MS[rig.side]
    target = f"<= {limit:g} ms" + (", >= 3.5 x VTK" if with_peer else "")
    return against(result, target, result.p50 <= limit and (result.ratio or 3.5) >= 3.5)


def _spread(results: list[Result]) -> list[Result]:
    """How many times longer the slowest transfer function takes than the fastest, from the oblique view."""
    found: list[Result] = []
    for title, names in (("slowest to fastest", _FUNCTIONS), ("slowest to fastest of all", _FUNCTIONS + _OTHERS)):
        cases = {f"512 {name} oblique" for name in names}
        alike = [result.p50 for result in results if result.case in cases]
        if len(alike) == len(cases):
            spread = summarize("vr", f"512 {title}, oblique", "x", [max(alike) / min(alike)])
            found.append(against(spread, f"<= {_SPREAD:g} x", spread.p50 <= _SPREAD))
    return found


def run(options: Options) -> list[Result]:
    """Every transfer function from every view (those of MR and PET from one); the peer draws bone and vessels."""
    volume = phantom()
    threads = os.cpu_count() or 1
    renderer = VolumeRenderer(threads)
    results: list[Result] = []
    try:
        prepared = renderer.prepare(volume)
        for side in (512, 1024):
            rig = _Rig(renderer, prepared, FixedPointPeer(volume, side, threads), side)
            views = ("oblique", "A", "L", "H") if side == 512 else ("oblique",)
            cases = [(name, view, name in _WITH_PEER) for name in _FUNCTIONS for view in views]
            for name, view, with_peer in cases:
                if options.wants(f"{side} {name} {view}"):
                    count = 5 if options.quick else 20
                    results.append(_case(rig, name, view, count, with_peer=with_peer))
            if side == 512:
                for name in _OTHERS:
                    if options.wants(f"512 {name} oblique"):
                        other = replace(rig, prepared=renderer.prepare(other_volume(name, volume)))
                        results.append(_case(other, name, "oblique", 5 if options.quick else 20, with_peer=False))
                results += _spread(results)
    finally:
        renderer.close()
    return results


BENCHMARK = Benchmark("vr", "shaded volume rendering of a CT of 512 x 512 x 320", (VTK,), run)
