"""Read an strace of a DICOM server and say whether each C-STORE-RSP left after the object was safe."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SYSCALLS = "fsync,fdatasync,rename,renameat,renameat2,link,linkat,read,recvfrom,recvmsg,write,writev,sendto,sendmsg"
STRACE = ["strace", "-f", "-yy", "-qq", "-s", "2000", "-e", f"trace={SYSCALLS}", "-e", "signal=none", "-o"]

_LINE = re.compile(r"(?P<pid>\d+) +(?P<rest>.*)")
_READY_IDLE = r"Z\0\0\0\5I"  # ReadyForQuery, no transaction open (PostgreSQL protocol 3, section 55.7)


@dataclass(slots=True)
class Order:
    """What the trace shows. ``faults`` is empty when every answer came after all four steps."""

    answers: int = 0
    faults: list[str] = field(default_factory=list[str])


def _calls(trace: Path) -> Iterator[tuple[str, str]]:
    """(started | ended, call) in the order of the trace; a call that was interrupted in print is joined again."""
    pending: dict[str, str] = {}
    for line in trace.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        pid, rest = match["pid"], match["rest"]
        if rest.endswith("<unfinished ...>"):
            pending[pid] = rest.removesuffix("<unfinished ...>")
            yield "started", pending[pid]
        elif rest.startswith("<... "):
            begun = pending.pop(pid, "")
            yield "ended", begun + rest.partition(" resumed>")[2]
        else:
            yield "started", rest
            yield "ended", rest


def check(trace: Path, blobs: Path) -> Order:
    """Walk the trace: fsync(file), rename, fsync(folder), COMMIT, then the answer."""
    order = Order()
    synced: set[str] = set()
    done: set[str] = set()
    committing = False
    for phase, call in _calls(trace):
        name = call.partition("(")[0]
        if phase == "ended" and name in ("fsync", "fdatasync") and str(blobs) in call:
            path = call.partition("<")[2].partition(">")[0]
            if "/incoming/" in path:
                synced.add(path)
                done.add("fsync(file)")
            elif "/objects" in path and "rename" in done:
                done.add("fsync(folder)")
        elif phase == "ended" and name in ("rename", "renameat", "renameat2") and "/incoming/" in call:
            source = call.partition('"')[2].partition('"')[0]
            if source in synced:
                done.add("rename")
        elif phase == "started" and name in ("write", "writev", "sendto", "sendmsg"):
            if "UNIX" in call and "/blobs" not in call and "fsync(folder)" in done and _is_statement(call):
                committing = True
            elif "TCP:" in call and _is_store_response(call):
                order.answers += 1
                missing = {"fsync(file)", "rename", "fsync(folder)", "COMMIT"} - done
                if missing:
                    order.faults.append(f"answer {order.answers} before {', '.join(sorted(missing))}")
                done, committing = set(), False
        elif committing and phase == "ended" and name in ("read", "recvfrom", "recvmsg") and _READY_IDLE in call:
            done.add("COMMIT")
    return order


def _is_statement(call: str) -> bool:
    """Whether a bound statement with an object key is sent to PostgreSQL."""
    return ".dcm" in call


def _is_store_response(call: str) -> bool:
    """A P-DATA-TF (type 4) whose command field is 0x8001, implicit little endian (PS3.7 E.1)."""
    text = call.partition('"')[2]
    return text.startswith(r"\4\0") and r"\0\0\0\1\2\0\0\0\1\200" in text
