"""Cells and maps of empty space, as CUDA makes them, under sanitizers: any shape, wild values, tables of one entry."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cuda_host_build import FLAGS
from tests.support.kernel_builds import run_hostile, sanitizer_runtime

_HOSTILE = """
import numpy as np
from render.cuda import cells
from render.cuda.device import Device
from render.transfer import TransferTables
from render.volume import Volume
from tests.support.cuda_host_build import execute
from tests.support.cuda_stand_in import StandInCupy
device, rng = Device(StandInCupy(execute=execute)), np.random.default_rng(2)
for turn in range(60):
    shape = tuple(int(n) for n in rng.integers(1, 30, 3))
    dtype = (np.int16, np.uint16, np.float32)[turn % 3]
    values = rng.integers(0, 3000, shape).astype(dtype)
    if dtype == np.float32:
        values[rng.random(shape) < 0.3] = rng.choice([np.nan, np.inf, -np.inf, 3e38])
    volume = Volume(np.ascontiguousarray(values), np.eye(4))
    entries = int(rng.integers(1, 9))
    tables = TransferTables(rng.integers(0, 2, entries).astype(np.float32), np.zeros(entries, np.uint32),
        float(rng.normal() * 10.0 ** rng.uniform(0, 9)), float(10.0 ** rng.uniform(-9, 9)))
    grid = tuple(max(1, (n + 6) // 8) for n in shape)
    whole = tuple(-(-n // 8) for n in shape)
    with device.pictures(), device.memory.using(volume):
        cells.downloaded(*cells.bounds(device, volume, whole, numbers=True))
        for cuts in ((), (turn,)):
            keep = device.cupy.asarray(rng.integers(0, 2, values.size).astype(np.uint8)) if cuts else None
            found = cells.distance_map(device, volume, grid, tables, keep, cuts).get()
            assert found.shape == grid
print("clean")
"""


def test_hostile_volumes_are_clean_under_sanitizers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = sanitizer_runtime()
    checks = "-fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all"
    monkeypatch.setenv(FLAGS, checks)
    run_hostile(_HOSTILE, tmp_path, runtime)
