"""The kernels that these tests run are built from the sources beside them."""

from __future__ import annotations

from render.native.build import build

build()
