"""Device first, CPU where it cannot: a picture is late at worst, never missing. One guard per device."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

from render.errors import DeviceError, DeviceFailedError

if TYPE_CHECKING:
    import numpy as np

    from render.backend import Backend, DisplayTable, Slabs, Taps
    from render.native.slab import Cells, SlabPlan, SlabResult
    from render.volume import Volume

T = TypeVar("T")
_log = logging.getLogger("render.device")


class DeviceGuard:
    """Runs work on a device; after a failure never again, after a shortage not for ``rest_s`` seconds.

    A volume larger than the budget is refused by itself without a cost: it lets others keep their turn. Every change is
    told in the log by the error's code. ``clock``: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, rest_s: float = 10.0) -> None:
        self._clock = clock
        self._rest_s = rest_s
        self._lock = threading.Lock()
        self._failed = False
        self._rests_until = -1.0
        self._told: set[str] = set()

    @property
    def failed(self) -> bool:
        """Whether the device is given up."""
        return self._failed

    def run(self, on_device: Callable[[], T], on_host: Callable[[], T]) -> T:
        """The device's result, else the host's. Other errors than DeviceError (a cancelled picture) pass."""
        if not self._failed and self._clock() >= self._rests_until:
            try:
                done = on_device()
            except DeviceError as error:
                self._remember(error)
            else:
                if self._told:
                    self._recovered()
                return done
        return on_host()

    def _remember(self, error: DeviceError) -> None:
        what = str(error.data.get("what", ""))
        with self._lock:
            if isinstance(error, DeviceFailedError):
                self._failed = True
            elif what != "budget":
                self._rests_until = self._clock() + self._rest_s
            if error.code in self._told:
                return
            self._told.add(error.code)
        _log.warning("%s: the CPU makes the pictures (%s)", error.code, what)

    def _recovered(self) -> None:
        with self._lock:
            self._told.clear()


class GuardedSlabs:
    """Slabs of a device, of the CPU where it cannot."""

    def __init__(self, device: Slabs, host: Slabs, guard: DeviceGuard) -> None:
        self._device, self._host, self._guard = device, host, guard
        self.name = device.name

    def cells(self, volume: Volume) -> Cells:
        """See NativeSlabs.cells."""
        return self._guard.run(lambda: self._device.cells(volume), lambda: self._host.cells(volume))

    def slab(self, volume: Volume, plan: SlabPlan, table: DisplayTable | None = None, **more: Any) -> SlabResult:
        """See NativeSlabs.slab; the result names who made it."""
        return self._guard.run(
            lambda: self._device.slab(volume, plan, table, **more),
            lambda: self._host.slab(volume, plan, table, **more),
        )


class GuardedBackend:
    """2-D pictures of a device, of the CPU where it cannot."""

    def __init__(self, device: Backend, host: Backend, guard: DeviceGuard) -> None:
        self._device, self._host, self._guard = device, host, guard

    @property
    def name(self) -> str:
        """Who makes pictures now."""
        return (self._host if self._guard.failed else self._device).name

    def gray(self, source: NDArray[Any], tx: Taps, ty: Taps, table: DisplayTable) -> NDArray[np.uint8]:
        """See Backend."""
        return self._guard.run(
            lambda: self._device.gray(source, tx, ty, table), lambda: self._host.gray(source, tx, ty, table)
        )

    def rgb(self, source: NDArray[np.uint8], tx: Taps, ty: Taps) -> NDArray[np.uint8]:
        """See Backend."""
        return self._guard.run(lambda: self._device.rgb(source, tx, ty), lambda: self._host.rgb(source, tx, ty))
