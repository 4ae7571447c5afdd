"""SUV by body weight (g/ml) of a PET series: one factor for its modality values.

The rules are those of the vendor-neutral formula of QIBA's FDG-PET/CT profile ("SUVbw scale factor", happy path) over
PS3.3 C.8.9.1 (PET Series) and C.8.9.2 (PET Isotope): units BQML, attenuation and decay corrected, the dose decayed to
the time that the images were corrected to. What is not certain is refused with its reason, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicomnet.archive.elements import Elements

_DAY = timedelta(days=1)
# Beyond, a time is wrong: after ten half-lives a thousandth of the dose is left.
_MOST_HALF_LIVES = 10
_LEAST_DOSE_BQ = 1e5  # files that give MBq against PS3.3 have some hundreds
_LEAST_KG, _MOST_KG = 0.2, 500.0
_DATE_TIME = re.compile(r"(\d{8})(\d{2})(\d{2})(\d{2})?(\.\d{1,6})?([+-]\d{4})?")
_SAME_CLOCK_S = 60.0


@dataclass(frozen=True, slots=True)
class PetDose:
    """What one PET image says of dose and time; texts as they are in the file, "" where absent."""

    units: str = ""
    suv_type: str = ""
    corrected_image: str = ""
    decay_correction: str = ""
    series_time: str = ""  # date and time, YYYYMMDDHHMMSS.F
    acquisition_time: str = ""
    start_date_time: str = ""  # Radiopharmaceutical Start DateTime
    start_time: str = ""  # Radiopharmaceutical Start Time, without a day
    utc_offset: str = ""  # of the file's other times
    dose_bq: float | None = None
    half_life_s: float | None = None
    weight_kg: float | None = None


@dataclass(frozen=True, slots=True)
class SuvFactor:
    """``factor`` times the modality value is the SUV by body weight, g/ml; None where ``reason`` says why not.

    Reasons: ``units``, ``weight``, ``dose``, ``half_life``, ``time``, ``corrections``, ``mixed``, ``header`` (the object
    came before these elements were kept).
    """

    factor: float | None
    reason: str = ""


def read_pet_dose(ds: Elements) -> PetDose:
    """The elements of a PET image's header (the first item of Radiopharmaceutical Information)."""
    drug = ds.first_item(0x00540016)
    return PetDose(
        units=ds.text(0x00541001)[:16],
        suv_type=ds.text(0x00541006)[:16],
        corrected_image="\\".join(ds.strings(0x00280051, 16))[:128],
        decay_correction=ds.text(0x00541102)[:16],
        series_time=_joined(ds, 0x00080021, 0x00080031),
        acquisition_time=_joined(ds, 0x00080022, 0x00080032),
        start_date_time=drug.text(0x00181078)[:32] if drug else "",
        start_time=drug.text(0x00181072)[:16] if drug else "",
        utc_offset=ds.text(0x00080201)[:8],
        dose_bq=drug.number(0x00181074) if drug else None,
        half_life_s=drug.number(0x00181075) if drug else None,
        weight_kg=ds.number(0x00101030),
    )


def _joined(ds: Elements, date: int, time: int) -> str:
    return f"{ds.text(date)[:8]}{ds.text(time)[:16]}" if ds.text(date) and ds.text(time) else ""


def suv_factor(images: Sequence[PetDose | None]) -> SuvFactor:
    """The one factor of a series' images (every one's dose elements)."""
    known = [image for image in images if image is not None]
    if not known or len(known) < len(images):
        return SuvFactor(None, "header")
    first = known[0]
    if any(_constant(image) != _constant(first) for image in known):
        return SuvFactor(None, "mixed")
    if first.units == "GML" and first.suv_type in ("", "BW"):
        return SuvFactor(1.0)
    if reason := _refused(first):
        return SuvFactor(None, reason)
    weight_kg, dose_bq, half_life_s = first.weight_kg, first.dose_bq, first.half_life_s
    if weight_kg is None or not _LEAST_KG <= weight_kg <= _MOST_KG:
        return SuvFactor(None, "weight")
    if dose_bq is None or dose_bq < _LEAST_DOSE_BQ:
        return SuvFactor(None, "dose")
    if half_life_s is None or half_life_s <= 0:
        return SuvFactor(None, "half_life")
    elapsed_s = _elapsed_s(known) if first.decay_correction == "START" else 0.0
    if elapsed_s is None or not 0 <= elapsed_s <= _MOST_HALF_LIVES * half_life_s:
        return SuvFactor(None, "time")
    return SuvFactor(1000.0 * weight_kg / (dose_bq * 2.0 ** (-elapsed_s / half_life_s)))


def _constant(image: PetDose) -> tuple[object, ...]:
    """What must be the same in all images of a series."""
    same = (image.units, image.suv_type, image.decay_correction)
    return (*same, image.start_date_time, image.start_time, image.dose_bq, image.half_life_s, image.weight_kg)


def _refused(image: PetDose) -> str:
    """Why the values are not such that a factor holds for them; "" where they are."""
    corrections = image.corrected_image.split("\\")
    if image.units != "BQML":
        return "units"
    uncorrected = "ATTN" not in corrections or "DECY" not in corrections
    return "corrections" if uncorrected or image.decay_correction not in ("START", "ADMIN") else ""


def _elapsed_s(images: Sequence[PetDose]) -> float | None:
    """Seconds from the injection to the time that the images were corrected to; None where a time is missing.

    That time is Series Date and Time, unless it is after an acquisition (a series made later by processing): then the
    earliest acquisition.
    """
    acquired = [_moment(image.acquisition_time) for image in images]
    series = _moment(images[0].series_time)
    times = [time for time in acquired if time is not None]
    if len(times) < len(images):
        return None
    earliest = min(times)
    scan = series if series is not None and series <= earliest else earliest
    start = _injected(images[0], scan)
    return None if start is None else (scan - start).total_seconds()


def _injected(image: PetDose, scan: datetime) -> datetime | None:
    """When the dose was given; None where it is missing, or where the file tells two times."""
    clock = _moment(f"{scan:%Y%m%d}{image.start_time}") if image.start_time else None
    start = _moment(image.start_date_time)
    if start is None:
        # A time alone is of the scan's day, or of the day before where it would be after the scan.
        return clock - _DAY if clock is not None and clock > scan else clock
    offset = (_DATE_TIME.match(image.start_date_time) or [""] * 7)[6] or image.utc_offset
    if image.utc_offset and offset != image.utc_offset:
        return None
    apart_s = abs((start - clock).total_seconds()) % _DAY.total_seconds() if clock is not None else 0.0
    return start if min(apart_s, _DAY.total_seconds() - apart_s) <= _SAME_CLOCK_S else None


def _moment(text: str) -> datetime | None:
    """A date and time by its own clock (PS3.5 DT, or DA with TM)."""
    found = _DATE_TIME.match(text)
    if found is None:
        return None
    date, hour, minute, second, fraction, _ = found.groups()
    try:
        whole = datetime.strptime(f"{date}{hour}{minute}{second or '00'}", "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return whole + timedelta(seconds=float(fraction or 0))
