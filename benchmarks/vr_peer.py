"""VTK's fixed-point ray caster as the peer of volume rendering: the same camera, points, step and light."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Need
from render.camera import Camera
from render.transfer import TransferFunction
from render.volume import Volume

VTK = Need("vtk", lambda: "" if importlib.util.find_spec("vtk") else "the Python package vtk is not installed")


class FixedPointPeer:
    """One volume in an off-screen window. The volume's axes must be those of the patient."""

    def __init__(self, volume: Volume, side: int, threads: int) -> None:
        vtk: Any = importlib.import_module("vtk")
        self._support: Any = importlib.import_module("vtk.util.numpy_support")
        self._vtk, self._side = vtk, side
        self.version = str(vtk.vtkVersion().GetVTKVersion())
        depth, rows, columns = volume.shape
        image = vtk.vtkImageData()
        image.SetDimensions(columns, rows, depth)
        image.SetSpacing(*volume.spacing_mm)
        image.SetOrigin(*volume.index_to_lps_mm[:3, 3].tolist())
        self._values = self._support.numpy_to_vtk(volume.values.ravel(), deep=0)
        image.GetPointData().SetScalars(self._values)
        self._mapper = vtk.vtkFixedPointVolumeRayCastMapper()
        self._mapper.SetNumberOfThreads(threads)
        self._mapper.SetAutoAdjustSampleDistances(0)
        self._mapper.SetImageSampleDistance(1.0)
        self._mapper.IntermixIntersectingGeometryOff()
        self._mapper.SetInputData(image)
        self._property = vtk.vtkVolumeProperty()
        self._property.SetInterpolationTypeToLinear()
        self._property.SetScalarOpacityUnitDistance(1.0)
        actor = vtk.vtkVolume()
        actor.SetMapper(self._mapper)
        actor.SetProperty(self._property)
        self._scene = vtk.vtkRenderer()
        self._scene.SetBackground(0, 0, 0)
        light = vtk.vtkLight()
        light.SetLightTypeToHeadlight()
        light.SetAmbientColor(1.0, 1.0, 1.0)  # the light that VTK makes by itself has none
        self._scene.AddLight(light)
        self._scene.AddVolume(actor)
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.SetSize(side, side)
        self._window.AddRenderer(self._scene)

    def show(self, camera: Camera, function: TransferFunction, step_mm: float) -> None:
        """What the next pictures show."""
        colours, opacity = self._vtk.vtkColorTransferFunction(), self._vtk.vtkPiecewiseFunction()
        for point in function.points:
            colours.AddRGBPoint(point.value, *(channel / 255 for channel in point.colour))
            opacity.AddPoint(point.value, point.opacity)
        self._property.SetColor(colours)
        self._property.SetScalarOpacity(opacity)
        self._property.ShadeOn()
        self._property.SetAmbient(function.ambient)
        self._property.SetDiffuse(function.diffuse)
        self._property.SetSpecular(function.specular)
        self._property.SetSpecularPower(function.specular_power)
        self._mapper.SetSampleDistance(step_mm)
        self._mapper.SetInteractiveSampleDistance(step_mm)
        view = self._scene.GetActiveCamera()
        view.ParallelProjectionOn()
        view.SetParallelScale(camera.parallel_scale_mm)
        view.SetFocalPoint(*camera.focal_point)
        view.SetPosition(*camera.position)
        view.SetViewUp(*camera.view_up)
        self._scene.ResetCameraClippingRange()

    def draw(self) -> None:
        """One picture. A tiny roll makes VTK draw it anew."""
        self._scene.GetActiveCamera().Roll(0.01)
        self._window.Render()

    def picture(self) -> NDArray[np.uint8]:
        """(y, x, 3) of the last one."""
        grab = self._vtk.vtkWindowToImageFilter()
        grab.SetInput(self._window)
        grab.ReadFrontBufferOff()
        grab.ShouldRerenderOff()
        grab.Update()
        flat = self._support.vtk_to_numpy(grab.GetOutput().GetPointData().GetScalars())
        return np.asarray(flat.reshape(self._side, self._side, -1)[::-1, :, :3], np.uint8)
