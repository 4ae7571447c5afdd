"""vtkImageReslice set up to answer a ``SlabView``: the peer in benchmarks, an oracle in tests."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.request import SlabView
from render.volume import Volume


class Reslice:
    """``samples`` planes ``step_mm`` apart, in the middle the view's. The volume's axes must be axis-aligned."""

    def __init__(
        self, volume: Volume, view: SlabView, samples: int, step_mm: float, *, threads: int = 0, floats: bool = True
    ) -> None:
        vtk: Any = importlib.import_module("vtk")
        numpy_support: Any = importlib.import_module("vtk.util.numpy_support")
        depth, rows, columns = volume.shape
        image: Any = vtk.vtkImageData()
        image.SetDimensions(columns, rows, depth)
        image.SetSpacing(*volume.spacing_mm)
        image.SetOrigin(*(float(v) for v in volume.index_to_lps_mm[:3, 3]))
        image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(volume.values.ravel(), deep=False))
        across, down = np.array(view.row_direction), np.array(view.column_direction)
        center = np.array(view.center_mm or volume.center_lps_mm)
        spacing = view.pixel_spacing_mm or 1.0
        reslice: Any = vtk.vtkImageReslice()
        reslice.SetInputData(image)
        reslice.SetOutputDimensionality(2)
        reslice.SetResliceAxesDirectionCosines(*across, *down, *np.cross(across, down))
        reslice.SetResliceAxesOrigin(*center)
        reslice.SetOutputSpacing(spacing, spacing, step_mm)
        reslice.SetOutputExtent(0, view.width - 1, 0, view.height - 1, 0, 0)
        reslice.SetOutputOrigin(-spacing * (view.width - 1) / 2, -spacing * (view.height - 1) / 2, 0.0)
        if view.interpolation == "cubic":
            reslice.SetInterpolationModeToCubic()
        else:
            reslice.SetInterpolationModeToLinear()
        reslice.SetBackgroundLevel(-1024)
        if samples > 1:
            reslice.SetSlabNumberOfSlices(samples)
            {
                "mean": reslice.SetSlabModeToMean,
                "maximum": reslice.SetSlabModeToMax,
                "minimum": reslice.SetSlabModeToMin,
            }[view.kind]()
        if floats:
            reslice.SetOutputScalarType(vtk.VTK_FLOAT)
        if threads:
            reslice.SetNumberOfThreads(threads)
        self.version = str(vtk.vtkVersion.GetVTKVersion())
        window: Any = vtk.vtkImageMapToWindowLevelColors()
        window.SetInputConnection(reslice.GetOutputPort())
        window.SetOutputFormatToLuminance()
        window.SetWindow(view.window_width or 400.0)
        window.SetLevel(view.window_center or 40.0)
        if threads:
            window.SetNumberOfThreads(threads)
        self._window = window
        self._image, self._reslice, self._shape = image, reslice, (view.height, view.width)

    def run(self) -> None:
        """Make the plane anew."""
        self._reslice.Modified()
        self._reslice.Update()

    def run_picture(self) -> None:
        """The plane anew, and vtkImageMapToWindowLevelColors' picture of it, a byte a pixel."""
        self._reslice.Modified()
        self._window.Update()

    def picture(self) -> NDArray[np.uint8]:
        """(y, x) picture."""
        numpy_support: Any = importlib.import_module("vtk.util.numpy_support")
        self.run_picture()
        scalars = self._window.GetOutput().GetPointData().GetScalars()
        return numpy_support.vtk_to_numpy(scalars).reshape(self._shape)

    def values(self) -> NDArray[np.float64]:
        """(y, x) values."""
        numpy_support: Any = importlib.import_module("vtk.util.numpy_support")
        self.run()
        scalars = self._reslice.GetOutput().GetPointData().GetScalars()
        return numpy_support.vtk_to_numpy(scalars).reshape(self._shape).astype(np.float64)
