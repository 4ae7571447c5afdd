"""ctypes binding of volume rendering (raycast.cpp): the scene's layout, argument types, checked against the library."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from render.native import library

PLANES = 16
STOPS = 3
KINDS = {np.dtype(np.int16): 0, np.dtype(np.uint16): 1, np.dtype(np.float32): 2}
CELL_SHIFT = 3
CELL = 1 << CELL_SHIFT
CANCELLED = 2

_P, _I, _F = ctypes.c_void_p, ctypes.c_int, ctypes.c_float


class Layer(ctypes.Structure):
    """CfRayLayer of kernels/raycast.h."""

    _fields_ = [
        ("values", _P),
        ("distance", _P),
        ("sights", _P),
        ("opacity", _P),
        ("colour", _P),
        ("size", _I * 3),
        ("cells", _I * 3),
        ("cell_shift", _I),
        ("entries", _I),
        ("kind", _I),
        ("first", _F),
        ("steps", _F),
    ]


class Scene(ctypes.Structure):
    """CfRayScene of kernels/raycast.h."""

    _fields_ = [
        ("layer", Layer),
        ("other", Layer),
        ("keep", _P),
        ("rgb", _P),
        ("seen", _P),
        ("origin", _F * 3),
        ("across", _F * 3),
        ("down", _F * 3),
        ("forward", _F * 3),
        ("plane", _F * 4),
        ("box_low", _F * 3),
        ("box_high", _F * 3),
        ("clip", (_F * 4) * PLANES),
        ("stop", (_F * 4) * STOPS),
        ("to_other", _F * 12),
        ("metric", _F * 6),
        ("start_mm", _F),
        ("never_mm", _F),
        ("step_mm", _F),
        ("ambient", _F),
        ("diffuse", _F),
        ("specular", _F),
        ("background", _F * 3),
        ("shininess", _I),
        ("planes", _I),
        ("stops", _I),
        ("perspective", _I),
        ("jitter", _I),
        ("shade", _I),
        ("width", _I),
        ("height", _I),
    ]


_SIGNATURES: dict[str, list[Any]] = {
    "cf_raycast": [_P, _P, _P],
    "cf_raycast_definition": [_P, _P, _P],
    "cf_raycast_scene_bytes": [],
    "cf_ray_cells": [_P, _I, _P, _P, _P, _I, _I],
    "cf_ray_sights": [_P, _I, _P, _P, _P, _F, _F, _I, _P, _P, _I, _I],
    "cf_ray_distance": [_P, _P, _P, _P, _I, _I, _I],
    "cf_ray_kept_cells": [_P, _P, _P, _P, _I, _I],
    "cf_cut_planes": [_P, _P, _P, _I, _I, _I, _I],
    "cf_cut_bitmap": [_P, _P, _P, _P, _I, _I, _I, _I, _I],
}


@lru_cache(maxsize=8)
def load(path: Path | None = None) -> ctypes.CDLL:
    """The library with this unit declared. Raises KernelsMissingError when the scene's layout is another one."""
    loaded = library.load(path)
    library.declare(loaded, _SIGNATURES)
    if loaded.cf_raycast_scene_bytes() != ctypes.sizeof(Scene):
        raise library.KernelsMissingError(what="layout of the scene")
    return loaded
