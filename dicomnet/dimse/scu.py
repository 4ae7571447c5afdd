"""Storage SCU: sends instances to another application entity (PS3.4 B), one association after the other."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, _config
from pynetdicom.presentation import build_context

from dicomnet.errors import DicomnetError

# A file's data set is sent as it lies on the disk, in pieces, not decoded and encoded again.
_config.STORE_SEND_CHUNKED_DATASET = True
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # what goes wrong is in the report

LARGEST_CONTEXT_COUNT = 128  # PS3.8 9.3.2.2: presentation context ids are the odd numbers 1 … 255
_SUCCESS_OR_WARNING = {0x0000, 0xB000, 0xB006, 0xB007}


class SendError(DicomnetError):
    """The receiver could not be reached, refused the association, or broke it off."""

    code = "dimse.send_failed"
    message = {"zh": "对方 DICOM 服务没有接收", "en": "The other DICOM server did not take the images"}
    retryable = True


@dataclass(slots=True)
class SendReport:
    """What became of the instances: ``failures`` holds (SOP Instance UID or path, status or -1 where none came)."""

    sent: int = 0
    failures: list[tuple[str, int]] = field(default_factory=list)


def send(
    host: str,
    port: int,
    instances: Iterable[Dataset | Path],
    contexts: Iterable[tuple[str, str]],
    *,
    called_ae_title: str,
    calling_ae_title: str = "CLOUDFILM",
    progress: Callable[[SendReport], None] | None = None,
    stopped: Callable[[], bool] = lambda: False,
    timeout_s: float = 60.0,
) -> SendReport:
    """C-STORE every instance in the transfer syntax it has; ``contexts`` are the (SOP class, syntax) pairs that occur.

    Instances are taken from the iterable one at a time, so they may be made while they are sent. ``stopped`` is
    asked before each. At most 128 pairs. Raises SendError.
    """
    pairs = sorted(set(contexts))
    if not pairs:
        return SendReport()
    if len(pairs) > LARGEST_CONTEXT_COUNT:
        raise SendError(what="too many presentation contexts", count=len(pairs))
    entity = AE(ae_title=calling_ae_title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = timeout_s
    report = SendReport()
    wanted: list[Any] = [build_context(sop_class, syntax) for sop_class, syntax in pairs]
    association: Any = entity.associate(host, port, contexts=wanted, ae_title=called_ae_title)
    if not association.is_established:
        raise SendError(host=host, port=port, what="no association")
    try:
        for instance in instances:
            if stopped():
                break
            _store(association, instance, report)
            if progress is not None:
                progress(report)
    finally:
        if association.is_established:
            association.release()
    return report


def _store(association: Any, instance: Dataset | Path, report: SendReport) -> None:
    if not association.is_established:
        raise SendError(what="association ended", sent=report.sent)
    uid = str(instance) if isinstance(instance, Path) else str(instance.get("SOPInstanceUID", ""))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd values in received files are the receiver's to judge
        try:
            status: Any = association.send_c_store(instance)
        except (ValueError, AttributeError, OSError):
            # No accepted context for this class and syntax, a data set that cannot be encoded, an unreadable file.
            report.failures.append((uid, -1))
            return
    code = int(status.Status) if status is not None and "Status" in status else -1
    if code in _SUCCESS_OR_WARNING:
        report.sent += 1
    else:
        report.failures.append((uid, code))
