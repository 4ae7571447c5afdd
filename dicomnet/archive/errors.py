"""Why an object was refused: one class per stable code. None carries personal content."""

from __future__ import annotations

from dicomnet.errors import DicomnetError


class IngestError(DicomnetError):
    """Base of every refusal at the door of the archive. Nothing of the object was kept."""

    code = "ingest.failed"
    message = {"zh": "影像未能归档", "en": "The object could not be archived"}


class NotDicomError(IngestError):
    """The bytes are not a DICOM data set."""

    code = "ingest.not_dicom"
    message = {"zh": "这不是可读取的 DICOM 文件", "en": "This is not a readable DICOM file"}


class TruncatedError(IngestError):
    """A length points behind the end of the data."""

    code = "ingest.truncated"
    message = {"zh": "文件不完整，请重新发送", "en": "The file is incomplete; send it again"}


class PixelDataShortError(IngestError):
    """Fewer pixel bytes than Rows, Columns, Bits Allocated and Number of Frames say."""

    code = "ingest.pixel_data_short"
    message = {"zh": "像素数据比文件头声明的少", "en": "There is less pixel data than the header declares"}


class TooComplexError(IngestError):
    """Nested deeper, or holding more elements, than any real object."""

    code = "ingest.too_complex"
    message = {"zh": "文件结构过于复杂，已拒绝", "en": "The structure of the file is too complex"}


class MissingUidError(IngestError):
    """No SOP Class or SOP Instance UID anywhere."""

    code = "ingest.missing_uid"
    message = {"zh": "文件缺少唯一标识（UID）", "en": "The object has no unique identifier (UID)"}


class UidInvalidError(IngestError):
    """A UID with characters that no UID has."""

    code = "ingest.uid_invalid"
    message = {"zh": "文件的唯一标识（UID）不合规", "en": "A unique identifier (UID) of the object is malformed"}


class TooLargeError(IngestError):
    """Larger than the settings allow."""

    code = "ingest.too_large"
    message = {"zh": "文件超过允许的大小", "en": "The object is larger than allowed"}


class DiskFullError(IngestError):
    """Too little free space; the sender may try again later."""

    code = "ingest.disk_full"
    message = {"zh": "存储空间不足，请稍后重发", "en": "Too little storage space; send again later"}
    retryable = True


class SopClassUnknownError(IngestError):
    """Neither the library nor the configuration knows this SOP class as a storage class."""

    code = "ingest.sop_class_unknown"
    message = {"zh": "不支持的影像类别（SOP Class）", "en": "This SOP class is not stored here"}


class SopClassMismatchError(IngestError):
    """The data set is of another SOP class than the command announced."""

    code = "ingest.sop_class_mismatch"
    message = {"zh": "数据集与声明的 SOP Class 不一致", "en": "The data set does not match the announced SOP class"}


class ArchiveUnavailableError(IngestError):
    """The database or object store did not answer; nothing is lost when the sender tries again."""

    code = "ingest.unavailable"
    message = {"zh": "归档服务暂时不可用，请稍后重发", "en": "The archive is unavailable for now; send again later"}
    retryable = True
