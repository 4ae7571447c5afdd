"""A CT whose body is known: a solid block in air, so that a test can say where a hand met it."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydicom.uid import generate_uid

from tests.support.dicom_files import as_bytes, make_ct

SIDE, COUNT, SPACING_MM = 64, 40, 2.0
FIRST, LAST = 12, 51  # voxels of the block along x and y
LOWEST, HIGHEST = 8, 31  # slices of it
FRONT_MM = FIRST * SPACING_MM
MIDDLE_MM = (FIRST + LAST) / 2 * SPACING_MM


def block_series(**changes: Any) -> list[bytes]:
    """Part 10 files: bone-dense voxels FIRST..LAST (x, y) of the slices LOWEST..HIGHEST, air around, 2 mm a voxel."""
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    uids["FrameOfReferenceUID"] = generate_uid()
    files: list[bytes] = []
    for index in range(COUNT):
        values = np.zeros((SIDE, SIDE), np.uint16)
        if LOWEST <= index <= HIGHEST:
            values[FIRST : LAST + 1, FIRST : LAST + 1] = 2400
        fields: dict[str, Any] = {
            **uids,
            "InstanceNumber": index + 1,
            "ImagePositionPatient": [0, 0, index * SPACING_MM],
            "PixelSpacing": [SPACING_MM, SPACING_MM],
            "Rows": SIDE,
            "Columns": SIDE,
            "PixelData": values.tobytes(),
            "WindowCenter": 300,
            "WindowWidth": 2000,
            **changes,
        }
        files.append(as_bytes(make_ct(**fields)))
    return files
