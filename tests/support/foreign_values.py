"""Stored values of DICOM files by foreign programs: DCMTK, GDCM and OpenJPEG decode, NumPy reads what they wrote.

``foreign_values(path, frame)`` has the file's frame decompressed into an uncompressed file by a program that the
product does not use for that syntax, and reads the samples as PS3.5 8.1.1 says: little endian, cut to the stored bits.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from tests.support.render_frames import frame_bytes, pixel_element, read_dataset

_JPEG = "1.2.840.10008.1.2.4."
_FLOATS = {"FloatPixelData": "<f4", "DoubleFloatPixelData": "<f8"}


def _commands(syntax: str, source: Path, target: Path) -> list[list[str]]:
    """Programs that decompress the syntax, first choice first."""
    files = [str(source), str(target)]
    gdcm = ["gdcmconv", "--raw", *files]
    own = {
        "1.2.840.10008.1.2.5": ["dcmdrle", *files],
        _JPEG + "57": ["dcmdjpeg", "+cn", *files],
        _JPEG + "70": ["dcmdjpeg", "+cn", *files],
        _JPEG + "80": ["dcmdjpls", *files],
    }.get(syntax)
    if own is not None:
        return [own, gdcm]
    return [gdcm] if syntax.startswith(_JPEG) else [["dcmconv", "+te", *files], gdcm]


def _decompressed(path: Path, syntax: str) -> Any:
    """The data set without compression; None where no program can."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "raw.dcm"
        for command in _commands(syntax, path, target):
            done = subprocess.run(command, capture_output=True, timeout=60)
            if done.returncode == 0 and target.is_file():
                ds = pydicom.dcmread(target, force=True)
                ds[pixel_element(ds)].value  # noqa: B018  # read before the folder goes
                if str(ds.file_meta.TransferSyntaxUID).startswith(("1.2.840.10008.1.2.4", "1.2.840.10008.1.2.5")):
                    continue
                return ds
    return None


def foreign_values(path: Path, frame: int = 0) -> NDArray[Any] | None:
    """(rows, columns[, samples]) of the smallest type; None where no foreign program reads the file."""
    ds = read_dataset(path)
    syntax = str(ds.file_meta.TransferSyntaxUID)
    if syntax in (_JPEG + "201", _JPEG + "202"):
        from openjpeg.utils import decode  # OpenJPEG; the product decodes HTJ2K by OpenJPH

        return np.ascontiguousarray(decode(frame_bytes(ds, frame)))
    if syntax == "1.2.840.10008.1.2.2" and int(ds.BitsAllocated) > 16:
        return None  # DCMTK and GDCM both swap such OW by 16-bit words, so that 32-bit samples come out torn
    raw = _decompressed(path, syntax)
    return None if raw is None else _read(raw, frame)


def _read(ds: Any, frame: int) -> NDArray[Any]:
    rows, columns, samples = int(ds.Rows), int(ds.Columns), int(ds.get("SamplesPerPixel", 1))
    element = pixel_element(ds)
    data, size = ds[element].value, rows * columns * samples
    if element in _FLOATS:
        return np.frombuffer(data, _FLOATS[element], size, frame * size * int(_FLOATS[element][2])).reshape(
            rows, columns
        )
    allocated, stored = int(ds.BitsAllocated), int(ds.BitsStored)
    if allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return bits[frame * size : (frame + 1) * size].reshape(rows, columns)
    width = allocated // 8
    unsigned = np.frombuffer(data, f"<u{width}", size, frame * size * width).astype(np.uint64)
    unsigned = (unsigned >> np.uint64(int(ds.HighBit) + 1 - stored)) & np.uint64((1 << stored) - 1)
    signed = unsigned.astype(np.int64)
    if int(ds.get("PixelRepresentation", 0)):
        signed = np.where(signed >> (stored - 1) != 0, signed - (1 << stored), signed)
    values = signed.astype(f"<{'i' if ds.get('PixelRepresentation', 0) else 'u'}{width}")
    if samples == 1:
        return values.reshape(rows, columns)
    if int(ds.get("PlanarConfiguration", 0)):
        return np.ascontiguousarray(np.moveaxis(values.reshape(samples, rows, columns), 0, -1))
    return values.reshape(rows, columns, samples)
