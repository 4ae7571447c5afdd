"""What this process uses: its device and the CPU behind it, or the CPU alone. Asked once, at the first picture."""

from __future__ import annotations

from functools import lru_cache

from render.backend import Backend, RayDevice, Slabs
from render.cuda import jpeg as codec
from render.cuda.device import CudaBackend, shared
from render.cuda.memory import DeviceUsage
from render.cuda.rays import CudaRays
from render.cuda.slabs import CudaSlabs
from render.errors import DeviceFailedError
from render.fallback import DeviceGuard, GuardedBackend, GuardedSlabs


@lru_cache(maxsize=1)
def guard() -> DeviceGuard:
    """One for all uses of the process's device: where it fails for one, it failed for all."""
    return DeviceGuard()


def guarded_backend(host: Backend) -> Backend:
    """2-D pictures."""
    device = shared()
    return host if device is None else GuardedBackend(CudaBackend(device), host, guard())


def guarded_slabs(host: Slabs) -> Slabs:
    """Planes and slabs."""
    device = shared()
    return host if device is None else GuardedSlabs(CudaSlabs(device), host, guard())


def rays() -> RayDevice | None:
    """Volume rendering, or None without a device."""
    device = shared()
    return None if device is None else CudaRays(device)


@lru_cache(maxsize=1)
def jpeg() -> codec.DeviceJpeg | None:
    """JPEG on the device, or None where there is no device or no codec for it."""
    device, library = shared(), None
    if device is not None:
        library = codec.codec()
    if device is None or library is None:
        return None
    try:
        return codec.DeviceJpeg(device, library)
    except DeviceFailedError:
        return None


@lru_cache(maxsize=1)
def jpeg_guard() -> DeviceGuard:
    """Of the codec alone: the kernels may be well where it fails."""
    return DeviceGuard()


def usage() -> DeviceUsage:
    """Of the device's memory; nothing of nothing without a device."""
    device = shared()
    return DeviceUsage(0, 0, 0, 0) if device is None else device.memory.usage()
