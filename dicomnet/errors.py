"""Domain errors of dicomnet: stable code, both languages, data without personal content, retryable or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DicomnetError(Exception):
    """Base of every error that dicomnet raises on purpose.

    ``code`` is stable and dotted (``ingest.truncated``); ``message`` holds ``{"zh": …, "en": …}``;
    ``data`` may go to a log or a client and never names a person.
    """

    code = "dicomnet.error"
    message: Mapping[str, str] = {"zh": "处理失败", "en": "The operation failed"}
    retryable = False

    def __init__(self, **data: Any) -> None:
        super().__init__(self.code)
        self.data: dict[str, Any] = data

    def __str__(self) -> str:
        return f"{self.code} {self.data}" if self.data else self.code
