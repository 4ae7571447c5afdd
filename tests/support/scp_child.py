"""A DICOM server process for tests: ``python -m tests.support.scp_child`` with its settings as JSON in SCP_CHILD.

Prints its port when it listens; ends on SIGTERM or when its standard input closes. ``mutation`` takes one step of the
durable order out, so that a test can show that it notices.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import threading
from pathlib import Path

import structlog

from dicomnet.archive.index import Written
from dicomnet.archive.index_writer import IndexWriter, Row
from dicomnet.dimse.scp import run_scp


def mutate(mutation: str) -> None:
    """Break the order on purpose."""
    real_fsync = os.fsync

    def skip(wanted: int) -> None:
        def fsync(descriptor: int) -> None:
            if stat.S_IFMT(os.fstat(descriptor).st_mode) != wanted:
                real_fsync(descriptor)

        os.fsync = fsync

    async def uncommitted(self: IndexWriter, institution_id: int, row: Row) -> Written:
        del self, institution_id
        return Written("new", 1, 1, 1, row.object_key, row.object_sha256)

    if mutation == "no fsync of the file":
        skip(stat.S_IFREG)
    elif mutation == "no fsync of the folder":
        skip(stat.S_IFDIR)
    elif mutation == "no commit":
        IndexWriter.write = uncommitted
    elif mutation:
        raise ValueError(mutation)


def main() -> None:
    settings = json.loads(os.environ["SCP_CHILD"])
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    mutate(settings.get("mutation", ""))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    run_scp(
        host="127.0.0.1",
        port=settings.get("port", 0),
        database_url=settings["database_url"],
        home=Path(settings["home"]),
        keyring_path=Path(settings["home"]) / "master.key",
        ready=lambda port: print(port, flush=True),
        stop=stop,
        min_free_bytes=settings.get("min_free_bytes", 0),
        **settings.get("more", {}),
    )


if __name__ == "__main__":
    main()
