"""Builds the native kernels: the system's C++ compiler, else the one in the ``ziglang`` wheel. Standard library only.

``python -m render.native.build`` builds into ``render/native/lib``; the package's build hook calls ``build()``.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIBRARIES = HERE / "lib"
# Units of the one library: kernels.cpp (2-D), and one per kind of 3-D kernel.
SOURCES = tuple(sorted(HERE.glob("*.cpp")))
HEADERS = HERE.parent / "kernels"

# Name of the library -> (flag for GCC and Clang, CPU name for Zig).
_X86 = {"x86-64-v4": "x86_64_v4", "x86-64-v3": "x86_64_v3", "x86-64-v2": "x86_64_v2"}


class BuildError(Exception):
    """No compiler, or it failed; the text says what to do."""


def targets() -> dict[str, list[str]]:
    """Variants for this machine's architecture and their compiler flags."""
    machine = platform.machine().lower()
    if machine in {"x86_64", "amd64"}:
        return {name: [f"-march={name}"] for name in _X86}
    if machine in {"aarch64", "arm64"}:
        return {"aarch64": ["-march=armv8-a"]}
    return {machine: []}


def compiler() -> tuple[list[str], bool]:
    """(command, is Zig). Raises BuildError when there is none."""
    for name in (os.environ.get("CXX", ""), "c++", "g++", "clang++"):
        if name and shutil.which(name):
            return [name], False
    if importlib.util.find_spec("ziglang") is not None:
        # "cc": the kernels need no C++ library, and Zig would first compile its own for minutes.
        return [sys.executable, "-m", "ziglang", "cc", "-x", "c++"], True
    raise BuildError("no C++ compiler: install g++ or the Python package ziglang")


def _up_to_date(target: Path) -> bool:
    if not target.is_file():
        return False
    built = target.stat().st_mtime
    return all(path.stat().st_mtime <= built for path in [*SOURCES, *HERE.glob("*.h"), *HEADERS.glob("*.h")])


def build(folder: Path = LIBRARIES, *, force: bool = False, extra: tuple[str, ...] = ()) -> list[Path]:
    """Build every variant that is missing or older than its sources; returns the libraries. Raises BuildError."""
    folder.mkdir(parents=True, exist_ok=True)

    def built(name: str, flags: list[str]) -> Path:
        target = folder / f"kernels-{name}.so"
        if force or not _up_to_date(target):
            _compile(target, flags, extra)
        return target

    # A compiler is a process of its own: threads only wait for it.
    with ThreadPoolExecutor(max(1, min(4, os.cpu_count() or 1))) as pool:
        return list(pool.map(built, *zip(*targets().items(), strict=True)))


def _compile(target: Path, flags: list[str], extra: tuple[str, ...]) -> None:
    command, is_zig = compiler()
    if is_zig:
        flags = [f"-mcpu={_X86[f.removeprefix('-march=')]}" if f.removeprefix("-march=") in _X86 else f for f in flags]
        if platform.machine().lower() in {"aarch64", "arm64"}:
            flags = []
    temporary = target.with_suffix(f".{os.getpid()}.tmp.so")
    # No contraction: both backends and every variant give the same sums.
    options = [
        "-O3",
        "-std=c++17",
        "-fPIC",
        "-shared",
        "-pthread",
        "-ffp-contract=off",
        "-fno-math-errno",
        "-fno-exceptions",
        "-fno-rtti",
        "-Wall",
        "-Wextra",
    ]
    run = subprocess.run(
        [*command, *options, *flags, *extra, *map(str, SOURCES), "-o", str(temporary)], capture_output=True, text=True
    )
    if run.returncode != 0:
        raise BuildError(f"{' '.join(command)} failed:\n{run.stderr[-4000:]}")
    temporary.replace(target)


if __name__ == "__main__":
    for path in build(force="--force" in sys.argv):
        print(path)
