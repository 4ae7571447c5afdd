"""Other builds of the kernels' sources: as CUDA by NVRTC, and for the host under sanitizers. One place for all units."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pytest

from render.cuda import device
from render.native import build

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURES = ("sm_80", "sm_90")


@lru_cache(maxsize=1)
def _nvrtc_path() -> str | None:
    """The library inside the installed wheel (a development dependency); its file name carries the version."""
    try:
        files = importlib.metadata.files("nvidia-cuda-nvrtc") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [file for file in files if file.name.startswith("libnvrtc.so") or file.name.startswith("nvrtc64")]
    return str(found[0].locate()) if found else None


def nvrtc() -> ctypes.CDLL:
    """NVRTC, which needs neither a device nor a driver. Skips the test where the wheel is not installed."""
    path = _nvrtc_path()
    if path is None:
        pytest.skip("nvidia-cuda-nvrtc is not installed")
    return ctypes.CDLL(path)


def compile_cuda(unit: str, architecture: str) -> bytes:
    """The machine code of a unit of kernels/, with the options that the product uses. Fails with the compiler's log."""
    library = nvrtc()
    program = ctypes.c_void_p()
    text = device.source(unit).encode()
    assert library.nvrtcCreateProgram(ctypes.byref(program), text, unit.encode(), 0, None, None) == 0
    options = [f"--gpu-architecture={architecture}", *device.OPTIONS]
    status = library.nvrtcCompileProgram(
        program, len(options), (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    )
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    assert status == 0, log.value.decode()
    library.nvrtcGetCUBINSize(program, ctypes.byref(size))
    code = ctypes.create_string_buffer(size.value)
    library.nvrtcGetCUBIN(program, code)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return code.raw


def sanitizer_runtime() -> Path:
    """The library that sanitized code needs to be loaded first; skips the test where there is none."""
    command, is_zig = build.compiler()
    runtime = subprocess.run([*command, "-print-file-name=libasan.so"], capture_output=True, text=True).stdout.strip()
    if is_zig or not Path(runtime).is_file():
        pytest.skip("this compiler has no libasan")
    return Path(runtime)


def build_with_sanitizers(target: Path, units: Sequence[Path] = build.SOURCES, checks: Sequence[str] = ()) -> Path:
    """The native kernels with AddressSanitizer and UBSan (and more ``checks``); skips where there is no libasan.

    Casts to integers of what is not a number are checked with 'float-cast-overflow': places are bounded before.
    Returns the sanitizers' runtime, for ``run_hostile``.
    """
    runtime = sanitizer_runtime()
    command, _ = build.compiler()
    flags = ["-O1", "-g", "-std=c++17", "-fPIC", "-shared", "-ffp-contract=off", "-fno-sanitize-recover=all"]
    sanitizers = "-fsanitize=" + ",".join(("address", "undefined", *checks))
    subprocess.run([*command, *flags, sanitizers, *map(str, units), "-o", str(target)], check=True)
    return runtime


def run_hostile(script: str, target: Path, runtime: Path | None = None) -> None:
    """Run a script in a process of its own with the library as its argument; it must end by printing 'clean'."""
    environment = dict(os.environ)
    if runtime is not None:
        environment |= {"LD_PRELOAD": str(runtime), "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(target)], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "clean"
