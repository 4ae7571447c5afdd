"""What a benchmark may need of the machine, each with the reason when it is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from benchmarks.harness import Need

PLUGIN_FOLDERS = (Path("/usr/share/orthanc/plugins"), Path("/usr/lib/orthanc/plugins"))
OHIF_FOLDER = "CLOUDFILM_OHIF_DIST"


def find_program(*names: str) -> str:
    """The first of these programs that is installed, also in sbin; empty when none is.

    Not those of Python's own environment: pynetdicom installs a storescp that is not DCMTK's.
    """
    own = str(Path(sys.executable).parent)
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if folder != own]
    path = os.pathsep.join([*folders, "/usr/sbin", "/sbin"])
    return next((found for name in names if (found := shutil.which(name, path=path))), "")


def orthanc_plugin(name: str) -> Path | None:
    """The file of an Orthanc plug-in."""
    return next((folder / name for folder in PLUGIN_FOLDERS if (folder / name).is_file()), None)


def _program(*names: str) -> str:
    return "" if find_program(*names) else f"{names[0]} is not installed"


@lru_cache(maxsize=1)
def _namespaces() -> str:
    if not find_program("ip"):
        return "ip (iproute2) is not installed"
    if not Path("/dev/net/tun").exists():
        return "no /dev/net/tun"
    name = f"cfprobe{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        return "network namespaces cannot be made here (needs root)"
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return ""


def _orthanc() -> str:
    if not find_program("Orthanc"):
        return "Orthanc is not installed"
    missing = [
        p for p in ("libOrthancDicomWeb.so", "libOrthancGdcm.so", "libOrthancWebViewer.so") if not orthanc_plugin(p)
    ]
    return f"Orthanc lacks {', '.join(missing)}" if missing else ""


def ohif_folder() -> Path | None:
    """The built OHIF viewer: ``dist`` of the npm package @ohif/app@3.13.2, named by CLOUDFILM_OHIF_DIST."""
    folder = os.environ.get(OHIF_FOLDER, "")
    return Path(folder) if folder and (Path(folder) / "index.html").is_file() else None


def chromium() -> str:
    """Chromium's program."""
    return find_program("chromium", "chromium-browser", "google-chrome")


ORTHANC = Need("Orthanc", _orthanc)
DCMTK = Need("DCMTK", lambda: _program("dcmsend") or _program("storescp"))
CHROMIUM = Need("Chromium", lambda: "" if chromium() else "Chromium is not installed")
NAMESPACES = Need("network namespaces", _namespaces)
