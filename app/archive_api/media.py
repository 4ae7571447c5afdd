"""Accept headers of DICOMweb (PS3.18 8.3.3, RFC 9110 12.5.1) and the media types of stored frames (PS3.18 8.7.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from app.archive_api.errors import BadParameterError, DicomwebNotAcceptableError

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
OCTETS = "application/octet-stream"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
_LONGEST_HEADER = 4096
_PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*("[^"]*"|[^;\s]+)')

# Transfer syntax -> media type of one frame's codestream (PS3.18 Tables 8.7.3-2 to 8.7.3-5).
_FRAME_TYPES: Mapping[str, str] = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    **{f"1.2.840.10008.1.2.4.{n}": "image/jpeg" for n in (50, 51, 57, 70)},
    **{f"1.2.840.10008.1.2.4.{n}": "image/jls" for n in (80, 81)},
    **{f"1.2.840.10008.1.2.4.{n}": "image/jp2" for n in (90, 91)},
    **{f"1.2.840.10008.1.2.4.{n}": "image/jpx" for n in (92, 93)},
    **{f"1.2.840.10008.1.2.4.{n}": "image/jxl" for n in (110, 111, 112)},
    **{f"1.2.840.10008.1.2.4.{n}": "image/jphc" for n in (201, 202, 203)},
    **{f"1.2.840.10008.1.2.4.{n}": "video/mpeg2" for n in (100, 101)},
    **{f"1.2.840.10008.1.2.4.{n}": "video/mp4" for n in (102, 103, 104, 105, 106)},
    **{f"1.2.840.10008.1.2.4.{n}": "video/H265" for n in (107, 108)},
}


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One element of an Accept header. ``inner`` is the part type of multipart/related."""

    media_type: str
    parameters: Mapping[str, str]

    @property
    def transfer_syntax(self) -> str:
        """The asked transfer syntax, ``*`` where any will do."""
        return self.parameters.get("transfer-syntax", "")

    @property
    def inner(self) -> str:
        """The part type of a multipart range, ``*/*`` where it names none; "" for a single part."""
        if self.media_type in {"multipart/related", "multipart/*", "*/*"}:
            return self.parameters.get("type", "*/*").lower()
        return ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """How to answer: in parts or as one body."""

    multipart: bool


def parse_accept(text: str) -> list[MediaRange]:
    """Ranges by falling weight. Raises BadParameterError for a header that is too long."""
    if len(text) > _LONGEST_HEADER:
        raise BadParameterError(parameter="Accept")
    found: list[tuple[float, int, MediaRange]] = []
    for position, element in enumerate(re.findall(r'(?:[^,"]|"[^"]*")+', text or "*/*")):
        media_type = element.partition(";")[0].strip().lower()
        parameters = {name.lower(): value.strip('"') for name, value in _PARAMETER.findall(element)}
        try:
            weight = float(parameters.pop("q", "1"))
        except ValueError:
            weight = 0.0
        if media_type and weight > 0:
            found.append((-weight, position, MediaRange(media_type, parameters)))
    return [media_range for _, _, media_range in sorted(found, key=lambda item: item[:2])]


def accepted(request: Request) -> list[MediaRange]:
    """The ranges of the ``accept`` query parameter (PS3.18 8.3.3.1), else of the header."""
    return parse_accept(request.query_params.get("accept") or request.headers.get("accept", ""))


def covers(pattern: str, media_type: str) -> bool:
    """Whether ``image/*`` and the like cover a type; x- prefixes of old clients are understood."""
    pattern, media_type = pattern.lower().replace("/x-", "/"), media_type.lower()
    return pattern in {"*/*", media_type} or (pattern.endswith("/*") and media_type.startswith(pattern[:-1]))


def choose(ranges: Sequence[MediaRange], media_types: set[str], syntaxes: set[str], count: int) -> Chosen:
    """The first range that what is stored satisfies. Raises DicomwebNotAcceptableError.

    ``transfer-syntax=*`` asks for what is stored whatever its media type is (PS3.18 8.7.3.5.2).
    """
    for media_range in ranges:
        wanted = media_range.inner or media_range.media_type
        any_syntax = media_range.transfer_syntax == "*"
        if not all(covers(wanted, kind) for kind in media_types) and not (any_syntax and wanted == OCTETS):
            continue
        if media_range.transfer_syntax not in {"", "*"} and syntaxes != {media_range.transfer_syntax}:
            continue
        if media_range.inner:
            return Chosen(True)
        if count == 1:
            return Chosen(False)
    raise DicomwebNotAcceptableError(
        offered=sorted(f'multipart/related; type="{kind}"' for kind in media_types), transfer_syntaxes=sorted(syntaxes)
    )


def frame_media(transfer_syntax_uid: str, *, encapsulated: bool) -> tuple[str, str]:
    """(media type, transfer syntax) in which a stored frame is sent; native frames as explicit little endian."""
    if not encapsulated:
        return OCTETS, EXPLICIT_LITTLE
    return _FRAME_TYPES.get(transfer_syntax_uid, OCTETS), transfer_syntax_uid


def require_json(request: Request) -> None:
    """Raises DicomwebNotAcceptableError where the client takes no DICOM JSON."""
    for media_range in accepted(request):
        wanted = media_range.inner if media_range.media_type.startswith("multipart") else media_range.media_type
        if covers(wanted, DICOM_JSON) or wanted == "application/json":
            return
    raise DicomwebNotAcceptableError(offered=[DICOM_JSON])
