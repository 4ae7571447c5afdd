"""Volume rendering's sources under hostile geometry with sanitizers."""

from __future__ import annotations

from tests.support.kernel_builds import kernels_with_sanitizers, run_hostile

_HOSTILE = """
import numpy as np, sys
from dataclasses import replace
from pathlib import Path
from render.camera import Camera
from render.cuts import BoxCut, BrushCut, CurveCut, PlaneCut
from render.errors import RenderError
from render.native import raycast
from render.raycast import VolumeRenderer
from render.transfer import TransferFunction, TransferPoint
from render.volume import Volume
from render.volume_view import FusionLayer, VolumeView
kernels = raycast.load(Path(sys.argv[1]))
fast, plain = VolumeRenderer(2, kernels), VolumeRenderer(1, kernels, definition=True)
rng = np.random.default_rng(11)

def vector(size):
    return tuple(float(v) for v in rng.normal(size=3) * size)

def volume():
    shape = tuple(int(n) for n in rng.integers(2, 21, 3))
    dtype = rng.choice([np.int16, np.uint16, np.float32])
    values = rng.integers(0, 3000, shape).astype(dtype)
    if dtype == np.float32 and rng.random() < 0.5:
        values[rng.random(shape) < 0.1] = rng.choice([np.nan, np.inf, -np.inf, 3e38])
    matrix = np.eye(4)
    matrix[:3, :3] = rng.normal(size=(3, 3)) * 10.0 ** rng.uniform(-2, 2)
    matrix[:3, 3] = vector(20)
    return Volume(np.ascontiguousarray(values), matrix)

drawn = 0
for number in range(150):
    try:
        first, second = volume(), volume()
        at = np.array(first.center_lps_mm) + vector(10.0 ** rng.uniform(-1, 4))
        aim = np.array(first.center_lps_mm) + vector(5)
        if number % 3 == 0:
            aim = at + rng.choice([-1.0, 0.0, 1.0], 3)
        ortho = rng.random() < 0.5
        camera = Camera(tuple(map(float, at)), tuple(map(float, aim)), vector(1),
            float(10 ** rng.uniform(-1, 4)) if ortho else None, None if ortho else float(rng.uniform(1, 150)))
        places = np.sort(rng.normal(size=3) * 10.0 ** rng.uniform(-3, 8))
        transfer = TransferFunction(tuple(TransferPoint(float(v), float(rng.choice([0, rng.random(), 1])),
            (9.0, 99.0, 255.0)) for v in places))
        cuts = tuple(rng.choice(np.array([BoxCut(vector(20), vector(20), str(rng.choice(["inside", "outside"]))),
            PlaneCut(vector(20), vector(1)), BrushCut((vector(20), vector(20)), 8.0),
            CurveCut(camera, 40, 30, tuple((float(x), float(y)) for x, y in rng.normal(size=(5, 2)) * 40))], object),
            int(rng.integers(0, 4))))
        view = VolumeView(int(rng.integers(1, 40)), int(rng.integers(1, 40)), camera, transfer, cuts=cuts,
            clip_box=(vector(30), vector(30)) if rng.random() < 0.3 else None,
            clip_planes=tuple(PlaneCut(vector(20), vector(1)) for _ in range(int(rng.integers(0, 9)))),
            fusion=FusionLayer(10.0, 2000.0) if rng.random() < 0.5 else None,
            step_mm=float(10 ** rng.uniform(-0.5, 1.5)))
    except RenderError:
        continue
    pictures = [r.render(r.prepare(first), view, fused=r.prepare(second) if view.fusion else None) for r in (fast, plain)]
    assert np.array_equal(pictures[0].pixels, pictures[1].pixels), number
    try:
        fast.pick(fast.prepare(first), replace(view, fusion=None), view.width / 2, float(rng.choice([0, 1, np.nan, 1e9])))
    except RenderError:
        pass
    drawn += 1
assert drawn > 60, drawn
print("clean")
"""


def test_hostile_geometry_is_clean_under_sanitizers() -> None:
    run_hostile(_HOSTILE, *kernels_with_sanitizers())
