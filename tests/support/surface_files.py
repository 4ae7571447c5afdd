"""Readers of STL and GLB for tests: everything that a strict importer would look at is asserted."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = {5126: np.dtype("<f4"), 5125: np.dtype("<u4")}
_WIDTHS = {"SCALAR": 1, "VEC3": 3}


@dataclass(frozen=True)
class Mesh:
    """``places`` (n, 3) as a scene shows them; ``triangles`` (m, 3)."""

    places: NDArray[np.float64]
    triangles: NDArray[np.int64]
    normals: NDArray[np.float64]

    @property
    def volume(self) -> float:
        a, b, c = (self.places[self.triangles[:, corner]] - self.places.mean(axis=0) for corner in range(3))
        return float((a * np.cross(b, c)).sum()) / 6

    @property
    def is_closed(self) -> bool:
        """Every edge is passed as often in one direction as in the other."""
        count = len(self.places)
        edges = np.concatenate([self.triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
        there, back = edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0]
        return bool(np.array_equal(np.sort(there), np.sort(back)))


def read_stl(data: bytes) -> Mesh:
    """Binary STL; equal corners become one vertex."""
    assert not data.startswith(b"solid")  # that would be the text form
    (count,) = struct.unpack_from("<I", data, 80)
    assert len(data) == 84 + 50 * count
    rows = np.frombuffer(data, np.dtype([("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")]), offset=84)
    assert (rows["a"] == 0).all() and np.isfinite(rows["v"]).all()
    places, number = np.unique(rows["v"].reshape(-1, 3), axis=0, return_inverse=True)
    return Mesh(places.astype(float), number.reshape(-1, 3), rows["n"].astype(float))


def read_glb(data: bytes) -> tuple[Mesh, dict[str, Any]]:
    """(mesh turned by its node, document). glTF 2.0, 3.6 and 4.4 (binary)."""
    magic, version, total = struct.unpack_from("<4sII", data)
    assert (magic, version, total) == (b"glTF", 2, len(data))
    length, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON" and length % 4 == 0
    document = json.loads(data[20 : 20 + length])
    size, kind = struct.unpack_from("<I4s", data, 20 + length)
    assert kind == b"BIN\0" and size % 4 == 0
    binary = data[28 + length :]
    assert len(binary) == size == document["buffers"][0]["byteLength"]
    primitive = document["meshes"][0]["primitives"][0]
    places = _accessor(document, binary, primitive["attributes"]["POSITION"])
    normals = _accessor(document, binary, primitive["attributes"]["NORMAL"])
    indices = _accessor(document, binary, primitive["indices"])
    bounds = document["accessors"][primitive["attributes"]["POSITION"]]
    assert np.array_equal(places.min(axis=0), np.float32(bounds["min"]))
    assert np.array_equal(places.max(axis=0), np.float32(bounds["max"]))
    assert len(normals) == len(places) and indices.max() < len(places) and indices.size % 3 == 0
    assert np.abs(np.linalg.norm(normals, axis=1) - 1).max() < 1e-4
    matrix = np.array(document["nodes"][0]["matrix"]).reshape(4, 4).T
    assert np.linalg.det(matrix[:3, :3]) > 0
    turned = places.astype(float) @ matrix[:3, :3].T + matrix[:3, 3]
    return Mesh(turned, indices.reshape(-1, 3).astype(np.int64), normals.astype(float)), document


def _accessor(document: dict[str, Any], binary: bytes, number: int) -> NDArray[Any]:
    accessor = document["accessors"][number]
    view = document["bufferViews"][accessor["bufferView"]]
    kind, width = _TYPES[accessor["componentType"]], _WIDTHS[accessor["type"]]
    assert view["byteOffset"] % kind.itemsize == 0
    assert view["byteOffset"] + view["byteLength"] <= len(binary)
    assert accessor["count"] * width * kind.itemsize == view["byteLength"]
    values = np.frombuffer(binary, kind, accessor["count"] * width, view["byteOffset"])
    return values.reshape(-1, width) if width > 1 else values
