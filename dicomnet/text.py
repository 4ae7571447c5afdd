"""Character sets of DICOM text, with repair of what senders get wrong (PS3.3 C.12.1.1.2, PS3.5 6.1).

Chinese devices often send GBK or UTF-8 bytes and declare nothing, ``ISO_IR 100`` or ``GBK``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import pydicom.charset

_IDEOGRAPHS_AND_COMMON = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\u00b7]")
_GB_TERMS = {"GBK", "GB18030", "GB2312", "CP936"}
_EIGHT_BIT_TERMS = {"", "ISO_IR 6", "ISO_IR 100", "ISO 2022 IR 6", "ISO 2022 IR 100"}


def declared_encodings(specific_character_set: str | Sequence[str] | None) -> list[str]:
    """Python encodings of (0008,0005); an unknown term reads as the default repertoire."""
    if specific_character_set is None:
        terms = [""]
    elif isinstance(specific_character_set, str):
        terms = [specific_character_set]
    else:
        terms = [str(term) for term in specific_character_set] or [""]
    if any(term.strip().upper().replace("-", "") in _GB_TERMS for term in terms):
        return ["gb18030"]
    known = [term if term.strip() in pydicom.charset.python_encoding else "" for term in (t.strip() for t in terms)]
    return list(pydicom.charset.convert_encodings(known))


def decode_text(raw: bytes, specific_character_set: str | Sequence[str] | None = None) -> str:
    """Bytes of a text value -> text. What was declared is believed unless it cannot be true.

    Repair: eight-bit bytes under an undeclared or Latin-1 set that are valid UTF-8 are UTF-8; else those that are
    valid GB18030 and give ideographs only are GB18030; else they are read as declared, never refused.
    """
    raw = raw.rstrip(b"\0 ")
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii")
    terms = (
        [specific_character_set] if isinstance(specific_character_set, str) else list(specific_character_set or [""])
    )
    if all(str(term).strip() in _EIGHT_BIT_TERMS for term in terms) and b"\x1b" not in raw:
        repaired = _guess(raw)
        if repaired is not None:
            return repaired
    encodings = declared_encodings(specific_character_set)
    if encodings == ["gb18030"]:
        return _guess_utf8(raw) or raw.decode("gb18030", "replace")
    if len(encodings) == 1 and b"\x1b" not in raw:
        try:
            return raw.decode(encodings[0])
        except (UnicodeDecodeError, LookupError):
            return _guess(raw) or raw.decode("latin-1")
    return str(pydicom.charset.decode_bytes(raw, encodings, {*b"\r\n\t\f^=\\"}))


def _guess_utf8(raw: bytes) -> str | None:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    # Two-byte GBK pairs can by chance be valid UTF-8 of other scripts: ideographs take three bytes.
    return text if _IDEOGRAPHS_AND_COMMON.search(text) else None


def _guess(raw: bytes) -> str | None:
    text = _guess_utf8(raw)
    if text is not None:
        return text
    # Between ASCII letters only the GB 2312 plane is believed: pairs with an ASCII half are Latin-1 more often.
    encoding = "gb2312" if re.search(rb"[A-Za-z]", raw) else "gb18030"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        return None
    wide = [c for c in text if not c.isascii()]
    return text if wide and all(_IDEOGRAPHS_AND_COMMON.match(c) for c in wide) else None
