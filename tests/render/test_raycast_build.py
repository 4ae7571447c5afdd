"""Volume rendering's sources under hostile geometry with sanitizers, and as CUDA by NVRTC."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from render.cuda import device
from render.native import build

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


def test_hostile_geometry_is_clean_under_sanitizers(tmp_path: Path) -> None:
    command, is_zig = build.compiler()
    runtime = subprocess.run([*command, "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    if is_zig or not Path(runtime).is_file():
        pytest.skip("this compiler has no libasan")
    target = tmp_path / "raycast-asan.so"
    flags = ["-O1", "-g", "-std=c++17", "-fPIC", "-shared", "-ffp-contract=off", "-fno-sanitize-recover=all"]
    checks = "-fsanitize=address,undefined,float-cast-overflow"
    units = [str(build.HERE / "kernels.cpp"), str(build.HERE / "raycast.cpp")]
    subprocess.run([*command, *flags, checks, *units, "-o", str(target)], check=True)
    environment = {**os.environ, "LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"}
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _HOSTILE, str(target)], env=environment, cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "clean"


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_the_cuda_source_compiles(architecture: str) -> None:
    pathfinder = pytest.importorskip("cuda.pathfinder")
    try:
        nvrtc = ctypes.CDLL(pathfinder.load_nvidia_dynamic_lib("nvrtc").abs_path)
    except Exception as error:
        pytest.skip(f"NVRTC is not installed: {error}")
    program = ctypes.c_void_p()
    text = device.source("raycast.cu").encode()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, b"raycast.cu", 0, None, None) == 0
    options = (ctypes.c_char_p * 3)(f"--gpu-architecture={architecture}".encode(), b"--std=c++17", b"--fmad=false")
    status = nvrtc.nvrtcCompileProgram(program, 3, options)
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert status == 0, log.value.decode()
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    code = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetCUBIN(program, code)
    for name in ("cf_raycast_i16", "cf_raycast_u16_fused", "cf_raycast_f32"):
        assert name.encode() in code.raw
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
