"""Series for viewing tests: gray ramps with a mark that tells the frame, plain or compressed."""

from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
from pydicom.encaps import encapsulate
from pydicom.uid import UID, generate_uid

from tests.support.dicom_files import as_bytes, make_ct

JPEG_LS = UID("1.2.840.10008.1.2.4.80")
RLE = UID("1.2.840.10008.1.2.5")


def values_of(index: int, side: int) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """(y, x) uint16 stored values; the top left quarter's level tells the index."""
    ramp = np.add.outer(np.arange(side), np.arange(side)).astype(np.uint16) * (2000 // (2 * side)) + 200
    ramp[: side // 2, : side // 2] = (index * 97) % 2400
    return ramp


def ct_series(
    count: int,
    side: int = 32,
    *,
    syntax: UID | None = None,
    frames: dict[int, bytes] | None = None,
    **changes: Any,
) -> list[bytes]:
    """Part 10 files of one CT series. ``frames``: the compressed bytes of some slices (RLE unless ``syntax``)."""
    study, series = generate_uid(), generate_uid()
    files: list[bytes] = []
    for index in range(count):
        values: dict[str, Any] = {
            "StudyInstanceUID": study,
            "SeriesInstanceUID": series,
            "InstanceNumber": index + 1,
            "ImagePositionPatient": [0, 0, index * 2.5],
            "Rows": side,
            "Columns": side,
            "PixelData": values_of(index, side).tobytes(),
            "WindowCenter": 176,
            "WindowWidth": 2400,
            "KVP": "120",
            "ContentDate": "20240229",
            **changes,
        }
        ds = make_ct(**values)
        own = (frames or {}).get(index)
        if own is not None or syntax is not None:
            ds.file_meta.TransferSyntaxUID = syntax or RLE
            coded = own if own is not None else bytes(imagecodecs.jpegls_encode(values_of(index, side)))
            ds.PixelData = encapsulate([coded])
            ds["PixelData"].VR = "OB"
        files.append(as_bytes(ds))
    return files
