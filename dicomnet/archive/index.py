"""What goes into the index of a received object, and the one call that writes it."""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date
from typing import Any

from dicomnet.archive.elements import Elements
from dicomnet.archive.errors import ArchiveUnavailableError, MissingUidError, UidInvalidError
from dicomnet.archive.header import Header
from dicomnet.archive.layout import PathRule, is_storable_uid
from dicomnet.archive.open_record import OpenRecord, encode
from dicomnet.archive.record_builder import read_text
from dicomnet.database import Database
from dicomnet.keyring import Keyring

PATIENT_NAME_CONTEXT = b"archive.patient.patient_name"
REFERRING_PHYSICIAN_CONTEXT = b"archive.study.referring_physician"

_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.(\d{1,6}))?")
_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})")
_INT4 = 1 << 31

_STORE = (
    "select (r).outcome, (r).instance_key, (r).series_key, (r).study_key, (r).object_key, (r).object_sha256"
    " from archive.store_instance($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20) r"
)


def institution_context(institution_id: int, purpose: bytes) -> bytes:
    """Context that a sealed value is bound to: the column and the institution."""
    return purpose + b":" + str(institution_id).encode("ascii")


@dataclass(frozen=True, slots=True)
class Identity:
    """UIDs under which an object is indexed. ``derived``: the file lacked a UID."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    derived: bool


def read_identity(
    header: Header, content_sha256: bytes, sop_class_uid: str | None = None, sop_instance_uid: str | None = None
) -> Identity:
    """UIDs of the data set; of the file meta or the C-STORE command where the data set has none.

    A UID that is nowhere is derived, so that a re-send comes to the same place and objects that do not belong together
    are never joined: the instance's from the content, study and series from the instance.
    Raises MissingUidError (no SOP class), UidInvalidError.
    """
    ds = header.dataset
    sop_class = ds.text(0x00080016) or header.meta_text(0x00020002) or sop_class_uid or ""
    sop_instance = ds.text(0x00080018) or header.meta_text(0x00020003) or sop_instance_uid or ""
    if not sop_class:
        raise MissingUidError(missing="SOPClassUID")
    study, series = ds.text(0x0020000D), ds.text(0x0020000E)
    for keyword, uid in (
        ("SOPClassUID", sop_class),
        ("SOPInstanceUID", sop_instance),
        ("StudyInstanceUID", study),
        ("SeriesInstanceUID", series),
    ):
        if uid and not is_storable_uid(uid):
            raise UidInvalidError(keyword=keyword)
    derived = not (sop_instance and study and series)
    sop_instance = sop_instance or derived_uid("instance", content_sha256.hex())
    return Identity(
        sop_class,
        sop_instance,
        study or derived_uid("study", sop_instance),
        series or derived_uid("series", study, sop_instance),
        derived,
    )


def derived_uid(*parts: str) -> str:
    """A UID of the form 2.25.<number> (PS3.5 B.2) that always comes out the same for the same parts."""
    digest = hashlib.sha256("\0".join(parts).encode("utf-8")).digest()
    return f"2.25.{int.from_bytes(digest[:15], 'big')}"


def path_values(ds: Elements, identity: Identity) -> dict[str, str]:
    """Values for the path rule."""
    return {
        "StudyDate": ds.text(0x00080020),
        "StudyTime": ds.text(0x00080030),
        "StudyInstanceUID": identity.study_instance_uid,
        "SeriesInstanceUID": identity.series_instance_uid,
        "SOPInstanceUID": identity.sop_instance_uid,
        "SOPClassUID": identity.sop_class_uid,
        "Modality": ds.text(0x00080060),
        "AccessionNumber": ds.text(0x00080050),
        "StudyID": ds.text(0x00200010),
        "SeriesNumber": ds.text(0x00200011),
        "InstanceNumber": ds.text(0x00200013),
        "StationName": ds.text(0x00081010),
        "BodyPartExamined": ds.text(0x00180015),
    }


@dataclass(frozen=True, slots=True)
class Personal:
    """What names a person, read from the header; sealed before it is written."""

    patient_name: str
    referring_physician: str


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One object, ready for ``write_instance``."""

    identity: Identity
    personal: Personal
    record: OpenRecord
    encoded_record: bytes
    context: dict[str, Any]


