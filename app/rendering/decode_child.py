"""A disposable decoder: frames in on standard input, values out on standard output, memory bounded.

It may hang or crash; its owner kills it, marks the frame and starts another.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from typing import Any, BinaryIO

import numpy as np
import orjson

_HEAD = struct.Struct(">II")


def _read(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    total, header_length = _HEAD.unpack(head)
    payload = stream.read(total)
    return orjson.loads(payload[:header_length]), payload[header_length:]


def _write(stream: BinaryIO, header: dict[str, Any], body: bytes | memoryview = b"") -> None:
    text = orjson.dumps(header)
    stream.write(_HEAD.pack(len(text) + len(body), len(text)) + text)
    stream.write(body)
    stream.flush()


def die_with_parent() -> None:
    """A child that hangs inside a decoder never sees its input end: the kernel ends it with its owner (prctl(2))."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)


def main() -> None:
    """Serve until standard input ends."""
    die_with_parent()
    memory_mb, plugins = int(sys.argv[1]), sys.argv[2]
    limit = memory_mb << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(5)
    # Libraries that print to standard output must not mix into the answers.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    from render.codec import FrameSpec, decode_frame, register_plugins
    from render.errors import RenderError

    register_plugins(plugins)
    _write(out, {"ready": True})
    while (message := _read(sys.stdin.buffer)) is not None:
        header, data = message
        try:
            decoded = decode_frame(data, FrameSpec(**header["spec"]))
            values = np.ascontiguousarray(decoded.values)
            _write(
                out,
                {
                    "dtype": values.dtype.str,
                    "shape": values.shape,
                    "photometric": decoded.photometric_interpretation,
                    "decoder": decoded.decoder,
                    "lowest": float(values.min()),
                    "highest": float(values.max()),
                },
                values.data.cast("B") if header.get("want_values", True) else b"",
            )
        except RenderError as error:
            _write(out, {"error": error.code, "message": dict(error.message), "data": error.data})
        except MemoryError:
            _write(out, {"error": "codec.out_of_memory", "message": {}, "data": {}})


if __name__ == "__main__":
    main()
