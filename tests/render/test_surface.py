"""Surfaces: closed, of the right size and place in LPS, bounded; STL and GLB hold the same surface."""

from __future__ import annotations

import builtins
import math
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from render.errors import InvalidViewError
from render.surface import EmptySurfaceError, Surface, SurfaceRequest, SurfacesMissingError, make_surface
from render.surface_files import glb_bytes, stl_bytes
from render.volume import Volume
from tests.support.surface_files import Mesh, read_glb, read_stl

RADIUS_MM = 20.0
CENTER = np.array([12.0, -30.0, 55.0])
SPHERE_MM3 = 4 / 3 * math.pi * RADIUS_MM**3


def place_in(name: str) -> NDArray[np.float64]:
    """Index to LPS: upright, slices downwards (left-handed), or oblique and of three spacings."""
    turn = {
        "upright": np.diag([1.0, 1.0, 1.0]),
        "mirrored": np.diag([1.0, 1.0, -1.0]),
        "oblique": np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]]),
    }[name]
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag([0.8, 0.8, 1.5] if name == "oblique" else [1.0, 1.0, 1.0])
    shape = (36, 64, 64) if name == "oblique" else (56, 56, 56)
    middle = (np.array(shape[::-1]) - 1) / 2
    matrix[:3, 3] = CENTER - matrix[:3, :3] @ middle
    return matrix


def sphere(name: str = "upright", dtype: Any = np.int16) -> Volume:
    """Values fall by 40 a millimetre and are 300 at the sphere's surface."""
    matrix = place_in(name)
    shape = (36, 64, 64) if name == "oblique" else (56, 56, 56)
    k, j, i = np.indices(shape).reshape(3, -1)
    places = np.stack([i, j, k], axis=1) @ matrix[:3, :3].T + matrix[:3, 3]
    distance = np.linalg.norm(places - CENTER, axis=1).reshape(shape)
    values = np.clip(300 + 40 * (RADIUS_MM - distance), 0, 3000)
    return Volume(np.ascontiguousarray(np.round(values) if dtype != np.float32 else values, dtype), matrix)


def mesh_of(surface: Surface) -> Mesh:
    return Mesh(surface.vertices_mm.astype(float), surface.triangles.astype(np.int64), np.empty((0, 3)))


@pytest.mark.parametrize("name", ["upright", "mirrored", "oblique"])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32])
def test_a_sphere_has_its_volume_area_and_place(name: str, dtype: Any) -> None:
    surface = make_surface(sphere(name, dtype), SurfaceRequest(300.0))
    assert surface.volume_mm3 == pytest.approx(SPHERE_MM3, rel=0.01)  # positive: the triangles show outwards
    assert surface.area_mm2 == pytest.approx(4 * math.pi * RADIUS_MM**2, rel=0.01)
    assert mesh_of(surface).is_closed
    away = surface.vertices_mm - CENTER
    assert np.abs(np.linalg.norm(away, axis=1) - RADIUS_MM).max() < 0.15
    assert (np.einsum("ij,ij->i", surface.normals(), away) / RADIUS_MM).min() > 0.95
    assert (surface.halvings, surface.raw_triangles) == (0, len(surface.triangles))


@pytest.mark.parametrize("triangles", [2_000, 4_000])
def test_decimated_it_stays_closed_and_keeps_its_volume(triangles: int) -> None:
    surface = make_surface(sphere(), SurfaceRequest(300.0, triangles))
    assert 0.5 * triangles < len(surface.triangles) <= triangles < surface.raw_triangles
    assert mesh_of(surface).is_closed
    assert surface.volume_mm3 == pytest.approx(SPHERE_MM3, rel=0.01)
    assert surface.triangles.max() == len(surface.vertices_mm) - 1


