"""Planes and slabs on a CUDA device: the host of kernels/slab.cu, with NativeSlabs' methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from render.backend import DisplayTable
from render.cuda import cells
from render.cuda.device import Device, by_value
from render.native.pool import CancelledPictureError
from render.native.slab import CELL, Cells, CellsOfSlab, SlabPlan, SlabResult, Table, slab_struct
from render.volume import Volume

UNIT = "slab.cu"
_KERNELS = {
    np.dtype(np.int16): "cf_slab_i16",
    np.dtype(np.uint16): "cf_slab_u16",
    np.dtype(np.float32): "cf_slab_f32",
}


class CudaSlabs:
    """Slabs on the device: the volume is uploaded once and stays while the budget allows."""

    name = "cuda"

    def __init__(self, device: Device) -> None:
        self._device = device

    def cells(self, volume: Volume) -> Cells:
        """Bounds of the volume's cells; kept with the volume. Raises DeviceError."""
        kept = volume.extra.get("cells")
        if kept is None:
            with self._device.pictures(), self._device.memory.using(volume):
                both = cells.bounds(self._device, volume, _shape(volume), numbers=True)
                kept = volume.extra["cells"] = Cells(*cells.downloaded(*both))
        return kept

    def slab(
        self,
        volume: Volume,
        plan: SlabPlan,
        table: DisplayTable | None = None,
        *,
        outside: int = 0,
        missing: float = float("nan"),
        values: bool = False,
        skip: bool = True,
        cancelled: Callable[[], bool] | None = None,
    ) -> SlabResult:
        """See NativeSlabs.slab. A picture is one launch: it is cancelled before it, not within.

        Raises CancelledPictureError, DeviceError.
        """
        device, shape = self._device, (plan.height, plan.width)
        with device.pictures(), device.memory.using(volume):
            picture = device.cupy.empty(shape, np.uint8) if table is not None else None
            reduced = device.cupy.empty(shape, np.float32) if values else None
            bounds: tuple[Any, Any] | None = None
            if skip and plan.kind != "mean" and plan.samples > CELL and not plan.cubic:
                bounds = cells.bounds(device, volume, _shape(volume), numbers=True)
            arguments = (
                cells.values_of(device, volume),
                by_value(slab_struct(volume, plan)),
                by_value(_bounds(volume, bounds)),
            )
            entries = None if table is None else device.cupy.asarray(table.entries)
            shown = Table(None, 0.0, 1.0, 0)
            if table is not None and entries is not None:
                shown = Table(entries.data.ptr, table.first, table.steps, len(table.entries))
            if cancelled is not None and cancelled():
                raise CancelledPictureError
            rest = (by_value(shown), np.int32(outside), np.float32(missing), picture, reduced)
            device.launch(UNIT, _KERNELS[volume.values.dtype], (plan.width, plan.height), (*arguments, *rest))
            # get() waits for the stream: what the kernel reads is held until then.
            return SlabResult(
                None if picture is None else picture.get(), None if reduced is None else reduced.get(), self.name
            )


def _shape(volume: Volume) -> tuple[int, int, int]:
    depth, rows, columns = (-(-size // CELL) for size in volume.shape)
    return depth, rows, columns


def _bounds(volume: Volume, bounds: tuple[Any, Any] | None) -> CellsOfSlab:
    if bounds is None:
        return CellsOfSlab(None, None, 0, 0, 0)
    return CellsOfSlab(bounds[0].data.ptr, bounds[1].data.ptr, *_shape(volume)[::-1])
