"""The SUV factor of PET series: against a value computed by hand, and every reason to refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.demo.phantoms import dicom_bytes, phantom_pet
from dicomnet.archive.header import read_header
from dicomnet.archive.open_record import decode, encode
from dicomnet.archive.record_builder import build_record
from dicomnet.archive.suv import PetDose, suv_factor

# 370 MBq of F-18 to 70 kg, scanned one hour later. By hand: 3600 / 6586.2 = 0.54660 half-lives, 2^-0.54660 = 0.68463,
# 370 MBq x 0.68463 = 253.31 MBq; 70,000 g / 253,314,000 Bq = 2.7634e-4 g/Bq.
PATIENT = PetDose(
    units="BQML",
    corrected_image="NORM\\ATTN\\DECY",
    decay_correction="START",
    series_time="20240314100500",
    acquisition_time="20240314100500",
    start_time="090500",
    dose_bq=370e6,
    half_life_s=6586.2,
    weight_kg=70.0,
)
BY_HAND = 2.7634e-4


def factor(*images: PetDose) -> float:
    found = suv_factor(images)
    assert found.reason == ""
    assert found.factor is not None
    return found.factor


def test_the_value_computed_by_hand() -> None:
    assert factor(PATIENT) == pytest.approx(BY_HAND, rel=2e-5)
    # A lesion of 18.1 kBq/ml: SUV 5.
    assert 18_094 * factor(PATIENT) == pytest.approx(5.0, rel=1e-3)


def test_images_corrected_to_the_injection_need_no_decay() -> None:
    assert factor(replace(PATIENT, decay_correction="ADMIN")) == pytest.approx(70_000 / 370e6)
    assert factor(replace(PATIENT, decay_correction="ADMIN", start_time="")) == pytest.approx(70_000 / 370e6)


def test_a_series_made_later_counts_from_its_earliest_acquisition() -> None:
    late = replace(PATIENT, series_time="20240315080000")
    beds = [replace(late, acquisition_time=f"2024031410{minute:02}00") for minute in (25, 5, 45)]
    assert factor(*beds) == pytest.approx(BY_HAND, rel=2e-5)
    # The first bed is what all are corrected to, when the series began then.
    beds = [replace(PATIENT, acquisition_time=f"2024031410{minute:02}00") for minute in (25, 5, 45)]
    assert factor(*beds) == pytest.approx(BY_HAND, rel=2e-5)


def test_an_injection_before_midnight() -> None:
    night = replace(PATIENT, series_time="20240315003000", acquisition_time="20240315003000.5", start_time="233000.00")
    assert factor(night) == pytest.approx(BY_HAND, rel=1e-4)
    told = replace(night, start_time="", start_date_time="20240314233000.000+0800")
    assert factor(told) == pytest.approx(BY_HAND, rel=1e-4)


def test_grams_per_millilitre_are_suv_already() -> None:
    assert factor(PetDose(units="GML")) == 1.0
    assert suv_factor([PetDose(units="GML", suv_type="LBM")]).reason == "units"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"weight_kg": None}, "weight"),
        ({"weight_kg": 0.0}, "weight"),
        ({"dose_bq": None}, "dose"),
        ({"dose_bq": 370.0}, "dose"),  # MBq, against the standard
        ({"half_life_s": None}, "half_life"),
        ({"start_time": ""}, "time"),
        ({"acquisition_time": ""}, "time"),
        ({"start_date_time": "20240314100600"}, "time"),  # after the scan
        ({"start_date_time": "20240314010500+0000", "start_time": "", "utc_offset": "+0800"}, "time"),  # two clocks
        ({"start_date_time": "20240314085500"}, "time"),  # ten minutes beside the other
        ({"start_date_time": "20240313090500"}, "time"),  # more than ten half-lives ago
        ({"units": "CNTS"}, "units"),
        ({"corrected_image": "NORM\\DECY"}, "corrections"),
        ({"decay_correction": "NONE"}, "corrections"),
    ],
)
def test_what_is_missing_or_impossible_is_refused_with_its_reason(change: dict[str, object], reason: str) -> None:
    found = suv_factor([replace(PATIENT, **change)])  # pyright: ignore[reportArgumentType]
    assert (found.factor, found.reason) == (None, reason)


def test_images_that_differ_or_tell_nothing_have_no_common_factor() -> None:
    assert suv_factor([PATIENT, replace(PATIENT, weight_kg=71.0)]).reason == "mixed"
    assert suv_factor([PATIENT, None]).reason == "header"
    assert suv_factor([]).reason == "header"


def test_the_open_record_keeps_what_the_factor_needs() -> None:
    records = []
    for ds in phantom_pet(3, 16):
        header = read_header(dicom_bytes(ds))
        records.append(decode(encode(build_record(header, ds.SOPClassUID, ds.SOPInstanceUID))))
    doses = [record.pet_dose for record in records]
    assert doses[0] is not None
    assert (doses[0].units, doses[0].dose_bq, doses[0].half_life_s) == ("BQML", 310e6, 6586.2)
    kilograms = doses[0].weight_kg
    assert kilograms is not None
    # The phantom is made the other way round: its window ends at SUV 6.
    top = records[0].voi_windows[0][1]
    assert top * factor(*[dose for dose in doses if dose]) == pytest.approx(6.0, rel=1e-4)
