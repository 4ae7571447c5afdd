"""What the codec refuses, with which code, before it allocates or shows something wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from render import codec
from render.codec import FrameSpec, decode_frame, register_plugins
from render.errors import CodecError, FrameTooLargeError, TruncatedFrameError, UnsupportedSyntaxError

_JPEG, _JPEG_LOSSLESS, _JPEG_LS = (f"1.2.840.10008.1.2.4.{n}" for n in ("50", "70", "80"))
_J2K, _HTJ2K, _RLE = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.5"
_EXPLICIT, _BIG, _DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.8.1"


def gray(seed: int = 1) -> NDArray[np.uint16]:
    """A (48, 64) image of 12 bits that compresses a little."""
    y, x = np.mgrid[0:48, 0:64]
    noise = np.random.default_rng(seed).normal(0, 20, (48, 64))
    return np.clip(2000 + 900 * np.sin(x / 9) + 400 * np.cos(y / 7) + noise, 0, 4095).astype(np.uint16)


def spec(uid: str, **changes: object) -> FrameSpec:
    """A spec that fits ``gray``."""
    return dataclasses.replace(FrameSpec(uid, 48, 64, bits_stored=12, high_bit=11), **changes)  # pyright: ignore[reportArgumentType]


def _frames() -> dict[str, tuple[bytes, FrameSpec, NDArray[Any]]]:
    image = gray()
    eight = (image >> 4).astype(np.uint8)
    bits8 = {"bits_allocated": 8, "bits_stored": 8, "high_bit": 7}
    return {
        "jpeg": (simplejpeg.encode_jpeg(eight[:, :, None], 90, "GRAY"), spec(_JPEG, **bits8), eight),
        "jpeg-lossless": (bytes(imagecodecs.ljpeg_encode(image, bitspersample=12)), spec(_JPEG_LOSSLESS), image),
        "jpeg-ls": (bytes(imagecodecs.jpegls_encode(image)), spec(_JPEG_LS), image),
        "j2k": (bytes(imagecodecs.jpeg2k_encode(image, codecformat="J2K", reversible=True)), spec(_J2K), image),
        "htj2k": (bytes(imagecodecs.htj2k_encode(image, reversible=True)), spec(_HTJ2K), image),
        "native": (image.tobytes(), spec(_EXPLICIT), image),
    }


FRAMES = _frames()


@pytest.mark.parametrize("kind", FRAMES)
def test_whole_frames_come_back(kind: str) -> None:
    data, frame_spec, image = FRAMES[kind]
    values = decode_frame(data, frame_spec).values
    assert np.abs(values.astype(int) - image).max() <= (12 if kind == "jpeg" else 0)


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.98])
def test_frames_cut_short_are_refused(kind: str, part: float) -> None:
    data, frame_spec, _ = FRAMES[kind]
    with pytest.raises(CodecError) as caught:
        decode_frame(data[: int(len(data) * part)], frame_spec)
    assert caught.value.code in {"codec.truncated", "codec.failed"}


def test_a_jpeg_that_lacks_only_its_end_marker_is_shown() -> None:
    data, frame_spec, image = FRAMES["jpeg"]
    assert data.endswith(b"\xff\xd9")
    assert np.abs(decode_frame(data[:-2], frame_spec).values.astype(int) - image).max() <= 12


@pytest.mark.parametrize("kind", ["jpeg", "jpeg-lossless", "jpeg-ls", "j2k", "htj2k"])
def test_a_codestream_of_another_size_is_refused(kind: str) -> None:
    data, frame_spec, _ = FRAMES[kind]
    with pytest.raises(CodecError) as caught:
        decode_frame(data, dataclasses.replace(frame_spec, rows=frame_spec.rows + 1))
    assert "64 x 48" in caught.value.data["what"]


@pytest.mark.parametrize("kind", ["jpeg", "j2k", "htj2k"])
def test_a_codestream_that_claims_gigapixels_is_refused_before_decoding(kind: str) -> None:
    data, frame_spec, _ = FRAMES[kind]
    huge = bytearray(data)
    if kind == "jpeg":
        at = data.index(b"\xff\xc0") + 5
        huge[at : at + 4] = b"\xff\xff\xff\xff"
    else:
        at = data.index(b"\xff\x4f\xff\x51") + 8
        huge[at : at + 8] = b"\x00\x10\x00\x00" * 2
    with pytest.raises(FrameTooLargeError):
        decode_frame(bytes(huge), frame_spec)


def test_a_header_that_claims_gigapixels_is_refused() -> None:
    with pytest.raises(FrameTooLargeError):
        decode_frame(b"x", spec(_EXPLICIT, rows=65535, columns=65535))


def test_an_unknown_syntax_and_an_empty_frame_have_their_codes() -> None:
    with pytest.raises(UnsupportedSyntaxError) as unknown:
        decode_frame(b"x", spec("1.2.3"))
    assert unknown.value.code == "codec.unsupported"
    with pytest.raises(TruncatedFrameError):
        decode_frame(b"", spec(_EXPLICIT))


def test_every_decoder_that_failed_is_named() -> None:
    with pytest.raises(CodecError) as caught:
        decode_frame(bytes(200), spec(_JPEG_LOSSLESS))
    assert [name for name, _ in caught.value.failures] == ["ljpeg", "libjpeg-turbo"]
    assert caught.value.code == "codec.failed"


def test_a_deflate_bomb_is_cut_off() -> None:
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = bomb.compress(bytes(1 << 24)) + bomb.flush()
    assert decode_frame(data, spec(_DEFLATED)).values.shape == (48, 64)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["jpeg", "jpeg-ls", "j2k", "htj2k"]), st.data())
def test_damaged_frames_decode_or_are_refused(kind: str, draw: st.DataObject) -> None:
    """A changed byte never gives another shape nor another error."""
    data, frame_spec, _ = FRAMES[kind]
    damaged = bytearray(data)
    damaged[draw.draw(st.integers(0, len(data) - 1))] ^= draw.draw(st.integers(1, 255))
    with contextlib.suppress(CodecError):
        assert decode_frame(bytes(damaged), frame_spec).values.shape == (48, 64)


# Stored values ------------------------------------------------------------------------------------------------


def test_overlay_bits_above_the_stored_ones_are_cut_off() -> None:
    image = gray()
    assert np.array_equal(decode_frame((image | 0xF000).tobytes(), spec(_EXPLICIT)).values, image)


def test_high_bit_shifts_and_the_sign_extends() -> None:
    signed = gray().astype(np.int16) - 2048
    shifted = ((signed.astype(np.uint16) & 0xFFF) << 4).tobytes()
    values = decode_frame(shifted, spec(_EXPLICIT, high_bit=15, pixel_representation=1)).values
    assert values.dtype == np.int16
    assert np.array_equal(values, signed)


@pytest.mark.parametrize(("kind", "bits"), [("float32", 32), ("float64", 64)])
@pytest.mark.parametrize("uid", [_EXPLICIT, _BIG])
def test_float_pixels_come_in_either_byte_order(kind: str, bits: int, uid: str) -> None:
    image = np.linspace(-1e3, 1e3, 48 * 64).reshape(48, 64).astype(kind)
    data = image.astype(image.dtype.newbyteorder(">" if uid == _BIG else "<")).tobytes()
    assert np.array_equal(decode_frame(data, spec(uid, float_kind=kind, bits_allocated=bits)).values, image)


def test_one_bit_pixels_are_lowest_bit_first() -> None:
    image = (gray() > 2000).astype(np.uint8)
    data = np.packbits(image, bitorder="little").tobytes()
    assert np.array_equal(
        decode_frame(data, spec(_EXPLICIT, bits_allocated=1, bits_stored=1, high_bit=0)).values, image
    )


def test_bytes_in_big_endian_words_are_exchanged() -> None:
    image = (gray() >> 4).astype(np.uint8)
    data = image.reshape(-1, 2)[:, ::-1].tobytes()
    eight = spec(_BIG, bits_allocated=8, bits_stored=8, high_bit=7, swapped_words=True)
    assert np.array_equal(decode_frame(data, eight).values, image)


# Colour -------------------------------------------------------------------------------------------------------


def _colour_spec(uid: str, photometric: str, planar: int = 0) -> FrameSpec:
    return FrameSpec(uid, 48, 64, 3, 8, 8, 7, 0, planar, photometric)


@pytest.mark.parametrize("planar", [0, 1])
def test_colour_by_plane_and_by_pixel(planar: int) -> None:
    rgb = np.random.default_rng(2).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    data = (np.moveaxis(rgb, -1, 0) if planar else rgb).tobytes()
    decoded = decode_frame(data, _colour_spec(_EXPLICIT, "RGB", planar))
    assert np.array_equal(decoded.values, rgb)
    assert decoded.photometric_interpretation == "RGB"


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_FULL", "RGB"])
def test_jpeg_colour_is_converted_once(photometric: str) -> None:
    """With JFIF the bytes are YCbCr whatever the header calls them; red stays red."""
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[..., 0] = 200
    data = simplejpeg.encode_jpeg(rgb, 95, "RGB", "444")
    decoded = decode_frame(data, _colour_spec(_JPEG, photometric))
    assert decoded.photometric_interpretation == "RGB"
    assert np.abs(decoded.values[10, 10].astype(int) - (200, 0, 0)).max() <= 3


@pytest.mark.parametrize(("uid", "photometric"), [(_J2K, "YBR_RCT"), (_J2K, "RGB"), (_HTJ2K, "YBR_RCT")])
def test_a_component_transform_is_undone_by_the_decoder_alone(uid: str, photometric: str) -> None:
    rgb = np.random.default_rng(4).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    encoded = (
        imagecodecs.jpeg2k_encode(rgb, codecformat="J2K", reversible=True)
        if uid == _J2K
        else imagecodecs.htj2k_encode(rgb, reversible=True)
    )
    assert np.array_equal(decode_frame(bytes(encoded), _colour_spec(uid, photometric)).values, rgb)


# Plug-ins -----------------------------------------------------------------------------------------------------


def plugin() -> dict[str, codec.Decoder]:
    """What a plug-in module offers."""
    return {_EXPLICIT: lambda data, frame_spec: (np.full(frame_spec.shape, 9, np.uint16), "MONOCHROME2")}


def test_plugins_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_plugins", {})
    register_plugins(f"{__name__}:plugin")
    decoded = decode_frame(b"anything", spec(_EXPLICIT))
    assert decoded.decoder == f"{__name__}:plugin"
    assert (decoded.values == 9).all()
    assert codec.plugin_syntaxes() == {_EXPLICIT}
