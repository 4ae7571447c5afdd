"""The header scanner beside pydicom on the same bytes, and on bytes that nobody should send."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.errors import InvalidDicomError

from dicomnet.archive.errors import IngestError
from dicomnet.archive.frames import PixelShape, lay_out_frames
from dicomnet.archive.header import file_meta, inflate, read_header
from dicomnet.archive.index import read_entry, read_identity
from dicomnet.archive.record_builder import build_record
from tests.support.dicom_files import as_bytes, make_ct, packaged_files

_DIFFERENT = {0xFFFEE0DD, 0xFFFEE00D}  # pydicom keeps stray delimiters as elements


@pytest.mark.filterwarnings("ignore")
def test_the_same_elements_as_pydicom_in_every_packaged_file() -> None:
    compared = 0
    for path in packaged_files():
        data = path.read_bytes()
        try:
            header = read_header(data)
            ds = pydicom.dcmread(io.BytesIO(data), force=True)
        except (IngestError, OSError, EOFError, ValueError, InvalidDicomError):
            continue
        expected = {int(tag) for tag in ds.keys()} - _DIFFERENT  # noqa: SIM118  # reads no value
        assert set(header.dataset.elements) - _DIFFERENT == expected, path.name
        if path.name == "badVR.dcm":
            continue  # pydicom cannot convert its values
        for tag in (0x00080018, 0x0020000D, 0x00080060, 0x00100020):
            if tag in ds and isinstance(ds[tag].value, str):
                assert header.dataset.text(tag) == str(ds[tag].value).strip(), path.name
        for tag in (0x00280010, 0x00280011, 0x00280100, 0x00280008):
            if tag in ds and ds[tag].value not in (None, ""):
                assert header.dataset.integer(tag) == int(ds[tag].value), path.name
        compared += 1
    assert compared > 40


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused_with_a_code(data: bytes) -> None:
    for prefix in (b"", bytes(128) + b"DICM", as_bytes_cache()[:200]):
        outcome = understand(prefix + data)
        assert outcome == "read" or outcome.startswith("ingest.")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_file_with_any_bytes_changed_is_read_or_refused_with_a_code(data: st.DataObject) -> None:
    changed = bytearray(as_bytes_cache())
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    outcome = understand(bytes(changed))
    assert outcome == "read" or outcome.startswith("ingest.")


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2000))
def test_a_file_cut_anywhere_is_read_or_refused_with_a_code(length: int) -> None:
    outcome = understand(as_bytes_cache()[:length])
    assert outcome == "read" or outcome.startswith("ingest.")


_CACHE: list[bytes] = []


def as_bytes_cache() -> bytes:
    if not _CACHE:
        ds = make_ct()
        ds.ReferencedImageSequence = [make_ct(PixelData=None), make_ct(PixelData=None)]
        _CACHE.append(as_bytes(ds))
    return _CACHE[0]


def understand(data: bytes) -> str:
    """``read``, or the stable code of the refusal; any other exception fails the test."""
    try:
        header = read_header(data)
        identity = read_identity(header, bytes(32))
        read_entry(header, identity, build_record(header, identity.sop_class_uid, identity.sop_instance_uid))
    except IngestError as error:
        return error.code
    return "read"


def test_an_explicit_file_that_says_it_is_implicit_is_read_as_it_is() -> None:
    data = as_bytes(make_ct())
    offset = 144 + struct.unpack_from("<I", data, 140)[0]
    lying = (
        file_meta(sop_class_uid="1.2", sop_instance_uid="1.3", transfer_syntax_uid="1.2.840.10008.1.2") + data[offset:]
    )
    assert read_header(lying).dataset.integer(0x00280010) == 8


def test_inflation_is_bounded() -> None:
    import zlib

    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = engine.compress(bytes(1 << 22)) + engine.flush()
    with pytest.raises(IngestError) as caught:
        inflate(bomb, 0, limit=1 << 16)
    assert caught.value.code == "ingest.too_large"


def encapsulated(fragments: list[bytes], table: bytes = b"") -> bytes:
    items = b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<I", len(item)) + item for item in [table, *fragments])
    value = items + b"\xfe\xff\xdd\xe0\0\0\0\0"
    element = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + value
    meta = file_meta(sop_class_uid="1.2", sop_instance_uid="1.3", transfer_syntax_uid="1.2.840.10008.1.2.4.50")
    return meta + b"\x08\x00\x18\x00UI\x04\x001.3\0" + element


SHAPE = PixelShape(4, 4, 1, 8, "MONOCHROME2")
START = b"\xff\xd8\xff\xe0"


def contents(data: bytes, count: int, extra: bytes = b"") -> list[bytes]:
    if extra:
        position = data.index(b"\xe0\x7f\x10\x00OB")
        data = data[:position] + extra + data[position:]
    layout = lay_out_frames(read_header(data), SHAPE, count)
    return [b"".join(data[offset : offset + length] for offset, length in frame) for frame in layout.frames]


def test_one_fragment_a_frame_needs_no_table() -> None:
    assert contents(encapsulated([b"aa", b"bbbb", b"cc"]), 3) == [b"aa", b"bbbb", b"cc"]


def test_one_frame_takes_all_fragments() -> None:
    assert contents(encapsulated([b"aa", b"bbbb", b"cc"]), 1) == [b"aabbbbcc"]


def test_a_basic_offset_table_groups_fragments() -> None:
    table = struct.pack("<II", 0, 8 + 4 + 8 + 2)
    assert contents(encapsulated([b"aaaa", b"bb", b"cc"], table), 2) == [b"aaaabb", b"cc"]


def test_a_wrong_offset_table_is_not_believed() -> None:
    table = struct.pack("<II", 0, 7)
    fragments = [START + b"aa", b"bb", START + b"cc"]
    assert contents(encapsulated(fragments, table), 2) == [START + b"aabb", START + b"cc"]


def test_without_a_table_codestream_starts_count() -> None:
    fragments = [START + b"aa", b"bb", b"cc", START + b"dd"]
    assert contents(encapsulated(fragments), 2) == [START + b"aabbcc", START + b"dd"]


def test_an_extended_offset_table_gives_exact_lengths() -> None:
    offsets, lengths = struct.pack("<QQ", 0, 8 + 4), struct.pack("<QQ", 3, 2)
    extra = b"\xe0\x7f\x01\x00OV\0\0" + struct.pack("<I", 16) + offsets
    extra += b"\xe0\x7f\x02\x00OV\0\0" + struct.pack("<I", 16) + lengths
    assert contents(encapsulated([b"aaa\0", b"bb"]), 2, extra) == [b"aaa", b"bb"]


def test_frames_that_the_file_does_not_hold_are_empty() -> None:
    assert contents(encapsulated([b"aa", b"bb"]), 4) == [b"aa", b"bb", b"", b""]


def test_packaged_multi_frame_files_give_pydicoms_frames() -> None:
    from pydicom.encaps import get_frame

    compared = 0
    for path in packaged_files():
        try:
            ds = pydicom.dcmread(path)
            if "PixelData" not in ds or not ds["PixelData"].is_undefined_length:
                continue
            data = Path(path).read_bytes()
            header = read_header(data)
            record = build_record(header, "1", "2")
        except (IngestError, OSError, EOFError, ValueError, InvalidDicomError):
            continue
        for index in range(record.number_of_frames):
            mine = b"".join(data[offset : offset + length] for offset, length in record.fragments(index))
            assert mine == get_frame(ds.PixelData, index, number_of_frames=record.number_of_frames), path.name
            compared += 1
    assert compared > 5
