"""Start, kill and stop a DICOM server process; send to it with pynetdicom."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom.dataset import FileDataset
from pynetdicom import AE
from pynetdicom.association import Association

ROOT = Path(__file__).resolve().parents[2]


class ScpProcess:
    """One child; ``wrapper`` is put before its command (strace …)."""

    def __init__(self, home: Path, database_url: str, *, wrapper: Sequence[str] = (), **settings: Any) -> None:
        self.home = home
        self.settings = {"home": str(home), "database_url": database_url, **settings}
        self.wrapper = list(wrapper)
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> int:
        """Start, wait until it listens; the same port at every start."""
        environment = {**os.environ, "SCP_CHILD": json.dumps({**self.settings, "port": self.port})}
        with (self.home / "scp.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, sys.executable, "-m", "tests.support.scp_child"],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip().isdigit():
                self.port = int(line)
                return self.port
        raise AssertionError((self.home / "scp.log").read_text())

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self._reap()

    def stop(self) -> int:
        """End it in order; returns the exit status."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self._reap()

    def _reap(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        status = self.process.wait(timeout=20)
        self.process.stdout.close()
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        return status


@contextmanager
def associated(port: int, dataset: FileDataset, title: str = "CLOUDFILM") -> Iterator[Association]:
    """An established association for data sets like ``dataset``. Raises ConnectionError."""
    scu = AE("TESTSCU")
    scu.acse_timeout = scu.dimse_timeout = scu.network_timeout = 15
    scu.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = scu.associate("127.0.0.1", port, ae_title=title)
    if not association.is_established:
        raise ConnectionError("rejected" if association.is_rejected else "no association")
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def send(port: int, datasets: Sequence[FileDataset], title: str = "CLOUDFILM") -> list[Any]:
    """C-STORE each; the status data sets."""
    with associated(port, datasets[0], title) as association:
        return [association.send_c_store(dataset) for dataset in datasets]
