"""Other builds of the kernels' sources: as CUDA by NVRTC, and for the host under sanitizers. One place for all units."""

from __future__ import annotations

import atexit
import ctypes
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
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


@lru_cache(maxsize=1)
def kernels_with_sanitizers() -> tuple[Path, Path]:
    """(all native kernels with AddressSanitizer and UBSan, the sanitizers' runtime): arguments of ``run_hostile``.

    Built once in a run, with this processor's vectors; skips where there is no libasan. Casts to integers of what is
    not a number are checked too ('float-cast-overflow'): places are bounded before.
    """
    runtime = sanitizer_runtime()
    folder = Path(tempfile.mkdtemp(prefix="kernels-asan-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command, _ = build.compiler()
    checks = "-fsanitize=address,undefined,float-cast-overflow"
    flags = ["-O1", "-g", "-std=c++17", "-fPIC", "-ffp-contract=off", "-fno-sanitize-recover=all", checks]
    flags += ["-march=native", "-pthread"]

    def compiled(unit: Path) -> str:
        target = folder / f"{unit.stem}.o"
        subprocess.run([*command, *flags, "-c", str(unit), "-o", str(target)], check=True)
        return str(target)

    with ThreadPoolExecutor(2) as pool:
        units = list(pool.map(compiled, build.SOURCES))
    library = folder / "kernels-asan.so"
    subprocess.run([*command, *flags, "-shared", *units, "-o", str(library)], check=True)
    return library, runtime


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
