"""The body of the demo CT: where its organs, bones, vessels and airways are, in mm, and their Hounsfield units.

An invented adult of 400 mm from the lung apices to the hips, after contrast medium (portal venous phase).
Axes as in ``app.demo.shapes``: x left, y back, u down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from app.demo.shapes import Ellipsoid, Tubes

BODY_LENGTH_MM = 400.0
# u, half width, half depth, thickness of the fat under the skin (mm)
OUTLINE = np.array(
    [
        [0, 132, 78, 9],
        [40, 158, 98, 11],
        [100, 168, 112, 12],
        [170, 164, 112, 13],
        [230, 155, 106, 16],
        [280, 150, 100, 20],
        [340, 166, 106, 22],
        [400, 174, 110, 22],
    ]
)
CORTICAL_SHELL: tuple[tuple[float, float], ...] = ((0.0, 850.0), (-1.6, 260.0))


@dataclass(frozen=True, slots=True)
class Organ:
    """A named ellipsoid with its layers (mm added to the radii, HU) and its uptake in PET (SUV)."""

    name: str
    shape: Ellipsoid
    layers: Sequence[tuple[float, float]]
    suv: float = 0.0


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Everything inside the body, in the order it is painted."""

    lungs: tuple[Ellipsoid, ...]
    organs: tuple[Organ, ...]
    lung_vessels: Tubes
    airways: Tubes
    portal: Tubes
    bowel: Tubes
    muscles: Tubes
    arteries: Tubes
    veins: Tubes
    ribs: Tubes
    long_bones: Tubes
    spine_processes: Tubes
    sternum: Tubes
    blades: tuple[tuple[Ellipsoid, float, float], ...] = field(default=())


def outline(u: float) -> NDArray[np.float64]:
    """(half width, half depth, fat thickness) in mm at ``u``."""
    return np.array([np.interp(u, OUTLINE[:, 0], OUTLINE[:, i]) for i in (1, 2, 3)])


def _tree(
    tubes: Tubes,
    rng: np.random.Generator,
    start: NDArray[np.float64],
    direction: NDArray[np.float64],
    radius: float,
    depth: int,
    inside: Ellipsoid,
) -> None:
    """Grow a branching vessel: two thinner children per fork, bent a little, kept within an ellipsoid."""
    points, radii = [start], [radius]
    heading = direction / np.linalg.norm(direction)
    for _ in range(4):
        heading = heading + rng.normal(scale=0.14, size=3)
        heading /= np.linalg.norm(heading)
        step = points[-1] + heading * (3.4 + 1.3 * radius)
        off = (step - np.array(inside.centre)) / (np.array(inside.radii) * 0.96)
        if float(off @ off) > 1 and len(points) > 2:
            break
        points.append(step)
        radii.append(radii[-1] * 0.95)
    if len(points) > 1:
        tubes.add(points, radii)
    if depth == 0 or len(points) < 3 or radius < 0.45:
        return
    side = np.cross(heading, rng.normal(size=3))
    side /= np.linalg.norm(side)
    for sign, share in ((1, 0.80), (-1, 0.72)):
        _tree(tubes, rng, points[-1], heading + sign * 0.62 * side, radii[-1] * share, depth - 1, inside)


def _lungs() -> tuple[Ellipsoid, ...]:
    return (
        Ellipsoid((-71, -4, 112), (56, 80, 106), 6),
        Ellipsoid((72, 0, 110), (52, 78, 104), -6),
    )


def _lung_vessels() -> Tubes:
    rng = np.random.default_rng(20240311)
    tubes = Tubes()
    for lung, side in zip(_lungs(), (-1, 1), strict=True):
        hilum = np.array([side * 32.0, 8.0, 105.0])
        for du, dy in ((-1.3, -0.3), (-0.6, 0.7), (-0.2, -0.9), (0.5, 0.6), (0.9, -0.4), (1.5, 0.5)):
            _tree(tubes, rng, hilum, np.array([side * 1.0, dy, du]), 4.2, 6, lung)
    return tubes


