"""What a process uses: its device and the CPU behind it, or the CPU alone."""

from __future__ import annotations

from typing import Any

import pytest

from render.backend import NativeBackend
from render.cuda import choice
from render.cuda.device import Device
from render.fallback import GuardedBackend, GuardedSlabs
from render.native.slab import NativeSlabs
from tests.support.cuda_stand_in import StandInCupy


def test_without_a_device_all_is_native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "shared", lambda: None)
    backend, slabs = NativeBackend(1), NativeSlabs(1)
    assert choice.guarded_backend(backend) is backend
    assert choice.guarded_slabs(slabs) is slabs
    assert choice.rays() is None
    assert (choice.usage().budget, choice.usage().used) == (0, 0)


def test_with_one_it_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(StandInCupy(total_bytes=1000))
    monkeypatch.setattr(choice, "shared", lambda: device)
    backend: Any = choice.guarded_backend(NativeBackend(1))
    slabs: Any = choice.guarded_slabs(NativeSlabs(1))
    rays = choice.rays()
    assert isinstance(backend, GuardedBackend) and isinstance(slabs, GuardedSlabs) and rays is not None
    assert {backend.name, slabs.name, rays.name} == {"cuda"}
    assert choice.usage().budget == 800
