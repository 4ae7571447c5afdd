"""Domain errors of render: stable code, both languages, data without personal content, retryable or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class RenderError(Exception):
    """Base of every error that render raises on purpose; ``data`` may go to a log or a client."""

    code = "render.error"
    message: Mapping[str, str] = {"zh": "图像处理失败", "en": "The picture could not be made"}
    retryable = False

    def __init__(self, **data: Any) -> None:
        super().__init__(self.code)
        self.data: dict[str, Any] = data

    def __str__(self) -> str:
        return f"{self.code} {self.data}" if self.data else self.code


class CodecError(RenderError):
    """No decoder could read the frame; ``failures`` holds (decoder, reason) in the order tried."""

    code = "codec.failed"
    message = {"zh": "这幅图像无法解码", "en": "This image cannot be decoded"}

    def __init__(self, failures: list[tuple[str, str]] | None = None, **data: Any) -> None:
        super().__init__(**data)
        self.failures = failures or []
        if failures:
            self.data["failures"] = [f"{name}: {reason}"[:200] for name, reason in failures]


class UnsupportedSyntaxError(CodecError):
    """No decoder is known for the transfer syntax."""

    code = "codec.unsupported"
    message = {"zh": "不支持这种图像压缩格式", "en": "This transfer syntax is not supported"}


class TruncatedFrameError(CodecError):
    """The frame has fewer bytes than its header says."""

    code = "codec.truncated"
    message = {"zh": "图像数据不完整", "en": "The image data are incomplete"}


class FrameTooLargeError(CodecError):
    """The header claims more pixels than this program accepts."""

    code = "codec.too_large"
    message = {"zh": "图像尺寸超出上限", "en": "The image is larger than the limit"}


class InvalidFrameError(RenderError):
    """The frame's description contradicts itself."""

    code = "frame.invalid"
    message = {"zh": "图像描述有误", "en": "The image's description is not valid"}


class InvalidViewError(RenderError):
    """A view request that no picture can answer; ``data['what']``."""

    code = "render.invalid_view"
    message = {"zh": "显示参数无效", "en": "The view parameters are not valid"}


class DeviceError(RenderError):
    """The graphics device could not make a picture; the CPU makes it instead."""

    code = "render.device"
    message: Mapping[str, str] = {"zh": "显卡未能生成图像", "en": "The graphics device could not make the picture"}
    retryable = True


class DeviceMemoryError(DeviceError):
    """Too little memory on the device now, or a volume larger than its budget; ``data['what']``: which of them."""

    code = "render.device_memory"
    message = {"zh": "显卡内存不足", "en": "The graphics device is short of memory"}


class DeviceFailedError(DeviceError):
    """The device, its driver or a kernel's compilation failed: it is not asked again by this process."""

    code = "render.device_failed"
    message = {"zh": "显卡故障", "en": "The graphics device failed"}
