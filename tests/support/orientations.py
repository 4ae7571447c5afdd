"""Every image orientation of the test data and what must stand at the four edges: the letters computed from first
principles (PS3.3 C.7.6.2.1.1), for the client's test and for the renderer's.

``python -m tests.support.orientations FOLDER`` writes the golden file anew.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

GOLDEN = Path(__file__).resolve().parents[2] / "webclient" / "src" / "viewport" / "orientations.golden.json"
LAYOUTS = list(itertools.product((0, 90, 180, 270), (False, True), (False, True)))
_SMALLEST = 0.26
_TAGS = ["ImageOrientationPatient", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"]


def letters(direction: NDArray[np.float64]) -> str:
    """Of a direction in LPS, the largest part first, parts below 0.26 dropped."""
    named = [("LR"[int(direction[0] < 0)]), ("PA"[int(direction[1] < 0)]), ("HF"[int(direction[2] < 0)])]
    order = sorted(range(3), key=lambda axis: -abs(direction[axis]))
    return "".join(named[axis] for axis in order if abs(direction[axis]) >= _SMALLEST)


def screen_axes(rotation: int, flip_horizontal: bool, flip_vertical: bool) -> NDArray[np.int64]:
    """(2, 2): how columns (x) and rows (y) of the image run on the screen: flips first, then clockwise."""
    flip = np.diag([-1 if flip_horizontal else 1, -1 if flip_vertical else 1])
    quarter = np.array([[0, -1], [1, 0]])  # (x, y) -> (-y, x): right becomes down
    return np.linalg.matrix_power(quarter, rotation // 90) @ flip


def edges(orientation: list[float], axes: NDArray[np.int64]) -> list[str]:
    """Letters at [left, right, top, bottom] of an image whose x and y run as ``axes`` says."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    # The image direction that is seen to the right: undo the screen's axes.
    right, down = (np.linalg.inv(axes) @ unit for unit in np.eye(2))
    to_right, to_down = (row * x + column * y for x, y in (right, down))
    return [letters(-to_right), letters(to_right), letters(-to_down), letters(to_down)]


def _of(ds: Dataset) -> Iterator[list[float]]:
    if value := ds.get("ImageOrientationPatient"):
        yield [float(part) for part in value]
    for group in [*ds.get("SharedFunctionalGroupsSequence", []), *ds.get("PerFrameFunctionalGroupsSequence", [])]:
        for plane in group.get("PlaneOrientationSequence", []):
            yield [float(part) for part in plane.get("ImageOrientationPatient", [])]


def orientations_in(folder: Path) -> set[tuple[float, ...]]:
    """All distinct ones, to three decimals, of the folder's DICOM files."""
    found: set[tuple[float, ...]] = set()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            ds = pydicom.dcmread(path, specific_tags=_TAGS, stop_before_pixels=True)
            found |= {tuple(round(v, 3) + 0.0 for v in one) for one in _of(ds) if len(one) == 6}
        except (InvalidDicomError, OSError, ValueError, AttributeError):
            continue
    return found


def golden() -> list[dict[str, Any]]:
    """``{"orientation": [6 numbers], "edges": {"rotation,flipH,flipV": [left, right, top, bottom]}}`` each."""
    return json.loads(GOLDEN.read_text("utf-8"))


def main() -> None:
    """Write the golden file from a folder of test data."""
    rows: list[dict[str, Any]] = []
    for orientation in sorted(orientations_in(Path(sys.argv[1]))):
        values = list(orientation)
        named = {f"{r},{int(h)},{int(v)}": edges(values, screen_axes(r, h, v)) for r, h, v in LAYOUTS}
        rows.append({"orientation": values, "edges": named})
    GOLDEN.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", "utf-8")


if __name__ == "__main__":
    main()
