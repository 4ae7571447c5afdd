"""Pictures of DICOM files by foreign programs (DCMTK's dcmj2pnm or dcm2img, GDCM's gdcmconv), to hold ours against.

``foreign_picture(path, frame)`` makes the default picture of a frame: the file's first window, else its first VOI LUT,
else the 1st to 99th percentile without padding; overlays off. Which program answers depends on the file alone: DCMTK
on the file, DCMTK on what GDCM decompressed, and, where neither knows the syntax, pydicom's pixels with a plain
window written here from PS3.3 C.11. ``ssim`` is scikit-image's.
"""

from __future__ import annotations

import atexit
import hashlib
import io
import shutil
import subprocess
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from skimage.metrics import structural_similarity

from tests.support.render_frames import groups, pixel_element, read_dataset

Pixels = NDArray[np.uint8]
_TIME_LIMIT_S = 60


def dcmtk_program() -> str | None:
    """The renderer of the installed DCMTK (dcm2img since 3.6.9, dcmj2pnm before)."""
    return shutil.which("dcm2img") or shutil.which("dcmj2pnm")


def need_foreign_programs() -> None:
    """Skip the test where DCMTK or GDCM's tools are not installed."""
    if dcmtk_program() is None or shutil.which("gdcmconv") is None:
        pytest.skip("dcmtk and libgdcm-tools are not installed")


def ssim(ours: Pixels, theirs: Pixels) -> float:
    """Mean structural similarity of two pictures of one size; gray is compared with colour as colour."""
    if ours.ndim != theirs.ndim:
        ours, theirs = (a if a.ndim == 3 else np.repeat(a[:, :, None], 3, axis=2) for a in (ours, theirs))
    smallest = min(ours.shape[:2])
    window = min(7, smallest if smallest % 2 else smallest - 1)
    if window < 3:
        return 1.0 if np.abs(ours.astype(int) - theirs).max() <= 2 else 0.0
    axis = 2 if ours.ndim == 3 else None
    value: Any = structural_similarity(ours, theirs, data_range=255, win_size=window, channel_axis=axis)
    return float(value)


def foreign_picture(path: Path, frame: int = 0) -> Pixels:
    """(y, x) or (y, x, 3) uint8, one output pixel per image pixel. ``frame`` counts from 0.

    Made once in a run: several tests hold theirs against the same files.
    """
    kept = (
        Path(_kept().name) / hashlib.sha256(f"{path.resolve()} {path.stat().st_mtime_ns} {frame}".encode()).hexdigest()
    )
    if not kept.is_file():
        ds = read_dataset(path)
        picture = _by_dcmtk(path, ds, frame)
        fresh = kept.with_name(f"{kept.name}.{threading.get_ident()}.npy")
        np.save(fresh, picture if picture is not None else _plain_picture(ds, frame))
        fresh.replace(kept)
    with kept.open("rb") as file:
        return np.load(file)


@cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    """Pictures that were made already; the folder ends with the process."""
    folder = tempfile.TemporaryDirectory(prefix="foreign-pictures-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    return folder


# DCMTK --------------------------------------------------------------------------------------------------------


def _by_dcmtk(path: Path, ds: Any, frame: int) -> Pixels | None:
    big_words = ds.BitsAllocated > 16 and not ds.original_encoding[1]  # DCMTK swaps such OW by 16-bit words
    if pixel_element(ds) != "PixelData" or big_words:
        return None
    options = _window_options(ds, frame)
    if options is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        picture = _run_dcmtk(path, Path(folder), frame, options)
        if picture is not None:
            return picture
        raw = Path(folder) / "raw.dcm"
        convert = ["gdcmconv", "--raw", str(path), str(raw)]
        if _run(convert) and raw.is_file():
            return _run_dcmtk(raw, Path(folder), frame, options)
    return None


def _run(command: list[str]) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIME_LIMIT_S)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _run_dcmtk(path: Path, folder: Path, frame: int, options: list[str]) -> Pixels | None:
    target = folder / "picture.png"
    program = dcmtk_program() or ""
    plain = ["--no-overlays", "--write-png", "--frame", str(frame + 1), "--accept-palettes"]
    if not _run([program, *plain, *options, str(path), str(target)]) or not target.is_file():
        return None
    with Image.open(io.BytesIO(target.read_bytes())) as image:
        return np.asarray(image.convert("L" if image.mode in ("L", "1", "I;16", "I") else "RGB"))


