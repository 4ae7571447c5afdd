"""Storage SOP classes: the library's list plus a configuration file, and the words people use for modalities."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID, AllTransferSyntaxes, PrivateTransferSyntaxes

from dicomnet.errors import DicomnetError

VERIFICATION = "1.2.840.10008.1.1"

# Classes of PS3.6 that the library's dictionary does not have yet.
_NEWER: Mapping[str, str] = {
    "1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage",
    "1.2.840.10008.5.1.4.1.1.66.8": "Height Map Segmentation Storage",
}


class SopClassFileError(DicomnetError):
    """The configuration file of SOP classes cannot be read; ``data['what']`` says why."""

    code = "sop_classes.file"
    message = {"zh": "SOP 类配置文件有误", "en": "The SOP class configuration file is not valid"}


@dataclass(frozen=True, slots=True)
class SopClass:
    """A storage SOP class. ``configured`` ones come from the site's file."""

    uid: str
    name: str
    configured: bool = False


# Words of tenders and older systems -> Modality values (PS3.3 C.7.3.1.1.1).
LEGACY_MODALITIES: Mapping[str, tuple[str, ...]] = {
    "DF": ("RF",),
    "DSA": ("XA",),
    "ECT": ("NM",),
    "DR": ("DX", "CR"),
    "PG": ("XC", "SM", "PX"),
    "PET": ("PT",),
    "MRI": ("MR",),
    "MAMMO": ("MG",),
}


def modality_terms(word: str) -> tuple[str, ...]:
    """``DSA`` -> ``("XA",)``; a proper Modality value stands for itself."""
    folded = word.strip().upper()
    legacy = LEGACY_MODALITIES.get(folded)
    return legacy if legacy is not None else (folded,)


def storage_classes(extra_file: Path | None = None) -> dict[str, SopClass]:
    """All storage classes by UID. The file is TOML: ``[sop_classes]`` with ``"1.2.3" = "Name"`` lines.

    Raises SopClassFileError.
    """
    classes = {uid: SopClass(uid, name) for uid, name in _NEWER.items()}
    for uid, (name, kind, _info, _retired, keyword) in UID_dictionary.items():
        if (
            kind == "SOP Class"
            and ("Storage" in keyword)
            and "Commitment" not in keyword
            and "Directory" not in keyword
        ):
            classes[uid] = SopClass(uid, name)
    if extra_file is not None:
        try:
            table = tomllib.loads(extra_file.read_text("utf-8")).get("sop_classes", {})
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise SopClassFileError(what=str(error)) from error
        for uid, name in table.items():
            if not UID(uid).is_valid:
                raise SopClassFileError(what=f"{uid!r} is not a UID")
            classes[uid] = SopClass(uid, str(name), configured=True)
    return classes


def transfer_syntaxes() -> frozenset[str]:
    """Every transfer syntax an object may arrive in; pixel data is kept as it came, known to a decoder or not."""
    known = {str(uid) for uid in AllTransferSyntaxes} | {str(uid) for uid in PrivateTransferSyntaxes}
    return frozenset(known | {uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"})
