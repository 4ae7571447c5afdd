"""Volume rendering on a CUDA device: the host of kernels/raycast.cu."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.cuda import cells
from render.cuda.device import Device, by_value
from render.native import raycast
from render.scene import RayLayer
from render.volume import Volume

UNIT = "raycast.cu"
_KERNELS = {
    np.dtype(np.int16): "cf_raycast_i16",
    np.dtype(np.uint16): "cf_raycast_u16",
    np.dtype(np.float32): "cf_raycast_f32",
}


class CudaRays:
    """Draws scenes on the device. Volumes, masks, cells and maps of empty space stay there within its budget."""

    name = "cuda"

    def __init__(self, device: Device) -> None:
        self._device = device

    def bounds(self, volume: Volume, shape: tuple[int, int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Smallest and largest value of each cell, ``shape`` (z, y, x). Raises DeviceError."""
        with self._device.pictures(), self._device.memory.using(volume):
            return cells.downloaded(*cells.bounds(self._device, volume, shape, numbers=False))

    def draw(self, scene: raycast.Scene, layers: tuple[RayLayer, ...]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """(picture (y, x, 3), opacity and depth_mm (y, x, 2)) of a scene whose addresses are not set; the
        second layer is fused. Raises DeviceError."""
        device = self._device
        volumes = [layer.prepared.volume for layer in layers]
        with device.pictures(), device.memory.using(*volumes):
            there = raycast.Scene.from_buffer_copy(scene)
            held: list[Any] = []
            keep = self._keep(layers[0])
            there.keep = None if keep is None else keep.data.ptr
            there.layer = self._layer(layers[0], keep, held)
            if len(layers) > 1:
                there.other = self._layer(layers[1], None, held)
            rgb = device.cupy.empty((scene.height, scene.width, 3), np.uint8)
            seen = device.cupy.empty((scene.height, scene.width, 2), np.float32)
            there.rgb, there.seen = rgb.data.ptr, seen.data.ptr
            name = _KERNELS[volumes[0].values.dtype] + ("_fused" if len(layers) > 1 else "")
            device.launch(UNIT, name, (scene.width, scene.height), (by_value(there),))
            # get() waits for the stream; tables and maps are held until then.
            made = rgb.get(), seen.get()
            del held
            return made

    def _keep(self, layer: RayLayer) -> Any:
        """The mask of the cuts on the device, or None. It grows in place on the host: its cuts are its version."""
        keep, volume = layer.keep, layer.prepared.volume
        if keep is None:
            return None
        return self._device.memory.uploaded(volume, "keep", keep[: volume.values.size], layer.cuts)

    def _layer(self, layer: RayLayer, keep: Any, held: list[Any]) -> raycast.Layer:
        device, prepared, tables = self._device, layer.prepared, layer.tables
        size, grid = (ctypes.c_int * 3)(*prepared.size.tolist()), (ctypes.c_int * 3)(*prepared.cells.tolist())
        shape = (int(prepared.cells[2]), int(prepared.cells[1]), int(prepared.cells[0]))
        values = cells.values_of(device, prepared.volume)
        distance = cells.distance_map(
            device, prepared.volume, shape, tables, keep, layer.cuts if keep is not None else ()
        )
        opacity, colour = device.cupy.asarray(tables.opacity), device.cupy.asarray(tables.colour)
        held += [values, distance, opacity, colour]
        return raycast.Layer(
            *(values.data.ptr, distance.data.ptr, None, opacity.data.ptr, colour.data.ptr),
            *(size, grid, raycast.CELL_SHIFT, len(tables.opacity), prepared.kind, tables.first, tables.steps),
        )
