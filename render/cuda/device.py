"""The CUDA backend: the same kernels through CuPy's RawModule (NVRTC). The only module that imports CuPy."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from render.backend import Taps

KERNELS = Path(__file__).resolve().parents[1] / "kernels"
_NAMES = {np.dtype(np.uint8): "cf_gray_u8", np.dtype(np.int16): "cf_gray_i16", np.dtype(np.uint16): "cf_gray_u16"}
_BLOCK = (32, 8)


def source() -> str:
    """One translation unit for NVRTC, the header pasted in."""
    header = (KERNELS / "resample.h").read_text("utf-8")
    body = (KERNELS / "resample.cu").read_text("utf-8")
    return body.replace('#include "resample.h"', header.replace("#pragma once", ""))


def available() -> bool:
    """Whether CuPy is installed and a device answers."""
    if importlib.util.find_spec("cupy") is None:
        return False
    try:
        import cupy

        return bool(cupy.is_available())
    except Exception:
        return False


@lru_cache(maxsize=1)
def _module() -> Any:
    import cupy

    return cupy.RawModule(code=source(), options=("--std=c++17", "--fmad=false"))


class CudaBackend:
    """Uploads an index image, runs one thread per output pixel, downloads the picture."""

    name = "cuda"

    def _launch(self, name: str, before: tuple[Any, ...], out: Any, width: int, height: int) -> None:
        grid = (-(-width // _BLOCK[0]), -(-height // _BLOCK[1]))
        _module().get_function(name)(grid, _BLOCK, (*before, out, np.int32(width), np.int32(height)))

    def _taps(self, taps: Taps) -> tuple[Any, ...]:
        import cupy

        return (cupy.asarray(taps.start), cupy.asarray(taps.count), cupy.asarray(taps.weight), np.int32(taps.max_taps))

    def gray(self, source: NDArray[Any], tx: Taps, ty: Taps, table: NDArray[np.uint8], first: int) -> NDArray[np.uint8]:
        """See render.backend.Backend."""
        import cupy

        height, width = len(ty.start), len(tx.start)
        out = cupy.empty((height, width), cupy.uint8)
        before = (
            cupy.asarray(source),
            np.int32(source.shape[1]),
            *self._taps(tx),
            *self._taps(ty),
            cupy.asarray(table),
            np.int32(first),
            np.int32(len(table)),
        )
        self._launch(_NAMES[source.dtype], before, out, width, height)
        return cupy.asnumpy(out)

    def rgb(self, source: NDArray[np.uint8], tx: Taps, ty: Taps) -> NDArray[np.uint8]:
        """See render.backend.Backend."""
        import cupy

        height, width = len(ty.start), len(tx.start)
        out = cupy.empty((height, width, 3), cupy.uint8)
        before = (cupy.asarray(source), np.int32(source.shape[1] * 3), *self._taps(tx), *self._taps(ty))
        self._launch("cf_rgb_u8", before, out, width, height)
        return cupy.asnumpy(out)
