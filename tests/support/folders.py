"""Folders of pytest that another account can enter."""

from __future__ import annotations

from pathlib import Path


def open_to_all(folder: Path) -> Path:
    """The folder and pytest's own folders above it get mode 0755; returns it."""
    folder.chmod(0o755)
    for parent in folder.parents:
        if parent.name.startswith("pytest-"):
            parent.chmod(0o755)
    return folder