def _window_options(ds: Any, frame: int) -> list[str] | None:
    """The VOI of the file as options; None where DCMTK cannot be told (functional groups are windows by number)."""
    if not str(ds.PhotometricInterpretation).startswith("MONOCHROME"):
        return []
    rescale = groups(ds, frame, "PixelValueTransformationSequence")
    voi = groups(ds, frame, "FrameVOILUTSequence")
    if rescale is not ds or voi is not ds:
        return None
    if voi.get("WindowCenter") not in (None, "") and voi.get("WindowWidth") not in (None, ""):
        return ["+Wi", "1"]
    if any(item.get("LUTData") for item in ds.get("VOILUTSequence") or []):
        return ["+Wl", "1"]
    low, high = _percentiles(_modality(_stored(ds, frame), ds, frame), _padding(ds, _stored(ds, frame)))
    return ["+Ww", repr((low + high) / 2), repr(max(high - low, 1.0))]


# Plain pipeline -----------------------------------------------------------------------------------------------


def _stored(ds: Any, frame: int) -> NDArray[Any]:
    """The stored values of a frame by pydicom's decoders."""
    return np.asarray(pixel_array(ds, index=frame, raw=False))


def _modality(stored: NDArray[Any], ds: Any, frame: int) -> NDArray[np.float64]:
    item = groups(ds, frame, "PixelValueTransformationSequence")
    if any(item.get("LUTData") for item in ds.get("ModalityLUTSequence") or []):
        from pydicom.pixels.processing import apply_modality_lut

        return np.asarray(apply_modality_lut(stored, ds), np.float64)
    return stored * float(item.get("RescaleSlope", 1) or 1) + float(item.get("RescaleIntercept", 0) or 0)


def _padding(ds: Any, stored: NDArray[Any]) -> NDArray[np.bool_]:
    value, limit = ds.get("PixelPaddingValue"), ds.get("PixelPaddingRangeLimit")
    if not isinstance(value, int):
        return np.zeros(stored.shape, bool)
    low, high = sorted((value, limit if isinstance(limit, int) else value))
    return (stored >= low) & (stored <= high)


def _percentiles(values: NDArray[np.float64], padding: NDArray[np.bool_]) -> tuple[float, float]:
    kept = values[~padding] if not padding.all() else values
    low, high = np.percentile(kept, (1, 99))
    return float(min(low, high)), float(max(low, high))


def _first(value: Any) -> float:
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)


def _plain_picture(ds: Any, frame: int) -> Pixels:
    """pydicom's pixels, windowed by the formulas of PS3.3 C.11.2.1.2.1."""
    stored = _stored(ds, frame)
    photometric = str(ds.PhotometricInterpretation)
    if photometric == "PALETTE COLOR":
        rgb = np.asarray(apply_color_lut(stored, ds), np.float64)
        return np.clip(rgb / (257.0 if rgb.max() > 255 else 1.0), 0, 255).astype(np.uint8)
    if stored.ndim == 3:
        top = float((1 << int(ds.BitsStored)) - 1)
        return np.rint(stored.astype(np.float64) * (255.0 / top)).astype(np.uint8)
    values = _modality(stored, ds, frame)
    voi = groups(ds, frame, "FrameVOILUTSequence")
    if voi.get("WindowCenter") not in (None, ""):
        center, width = _first(voi.WindowCenter), _first(voi.WindowWidth)
    else:
        low, high = _percentiles(values, _padding(ds, stored))
        center, width = (low + high) / 2, max(high - low, 1.0)
    shown = np.clip((values - (center - 0.5)) / max(width - 1.0, 1e-6) + 0.5, 0.0, 1.0)
    return (255.0 * (1.0 - shown if photometric == "MONOCHROME1" else shown)).astype(np.uint8)  # cut, as DCMTK does
