"""The CUDA backend: the same kernels through CuPy's RawModule (NVRTC). The only module that imports CuPy."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from render.backend import KERNELS

if TYPE_CHECKING:
    from render.backend import DisplayTable, Taps

HEADERS = Path(__file__).resolve().parents[1] / "kernels"
_BLOCK = (32, 8)


def source(unit: str = "resample.cu") -> str:
    """A unit of kernels/ as one text for NVRTC: every header pasted where it is first included."""
    pasted: set[str] = set()

    def paste(name: str) -> str:
        lines: list[str] = []
        for line in (HEADERS / name).read_text("utf-8").splitlines():
            included = line.removeprefix('#include "').removesuffix('"') if line.startswith('#include "') else ""
            if included and included not in pasted:
                pasted.add(included)
                lines.append(paste(included))
            elif not included and line != "#pragma once":
                lines.append(line)
        return "\n".join(lines) + "\n"

    return paste(unit)


def _cupy() -> Any:
    """The library, an extra of the distribution."""
    import cupy  # pyright: ignore[reportMissingImports]

    return cupy


def available() -> bool:
    """Whether CuPy is installed and a device answers."""
    if importlib.util.find_spec("cupy") is None:
        return False
    try:
        cupy = _cupy()
        return bool(cupy.is_available())
    except Exception:
        return False


@lru_cache(maxsize=1)
def _module() -> Any:
    cupy = _cupy()
    return cupy.RawModule(code=source(), options=("--std=c++17", "--fmad=false"))


class CudaBackend:
    """Uploads an index image, runs one thread per output pixel, downloads the picture."""

    name = "cuda"

    def _launch(self, name: str, before: tuple[Any, ...], out: Any) -> None:
        height, width = out.shape[:2]
        grid = (-(-width // _BLOCK[0]), -(-height // _BLOCK[1]))
        _module().get_function(name)(grid, _BLOCK, (*before, out, np.int32(width), np.int32(height)))

    def _taps(self, taps: Taps, size: int) -> tuple[Any, ...]:
        cupy = _cupy()
        taps.check(size)
        return (cupy.asarray(taps.start), cupy.asarray(taps.count), cupy.asarray(taps.weight))

    def gray(self, source: NDArray[Any], tx: Taps, ty: Taps, table: DisplayTable) -> NDArray[np.uint8]:
        """See render.backend.Backend."""
        cupy = _cupy()
        out = cupy.empty((len(ty.start), len(tx.start)), cupy.uint8)
        before = (
            cupy.asarray(source),
            np.int32(source.shape[1]),
            *self._taps(tx, source.shape[1]),
            *self._taps(ty, source.shape[0]),
            cupy.asarray(table.entries),
            np.float32(table.first),
            np.float32(table.steps),
            np.int32(len(table.entries)),
        )
        self._launch(KERNELS[source.dtype], before, out)
        return cupy.asnumpy(out)

    def rgb(self, source: NDArray[np.uint8], tx: Taps, ty: Taps) -> NDArray[np.uint8]:
        """See render.backend.Backend."""
        cupy = _cupy()
        out = cupy.empty((len(ty.start), len(tx.start), 3), cupy.uint8)
        stride = np.int32(source.shape[1] * 3)
        before = (
            cupy.asarray(source),
            stride,
            *self._taps(tx, source.shape[1]),
            *self._taps(ty, source.shape[0]),
        )
        self._launch("cf_rgb_u8", before, out)
        return cupy.asnumpy(out)
