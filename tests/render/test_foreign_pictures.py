"""Our default picture of every decodable file of the test data against the picture of foreign programs."""

from __future__ import annotations

import csv
import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from render.engine import Engine
from render.request import LARGEST_SIDE, StackView
from tests.support.dicom_files import packaged_files
from tests.support.reference import foreign_picture, need_foreign_programs, ssim
from tests.support.render_frames import frame_of, pixel_element, read_dataset

LEAST_SSIM = 0.98


def _compare(engine: Engine, path: Path) -> str:
    """'' when the first frame is similar enough; else by how much it is not."""
    ds = read_dataset(path)
    frame = dataclasses.replace(frame_of(ds), pixel_aspect=1.0)
    rows, columns = frame.values.shape[:2]
    if max(rows, columns) > LARGEST_SIDE:
        return f"{path.name}: {columns} x {rows} is larger than a view"
    ours = engine.render_stack(frame, StackView(columns, rows)).pixels
    similarity = ssim(ours, foreign_picture(path))
    return "" if similarity >= LEAST_SSIM else f"{path.name}: SSIM {similarity:.4f}"


@pytest.mark.timeout(400)
def test_every_decoded_file_looks_as_foreign_programs_show_it(test_data: Path) -> None:
    need_foreign_programs()
    with (test_data / "index.csv").open(encoding="utf-8") as file:
        paths = [test_data / row["path"] for row in csv.DictReader(file) if row["decode_check"].startswith("decoded")]
    assert paths
    engine = Engine()
    with ThreadPoolExecutor(2) as pool:  # the foreign programs are processes of their own
        problems = [problem for problem in pool.map(lambda path: _compare(engine, path), paths) if problem]
    assert problems == []


def test_packaged_files_look_as_dcmtk_shows_them() -> None:
    need_foreign_programs()
    engine = Engine()
    names = ["CT_small.dcm", "MR_small.dcm", "examples_palette.dcm", "examples_rgb_color.dcm", "examples_overlay.dcm"]
    paths = [path for path in packaged_files() if path.name in names]
    assert len(paths) >= 3
    assert [problem for path in paths if pixel_element(read_dataset(path)) if (problem := _compare(engine, path))] == []


@pytest.mark.parametrize("name", ["xray/dx-2000x2128-j2k.dcm", "xray/mg-voilut-sequence.dcm", "xray/RG3_J2KR"])
def test_minified_pictures_equal_the_foreign_picture_made_smaller(test_data: Path, name: str) -> None:
    """Antialiased: a large image at phone width is what a good resize of the full picture is."""
    need_foreign_programs()
    path = test_data / name
    frame = dataclasses.replace(frame_of(read_dataset(path)), pixel_aspect=1.0)
    rows, columns = frame.values.shape[:2]
    view = StackView(1080, 4096) if columns > 1080 else StackView(columns // 2, rows // 2)
    ours = Engine().render_stack(frame, view).pixels
    full = Image.fromarray(foreign_picture(path))
    theirs = np.asarray(full.resize((ours.shape[1], ours.shape[0]), Image.Resampling.LANCZOS))
    assert ssim(ours, theirs) >= LEAST_SSIM
