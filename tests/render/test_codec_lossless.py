"""Every frame of pydicom's packaged files and of the test data: our values against pydicom's own decoders."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom.pixels.utils import pixel_array

from render.codec import decode_frame
from render.errors import CodecError
from tests.support.dicom_files import packaged_files
from tests.support.render_frames import decode, frame_bytes, frame_count, pixel_element, read_dataset, spec_of

# Syntaxes whose frames come back exactly; the others are lossy and two right decoders may differ by one level.
_LOSSY = {"50", "51", "53", "55", "81", "91", "203"}


def _tolerance(uid: str) -> int:
    return 1 if uid.removeprefix("1.2.840.10008.1.2.4.") in _LOSSY else 0


def _images() -> Iterator[Path]:
    for path in packaged_files():
        try:
            ds = read_dataset(path)
            frame_count(ds)
        except Exception:  # not a data set: nothing to compare
            continue
        if pixel_element(ds) and "Rows" in ds and "BitsAllocated" in ds:
            yield path


def _compare(path: Path) -> str:
    """'' when both agree or pydicom cannot read the file; else what differs."""
    ds = read_dataset(path)
    uid = str(ds.file_meta.TransferSyntaxUID)
    for index in sorted({0, frame_count(ds) - 1}):
        try:
            theirs = np.asarray(pixel_array(ds, index=index))
        except Exception:
            return ""
        ours = decode(ds, index).values
        if ours.shape != theirs.shape:
            return f"{path.name}: shape {ours.shape}, pydicom {theirs.shape}"
        difference = np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max()
        if not difference <= _tolerance(uid):
            return f"{path.name} ({uid}) frame {index}: differs by {difference}"
    return ""


def test_packaged_files_decode_as_pydicom_decodes_them() -> None:
    images = list(_images())
    assert len(images) > 30
    assert [problem for path in images if (problem := _compare(path))] == []


def test_test_data_decodes_as_pydicom_decodes_it(test_data: Path) -> None:
    with (test_data / "index.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["decode_check"].startswith("decoded")]
    assert rows
    assert [problem for row in rows if (problem := _compare(test_data / row["path"]))] == []


def test_retired_and_faulty_jpeg_decodes_as_its_sequential_twin(test_data: Path) -> None:
    """Processes 6-8 and 10-12, which pydicom refuses, and a wrong spectral selection."""
    folder = test_data / "transfer-syntax"
    twin = decode(read_dataset(folder / "CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm"))
    for path in [*folder.glob("*4.53.dcm"), *folder.glob("*4.55.dcm")]:
        decoded = decode(read_dataset(path))
        assert np.abs(decoded.values.astype(int) - twin.values).mean() < 3.0
    for name in ("xray/RG3_JPLY", "nm/NM1_JPLY"):
        assert decode(read_dataset(test_data / name)).values.max() > 200


@pytest.mark.parametrize("name", ["htj2k-codestreams/CT1.j2c"])
def test_a_bare_htj2k_codestream_equals_its_published_samples(test_data: Path, name: str) -> None:
    from render.codec import FrameSpec

    expected = np.fromfile(test_data / "htj2k-codestreams/CT1.RAW", "<i2").reshape(512, 512)
    spec = FrameSpec("1.2.840.10008.1.2.4.201", 512, 512, pixel_representation=1)
    data = (test_data / name).read_bytes()
    assert np.array_equal(decode_frame(data, spec).values, expected)
    half = decode_frame(data, spec, reduction=1).values
    assert half.shape == (256, 256)
    assert abs(float(half.mean()) - float(expected.mean())) < 10


def test_truncated_native_pixels_are_refused(test_data: Path) -> None:
    ds = read_dataset(test_data / "nasties/MR_truncated.dcm")
    with pytest.raises(CodecError) as caught:
        decode_frame(frame_bytes(ds, 0), spec_of(ds))
    assert caught.value.code == "codec.truncated"
