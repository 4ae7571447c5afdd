"""Volume rendering beside VTK's fixed-point ray caster, in a process of its own: VTK opens an off-screen window."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_COMPARE = """
import json, sys
import numpy as np
from benchmarks.vr_peer import FixedPointPeer
from render.camera import facing
from render.raycast import VolumeRenderer
from render.transfer import preset
from render.volume import Volume
from render.volume_view import VolumeView
z, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in (56, 64, 72)), indexing="ij")
ball = np.hypot(np.hypot(x - 30, y - 30), z - 25)
rod = np.hypot(x - 50, z - 30 - 0.2 * y)
values = -1000 + 1500 / (1 + np.exp((ball - 15) / 0.8)) + 1900 / (1 + np.exp((rod - 5) / 0.8))
matrix = np.diag([0.8, 0.8, 1.1, 1.0])
matrix[:3, 3] = (-20, 5, 9)
volume = Volume(np.ascontiguousarray(values.astype(np.int16)), matrix)
renderer = VolumeRenderer(2)
prepared, peer, found = renderer.prepare(volume), FixedPointPeer(volume, 160, 2), {}
for name, turn in (("bone", (0, 0)), ("bone", (0.2, 0.15)), ("vessels", (0.7, -0.2)), ("muscle", (0.4, 0.4))):
    camera = facing("A", volume.center_lps_mm, 42.0).rotated(*turn)
    picture = renderer.render(prepared, VolumeView(160, 160, camera, preset(name)))
    peer.show(camera, preset(name), picture.step_mm)
    peer.draw()
    a, b = (p.astype(float).mean(axis=2) for p in (picture.pixels, peer.picture()))
    seen, wanted = a > 24, b > 24
    found[f"{name} {turn}"] = [float(np.corrcoef(a.ravel(), b.ravel())[0, 1]),
        float((seen & wanted).sum() / (seen | wanted).sum()), float(wanted.mean())]
print("found " + json.dumps(found))
"""


def test_pictures_resemble_those_of_vtk() -> None:
    pytest.importorskip("vtk")
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", _COMPARE], cwd=root, capture_output=True, text=True, timeout=120)
    if done.returncode < 0:
        pytest.skip(f"VTK cannot draw off-screen here (signal {-done.returncode})")
    assert done.returncode == 0, done.stderr[-2000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("found ")]
    for case, (correlation, overlap, share) in json.loads(line.removeprefix("found ")).items():
        assert share > 0.05, case
        # VTK quantises normals and opacities, blends 15-bit integers and does not jitter: alike, not equal.
        assert correlation > 0.995, case
        assert overlap > 0.96, case
