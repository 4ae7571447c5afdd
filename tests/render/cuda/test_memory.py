"""What stays on the device: chunks through pinned memory, the budget, eviction, shortage."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from render.cuda.memory import DeviceMemory, Staging
from render.errors import DeviceMemoryError
from tests.support.cuda_stand_in import OutOfMemoryError, StandInCupy


class Owner:
    """Something that has arrays on the device."""


def bytes_of(value: int, size: int = 1000) -> Any:
    return np.full(size, value, np.uint8)


@pytest.mark.parametrize("size", [1, 63, 64, 65, 128, 1000])
def test_an_upload_goes_in_chunks_through_two_pinned_buffers(size: int) -> None:
    cupy = StandInCupy()
    host = np.arange(size, dtype=np.int16)
    array, ready = Staging(cupy, chunk_bytes=128).upload(host)
    assert [copy.nbytes for copy in cupy.copies] == [128] * (size // 64) + [size % 64 * 2] * (size % 64 > 0)
    assert all(copy.pinned and copy.stream != 0 for copy in cupy.copies)
    ready.synchronize()
    # The queue copies when it is waited for: a buffer that was filled too early would have other values by then.
    np.testing.assert_array_equal(array.get(), host)


def test_a_second_upload_uses_the_same_buffers_after_the_first() -> None:
    cupy = StandInCupy()
    staging = Staging(cupy, chunk_bytes=100)
    made = [staging.upload(bytes_of(value, 350)) for value in (3, 9)]
    for (array, ready), value in zip(made, (3, 9), strict=True):
        ready.synchronize()
        np.testing.assert_array_equal(array.get(), bytes_of(value, 350))


def test_the_stream_of_a_picture_waits_for_the_upload() -> None:
    cupy = StandInCupy()
    memory = DeviceMemory(cupy, 10_000)
    with cupy.cuda.Stream(non_blocking=True) as stream:
        array = memory.uploaded(Owner(), "values", bytes_of(7))
        np.testing.assert_array_equal(array.get(), bytes_of(7))
    upload = cupy.copies[0].stream
    assert (stream.number, upload) in cupy.waits


def test_what_is_there_is_not_uploaded_again_until_its_version_changes() -> None:
    cupy, owner = StandInCupy(), Owner()
    memory = DeviceMemory(cupy, 10_000)
    first = memory.uploaded(owner, "keep", bytes_of(1), "one cut")
    assert memory.uploaded(owner, "keep", bytes_of(1), "one cut") is first
    assert len(cupy.copies) == 1
    second = memory.uploaded(owner, "keep", bytes_of(2), "two cuts")
    np.testing.assert_array_equal(second.get(), bytes_of(2))
    assert memory.usage().used == 1000


def test_the_least_recently_used_owner_goes_first_and_one_in_use_stays() -> None:
    cupy = StandInCupy()
    memory = DeviceMemory(cupy, 2500)
    old, new, third = Owner(), Owner(), Owner()
    memory.uploaded(old, "values", bytes_of(1))
    memory.uploaded(new, "values", bytes_of(2))
    memory.uploaded(old, "values", bytes_of(1))  # used: now `new` is the least recent
    memory.uploaded(third, "values", bytes_of(3))
    assert memory.usage().evicted == 1
    copies = len(cupy.copies)
    memory.uploaded(old, "values", bytes_of(1))
    assert len(cupy.copies) == copies
    with memory.using(old, third):
        with pytest.raises(DeviceMemoryError) as short:
            memory.uploaded(new, "values", bytes_of(2))
        assert short.value.data["what"] == "budget"
    memory.uploaded(new, "values", bytes_of(2))
    assert memory.usage().used == 2000


def test_a_volume_beyond_the_budget_evicts_nothing() -> None:
    memory = DeviceMemory(StandInCupy(), 1500)
    held = Owner()
    memory.uploaded(held, "values", bytes_of(1))
    with pytest.raises(DeviceMemoryError):
        memory.uploaded(Owner(), "values", bytes_of(1, 2000))
    assert (memory.usage().used, memory.usage().evicted) == (1000, 0)


def test_a_collected_owner_gives_its_memory_back() -> None:
    cupy = StandInCupy()
    memory = DeviceMemory(cupy, 10_000)
    owner = Owner()
    memory.uploaded(owner, "values", bytes_of(1)).get()
    assert (memory.usage().used, memory.usage().owners) == (1000, 1)
    del owner
    gc.collect()
    assert (memory.usage().used, memory.usage().owners) == (0, 0)
    assert cupy.used_bytes == 0


def test_a_device_that_is_short_in_spite_of_the_budget_loses_what_is_idle_and_is_asked_once_more() -> None:
    cupy = StandInCupy(total_bytes=1500)
    memory = DeviceMemory(cupy, 10_000)  # somebody else's memory was free when the budget was set
    idle, wanted = Owner(), Owner()
    memory.uploaded(idle, "values", bytes_of(1)).get()
    np.testing.assert_array_equal(memory.uploaded(wanted, "values", bytes_of(2)).get(), bytes_of(2))
    assert cupy.freed_pools == 1
    with memory.using(wanted), pytest.raises(OutOfMemoryError):
        memory.uploaded(idle, "values", bytes_of(1))
    assert memory.usage().used == 1000