def _airways() -> Tubes:
    tubes = Tubes().add([(0, 8, -5), (0, 12, 45), (-1, 16, 86)], 8.5)
    tubes.add([(-1, 16, 86), (-16, 16, 98), (-34, 14, 108)], [7.0, 6.4, 5.6])
    tubes.add([(-1, 16, 86), (18, 17, 100), (38, 14, 110)], [6.6, 6.0, 5.2])
    for x, tips in (
        (-34, ((-62, -12, 78), (-70, 18, 96), (-62, -30, 128), (-58, 30, 150))),
        (38, ((62, -10, 80), (72, 16, 100), (64, -30, 126), (60, 30, 152))),
    ):
        for tip in tips:
            tubes.add(
                [(x, 14, 108), ((x + tip[0]) / 2 - 2, (14 + tip[1]) / 2, (110 + tip[2]) / 2), tip], [4.4, 3.4, 2.2]
            )
    return tubes


def _arteries() -> Tubes:
    tubes = Tubes()
    tubes.add([(2, -12, 122), (-8, -22, 100), (-9, -22, 82), (-4, -14, 68), (6, 4, 61)], [15, 15, 15, 14, 14])
    tubes.add([(6, 4, 61), (16, 20, 66), (22, 33, 80), (22, 38, 110), (19, 38, 170)], [13, 13, 12.5, 12, 11.5])
    tubes.add([(19, 38, 170), (11, 34, 215), (6, 31, 255), (3, 30, 290)], [11, 10.5, 9.5, 9])
    for side in (-1, 1):
        tubes.add([(3, 30, 290), (side * 22, 32, 318), (side * 44, 34, 345)], [6.5, 6, 5.5])
        tubes.add([(side * 44, 34, 345), (side * 66, 5, 378), (side * 74, -22, 402)], [5.2, 5, 5])
        tubes.add([(side * 44, 34, 345), (side * 52, 52, 366), (side * 46, 60, 385)], [3.6, 3, 2.2])
        tubes.add([(5, 31, 246), (side * 26, 36, 250), (side * 46, 42, 253)], [3.4, 3, 2.6])
        tubes.add([(side * 9, -2, 61), (side * 20, 0, 34), (side * 24, 4, -4)], [4.6, 4, 3.8])
    tubes.add([(9, 24, 222), (8, 6, 224), (-14, -2, 222), (-34, -8, 218)], [4, 3.6, 3, 2.6])
    tubes.add([(8, 6, 224), (36, 10, 220), (62, 22, 212)], [3.6, 3.2, 2.6])
    tubes.add([(7, 24, 234), (5, -2, 246), (0, -12, 285), (-16, -20, 320)], [4, 3.6, 3, 2])
    tubes.add([(-2, -26, 118), (4, -18, 98), (14, -6, 88), (30, 8, 96)], [13, 13, 11, 8])
    tubes.add([(12, -6, 90), (-6, 4, 92), (-30, 10, 100)], [10, 9, 7.5])
    return tubes


def _veins() -> Tubes:
    tubes = Tubes()
    tubes.add([(-20, -6, 128), (-24, 0, 170), (-20, 24, 205), (-16, 32, 250), (-12, 36, 292)], [11, 11, 11, 10, 9.5])
    tubes.add([(-24, -6, 30), (-24, -8, 80), (-24, -8, 116)], [8, 9, 9.5])
    for side in (-1, 1):
        tubes.add([(-12, 36, 292), (side * 24, 40, 322), (side * 46, 42, 348)], [7.5, 7, 6.5])
        tubes.add([(side * 46, 42, 348), (side * 58, 8, 378), (side * 62, -18, 402)], [6.5, 6, 6])
        tubes.add([(side * 36, -12, 22), (-20 + side * 8, -12, 32), (-24, -8, 50)], [6, 6.5, 7])
    return tubes


