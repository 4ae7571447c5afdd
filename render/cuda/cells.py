"""Cells and maps of empty space made on the device (kernels/cells.h), from values that are there already."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.cuda.device import Device, by_value
from render.native.slab import Grid
from render.transfer import TransferTables
from render.volume import Volume

UNIT = "cells.cu"
_BOUNDS = {
    np.dtype(np.int16): "cf_cell_bounds_i16",
    np.dtype(np.uint16): "cf_cell_bounds_u16",
    np.dtype(np.float32): "cf_cell_bounds_f32",
}


class CellGrid(ctypes.Structure):
    """CfCellGrid of kernels/cells.h."""

    _fields_ = (("nx", ctypes.c_int), ("ny", ctypes.c_int), ("nz", ctypes.c_int))


def grid_of(volume: Volume) -> Grid:
    """Size of a volume, as the kernels take it."""
    depth, rows, columns = volume.shape
    return Grid(columns, rows, depth)


def values_of(device: Device, volume: Volume) -> Any:
    """The volume's values on the device. Raises DeviceMemoryError."""
    return device.memory.uploaded(volume, "values", volume.values)


def bounds(device: Device, volume: Volume, shape: tuple[int, int, int], *, numbers: bool) -> tuple[Any, Any]:
    """(smallest, largest) value of each cell, float32 of ``shape`` (z, y, x), kept with the volume on the device."""

    def make() -> tuple[Any, Any]:
        both = device.cupy.empty((2, *shape), np.float32)
        arguments = (values, by_value(grid_of(volume)), by_value(CellGrid(*shape[::-1])), np.int32(numbers))
        device.launch(UNIT, _BOUNDS[volume.values.dtype], shape[::-1], (*arguments, both[0], both[1]))
        return both, _now(device)

    values = values_of(device, volume)
    both = device.memory.made(volume, f"cells {numbers}", 8 * int(np.prod(shape)), make, shape)
    return both[0], both[1]


def downloaded(low: Any, high: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bounds as arrays of the host."""
    return low.get(), high.get()


def distance_map(
    device: Device, volume: Volume, shape: tuple[int, int, int], tables: TransferTables, keep: Any, cuts: Any
) -> Any:
    """Per cell how far it is to something visible (Chebyshev, 255 at most), by these tables and what the cuts left.

    ``keep``: the mask on the device or None, ``cuts``: what it was made of. One map per volume is kept.
    """
    low, high = bounds(device, volume, shape, numbers=False)
    cells, count = by_value(CellGrid(*shape[::-1])), int(np.prod(shape))
    kept = None
    if keep is not None:

        def find_kept() -> tuple[Any, Any]:
            found = device.cupy.empty(shape, np.uint8)
            device.launch(UNIT, "cf_cells_kept", shape[::-1], (keep, by_value(grid_of(volume)), cells, found))
            return found, _now(device)

        kept = device.memory.made(volume, "kept cells", count, find_kept, cuts)

    def make() -> tuple[Any, Any]:
        here, there = device.cupy.empty(shape, np.uint8), device.cupy.empty(shape, np.uint8)
        before = device.cupy.asarray(tables.visible_before())
        entries = (np.float32(tables.first), np.float32(tables.steps), np.int32(len(tables.opacity)))
        device.launch(UNIT, "cf_cells_empty", shape[::-1], (low, high, kept, cells, *entries, before, here))
        for axis in range(3):
            device.launch(UNIT, "cf_cells_spread", shape[::-1], (here, there, cells, np.int32(axis)))
            here, there = there, here
        return here, _now(device)

    version = ((tables.opacity > 0).tobytes(), tables.first, tables.steps, cuts)
    return device.memory.made(volume, "distance", count, make, version)


def _now(device: Device) -> Any:
    """An event at this point of the current stream."""
    event = device.cupy.cuda.Event(disable_timing=True)
    event.record(device.cupy.cuda.get_current_stream())
    return event