def test_a_surface_of_too_many_triangles_comes_from_a_coarser_volume() -> None:
    noise = np.random.default_rng(5).integers(0, 1000, (48, 48, 48)).astype(np.int16)
    surface = make_surface(Volume(noise, np.eye(4)), SurfaceRequest(500.0, 20_000))
    assert surface.halvings >= 1 and len(surface.triangles) <= 20_000
    assert mesh_of(surface).is_closed
    # Halved, voxels keep their place: the outer border is where it was, within a half of the coarser ones.
    coarse = 2.0**surface.halvings
    assert np.abs(surface.vertices_mm.min(axis=0) + 0.5).max() <= coarse / 2
    assert np.abs(surface.vertices_mm.max(axis=0) - 47.5).max() <= coarse / 2


def test_it_is_closed_where_the_scan_ends() -> None:
    values = np.full((10, 12, 14), 500, np.int16)
    values[0, 0, 0] = 0
    surface = make_surface(Volume(values, np.eye(4)), SurfaceRequest(250.0))
    assert mesh_of(surface).is_closed
    # The middle of the values between the last voxels and nothing: half a voxel beyond them.
    assert surface.vertices_mm.min(axis=0) == pytest.approx([-0.5] * 3, abs=0.01)
    assert surface.vertices_mm.max(axis=0) == pytest.approx([13.5, 11.5, 9.5], abs=0.01)


def test_the_largest_part_alone() -> None:
    volume = sphere()
    values = volume.values.copy()
    values[2:4, 2:4, 2:4] = 1000  # a speck
    both = make_surface(Volume(values, volume.index_to_lps_mm), SurfaceRequest(300.0))
    one = make_surface(Volume(values, volume.index_to_lps_mm), SurfaceRequest(300.0, keep="largest"))
    assert len(both.triangles) > len(one.triangles)
    assert one.volume_mm3 == pytest.approx(SPHERE_MM3, rel=0.01)


def test_stl_and_glb_hold_the_surface() -> None:
    surface = make_surface(sphere("oblique"), SurfaceRequest(300.0))
    stl = read_stl(stl_bytes(surface))
    assert len(stl.triangles) == len(surface.triangles) and stl.is_closed
    assert stl.volume == pytest.approx(SPHERE_MM3, rel=0.01)
    assert np.abs(stl.places.mean(axis=0) - CENTER).max() < 1
    outward = stl.places[stl.triangles].mean(axis=1) - CENTER
    assert ((stl.normals * outward).sum(axis=1) > 0).all()
    glb, document = read_glb(glb_bytes(surface, {"level": 300}))
    assert len(glb.triangles) == len(surface.triangles) and glb.is_closed
    assert glb.volume == pytest.approx(SPHERE_MM3 * 1e-9, rel=0.01)  # metres
    left, back, head = CENTER / 1000
    assert np.abs(glb.places.mean(axis=0) - (left, head, -back)).max() < 1e-3
    assert document["asset"]["extras"] == {"vertices": "LPS mm", "level": 300}


@pytest.mark.parametrize("level", [5000.0, -5000.0, 3001.0, 0.0])
def test_no_surface_is_told(level: float) -> None:
    with pytest.raises(EmptySurfaceError):
        make_surface(sphere(), SurfaceRequest(level))


@pytest.mark.parametrize(
    "wrong",
    [
        {"level": float("nan")},
        {"level": 1e30},
        {"level": 0.0, "triangles": 10},
        {"level": 0.0, "triangles": 10_000_000},
        {"level": 0.0, "keep": "some"},
    ],
)
def test_wrong_requests_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidViewError):
        SurfaceRequest(**wrong)


def test_without_vtk_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def no_vtk(name: str, *rest: Any) -> Any:
        if name.startswith("vtk"):
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "render.surface_filters", raising=False)
    monkeypatch.delattr(sys.modules["render"], "surface_filters", raising=False)
    monkeypatch.setattr(builtins, "__import__", no_vtk)
    with pytest.raises(SurfacesMissingError) as told:
        make_surface(sphere(), SurfaceRequest(300.0))
    assert told.value.code == "surface.unavailable" and "surfaces" in told.value.message["en"]