def _portal(liver: Ellipsoid) -> Tubes:
    rng = np.random.default_rng(77)
    tubes = Tubes().add([(26, 18, 226), (4, 8, 226), (-16, 2, 215), (-34, 2, 206)], [5, 5.6, 6, 5.6])
    for direction in ((-1, -0.5, -0.4), (-1, 0.7, 0.2), (-0.8, 0.2, 1.0), (-0.3, -1, -0.2), (-0.9, 0.9, -0.7)):
        _tree(tubes, rng, np.array([-34.0, 2, 206]), np.array(direction), 4.2, 4, liver)
    for direction in ((-1, 0.4, 0.5), (-0.7, -0.8, 0.4), (-0.4, 0.9, 0.6)):
        _tree(tubes, rng, np.array([-26.0, 14, 168]), np.array(direction), 4.6, 4, liver)
    return tubes


def _bowel() -> Tubes:
    rng = np.random.default_rng(5)
    tubes = Tubes()
    tubes.add([(-100, 8, 345), (-106, 6, 300), (-98, -6, 250), (-70, -46, 238)], [20, 19, 18, 16])
    tubes.add([(-70, -46, 238), (0, -66, 250), (70, -52, 232), (102, 8, 240), (108, 14, 310)], [16, 15, 15, 14, 14])
    tubes.add([(108, 14, 310), (88, 24, 350), (40, 40, 365), (6, 62, 378), (2, 70, 402)], [14, 14, 15, 15, 15])
    for row in range(5):
        u = 262.0 + 20 * row
        points = [
            (x, -26 + 16 * np.sin(x / 17 + row) + rng.normal(scale=5), u + 8 * np.cos(x / 21))
            for x in range(-70, 76, 12)
        ]
        tubes.add(points, 10.5)
    return tubes


def _ribs() -> Tubes:
    """Twelve pairs: from the spine around the wall, falling towards the front; the last two float."""
    tubes = Tubes()
    for number in range(12):
        origin = 18 + 19.0 * number
        reach = 0.92 if number < 7 else 0.92 - 0.13 * (number - 6)
        for side in (-1, 1):
            points: list[tuple[float, float, float]] = []
            for t in np.linspace(0, reach, 22):
                angle = np.pi * (0.5 - t) + 0.17 * np.sin(np.pi * t)
                u = origin + 66 * np.sin(t * np.pi / 2) ** 1.4 - 10 * t
                width, depth, fat = outline(min(u, 260.0))
                shrink = 0.70 + 0.30 * min(1.0, (number + 1) / 4)
                x = side * (width - fat - 11) * shrink * np.cos(angle) + side * 12 * (1 - t)
                y = (depth - fat - 9) * np.sin(angle) * (0.80 if t < 0.15 else 0.95)
                points.append((x, y, u))
            tubes.add(points, 5.0)
    return tubes


def _long_bones() -> Tubes:
    tubes = Tubes()
    for side in (-1, 1):
        tubes.add([(side * 12, -52, 26), (side * 60, -46, 12), (side * 112, 4, -2)], [7, 5.5, 6.5])
        tubes.add([(side * 92, -2, 384), (side * 118, 4, 402)], [17, 18])
        tubes.add([(side * 58, -20, 372), (side * 26, -52, 392), (side * 4, -54, 400)], [9, 8, 8])
        tubes.add([(side * 74, 30, 372), (side * 60, 44, 395), (side * 56, 40, 405)], [13, 12, 11])
    return tubes


def _spine_processes() -> Tubes:
    tubes = Tubes()
    for number in range(13):
        u = 2 + 28.5 * number
        tubes.add([(0, 90, u), (0, min(108, outline(u)[1] - 8), u + 13)], [3.6, 4.2])
        for side in (-1, 1):
            tubes.add([(side * 13, 72, u - 3), (side * 13, 86, u)], 4.6)
            tubes.add([(side * 13, 86, u), (0, 94, u + 3)], 4.2)
            tubes.add([(side * 13, 86, u), (side * 38, 86 if u < 215 else 78, u - 3)], [4.2, 3.4])
    return tubes


