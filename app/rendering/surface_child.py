"""A disposable process that makes one surface: a volume's values come in shared memory, the file leaves on its output.

It may need much memory or time; its owner kills it, and nothing else is harmed.
"""

from __future__ import annotations

import mmap
import os
import resource
import sys
from typing import Any

import numpy as np
import orjson

from app.rendering import wire
from app.rendering.decode_child import die_with_parent


def main() -> None:
    """One surface. ``argv``: the shared memory's descriptor, memory limit (MB), the request as JSON."""
    die_with_parent()
    descriptor, memory_mb, asked = int(sys.argv[1]), int(sys.argv[2]), orjson.loads(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(10)
    # Libraries that print to standard output must not mix into the answer.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    from render.errors import RenderError

    try:
        told, data = _make(descriptor, asked)
    except RenderError as error:
        told, data = {"error": error.code, "message": dict(error.message), "data": error.data}, b""
    out.write(wire.pack(told, data))
    out.flush()


def _make(descriptor: int, asked: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """(what is told, the file's bytes). Raises RenderError."""
    from render.surface import SurfaceRequest, make_surface
    from render.surface_files import GLB, glb_bytes, stl_bytes
    from render.volume import Volume

    shared = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    values = np.frombuffer(shared, asked["dtype"]).reshape(asked["shape"])
    volume = Volume(values, np.array(asked["index_to_lps_mm"], np.float64))
    surface = make_surface(volume, SurfaceRequest(**asked["request"]))
    told: dict[str, Any] = {
        "triangles": len(surface.triangles),
        "raw_triangles": surface.raw_triangles,
        "halvings": surface.halvings,
        "volume_mm3": round(surface.volume_mm3, 3),
        "area_mm2": round(surface.area_mm2, 3),
    }
    data = glb_bytes(surface, {"level": asked["request"]["level"]}) if asked["format"] == GLB else stl_bytes(surface)
    return told, data


if __name__ == "__main__":
    main()
