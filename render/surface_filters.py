"""The few filters of VTK that surfaces need, on NumPy arrays. The only module of the product that imports VTK."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkFiltersCore import vtkDecimatePro, vtkFlyingEdges3D, vtkPolyDataConnectivityFilter

# A mesh is a vtkPolyData of triangles in voxel indices (i, j, k).
Mesh = Any


def contour(values: NDArray[Any], level: float) -> Mesh:
    """The surface of ``level`` in (z, y, x) values, with shared vertices."""
    depth, rows, columns = values.shape
    image: Any = vtkImageData()
    image.SetDimensions(columns, rows, depth)
    image.GetPointData().SetScalars(numpy_to_vtk(values.reshape(-1), deep=False))
    edges: Any = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.ComputeNormalsOff()
    edges.ComputeGradientsOff()
    edges.ComputeScalarsOff()
    edges.SetValue(0, level)
    edges.Update()
    return edges.GetOutput()


def largest(mesh: Mesh) -> Mesh:
    """The connected part of most triangles."""
    parts: Any = vtkPolyDataConnectivityFilter()
    parts.SetInputData(mesh)
    parts.SetExtractionModeToLargestRegion()
    parts.Update()
    return parts.GetOutput()


def decimated(mesh: Mesh, triangles: int) -> Mesh:
    """At most so many triangles where the topology allows: closed stays closed, nothing is split or joined."""
    fewer: Any = vtkDecimatePro()
    fewer.SetInputData(mesh)
    fewer.SetTargetReduction(1.0 - triangles / mesh.GetNumberOfPolys())
    # With the usual 15 degrees most vertices of a scanned surface count as corners, which are never taken.
    fewer.SetFeatureAngle(60.0)
    fewer.PreserveTopologyOn()
    fewer.SplittingOff()
    fewer.BoundaryVertexDeletionOff()
    fewer.Update()
    return fewer.GetOutput()


def arrays(mesh: Mesh) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """(points (n, 3), triangles (m, 3)), only points that triangles use."""
    points = np.asarray(vtk_to_numpy(mesh.GetPoints().GetData()), np.float32)
    triangles = np.asarray(vtk_to_numpy(mesh.GetPolys().GetConnectivityArray()), np.int64).reshape(-1, 3)
    used = np.zeros(len(points), np.bool_)
    used[triangles.ravel()] = True
    number = np.cumsum(used) - 1
    return points[used], number[triangles].astype(np.int32)
