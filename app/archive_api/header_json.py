"""One object's header as DICOM JSON (PS3.18 Annex F); runs in the header process, never in the web loop.

Bulk data (PS3.18 8.7.3.3) are top-level binary values longer than 1 KiB and pixel data; they are named by URI.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import orjson
import pydicom
from pydicom import config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement

from dicomnet.text import decode_text

_BINARY = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}
_TEXT = {"PN", "LO", "SH", "ST", "LT", "UT", "UC"}
_INLINE_BYTES = 1024
_PIXEL_TAGS = {"PixelData": 0x7FE00010, "FloatPixelData": 0x7FE00008, "DoubleFloatPixelData": 0x7FE00009}


def read_dataset(header: bytes) -> pydicom.Dataset:
    """The data set of a file whose pixel data may have been cut off."""
    return pydicom.dcmread(io.BytesIO(header), stop_before_pixels=True, force=True)


def header_json(header: bytes, url: str, pixel_element: str, pixel_vr: str) -> bytes:
    """One DICOM JSON object. An element that cannot be written as its VR says is kept as UN with its bytes."""
    config.settings.reading_validation_mode = config.IGNORE
    dataset = read_dataset(header)
    charset: Any = dataset.get("SpecificCharacterSet")
    found: dict[str, Any] = {}
    for tag in sorted(dataset.keys()):
        name = f"{int(tag):08X}"
        if name[4:] == "0000" or name.startswith("FFFE"):
            continue  # group lengths and delimiters are of the encoding, not of the object
        raw = None
        try:
            raw = dataset.get_item(tag)
            found[name] = _element(dataset, raw, charset, f"{url}/bulkdata/{name}")
        except Exception:  # whatever a value of a foreign program makes of the library, the rest stays readable
            found[name] = _as_bytes(raw)
    found["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    if pixel_element:
        pixel = f"{_PIXEL_TAGS[pixel_element]:08X}"
        found[pixel] = {"vr": pixel_vr, "BulkDataURI": f"{url}/bulkdata/{pixel}"}
    return orjson.dumps(found)


def _element(dataset: pydicom.Dataset, raw: Any, charset: Any, uri: str) -> dict[str, Any]:
    if isinstance(raw, RawDataElement) and raw.value:
        vr = raw.VR or dictionary_VR(raw.tag)
        if vr in _TEXT and not raw.value.isascii():
            terms = None if charset is None else [charset] if isinstance(charset, str) else list(charset)
            text = decode_text(raw.value, terms)
            values = text if vr in {"ST", "LT", "UT"} else text.split("\\")
            return _json(DataElement(raw.tag, vr, values))
    element = dataset[raw.tag]
    if element.VR in _BINARY and len(element.value or b"") > _INLINE_BYTES:
        return {"vr": element.VR, "BulkDataURI": uri}
    return _json(element)


def _json(element: DataElement) -> dict[str, Any]:
    return element.to_json_dict(None, 1 << 31)


def _as_bytes(raw: Any) -> dict[str, Any]:
    value = getattr(raw, "value", None)
    if not isinstance(value, bytes):
        return {"vr": "UN"}
    return {"vr": "UN", "InlineBinary": base64.b64encode(value).decode()}


def headers_json(batch: list[tuple[bytes, str, str, str]]) -> list[bytes]:
    """``header_json`` of several objects: one trip to the process."""
    return [header_json(*item) for item in batch]


def bulk_value(header: bytes, tag: int) -> bytes | None:
    """Bytes of a top-level binary element; None where there is none."""
    dataset = read_dataset(header)
    if tag not in dataset:
        return None
    element = dataset[tag]
    return bytes(element.value) if element.VR in _BINARY and isinstance(element.value, bytes) else None
