"""Index rows as DICOM JSON (PS3.18 Annex F): the attributes of QIDO results (PS3.18 Tables 10.6.3-3 to 10.6.3-5)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from app import locations
from app.services import Services
from dicomnet.archive.query import InstanceRow, SeriesRow, StudyRow

Attributes = dict[str, dict[str, Any]]


def attribute(vr: str, *values: Any) -> dict[str, Any]:
    """One element; empty values are left out."""
    kept = [value for value in values if value not in ("", None)]
    return {"vr": vr, "Value": kept} if kept else {"vr": vr}


def person_name(text: str) -> dict[str, Any]:
    """A PN with its component groups (PS3.5 6.2.1)."""
    groups = dict(zip(("Alphabetic", "Ideographic", "Phonetic"), text.split("="), strict=False))
    groups = {name: value for name, value in groups.items() if value}
    return attribute("PN", *([groups] if groups else []))


def base_url(request: Request, services: Services) -> str:
    """Where this service is, as its clients write it."""
    return locations.public_url(services.settings, str(request.base_url)) + "/dicom-web"


def study_url(base: str, study_instance_uid: str) -> str:
    """Address of a study."""
    return f"{base}/studies/{study_instance_uid}"


def study_attributes(row: StudyRow, base: str) -> Attributes:
    """A study as QIDO tells it."""
    birth = row.patient_birth_date.strftime("%Y%m%d") if row.patient_birth_date else ""
    return {
        "00080005": attribute("CS", "ISO_IR 192"),
        "00080020": attribute("DA", row.study_date),
        "00080030": attribute("TM", row.study_time),
        "00080050": attribute("SH", row.accession_number),
        "00080056": attribute("CS", "ONLINE"),
        "00080061": attribute("CS", *row.modalities),
        "00080090": attribute("PN"),
        "00081030": attribute("LO", row.study_description),
        "00081190": attribute("UR", study_url(base, row.study_instance_uid)),
        "00100010": person_name(row.patient_name),
        "00100020": attribute("LO", row.patient_id),
        "00100021": attribute("LO", row.issuer_of_patient_id),
        "00100030": attribute("DA", birth),
        "00100040": attribute("CS", row.patient_sex),
        "0020000D": attribute("UI", row.study_instance_uid),
        "00200010": attribute("SH", row.study_id),
        "00201206": attribute("IS", row.series_count),
        "00201208": attribute("IS", row.instance_count),
    }


def series_attributes(row: SeriesRow, study_instance_uid: str, base: str) -> Attributes:
    """A series as QIDO tells it."""
    url = f"{study_url(base, study_instance_uid)}/series/{row.series_instance_uid}"
    return {
        "00080005": attribute("CS", "ISO_IR 192"),
        "00080056": attribute("CS", "ONLINE"),
        "00080060": attribute("CS", row.modality),
        "0008103E": attribute("LO", row.series_description),
        "00081190": attribute("UR", url),
        "00180015": attribute("CS", row.body_part_examined),
        "00181030": attribute("LO", row.protocol_name),
        "0020000D": attribute("UI", study_instance_uid),
        "0020000E": attribute("UI", row.series_instance_uid),
        "00200011": attribute("IS", row.series_number),
        "00201209": attribute("IS", row.instance_count),
    }


def instance_attributes(row: InstanceRow, study_instance_uid: str, series_instance_uid: str, base: str) -> Attributes:
    """An instance as QIDO tells it; sizes only where it has pixels."""
    url = instance_url(base, study_instance_uid, series_instance_uid, row.sop_instance_uid)
    found = {
        "00080005": attribute("CS", "ISO_IR 192"),
        "00080016": attribute("UI", row.sop_class_uid),
        "00080018": attribute("UI", row.sop_instance_uid),
        "00080056": attribute("CS", "ONLINE"),
        "00081190": attribute("UR", url),
        "00083002": attribute("UI", row.transfer_syntax_uid),
        "0020000D": attribute("UI", study_instance_uid),
        "0020000E": attribute("UI", series_instance_uid),
        "00200013": attribute("IS", row.instance_number),
    }
    if row.number_of_frames:
        found["00280008"] = attribute("IS", row.number_of_frames)
        found["00280010"] = attribute("US", row.image_rows)
        found["00280011"] = attribute("US", row.image_columns)
    return found


def instance_url(base: str, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str) -> str:
    """Address of an instance."""
    return f"{study_url(base, study_instance_uid)}/series/{series_instance_uid}/instances/{sop_instance_uid}"
