"""ctypes binding of the native kernels: argument types in this one file, the ABI version checked at load."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render.errors import RenderError

ABI_VERSION = 9
LIBRARIES = Path(__file__).resolve().parent / "lib"

_POINTER = ctypes.c_void_p
_INT = ctypes.c_int
_FLOAT = ctypes.c_float
_TAPS = [_POINTER, _POINTER, _POINTER, _INT]
_GRAY = [_POINTER, _INT, *_TAPS, *_TAPS, _POINTER, _FLOAT, _FLOAT, _INT, _FLOAT, _FLOAT, _POINTER, _INT, _INT]
_RGB = [_POINTER, _INT, *_TAPS, *_TAPS, _POINTER, _INT, _INT]
GRAY_KERNELS = ("cf_gray_u8", "cf_gray_i16", "cf_gray_u16", "cf_gray_f32")
_SIGNATURES = {
    **dict.fromkeys(GRAY_KERNELS, _GRAY),
    **{f"{name}_definition": _GRAY for name in GRAY_KERNELS},
    "cf_rgb_u8": _RGB,
    "cf_ssim_rows": [_POINTER, _POINTER, _INT, _POINTER, _POINTER, _INT, _INT],
}


class KernelsMissingError(RenderError):
    """The native kernels are not built for this machine, or belong to another version."""

    code = "render.kernels_missing"
    message = {"zh": "本机未安装图像处理内核", "en": "The native kernels are not built for this machine"}


def _cpu_flags() -> set[str]:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("flags"):
                return set(line.partition(":")[2].split())
    except OSError:
        pass
    return set()


def variants() -> list[str]:
    """Variants that this processor can run, best first."""
    machine = platform.machine().lower()
    if machine in {"aarch64", "arm64"}:
        return ["aarch64"]
    if machine not in {"x86_64", "amd64"}:
        return [machine]
    flags = _cpu_flags()
    found: list[str] = []
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"} <= flags:
        found.append("x86-64-v4")
    if {"avx2", "fma", "bmi2", "movbe"} <= flags:
        found.append("x86-64-v3")
    return [*found, "x86-64-v2"]


def declare(library: ctypes.CDLL, signatures: Mapping[str, Sequence[Any]]) -> None:
    """Set the argument types of functions that return a status; each unit's module declares its own.

    Raises KernelsMissingError for a library that lacks one.
    """
    for name, arguments in signatures.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise KernelsMissingError(what=f"{name} is not in the library") from None
        function.argtypes = arguments
        function.restype = _INT


@lru_cache(maxsize=8)
def load(path: Path | None = None) -> ctypes.CDLL:
    """The best library (or the given one; ``CLOUDFILM_KERNELS`` names a variant). Raises KernelsMissingError."""
    wanted = os.environ.get("CLOUDFILM_KERNELS")
    candidates = [path] if path else [LIBRARIES / f"kernels-{name}.so" for name in ([wanted] if wanted else variants())]
    for candidate in candidates:
        if not candidate.is_file():
            continue
        library = ctypes.CDLL(str(candidate))
        if library.cf_abi_version() != ABI_VERSION:
            raise KernelsMissingError(what=f"ABI {library.cf_abi_version()}, wanted {ABI_VERSION}")
        declare(library, _SIGNATURES)
        return library
    raise KernelsMissingError(what="run `python -m render.native.build`")


def address(array: NDArray[np.generic]) -> int:
    """Address of an array's first element."""
    return int(array.ctypes.data)
