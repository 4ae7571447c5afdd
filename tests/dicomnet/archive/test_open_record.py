"""What a viewer needs, without a DICOM parser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.pixels.utils import pack_bits
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid

from dicomnet.archive import open_record as module
from dicomnet.archive.header import read_header
from dicomnet.archive.ingest import Ingest
from dicomnet.archive.lut import expand_segments
from dicomnet.archive.objects import LocalObjects
from dicomnet.archive.open_record import (
    OpenRecord,
    decode,
    display_order,
    encode,
    frame_spec,
    load_instance,
    load_series,
    read_frame_bytes,
)
from dicomnet.archive.record_builder import build_record
from dicomnet.database import Database
from dicomnet.keyring import Keyring
from tests.support.dicom_files import as_bytes, make_ct, packaged_files


def record_of(ds: FileDataset) -> OpenRecord:
    return build_record(read_header(as_bytes(ds)), ds.SOPClassUID, ds.SOPInstanceUID)


def stored(tmp_path: Path, ds: FileDataset) -> tuple[LocalObjects, OpenRecord]:
    objects = LocalObjects(tmp_path)
    objects.put_bytes("x", as_bytes(ds))
    return objects, decode(encode(record_of(ds)), object_key="x")


def test_a_record_survives_its_encoding_and_is_small() -> None:
    for path in packaged_files():
        try:
            data = path.read_bytes()
            record = build_record(read_header(data), "1.2", "1.3")
        except Exception as error:
            assert str(getattr(error, "code", "")).startswith("ingest."), path.name
            continue
        assert decode(encode(record)) == record, path.name
    assert len(encode(record_of(make_ct()))) < 700


async def test_opening_a_series_is_one_query_and_parses_no_dicom(
    database: Database, institution: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = LocalObjects(tmp_path / "blobs")
    ingest = Ingest(database, objects, Keyring.load_or_create(tmp_path / "key"), min_free_bytes=0)
    study, series = generate_uid(), generate_uid()
    for number, z in ((1, 9.0), (2, 6.0), (3, 3.0), (4, 0.0)):
        ds = make_ct(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=number)
        ds.ImagePositionPatient = [0, 0, z]
        ds.PixelData = np.full(64, number, "<u2").tobytes()
        result = await ingest.store(as_bytes(ds), institution_id=institution, source="test")
    ingest.close()

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a viewer parses no DICOM")

    monkeypatch.setattr(pydicom, "dcmread", refuse)
    monkeypatch.setattr("pydicom.filereader.dcmread", refuse)
    monkeypatch.setattr("dicomnet.archive.header.read_header", refuse)
    queries: list[str] = []
    fetch = database.fetch

    async def counted(institution_id: int | None, sql: str, *arguments: Any) -> Any:
        queries.append(sql)
        return await fetch(institution_id, sql, *arguments)

    monkeypatch.setattr(database, "fetch", counted)
    records = await load_series(database, institution, result.series_key)
    assert len(queries) == 1
    assert [record.instance_number for record in records] == [1, 2, 3, 4]
    assert [read_frame_bytes(objects, record, 0)[0] for record in records] == [1, 2, 3, 4]
    assert records[0].frame_trial == "pending"
    assert records[0].frame_faults == {}
    one = await load_instance(database, institution, result.instance_key)
    assert one == records[3]
    assert await load_instance(database, institution, 10_000) is None


def plane(number: int, z: float | None, orientation: tuple[float, ...] = (1, 0, 0, 0, 1, 0)) -> OpenRecord:
    return OpenRecord(
        "1.2",
        "1.3",
        "1.4",
        instance_number=number,
        instance_key=number,
        image_position_patient=None if z is None else (0.0, 0.0, z),
        image_orientation_patient=orientation,
    )


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([plane(2, 0.0), plane(1, 5.0), plane(3, 10.0)], [2, 1, 3]),  # by place, in the sense that numbers grow
        ([plane(1, 10.0), plane(2, 5.0), plane(3, 0.0)], [1, 2, 3]),
        ([plane(1, 0.0), plane(2, 0.0), plane(3, 5.0), plane(4, 5.0)], [1, 2, 3, 4]),  # repeated places: by number
        ([plane(3, 0.0), plane(1, None), plane(2, 9.0)], [1, 2, 3]),
        ([plane(2, 0.0), plane(1, 4.0, (0, 1, 0, 0, 0, -1))], [1, 2]),  # not parallel
    ],
)
def test_display_order(records: list[OpenRecord], expected: list[int]) -> None:
    assert [record.instance_number for record in display_order(records)] == expected


def test_native_frames_are_found_by_arithmetic(tmp_path: Path) -> None:
    pixels = np.arange(3 * 5 * 7, dtype=np.uint8)  # an odd number of bytes a frame
    ds = make_ct(Rows=5, Columns=7, NumberOfFrames=3, BitsAllocated=8, BitsStored=8, HighBit=7)
    ds.PixelData = pixels.tobytes() + b"\0"
    objects, record = stored(tmp_path, ds)
    assert record.frames == ()
    for index in range(3):
        assert read_frame_bytes(objects, record, index) == pixels[35 * index : 35 * (index + 1)].tobytes()
    with pytest.raises(IndexError):
        read_frame_bytes(objects, record, 3)


def test_one_bit_frames_begin_at_the_lowest_bit(tmp_path: Path) -> None:
    frames = np.random.default_rng(1).integers(0, 2, (4, 3, 5), dtype=np.uint8)  # 15 bits a frame
    ds = make_ct(Rows=3, Columns=5, NumberOfFrames=4, BitsAllocated=1, BitsStored=1, HighBit=0)
    ds.PixelData = pack_bits(frames)
    objects, record = stored(tmp_path, ds)
    for index in range(4):
        bits = np.unpackbits(np.frombuffer(read_frame_bytes(objects, record, index), np.uint8), bitorder="little")
        assert np.array_equal(bits[:15].reshape(3, 5), frames[index])


def test_frames_of_a_deflated_data_set_come_inflated(tmp_path: Path) -> None:
    ds = make_ct()
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    objects, record = stored(tmp_path, ds)
    assert record.deflated
    assert read_frame_bytes(objects, record, 0) == ds.PixelData
    assert frame_spec(record).transfer_syntax_uid == "1.2.840.10008.1.2.1"


def test_the_gray_scale_chain_is_kept() -> None:
    ds = make_ct(PixelRepresentation=1, WindowCenter=[40, -600], WindowWidth=[400, 1500])
    ds.WindowCenterWidthExplanation = ["软组织", "肺"]
    ds.VOILUTFunction = "SIGMOID"
    ds.PixelPaddingValue = -2000
    item = Dataset()
    item.LUTDescriptor = [4, 0, 16]
    item.LUTData = np.array([0, 100, 200, 65535], "<u2").tobytes()
    ds.VOILUTSequence = [item]
    record = record_of(ds)
    assert record.voi_windows == ((40.0, 400.0, "软组织"), (-600.0, 1500.0, "肺"))
    assert (record.rescale_slope, record.rescale_intercept) == (1.0, -1024.0)
    assert record.voi_lut_function == "SIGMOID"
    assert record.pixel_padding_value == -2000
    assert record.voi_luts[0].values.tolist() == [0, 100, 200, 65535]


def test_functional_groups_are_merged_for_each_frame() -> None:
    def item(**values: Any) -> Dataset:
        ds = Dataset()
        for keyword, value in values.items():
            setattr(ds, keyword, value)
        return ds

    ds = make_ct(NumberOfFrames=2, ImagePositionPatient=None, ImageOrientationPatient=None, PixelSpacing=None)
    ds.PixelData = bytes(256)
    ds.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.25], SliceThickness=2)],
        )
    ]
    ds.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, 3.0 * number])],
            PixelValueTransformationSequence=[item(RescaleIntercept=-number, RescaleSlope=2, RescaleType="US")],
            FrameVOILUTSequence=[item(WindowCenter=number, WindowWidth=10)],
        )
        for number in (1, 2)
    ]
    record = decode(encode(record_of(ds)))
    assert record.per_frame is not None
    assert [frame.image_position_patient for frame in record.per_frame] == [(0.0, 0.0, 3.0), (0.0, 0.0, 6.0)]
    assert {frame.pixel_spacing_mm for frame in record.per_frame} == {(0.5, 0.25)}
    assert [frame.rescale_intercept for frame in record.per_frame] == [-1.0, -2.0]
    assert [frame.voi_windows for frame in record.per_frame] == [((1.0, 10.0, ""),), ((2.0, 10.0, ""),)]
    assert record.sort_position_mm == 3.0


def test_segmented_palettes_are_expanded_as_pydicom_expands_them() -> None:
    from pydicom.pixels.processing import _expand_segmented_lut

    words = (0, 3, 10, 20, 30, 1, 5, 100, 0, 2, 7, 8, 1, 4, 0)
    expected = _expand_segmented_lut(words, "<H")
    raw = np.array(words, "<u2").tobytes()
    data = expand_segments(raw, len(expected), 16, little=True)
    assert data is not None
    assert np.frombuffer(data, "<u2").tolist() == list(expected)


def test_a_malformed_segmented_palette_gives_none() -> None:
    for words in ((5, 5, 5), (1, 5, 3), (2, 1, 0, 0)):
        assert expand_segments(np.array(words, "<u2").tobytes(), 64, 16, little=True) is None


def test_the_module_opens_records_without_a_decoder() -> None:
    assert "imagecodecs" not in vars(module)