def read_entry(header: Header, identity: Identity, record: OpenRecord) -> IndexEntry:
    """All that the index keeps of an object."""
    ds = header.dataset
    patient_id = read_text(ds, 0x00100020)[:128]
    study_date, study_time = ds.text(0x00080020)[:26], ds.text(0x00080030)[:28]
    context: dict[str, Any] = {
        # Without an identifier each study is a patient of its own: strangers are never joined.
        "issuer": read_text(ds, 0x00100021)[:128] if patient_id else f"uid:{identity.study_instance_uid}",
        "patient_id": patient_id,
        "birth_date": iso_date(ds.text(0x00100030)),
        "sex": ds.text(0x00100040)[:16],
        "accession_number": read_text(ds, 0x00080050)[:64],
        "study_at": local_time(study_date, study_time),
        "utc_offset_minutes": utc_offset_minutes(ds.text(0x00080201)),
        "study_date": study_date,
        "study_time": study_time,
        "study_id": read_text(ds, 0x00200010)[:64],
        "study_description": read_text(ds, 0x00081030)[:256],
        "series_number": int4(ds.integer(0x00200011)),
        "series_description": read_text(ds, 0x0008103E)[:256],
        "body_part": read_text(ds, 0x00180015)[:64],
        "protocol_name": read_text(ds, 0x00181030)[:256],
        "station_name": read_text(ds, 0x00081010)[:64],
    }
    context = {key: value.replace("\0", "") if isinstance(value, str) else value for key, value in context.items()}
    personal = Personal(read_text(ds, 0x00100010)[:512], read_text(ds, 0x00080090)[:512])
    return IndexEntry(identity, personal, record, encode(record), context)


def iso_date(text: str) -> str | None:
    """``YYYY-MM-DD`` of a DA value; None where it is no date."""
    match = _DATE.match(text)
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3])).isoformat()
    except ValueError:
        return None


def local_time(study_date: str, study_time: str) -> str | None:
    """ISO date and time without zone of a DA and a TM value; midnight where the time is unusable."""
    day = iso_date(study_date)
    if day is None:
        return None
    match = _TIME.match(study_time)
    if match is None:
        return f"{day}T00:00:00"
    hour, minute, second = int(match[1]), int(match[2] or 0), min(int(match[3] or 0), 59)
    if hour > 23 or minute > 59:
        return f"{day}T00:00:00"
    return f"{day}T{hour:02}:{minute:02}:{second:02}.{match[4] or '0'}"


def utc_offset_minutes(text: str) -> int | None:
    """Minutes east of UTC of Timezone Offset From UTC (0008,0201); None where absent or impossible."""
    match = _OFFSET.fullmatch(text)
    if match is None:
        return None
    minutes = int(match[2]) * 60 + int(match[3])
    return None if minutes > 14 * 60 else minutes if match[1] == "+" else -minutes


def int4(value: int | None) -> int | None:
    """``value`` where a PostgreSQL integer can hold it."""
    return value if value is not None and -_INT4 <= value < _INT4 else None


async def set_path_rule(database: Database, institution_id: int, template: str) -> PathRule:
    """Where the institution's new objects are stored; those that are there stay. Raises PathRuleInvalidError."""
    rule = PathRule.parse(template)
    await database.execute(
        institution_id,
        "update archive.institution set path_rule = $1 where institution_id = $2",
        template,
        institution_id,
    )
    return rule


class NameSealer:
    """Seals names and makes their blind index; the last names are remembered, as a series repeats one."""

    def __init__(self, keyring: Keyring, remember: int = 256) -> None:
        self._keyring = keyring
        self._remember = remember
        self._patients: OrderedDict[tuple[int, str], tuple[bytes, list[int]]] = OrderedDict()

    def patient(self, institution_id: int, name: str) -> tuple[bytes, list[int]]:
        """(sealed name, blind index tokens)."""
        known = self._patients.get((institution_id, name))
        if known is None:
            context = institution_context(institution_id, PATIENT_NAME_CONTEXT)
            tokens = self._keyring.blind_tokens_for_name(name) if name.strip("^= ") else []
            known = self._keyring.seal(name, context), tokens
            self._patients[institution_id, name] = known
            if len(self._patients) > self._remember:
                self._patients.popitem(last=False)
        return known

    def physician(self, institution_id: int, name: str) -> bytes | None:
        """Sealed referring physician; None where there is none."""
        if not name:
            return None
        return self._keyring.seal(name, institution_context(institution_id, REFERRING_PHYSICIAN_CONTEXT))


@dataclass(frozen=True, slots=True)
class Written:
    """Answer of the index. ``outcome``: new, duplicate, or differs (then nothing was written)."""

    outcome: str
    instance_key: int
    series_key: int
    study_key: int
    object_key: str
    object_sha256: bytes


async def write_instance(
    database: Database,
    sealer: NameSealer,
    institution_id: int,
    entry: IndexEntry,
    *,
    object_key: str,
    object_size: int,
    object_sha256: bytes,
) -> Written:
    """Write one object into the index: one round trip, one transaction, committed when this returns."""
    record, identity = entry.record, entry.identity
    name_sealed, name_index = sealer.patient(institution_id, entry.personal.patient_name)
    row = await database.call(
        _STORE,
        institution_id,
        identity.study_instance_uid,
        identity.series_instance_uid,
        identity.sop_instance_uid,
        identity.sop_class_uid,
        record.transfer_syntax_uid,
        record.modality,
        int4(record.instance_number),
        record.number_of_frames,
        record.rows,
        record.columns,
        record.sort_position_mm,
        object_key,
        object_size,
        object_sha256,
        entry.encoded_record,
        name_sealed,
        name_index,
        sealer.physician(institution_id, entry.personal.referring_physician),
        entry.context,
    )
    if row is None:
        raise ArchiveUnavailableError(reason="the index gave no answer")
    return Written(*row)
