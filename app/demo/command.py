"""``cloudfilm demo``: serve, send the demo studies to ourselves by C-STORE, print where to look."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import segno

from app import locations
from app.cli import parser
from app.delivery.service import Shares
from app.demo.studies import DemoStudy, demo_studies, files_of, packaged_files, study_uid_of
from app.errors import describe_error
from app.logging import configure_logging
from app.opening import open_services
from app.settings import Settings, split_address
from app.supervisor import Supervisor, run_supervised
from dicomnet.dimse.scu import SendReport, send

_BAR_WIDTH = 28
_SHARE_DAYS = 7


class Progress:
    """A progress bar on a terminal; plain lines, one per study, elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._drawn_at = 0.0

    def draw(self, study: DemoStudy, done: int, *, last: bool = False) -> None:
        """Show ``done`` of the study's instances; ``last`` ends the line."""
        now = time.monotonic()
        if not last and (not self._terminal or now - self._drawn_at < 0.1):
            return
        self._drawn_at = now
        filled = _BAR_WIDTH * done // max(1, study.count)
        bar = "█" * filled + "·" * (_BAR_WIDTH - filled)
        start, end = ("\r", "\n" if last else "") if self._terminal else ("", "\n")
        self._stream.write(f"{start}  {bar} {done:>4}/{study.count:<4} {study.title}{end}")
        self._stream.flush()


@dataclass(frozen=True, slots=True)
class Sent:
    """What the sending of everything came to."""

    instances: int
    refused: int
    first_study_uid: str


def send_studies(
    studies: list[DemoStudy], host: str, port: int, ae_title: str, progress: Progress, stopping: threading.Event
) -> Sent:
    """C-STORE the studies one after the other (blocking). Raises SendError."""
    sent = refused = 0
    first = ""
    for study in studies:
        if stopping.is_set():
            break

        def advance(report: SendReport, study: DemoStudy = study) -> None:
            progress.draw(study, report.sent + len(report.failures))

        report = send(
            host,
            port,
            study.instances(),
            study.contexts,
            called_ae_title=ae_title,
            calling_ae_title="DEMO",
            progress=advance,
            stopped=stopping.is_set,
        )
        progress.draw(study, report.sent + len(report.failures), last=True)
        sent += report.sent
        refused += len(report.failures)
        first = first or _first_uid(study)
    return Sent(sent, refused, first)


def _first_uid(study: DemoStudy) -> str:
    if study.study_instance_uid:
        return study.study_instance_uid
    first = next(study.instances(), None)
    return study_uid_of(first) if isinstance(first, Path) else ""


def _choose(data: Path | None) -> list[DemoStudy]:
    return files_of(data) if data is not None else demo_studies() + packaged_files()


def _print_welcome(supervisor: Supervisor, settings: Settings, sent: Sent) -> None:
    refused = f", {sent.refused} refused" if sent.refused else ""
    print(f"\n  {sent.instances} images sent{refused}\n")
    print(f"  浏览器 / browser   {locations.public_url(settings, supervisor.http_url)}")
    print(f"  DICOM             {settings.ae_title} @ port {supervisor.dicom_port}")
    if supervisor.first_start is not None:
        print(f"  登录 / login       {supervisor.first_start.username}")
        print(f"  一次性密码 / one-time password   {supervisor.first_start.one_time_password}")
    else:
        print("  登录 / login       admin (password as at first start; `cloudfilm user reset-password admin`)")


def _qr(url: str) -> str:
    drawn = io.StringIO()
    segno.make(url, error="l").terminal(out=drawn, compact=True, border=2)
    return drawn.getvalue()


async def _print_share(supervisor: Supervisor, settings: Settings, study_uid: str) -> None:
    """One share link of the first study, its code, and the QR code of the link."""
    async with open_services(settings) as services:
        institution_id = await services.institutions.resolve(None)
        study_key = await services.database.fetchval(
            institution_id, "select study_key from archive.study where study_instance_uid = $1", study_uid
        )
        if study_key is None:
            return
        try:
            share = await Shares(services).create(institution_id, study_key, "system:demo", days=_SHARE_DAYS)
        except Exception as error:
            described = describe_error(error)
            if described is None:
                raise
            print(f"  分享 / share       {described.message['zh']} · {described.message['en']} [{described.code}]")
            return
    url = f"{locations.public_url(settings, supervisor.http_url)}/s/{share.token}"
    print(f"\n  分享链接 / link     {url}\n  访问码 / code       {share.code}\n\n{_qr(url)}")


def main(settings: Settings, argv: list[str]) -> int:
    """``cloudfilm demo [--data FOLDER]``: runs until Ctrl-C; a second start finds its data and sends nothing new."""
    arguments = parser("demo", main.__doc__ or "")
    arguments.add_argument("--data", type=Path, help="send this folder of DICOM instead of the demo studies")
    arguments.add_argument("--once", action="store_true", help="end after everything is sent and printed")
    given = arguments.parse_args(argv)
    if given.data is not None and not given.data.is_dir():
        print(f"cloudfilm: {given.data} is not a folder", file=sys.stderr)
        return 2
    configure_logging("supervisor", settings.log_level)
    stopping = threading.Event()

    async def ready(supervisor: Supervisor) -> None:
        host, _ = split_address(settings.dicom)
        host = "127.0.0.1" if host in {"0.0.0.0", "[::]"} else host.strip("[]")  # noqa: S104  # compared, not bound
        print("\n  CloudFilm 云胶片\n")
        try:
            sent = await asyncio.to_thread(
                send_studies,
                _choose(given.data),
                host,
                supervisor.dicom_port,
                settings.ae_title,
                Progress(sys.stdout),
                stopping,
            )
        except asyncio.CancelledError:
            stopping.set()
            raise
        _print_welcome(supervisor, settings, sent)
        if sent.first_study_uid:
            await _print_share(supervisor, settings, sent.first_study_uid)
        if given.once:
            signal_self()
            return
        print("  Ctrl-C 结束 / ends\n", flush=True)

    return asyncio.run(run_supervised(settings, ready))


def signal_self() -> None:
    """End as Ctrl-C does."""
    import os
    import signal

    os.kill(os.getpid(), signal.SIGINT)
