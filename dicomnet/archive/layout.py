"""The path rule: under which key a new object is stored, from DICOM fields that the institution chose.

A rule such as ``{StudyDate}/{StudyInstanceUID}/{SeriesInstanceUID}/{SOPInstanceUID}`` may be changed at any time: keys
of stored objects are kept in the index and stay as they are. Every value is reduced to plain characters before it
becomes part of a key, so no value that a sender wrote can leave the institution's folder.

The last component always carries a part of the content's hash: two objects with one UID never share a key, and the
same object sent twice always does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from dicomnet.errors import DicomnetError

DEFAULT_RULE = "{StudyDate}/{StudyInstanceUID}/{SeriesInstanceUID}/{SOPInstanceUID}"

# Fields that may stand in a rule. None of them names a person.
FIELDS = (
    "StudyDate",
    "StudyTime",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "SOPClassUID",
    "Modality",
    "AccessionNumber",
    "StudyID",
    "SeriesNumber",
    "InstanceNumber",
    "StationName",
    "BodyPartExamined",
)

MAX_VALUE_CHARS = 64
MAX_COMPONENT_CHARS = 90
MAX_RULE_CHARS = 400
MAX_COMPONENTS = 8
HASH_CHARS = 24

_PLACEHOLDER = re.compile(r"\{([A-Za-z]+)\}")
_LITERAL = re.compile(r"[0-9A-Za-z_.-]*")
_UNSAFE = re.compile(r"[^0-9A-Za-z._-]+")
_UID = re.compile(r"[0-9A-Za-z]+(?:\.[0-9A-Za-z]+)*")


class PathRuleInvalidError(DicomnetError):
    """The rule cannot be used; ``data["reason"]`` says why."""

    code = "layout.rule_invalid"
    message = {"zh": "存储路径规则不可用", "en": "The storage path rule cannot be used"}


def is_storable_uid(uid: str) -> bool:
    """Whether a UID can be an identity here: 1 to 64 characters, components of letters and digits, single dots.

    Wider than PS3.5 section 9.1 (leading zeros and hexadecimal digits occur in real objects), and free of "..".
    """
    return len(uid) <= 64 and _UID.fullmatch(uid) is not None


def clean_value(value: str) -> str:
    """A value as part of a path component: plain characters, bounded, no dots at the ends; "none" when empty."""
    text = _UNSAFE.sub("_", value)[:MAX_VALUE_CHARS].strip("._-")
    while ".." in text:
        text = text.replace("..", ".")
    return text or "none"


@dataclass(frozen=True, slots=True)
class PathRule:
    """A rule that was checked. ``parse`` is the only way to make one."""

    template: str

    @classmethod
    def parse(cls, template: str) -> PathRule:
        """Check a rule when it is set. Raises PathRuleInvalidError."""
        if not 0 < len(template) <= MAX_RULE_CHARS:
            raise PathRuleInvalidError(reason="length")
        components = template.split("/")
        if len(components) > MAX_COMPONENTS:
            raise PathRuleInvalidError(reason="too many folders")
        for component in components:
            _check_component(component)
        if "{SOPInstanceUID}" not in components[-1]:
            raise PathRuleInvalidError(reason="the last part needs {SOPInstanceUID}")
        return cls(template)

    def key(self, institution_id: int, values: Mapping[str, str], sha256: bytes) -> str:
        """Key of an object. ``values``: field -> value as sent; absent fields count as empty."""
        components = [
            _PLACEHOLDER.sub(lambda match: clean_value(values.get(match[1], "")), component)[:MAX_COMPONENT_CHARS]
            for component in self.template.split("/")
        ]
        folders = "/".join(component.strip(".-") or "none" for component in components)
        return f"i{institution_id}/{folders}.{sha256.hex()[:HASH_CHARS]}.dcm"


def _check_component(component: str) -> None:
    for name in _PLACEHOLDER.findall(component):
        if name not in FIELDS:
            raise PathRuleInvalidError(reason="unknown field", field=name)
    literal = _PLACEHOLDER.sub("", component)
    if not component or _LITERAL.fullmatch(literal) is None:
        raise PathRuleInvalidError(reason="only letters, digits, '.', '_', '-' and {Field}")
    if component.startswith((".", "-")) or component.endswith(".") or ".." in component:
        raise PathRuleInvalidError(reason="dots at the ends")
