"""VolumeView: the frozen request of a volume rendering."""

from __future__ import annotations

import math
from dataclasses import dataclass

from render.camera import Camera, Point
from render.cuts import MOST_CUTS, Cut, PlaneCut
from render.errors import InvalidViewError
from render.request import JPEG, LARGEST_SIDE, PNG, WEBP
from render.slices import CrossingSlices
from render.transfer import TransferFunction, fusion_function

MOST_PLANES = 8


@dataclass(frozen=True, slots=True)
class FusionLayer:
    """How a second volume is shown within the first: a colour map over its values ``low`` … ``high``, ``opacity`` of
    1 mm at ``high``, below it by this ``power`` of the share."""

    low: float
    high: float
    colour_map: str = "hot"
    opacity: float = 0.5
    power: float = 1.0

    def __post_init__(self) -> None:
        self.function()

    def function(self) -> TransferFunction:
        """As a transfer function in the second volume's values. Raises InvalidViewError."""
        return fusion_function(self.colour_map, self.low, self.high, self.opacity, self.power)


@dataclass(frozen=True, slots=True)
class VolumeView:
    """A volume seen by a camera.

    ``width``, ``height``: output pixels; a preview is made at half of both and twice the step. ``clip_box``: only
    what lies between these corners (LPS, mm) is seen; ``clip_planes`` hide the side their normal shows to; ``cuts``
    take voxels away. ``slices``: planes of the volume shown within it. ``step_mm``: distance of samples, None = the
    smallest spacing. ``background``: RGB 0 … 255.
    """

    width: int
    height: int
    camera: Camera
    transfer: TransferFunction
    cuts: tuple[Cut, ...] = ()
    clip_box: tuple[Point, Point] | None = None
    clip_planes: tuple[PlaneCut, ...] = ()
    fusion: FusionLayer | None = None
    slices: CrossingSlices | None = None
    step_mm: float | None = None
    jitter: bool = True
    background: tuple[int, int, int] = (0, 0, 0)
    quality: str = "refined"  # 'preview' | 'refined'
    media_type: str = JPEG

    def __post_init__(self) -> None:
        if not (1 <= self.width <= LARGEST_SIDE and 1 <= self.height <= LARGEST_SIDE):
            raise InvalidViewError(what="size")
        if self.step_mm is not None and not 0.05 <= self.step_mm <= 50:
            raise InvalidViewError(what="step_mm")
        if len(self.clip_planes) > MOST_PLANES or len(self.cuts) > MOST_CUTS:
            raise InvalidViewError(what="planes or cuts")
        if self.clip_box is not None and not all(math.isfinite(n) for corner in self.clip_box for n in corner):
            raise InvalidViewError(what="clip_box")
        if not all(0 <= channel <= 255 for channel in self.background):
            raise InvalidViewError(what="background")
        if self.media_type not in (JPEG, WEBP, PNG):
            raise InvalidViewError(what="media_type")
        if self.quality not in ("preview", "refined"):
            raise InvalidViewError(what="quality")
