"""How a preview is coded so that it fits the bytes that the way carries in time: size, quality and format.

The steps' shares are measured on CT (512 x 512) and chest pictures (1080 x 1080). Their qualities are such that the
DC step of the JPEG table (16 at quality 50, ITU-T T.81 K.1) takes black back to 0: at 70 for example it comes out
as 1, which is seen on a dark screen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from render.request import JPEG, WEBP, StackView


@dataclass(frozen=True, slots=True)
class Step:
    """``scale`` of the sides, ``quality`` of the coder, bytes as a ``share`` of the first step's."""

    scale: float
    quality: int
    share: float


STEPS = (
    Step(1.0, 75, 1.0),
    Step(1.0, 60, 0.81),
    Step(1.0, 50, 0.70),
    Step(1.0, 35, 0.58),
    Step(0.75, 50, 0.42),
    Step(0.75, 35, 0.35),
    Step(0.5, 50, 0.23),
    Step(0.5, 35, 0.19),
    Step(0.35, 50, 0.13),
    Step(0.35, 35, 0.11),
)
_FIRST_GUESS = {JPEG: 0.085, WEBP: 0.06}  # bytes of a pixel at the first step
_SMALLEST_SIDE = 128
_SLOW_BYTES_PER_S = 400_000  # below, the fewer bytes of WebP are worth its milliseconds
_MEMORY = 0.6


class PreviewCoder:
    """Remembers what pictures of a viewport weighed, and chooses the best step that fits."""

    def __init__(self) -> None:
        self._per_pixel = dict(_FIRST_GUESS)

    def choose(
        self, view: StackView, budget: int, bandwidth: float | None, *, webp: bool
    ) -> tuple[StackView, dict[str, Any], Step]:
        """The view as it will be made, how to encode it, and the step (for ``learn``)."""
        slow = webp and bandwidth is not None and bandwidth < _SLOW_BYTES_PER_S
        media_type = WEBP if slow else JPEG
        weight = self._per_pixel[media_type] * view.width * view.height
        fitting = [step for step in STEPS if min(view.width, view.height) * step.scale >= _SMALLEST_SIDE]
        steps = fitting or [step for step in STEPS if step.scale == 1.0]
        step = next((step for step in steps if weight * step.share <= budget), steps[-1])
        made = replace(
            view,
            width=max(1, round(view.width * step.scale)),
            height=max(1, round(view.height * step.scale)),
            media_type=media_type,
        )
        return made, {"quality": step.quality, "effort": 0}, step

    def learn(self, view: StackView, step: Step, media_type: str, count: int) -> None:
        """A picture of ``count`` bytes was made for ``view`` (as asked) at ``step``."""
        seen = count / (view.width * view.height * step.share)
        before = self._per_pixel[media_type]
        self._per_pixel[media_type] = before * (1 - _MEMORY) + seen * _MEMORY
