from __future__ import annotations

from pathlib import Path

import pytest

from dicomnet.sop_classes import SopClassFileError, modality_terms, storage_classes, transfer_syntaxes


def test_the_librarys_classes_and_a_configured_one(tmp_path: Path) -> None:
    path = tmp_path / "sop_classes.toml"
    path.write_text('[sop_classes]\n"1.2.826.0.1.3680043.9.77" = "Vendor Private Storage"\n')
    classes = storage_classes(path)
    assert classes["1.2.840.10008.5.1.4.1.1.2"].name == "CT Image Storage"
    assert classes["1.2.826.0.1.3680043.9.77"].configured
    assert "1.2.840.10008.1.20.1" not in classes
    assert len(classes) > 150


@pytest.mark.parametrize("text", ["not toml [", '[sop_classes]\n"1.2.x" = "a"\n'])
def test_a_bad_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(SopClassFileError):
        storage_classes(path)


def test_legacy_words() -> None:
    assert modality_terms("dsa") == ("XA",)
    assert modality_terms("DR") == ("DX", "CR")
    assert modality_terms("CT") == ("CT",)


def test_htj2k_is_known() -> None:
    assert {"1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.80"} <= transfer_syntaxes()
