"""A decoder plug-in for the RLE syntax that hangs or crashes where the frame's bytes say so."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

SLEEP, CRASH = b"SLEEP-FRAME.", b"CRASH-FRAME."


def _decode(data: bytes, spec: Any) -> tuple[Any, str]:
    if data.startswith(SLEEP):
        time.sleep(5)
    if data.startswith(CRASH):
        os.kill(os.getpid(), signal.SIGSEGV)
    raise ValueError("not mine")


def decoders() -> Mapping[str, Callable[[bytes, Any], tuple[Any, str]]]:
    """For ``CLOUDFILM_DECODER_PLUGINS``."""
    return {"1.2.840.10008.1.2.5": _decode}
