"""Domain errors of render: stable code, both languages, data without personal content, retryable or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class RenderError(Exception):
    """Base of every error that render raises on purpose.

    ``code`` is stable and dotted (``codec.truncated``); ``message`` holds ``{"zh": …, "en": …}``;
    ``data`` may go to a log or a client and never names a person.
    """

    code = "render.error"
    message: Mapping[str, str] = {"zh": "图像处理失败", "en": "The picture could not be made"}
    retryable = False

    def __init__(self, **data: Any) -> None:
        super().__init__(self.code)
        self.data: dict[str, Any] = data

    def __str__(self) -> str:
        return f"{self.code} {self.data}" if self.data else self.code
