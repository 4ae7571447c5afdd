"""A CT series of two phases: the same places twice, the second later and brighter."""

from __future__ import annotations

import io
from typing import Any

import pydicom
from pydicom.uid import generate_uid

from tests.support.dicom_files import as_bytes
from tests.support.series import ct_series

LATER_S = 25.0
_BRIGHTER = 500


def phased_series(count: int, side: int = 32, **changes: Any) -> list[bytes]:
    """Part 10 files; the second phase's values are 500 HU higher, its images begin 25 s after the first's."""
    times: dict[str, Any] = {"AcquisitionTime": "101500.25", **changes}
    early = ct_series(count, side, AcquisitionNumber=1, **times)
    files = list(early)
    for index, file in enumerate(early):
        ds = pydicom.dcmread(io.BytesIO(file))
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.AcquisitionNumber, ds.InstanceNumber = 2, count + index + 1
        ds.RescaleIntercept = float(ds.RescaleIntercept) + _BRIGHTER
        if "AcquisitionTime" not in changes:
            ds.AcquisitionTime = "101525.25"
        files.append(as_bytes(ds))
    return files
