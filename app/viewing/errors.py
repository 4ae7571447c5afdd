"""What a viewer may be told instead of a picture."""

from __future__ import annotations

from app.errors import AppError


class StudyNotFoundError(AppError):
    """No such study, or not for this person: one answer."""

    code = "viewing.not_found"
    message = {"zh": "没有找到该检查，或您没有查看权限", "en": "There is no such study, or you may not see it"}


class NoPicturesError(AppError):
    """The study has nothing that can be shown as a picture (yet)."""

    code = "viewing.no_pictures"
    message = {"zh": "该检查暂无可显示的图像", "en": "This study has no pictures to show yet"}
    retryable = True


class OtherPatientError(AppError):
    """Two series that would be shown over each other are not known to be of one patient."""

    code = "viewing.other_patient"
    message = {"zh": "两个序列不属于同一患者，无法融合显示", "en": "The two series are not of one patient"}


class StreamError(AppError):
    """A message that breaks the protocol; closes the socket."""

    code = "stream.protocol"
    message = {"zh": "通信内容有误", "en": "The message breaks the stream protocol"}


class StreamRateError(AppError):
    """More messages than a viewer makes."""

    code = "stream.rate"
    message = {"zh": "请求过于频繁", "en": "Too many messages"}


class StreamIdleError(AppError):
    """Nothing was said for too long."""

    code = "stream.idle"
    message = {"zh": "长时间没有操作", "en": "Nothing was said for too long"}
