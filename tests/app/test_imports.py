"""Heavy libraries stay out of ``import app`` and of the web role."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (
            "app, app.cli",
            {"vtkmodules", "cupy", "numpy", "starlette", "pydicom", "pynetdicom", "asyncpg", "argon2", "structlog"},
        ),
        ("app.main", {"vtkmodules", "cupy", "pynetdicom", "imagecodecs", "simplejpeg", "torch"}),
    ],
)
def test_what_is_not_loaded(modules: str, absent: set[str]) -> None:
    code = f"import sys, {modules}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & absent == set()
