"""What DICOMweb requests can be refused for; PS3.18 8.5 gives the statuses."""

from __future__ import annotations

from app.errors import AppError


class DicomwebError(AppError):
    """Base of DICOMweb's refusals."""

    code = "dicomweb.failed"
    message = {"zh": "DICOMweb 请求失败", "en": "The DICOMweb request failed"}


class BadParameterError(DicomwebError):
    """A query or path parameter is unknown or malformed; ``data['parameter']``."""

    code = "dicomweb.bad_parameter"
    message = {"zh": "查询参数有误", "en": "A parameter of the request is not valid"}


class ResourceNotFoundError(DicomwebError):
    """No such study, series, instance or frame in this institution."""

    code = "dicomweb.not_found"
    message = {"zh": "没有找到该检查、序列或影像", "en": "There is no such study, series, instance or frame"}


class DicomwebNotAcceptableError(DicomwebError):
    """No acceptable representation; ``data['offered']`` lists what can be had."""

    code = "dicomweb.not_acceptable"
    message = {
        "zh": "不支持所请求的格式或传输语法",
        "en": "The accepted media types or transfer syntaxes cannot be made",
    }


class UnsupportedMediaTypeError(DicomwebError):
    """The body is not ``multipart/related; type="application/dicom"``."""

    code = "dicomweb.unsupported_media_type"
    message = {"zh": "上传的内容格式不受支持", "en": "The body's media type is not supported"}


class MultipartError(DicomwebError):
    """The multipart body is cut short or malformed (RFC 2046 5.1)."""

    code = "dicomweb.bad_multipart"
    message = {"zh": "上传的内容不完整或格式有误", "en": "The multipart body is cut short or malformed"}


class PartTooLargeError(DicomwebError):
    """More bytes or parts than one request may bring."""

    code = "dicomweb.too_large"
    message = {"zh": "上传的内容太大", "en": "The upload is too large"}
