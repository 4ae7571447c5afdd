"""The backends that contract tests run on: the native kernels; the CUDA host side and source on this machine (the
stand-in of CuPy that runs kernels one thread after the other); CUDA itself where a device answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import pytest

from render.backend import Backend, NativeBackend, Slabs
from render.cuda import device
from render.cuda.device import CudaBackend, Device
from render.cuda.rays import CudaRays
from render.cuda.slabs import CudaSlabs
from render.fallback import DeviceGuard
from render.native.slab import NativeSlabs
from render.raycast import VolumeRenderer
from tests.support.cuda_host_build import execute
from tests.support.cuda_stand_in import StandInCupy

T = TypeVar("T")
BACKENDS = ("native", "cuda source", "cuda")


@dataclass(frozen=True)
class Kernels:
    """One backend's three kinds of pictures, without the CPU behind a device: a failure fails the test."""

    images: Backend
    slabs: Slabs
    renderer: VolumeRenderer


class NoFallback(DeviceGuard):
    """Lets the device's errors through."""

    def run(self, on_device: Callable[[], T], on_host: Callable[[], T]) -> T:
        """The device's result."""
        del on_host
        return on_device()


@lru_cache(maxsize=3)
def kernels_of(name: str) -> Kernels:
    """The kernels of a backend; skips the test where there is none."""
    if name == "native":
        return Kernels(NativeBackend(2), NativeSlabs(2), VolumeRenderer(2))
    if name == "cuda" and not device.available():
        pytest.skip("no CUDA device")
    there = Device() if name == "cuda" else Device(StandInCupy(execute=execute))
    renderer = VolumeRenderer(2, device=CudaRays(there), guard=NoFallback())
    return Kernels(CudaBackend(there), CudaSlabs(there), renderer)