def _organs() -> tuple[Organ, ...]:
    e = Ellipsoid
    return (
        Organ("liver", e((-52, -2, 200), (84, 82, 58), 10), ((0, 112),), 2.3),
        Organ("left lobe", e((12, -36, 190), (56, 40, 36), -8), ((0, 112),), 2.3),
        Organ("cyst", e((-86, 18, 212), (11, 11, 11)), ((0, 6),), 0.4),
        Organ("lesion", e((-58, -34, 188), (9, 9, 9)), ((0, 70), (-3, 52)), 7.8),
        Organ("spleen", e((100, 32, 206), (30, 46, 46), -28), ((0, 122),), 1.9),
        Organ("stomach", e((52, -34, 212), (44, 36, 40), -18), ((0, 78), (-4, 24)), 1.2),
        Organ("gastric air", e((52, -50, 206), (30, 14, 26), -10), ((0, -960),), 0.2),
        Organ("gall bladder", e((-54, -44, 232), (14, 18, 22), 20), ((0, 40), (-1.5, 10)), 0.5),
        Organ("pancreas", e((14, 2, 228), (52, 11, 11), -14), ((0, 96),), 1.4),
        Organ("right kidney", e((-56, 46, 254), (29, 25, 52), 32), ((0, 188), (-9, 138), (-15, 60)), 4.5),
        Organ("left kidney", e((60, 46, 246), (29, 25, 52), -32), ((0, 188), (-9, 138), (-15, 60)), 4.5),
        Organ("bladder", e((0, -18, 384), (40, 34, 28)), ((0, 44), (-3, 8)), 14.0),
        Organ("heart", e((16, -34, 136), (54, 44, 46), 24), ((3, -80), (0, 96)), 2.6),
        Organ("left ventricle", e((38, -34, 150), (24, 19, 30), 30), ((0, 182),), 3.6),
        Organ("right ventricle", e((6, -54, 146), (30, 16, 30), 18), ((0, 170),), 1.8),
        Organ("left atrium", e((6, -2, 118), (27, 17, 19)), ((0, 182),), 1.6),
        Organ("right atrium", e((-22, -34, 132), (19, 22, 26)), ((0, 168),), 1.6),
        Organ("lung nodule", e((-84, -26, 72), (7.5, 7.5, 7.5)), ((0, 38),), 8.6),
        Organ("hilar node", e((-24, 14, 92), (7, 6, 9)), ((0, 60),), 6.2),
    )


def _blades() -> tuple[tuple[Ellipsoid, float, float], ...]:
    """Curved flat bones as shells between two ellipsoids: (ellipsoid, lowest u kept, highest u kept)."""
    wings = tuple((Ellipsoid((s * 66, 26, 342), (52, 66, 66), s * 22), 284.0, 376.0) for s in (-1, 1))
    scapulae = tuple((Ellipsoid((s * 92, 52, 62), (22, 40, 60), s * -48), 8.0, 118.0) for s in (-1, 1))
    return wings + scapulae


@lru_cache(maxsize=1)
def body() -> Anatomy:
    """The one anatomy; made once (tens of milliseconds) and never changed."""
    organs = _organs()
    muscles = Tubes()
    for side in (-1, 1):
        muscles.add(
            [(side * 24, 52, 205), (side * 36, 54, 270), (side * 62, 30, 350), (side * 80, 4, 402)], [8, 17, 17, 15]
        )
        muscles.add(
            [(side * 30, 74, 30), (side * 34, 78, 160), (side * 34, 76, 260), (side * 32, 72, 340)], [11, 16, 18, 15]
        )
    sternum = Tubes().add([(0, -64, 34), (0, -78, 70), (0, -88, 150), (0, -86, 166)], [13, 11, 11, 5])
    return Anatomy(
        lungs=_lungs(),
        organs=organs,
        lung_vessels=_lung_vessels(),
        airways=_airways(),
        portal=_portal(organs[0].shape),
        bowel=_bowel(),
        muscles=muscles,
        arteries=_arteries(),
        veins=_veins(),
        ribs=_ribs(),
        long_bones=_long_bones(),
        spine_processes=_spine_processes(),
        sternum=sternum,
        blades=_blades(),
    )
