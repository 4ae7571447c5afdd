"""Surfaces as files: STL (binary) and GLB (glTF 2.0, one binary file). No patient data in either.

STL: patient coordinates (LPS, mm). GLB: the vertices are LPS mm; its one node turns them upright (head to +Y, front to
+Z) and into metres, which is what glTF counts in (glTF 2.0 specification, 3.4).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from render.surface import Surface

STL, GLB = "model/stl", "model/gltf-binary"
_STL_HEADER = b"CloudFilm surface, patient coordinates LPS, mm"
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_MAGIC, _VERSION, _JSON, _BIN = b"glTF", 2, b"JSON", b"BIN\0"
_FLOAT, _UINT, _ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 5126, 5125, 34962, 34963
# Column by column (glTF 2.0, 3.5.3): (x, y, z) LPS mm -> (x, z, -y) m.
_UPRIGHT = [0.001, 0, 0, 0, 0, 0, -0.001, 0, 0, 0.001, 0, 0, 0, 0, 0, 1]
_BONE = [0.88, 0.82, 0.7, 1.0]


def stl_bytes(surface: Surface) -> bytes:
    """80 bytes of header, the count, then 50 bytes per triangle: normal, corners, 0. Little endian."""
    corners = surface.vertices_mm[surface.triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).astype(np.float64)
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    triangles = np.zeros(len(corners), _TRIANGLE)
    triangles["normal"] = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)
    triangles["corners"] = corners
    return _STL_HEADER.ljust(80, b"\0") + struct.pack("<I", len(corners)) + triangles.tobytes()


def glb_bytes(surface: Surface, extras: Mapping[str, Any] | None = None) -> bytes:
    """Positions, normals and indices of one primitive. ``extras`` are kept with the asset."""
    positions, normals = surface.vertices_mm.astype("<f4"), surface.normals().astype("<f4")
    indices = surface.triangles.astype("<u4")
    parts = (positions.tobytes(), normals.tobytes(), indices.tobytes())  # all of whole 4 bytes
    views: list[dict[str, Any]] = []
    offset = 0
    for part, target in zip(parts, (_ARRAY_BUFFER, _ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER), strict=True):
        views.append({"buffer": 0, "byteOffset": offset, "byteLength": len(part), "target": target})
        offset += len(part)
    document = {
        "asset": {"version": "2.0", "generator": "CloudFilm", "extras": {"vertices": "LPS mm", **(extras or {})}},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "matrix": _UPRIGHT}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "NORMAL": 1}, "indices": 2, "material": 0}]}],
        "materials": [
            {"pbrMetallicRoughness": {"baseColorFactor": _BONE, "metallicFactor": 0.0, "roughnessFactor": 0.6}}
        ],
        "buffers": [{"byteLength": offset}],
        "bufferViews": views,
        "accessors": [
            {
                **_accessor(0, _FLOAT, len(positions), "VEC3"),
                "min": positions.min(axis=0).tolist(),
                "max": positions.max(axis=0).tolist(),
            },
            _accessor(1, _FLOAT, len(normals), "VEC3"),
            _accessor(2, _UINT, indices.size, "SCALAR"),
        ],
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    binary = b"".join(parts)
    total = 12 + 8 + len(text) + 8 + len(binary)
    head = struct.pack("<4sII", _MAGIC, _VERSION, total)
    return b"".join((head, struct.pack("<I4s", len(text), _JSON), text, struct.pack("<I4s", len(binary), _BIN), binary))


def _accessor(view: int, component: int, count: int, kind: str) -> dict[str, Any]:
    return {"bufferView": view, "componentType": component, "count": count, "type": kind}
