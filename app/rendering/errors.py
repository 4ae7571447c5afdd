"""What the render process can answer instead of a picture."""

from __future__ import annotations

from typing import Any

from app.errors import AppError


class RenderUnavailableError(AppError):
    """The render process does not answer; it is being restarted."""

    code = "rendering.unavailable"
    message = {"zh": "图像服务正在恢复，请稍候", "en": "The image service is coming back, please wait"}
    retryable = True


class RenderFailedError(AppError):
    """A defect of the render process; logged there with its traceback."""

    code = "rendering.failed"
    message = {"zh": "图像生成失败，请重试", "en": "The picture could not be made, please try again"}
    retryable = True


class RenderTimeoutError(AppError):
    """No answer in time."""

    code = "rendering.timeout"
    message = {"zh": "图像生成超时，请重试", "en": "The picture took too long, please try again"}
    retryable = True


class DecoderUnavailableError(AppError):
    """No disposable decoder could be started; says nothing about the frame."""

    code = "rendering.decoder_unavailable"
    message = {"zh": "图像服务正在恢复，请稍候", "en": "The image service is coming back, please wait"}
    retryable = True


class SupersededError(AppError):
    """A newer view of the same viewport made this one needless; never shown to a person."""

    code = "rendering.superseded"
    message = {"zh": "已有更新的画面", "en": "A newer view replaced this one"}


class SeriesNotFoundError(AppError):
    """No such series for this institution, or no such frame in it."""

    code = "viewing.not_found"
    message = {"zh": "没有找到该序列或图像", "en": "There is no such series or image"}


class FrameFaultError(AppError):
    """This frame harmed a decoder before and is not tried again in a shared process."""

    code = "viewing.frame_fault"
    message = {"zh": "这幅图像的数据有问题，无法显示", "en": "This image's data are faulty and cannot be shown"}


class OtherFrameOfReferenceError(AppError):
    """Places of the two series do not count from one origin (PS3.3 C.7.4.1): laid over each other they would lie."""

    code = "volume.other_frame_of_reference"
    message = {
        "zh": "两个序列的坐标系不同，无法融合显示",
        "en": "The two series have different frames of reference and cannot be fused",
    }


class SurfaceBusyError(AppError):
    """Several surfaces are already waited for; each takes seconds of a core."""

    code = "surface.busy"
    message = {"zh": "表面重建任务较多，请稍后再试", "en": "Other surfaces are being made, please try again soon"}
    retryable = True


class SurfaceTimeoutError(AppError):
    """The surface took longer than a surface may."""

    code = "surface.timeout"
    message = {
        "zh": "表面重建超时，请减少三角形数量或调整阈值",
        "en": "The surface took too long: ask for fewer triangles or another level",
    }


class SurfaceFailedError(AppError):
    """The process that makes surfaces ended: out of memory, or a defect."""

    code = "surface.failed"
    message = {
        "zh": "表面重建失败，请减少三角形数量或调整阈值",
        "en": "The surface could not be made: ask for fewer triangles or another level",
    }


class ValuesUnavailableError(AppError):
    """These values have no codestream of the wished kind (float, more than 16 bits): they go raw."""

    code = "values.not_codable"
    message = {
        "zh": "这幅图像没有无损压缩数据，请取未压缩数据",
        "en": "These values have no codestream; ask for them raw",
    }


class ValuesTooLargeError(AppError):
    """The values of one frame are more than a viewer can be sent at once."""

    code = "values.too_large"
    message = {
        "zh": "图像过大，无法整幅下载原始数据",
        "en": "The image is too large for its values to be sent as a whole",
    }


class RemoteError(AppError):
    """An error of the render process under its own code."""

    def __init__(self, code: str, message: dict[str, str], data: dict[str, Any], retryable: bool) -> None:
        super().__init__(**data)
        self.code = code
        self.message = message
        self.retryable = retryable
