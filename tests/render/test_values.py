"""Values on their way to a client: bytes, hash, lossless codestreams and where their resolutions end."""

from __future__ import annotations

import gzip
from hashlib import sha256
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray

from render import values as module
from render.values import (
    UnequalCodestreamError,
    UnsupportedValuesError,
    can_code,
    decodes_to,
    deflated,
    dtype_code,
    encode_htj2k,
    fingerprint,
    packed,
    resolution_ends,
)


def noise(dtype: str, *shape: int) -> NDArray[Any]:
    kind = np.dtype(dtype)
    rng = np.random.default_rng(3)
    if kind.kind == "f":
        return rng.normal(size=shape).astype(kind)
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, shape, kind, endpoint=True)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_bytes_are_the_arrays_own_in_little_endian(dtype: str) -> None:
    values = noise(dtype, 5, 7)
    swapped = values.astype(values.dtype.newbyteorder(">"))
    turned = np.asfortranarray(values)
    for given in (values, swapped, turned):
        assert packed(given) == values.tobytes()
        assert fingerprint(given) == sha256(values.tobytes()).hexdigest()
    assert dtype_code(swapped) == {"f": "f", "i": "i", "u": "u"}[dtype[0]] + str(8 * int(dtype[1]))
    assert gzip.decompress(deflated(packed(values))) == values.tobytes()


def test_types_that_no_typed_array_holds_are_refused() -> None:
    for dtype in ("u8", "c8"):
        with pytest.raises(UnsupportedValuesError):
            packed(np.zeros((2, 2), dtype))


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (257, 3), (64, 80), (33, 35, 3)])
def test_codestreams_decode_to_the_same_values(dtype: str, shape: tuple[int, ...]) -> None:
    values = noise(dtype, *shape)
    assert can_code(values)
    coded = encode_htj2k(values)
    assert decodes_to(coded.data, values)
    assert not decodes_to(coded.data, values + 1)
    if coded.ends:
        assert coded.ends == tuple(sorted(coded.ends))
        assert coded.ends[-1] in (len(coded.data), len(coded.data) - 2)  # the end marker may stand behind


def test_other_types_and_samples_are_not_coded() -> None:
    assert not any(can_code(noise(dtype, 4, 4)) for dtype in ("i1", "u4", "i4", "f4", "f8"))
    assert not can_code(noise("u1", 4, 4, 4))


def test_a_codestream_that_differs_is_never_given(monkeypatch: pytest.MonkeyPatch) -> None:
    encode = imagecodecs.htj2k_encode
    monkeypatch.setattr(module.imagecodecs, "htj2k_encode", lambda data, **options: encode(data ^ 1, **options))
    with pytest.raises(UnequalCodestreamError):
        encode_htj2k(noise("u2", 16, 16))


def test_the_head_of_a_codestream_is_a_smaller_picture() -> None:
    ramp = (np.add.outer(np.arange(256), np.arange(256)) * 7).astype(np.uint16)
    coded = encode_htj2k(ramp)
    assert len(coded.ends) == 6
    whole = np.asarray(imagecodecs.htj2k_decode(coded.data, skipres=3))
    assert whole.shape == (32, 32)
    assert resolution_ends(coded.data) == coded.ends
    assert resolution_ends(bytes(imagecodecs.htj2k_encode(ramp, reversible=True))) == ()
