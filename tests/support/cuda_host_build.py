"""The CUDA units built for this machine, threads one after the other: the kernels' logic, their entry points and
their launch shapes run without a device. Nothing here is about speed."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from render.cuda import device
from render.native import build
from tests.support import cuda_signatures
from tests.support.cuda_stand_in import Execute

FLAGS = "CLOUDFILM_CUDA_ON_HOST_FLAGS"  # more flags for the compiler: sanitizers

_BEFORE = """
#define __global__
#define __device__
#define __grid_constant__
struct CfIndex { unsigned int x, y, z; };
static thread_local CfIndex blockIdx, threadIdx, blockDim;
"""
_RUN = """
extern "C" void run_{name}(void** a, const int* grid, const int* block) {{
  blockDim = {{(unsigned)block[0], (unsigned)block[1], (unsigned)block[2]}};
  for (unsigned bz = 0; bz < (unsigned)grid[2]; ++bz)
    for (unsigned by = 0; by < (unsigned)grid[1]; ++by)
      for (unsigned bx = 0; bx < (unsigned)grid[0]; ++bx)
        for (unsigned tz = 0; tz < blockDim.z; ++tz)
          for (unsigned ty = 0; ty < blockDim.y; ++ty)
            for (unsigned tx = 0; tx < blockDim.x; ++tx) {{
              blockIdx = {{bx, by, bz}};
              threadIdx = {{tx, ty, tz}};
              cf_call({name}, a, CfUpTo<{count}>::type());
            }}
}}
"""
# Calls a kernel with the values at these addresses. No C++ library: its names must not reach the kernels.
_CALL = """
template <int... I> struct CfPlaces {};
template <int N, int... I> struct CfUpTo : CfUpTo<N - 1, N - 1, I...> {};
template <int... I> struct CfUpTo<0, I...> { typedef CfPlaces<I...> type; };
template <typename... P, int... I>
static void cf_call(void (*kernel)(P...), void** a, CfPlaces<I...>) {
  kernel(*(P*)a[I]...);
}
"""


@lru_cache(maxsize=8)
def _library(unit: str, right: str, wrong: str) -> ctypes.CDLL:
    text = device.source(unit)
    assert text.count(right) == 1 or not right, f"{right} is not in {unit} once"
    folder = Path(tempfile.mkdtemp(prefix="cuda-on-host-"))
    runs = [_RUN.format(name=name, count=len(given)) for name, given in cuda_signatures.kernels(unit).items()]
    source, target = folder / f"{unit}.cpp", folder / f"{unit}.so"
    source.write_text("\n".join([_BEFORE, text.replace(right, wrong) if right else text, _CALL, *runs]))
    command, _ = build.compiler()
    flags = ["-O2", "-std=c++17", "-ffp-contract=off", "-fPIC", "-shared", *os.environ.get(FLAGS, "").split()]
    # A sanitizer's runtime is for what runs, not for the compiler.
    clean = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    subprocess.run([*command, *flags, str(source), "-o", str(target)], check=True, env=clean)
    loaded = ctypes.CDLL(str(target))
    source.unlink()
    target.unlink()
    folder.rmdir()
    return loaded


def execute(unit: str, name: str, grid: tuple[int, ...], block: tuple[int, ...], values: list[Any]) -> None:
    """Run a kernel: every thread of every block. ``values``: NumPy scalars and structures, addresses as uint64."""
    _run(_library(unit, "", ""), name, grid, block, values)


def with_a_fault(faulty: str, right: str, wrong: str) -> Execute:
    """As ``execute`` with a deliberate fault in one unit: what is ``right`` in its source is replaced."""

    def run(unit: str, name: str, grid: tuple[int, ...], block: tuple[int, ...], values: list[Any]) -> None:
        fault = (right, wrong) if unit == faulty else ("", "")
        _run(_library(unit, *fault), name, grid, block, values)

    return run


def _run(library: ctypes.CDLL, name: str, grid: tuple[int, ...], block: tuple[int, ...], values: list[Any]) -> None:
    held = [np.ascontiguousarray(value).reshape(-1) for value in values]
    addresses = (ctypes.c_void_p * len(held))(*(value.ctypes.data for value in held))
    three = ctypes.c_int * 3
    shape = [three(*(*sizes, 1, 1)[:3]) for sizes in (grid, block)]
    getattr(library, f"run_{name}")(addresses, *shape)
