"""``mpr``: planes, slabs and projections through a CT volume in memory, like against like.

``…/picture``: 8-bit pictures with the window, against vtkImageReslice and vtkImageMapToWindowLevelColors. ``…/values``:
values alone (ours float32, theirs int16), against vtkImageReslice. Same samples, same number of threads, all four in turn.
A projection leaves out what cannot change the picture, VTK looks at every sample.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.harness import (
    Benchmark,
    BenchmarkError,
    Need,
    Options,
    Result,
    against,
    interleave,
    pair_with,
    peer_of,
    summarize,
    timed_ms,
)
from benchmarks.render.phantom import body_volume
from benchmarks.render.vtk_reslice import Reslice
from render.native.pool import cores
from render.request import PLANES, SlabView, Vector
from render.slab import place_of, plan_of, render_slab, slab_values
from render.volume import Volume

_OBLIQUE: tuple[Vector, Vector] = ((0.8, 0.36, 0.48), (-0.6, 0.48, 0.64))
_DIRECTIONS = {**PLANES, "oblique": _OBLIQUE}
_THICK_MM = 20.0


def _missing_vtk() -> str:
    return "" if importlib.util.find_spec("vtk") else "the Python package vtk"


def _view(plane: str, spacing_mm: float, thickness_mm: float, kind: str, interpolation: str) -> SlabView:
    row, column = _DIRECTIONS[plane]
    return SlabView(
        512,
        512,
        row,
        column,
        None,
        spacing_mm,
        thickness_mm,
        kind,
        interpolation,
        voi="window",
        window_center=40.0,
        window_width=400.0,
    )


def _case(name: str, volume: Volume, view: SlabView, target: tuple[float, float] | None, count: int) -> list[Result]:
    place = place_of(volume, view)
    plan, thickness_mm = plan_of(volume, view, place)
    step_mm = thickness_mm / (plan.samples - 1) if plan.samples > 1 else 1.0
    centered = _centered(volume, view, plan.samples)
    same = _as_vtk_centres(centered, plan.samples, step_mm)
    _assert_equal(name, volume, centered, Reslice(volume, same, plan.samples, step_mm))
    peer, both = (Reslice(volume, same, plan.samples, step_mm, threads=cores(), floats=False) for _ in range(2))
    _assert_same_picture(name, volume, centered, both)

    def picture() -> object:
        return render_slab(volume, view)

    def values() -> object:
        return slab_values(volume, view)

    pictures, theirs, numbers, their_numbers = interleave(
        count,
        lambda: timed_ms(picture),
        lambda: timed_ms(both.run_picture, peer=True),
        lambda: timed_ms(values),
        lambda: timed_ms(peer.run, peer=True),
    )
    return [
        _result(f"{name}/picture", picture, pictures, "vtkImageReslice+MapToWindowLevelColors", peer, theirs, target),
        _result(f"{name}/values", values, numbers, "vtkImageReslice", peer, their_numbers, target),
    ]


def _result(
    name: str,
    ours: Callable[[], object],
    samples: Sequence[float],
    what: str,
    peer: Reslice,
    theirs: Sequence[float],
    target: tuple[float, float] | None,
) -> Result:
    result = summarize("mpr", name, "ms", samples)
    pair_with(result, [peer_of(what, peer.version, theirs, "ms")])
    started = time.process_time()
    for _ in range(5):
        ours()
    result.steps = {"cpu_ms": round((time.process_time() - started) * 200, 3)}
    if target is None:
        return result
    limit_ms, ratio = target
    met = result.p50 <= limit_ms and (result.ratio or 0) >= ratio
    return against(result, f"<= {limit_ms:g} ms and >= {ratio:g} x", met)


def _centered(volume: Volume, view: SlabView, samples: int) -> SlabView:
    """The view with its middle where our samples have theirs (they lie on voxel centres along an axis)."""
    plan, thickness_mm = plan_of(volume, view, place_of(volume, view))
    first = np.array(plan.origin) + np.array(plan.across) * 255.5 + np.array(plan.down) * 255.5
    middle = first + np.array(plan.through) * (samples - 1) / 2
    x, y, z = (float(v) for v in (volume.index_to_lps_mm @ [*middle, 1.0])[:3])
    return replace(view, center_mm=(x, y, z), thickness_mm=thickness_mm)


def _as_vtk_centres(view: SlabView, samples: int, step_mm: float) -> SlabView:
    """Along an axis VTK's slabs lie half a sample lower than those it makes in other directions (9.7)."""
    if samples == 1 or (view.row_direction, view.column_direction) not in PLANES.values():
        return view
    normal = np.cross(view.row_direction, view.column_direction)
    x, y, z = (float(v) for v in np.array(view.center_mm) + normal * (step_mm / 2))
    return replace(view, center_mm=(x, y, z))


def _assert_equal(name: str, volume: Volume, view: SlabView, peer: Reslice) -> None:
    """The same values as VTK's, but for the border (repeated differently) and rounding at steep edges."""
    ours, theirs = slab_values(volume, view), peer.values()
    both = np.isfinite(ours) & (theirs > -1024)
    different = np.abs(ours - theirs)[both]
    if both.mean() < 0.2 or np.percentile(different, 99) > 2.0 or different.mean() > 0.5:
        raise BenchmarkError(f"mpr {name}: the values differ from VTK's by {different.mean():.2f} in the mean")


def _assert_same_picture(name: str, volume: Volume, view: SlabView, peer: Reslice) -> None:
    """Within two levels of VTK's: another rounding of the window, and of values that VTK makes whole numbers first."""
    ours, theirs = render_slab(volume, view).pixels.astype(int), peer.picture().astype(int)
    inside = ours > 0
    if np.percentile(np.abs(ours - theirs)[inside], 99) > 2:
        raise BenchmarkError(
            f"mpr {name}: the pictures differ by {np.abs(ours - theirs)[inside].mean():.2f} in the mean"
        )


def _rounds(name: str, count: int) -> int:
    return {"mip": max(3, count // 8), "slab20": max(5, count // 4)}.get(name.partition("/")[0], count)


def run(options: Options) -> list[Result]:
    """Planes in four directions, slabs of 20 mm, projections through everything."""
    volume = body_volume()
    count = 15 if options.quick else 61
    cases: list[tuple[str, SlabView, tuple[float, float] | None]] = []
    for plane in _DIRECTIONS:
        cases.append((f"plane/{plane}", _view(plane, 0.5, 0.0, "mean", "linear"), (0.6, 10.0)))
    cases.append(("plane/oblique/cubic", _view("oblique", 0.5, 0.0, "mean", "cubic"), None))
    for kind in ("mean", "maximum", "minimum"):
        cases.append((f"slab20/oblique/{kind}", _view("oblique", 0.5, _THICK_MM, kind, "linear"), (20.0, 6.0)))
    cases.append(("slab20/coronal/mean", _view("coronal", 0.5, _THICK_MM, "mean", "linear"), (20.0, 6.0)))
    for plane in ("coronal", "oblique"):
        cases.append((f"mip/{plane}", _view(plane, 0.8, 1e4, "maximum", "linear"), None))
    return [
        result
        for name, view, target in cases
        if options.wants(name)
        for result in _case(name, volume, view, target, _rounds(name, count))
    ]


BENCHMARK = Benchmark(
    "mpr",
    "planes, 20 mm slabs and projections of 512 x 512 through a CT of 512 x 512 x 400",
    (Need("vtk", _missing_vtk),),
    run,
)
