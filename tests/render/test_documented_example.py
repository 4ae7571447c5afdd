"""The example of docs/render.md, run as it stands, imports and all, on a small CT series."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.dicom_files import as_bytes, make_ct

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "render.md"


def test_a_folder_of_dicom_becomes_an_mpr_and_a_volume_rendering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    side = 40
    y, x = np.mgrid[:side, :side]
    for number in range(30):
        ball = (x - 20) ** 2 + (y - 20) ** 2 + (number - 15) ** 2 < 100
        values = np.where(ball, 1024 + 700, 24).astype(np.uint16)
        changes: dict[str, Any] = {"ImagePositionPatient": [0, 0, number], "PixelSpacing": [1, 1]}
        ds = make_ct(InstanceNumber=number + 1, Rows=side, Columns=side, PixelData=values.tobytes(), **changes)
        (folder / f"{(number * 7) % 30}.dcm").write_bytes(as_bytes(ds))
    text = DOCUMENT.read_text("utf-8")
    imports, example = re.findall(r"test_documented_example.py runs \w+ -->\n```python\n(.*?)```", text, re.DOTALL)
    assert len(example.strip().splitlines()) <= 15
    monkeypatch.chdir(tmp_path)
    exec(compile(imports + example, "docs/render.md", "exec"), {"folder": folder})
    mpr = np.asarray(Image.open(io.BytesIO((tmp_path / "mpr.jpg").read_bytes())))
    # A ball 20 mm across in a picture of 40 mm: half of 512 pixels.
    assert abs(int((mpr[256] > 128).sum()) - 256) < 30
    vr = np.asarray(Image.open(io.BytesIO((tmp_path / "vr.jpg").read_bytes())), int)
    assert vr.shape == (512, 512, 3) and vr[256, 256].max() > 100 and vr[5, 5].max() < 20
