"""The bench of ``first_picture``: our server, its peers and the phone, and the studies that all of them hold."""

from __future__ import annotations

import json
import shutil
import ssl
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.uid
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from app.demo.phantoms import phantom_ct, phantom_mr, write_dicom
from app.demo.radiographs import phantom_dx, phantom_mg
from benchmarks.browser import Phone
from benchmarks.link import Link, inside
from benchmarks.needs import ohif_folder
from benchmarks.programs import CloudFilm, Orthanc, Program, dcmsend, free_port, wait_for


@dataclass(frozen=True, slots=True)
class Subject:
    """One study: its instances in order of number, and the window of its first picture."""

    name: str
    instances: list[Dataset]

    def reference(self, index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The plain rendering (PS3.3 C.11.2.1.2 window, area-averaging resize) of instance ``index`` at (width, height)."""
        ds: Any = self.instances[index]
        values = ds.pixel_array.astype(np.float64) * float(ds.get("RescaleSlope", 1)) + float(
            ds.get("RescaleIntercept", 0)
        )
        voi: list[Any] = [ds["WindowCenter"].value, ds["WindowWidth"].value]
        centre, width = (float(v[0] if isinstance(v, MultiValue) else v) for v in voi)
        shown = np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1) * 255
        if ds.PhotometricInterpretation == "MONOCHROME1":
            shown = 255 - shown
        picture = Image.fromarray(np.rint(shown).astype(np.uint8))
        smaller = size[0] < picture.width
        kind = Image.Resampling.BOX if smaller else Image.Resampling.BICUBIC
        return np.asarray(picture.resize(size, kind))


def _subjects(quick: bool) -> Iterator[Subject]:
    yield Subject("CT", list(phantom_ct(40 if quick else 120, 512)))
    yield Subject("MR", list(phantom_mr(20 if quick else 60, 256)))
    for name, instances in (("DX", [phantom_dx(3000)]), ("MG", list(phantom_mg(3000)))):
        for ds in instances:
            ds.pop("VOILUTFunction", None)  # LINEAR is the default; OHIF 3.13.2 refuses the study where it is said
        yield Subject(name, instances)


def request_json(namespace: str, url: str, body: dict[str, Any] | None = None, cookie: str = "") -> tuple[Any, str]:
    """(JSON answer, cookies it set) of a request from inside the namespace; the self-made certificate is accepted."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def ask() -> tuple[Any, str]:
        origin = "/".join(url.split("/")[:3])
        headers = {"Content-Type": "application/json", "Cookie": cookie, "Origin": origin}
        request = urllib.request.Request(url, json.dumps(body).encode() if body is not None else None, headers)
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            set_cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]
            return json.loads(answer.read() or b"null"), set_cookie

    return inside(namespace, ask)


def log_in(link: Link, ours: CloudFilm) -> tuple[str, str]:
    """(name, value) of the session cookie of a doctor made for this run, the one-time password changed."""
    made = ours.run("user", "create", "bench", "--role", "doctor")
    password = str(made["one_time_password"])
    _, cookie = request_json(link.server, f"{ours.url}/api/login", {"username": "bench", "password": password})
    new = "Bench-" + password
    request_json(link.server, f"{ours.url}/api/password", {"old": password, "new": new}, cookie)
    _, cookie = request_json(link.server, f"{ours.url}/api/login", {"username": "bench", "password": new})
    name, _, value = cookie.partition("=")
    return name, value


class Rig:
    """The server, its peers and the phone of one run."""

    def __init__(self, stack: ExitStack, link: Link, quick: bool) -> None:
        self.link, self.quick = link, quick
        self.subjects = {subject.name: subject for subject in _subjects(quick)}
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cloudfilm-bench-")))
        self.ours = stack.enter_context(CloudFilm(link.server, link.server_address))
        self.orthanc = stack.enter_context(Orthanc(link.server, link.server_address))
        self.pages: dict[str, Page] = {}
        self.cookie = log_in(link, self.ours)
        self.stack = stack
        for name, subject in self.subjects.items():
            for index, ds in enumerate(subject.instances):
                (self.folder / name).mkdir(exist_ok=True)
                write_dicom(ds, self.folder / name / f"{index}.dcm")
            dcmsend(self.folder / name, self.ours.dicom_port, "CLOUDFILM", link.server)
            dcmsend(self.folder / name, self.orthanc.dicom_port, "ORTHANC", link.server)
        self.keys = self._study_keys()
        self._certificate = self.ours.folder / "home" / "tls"
        self.phone = stack.enter_context(Phone(link.phone, self._certificate / "certificate.pem"))
        dist = ohif_folder()
        if dist is not None:
            self.pages["ohif"] = stack.enter_context(self.page("ohif", str(dist), self.orthanc.url))

    def page(self, kind: str, *arguments: str) -> Page:
        """A small server with our certificate."""
        return Page(self.link, kind, self._certificate, arguments)

    def _study_keys(self) -> dict[str, int]:
        answer, _ = request_json(
            self.link.server, f"{self.ours.url}/api/studies?limit=50", cookie="=".join(self.cookie)
        )
        rows: list[dict[str, Any]] = answer["studies"] if isinstance(answer, dict) else answer
        return {str(row["modalities"][0]): int(row["study_key"]) for row in reversed(rows)}

    def wait_prepared(self) -> None:
        """Until the worker has written both pictures of every study's key series."""
        derived = self.ours.folder / "home" / "blobs" / "objects" / "derived"
        end = time.monotonic() + 60
        while len(list(derived.rglob("*base*"))) < len(self.subjects) and time.monotonic() < end:
            time.sleep(0.2)

    def fresh(self, subject: Subject) -> int:
        """Send the study under new UIDs and return its key as soon as the last C-STORE was answered."""
        folder = self.folder / "fresh"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        study, series = pydicom.uid.generate_uid(), pydicom.uid.generate_uid()
        for index, ds in enumerate(subject.instances):
            ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
            ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
            write_dicom(ds, folder / f"{index}.dcm")
        dcmsend(folder, self.ours.dicom_port, "CLOUDFILM", self.link.server)
        return self._study_keys()[subject.name]


class Page(Program):
    """A server of ``benchmarks.pages`` in the server's namespace."""

    def __init__(self, link: Link, kind: str, certificate: Path, arguments: tuple[str, ...]) -> None:
        super().__init__(link.server)
        self._link, self._kind, self._certificate, self._arguments = link, kind, certificate, arguments
        self.url = ""

    def start(self) -> None:
        """Until it listens."""
        import sys

        port = free_port(self.namespace)
        files = [str(self._certificate / name) for name in ("certificate.pem", "key.pem")]
        command = [sys.executable, "-m", "benchmarks.pages", self._kind, self._link.server_address, str(port), *files]
        self.spawn([*command, *self._arguments])
        wait_for(port, self.namespace, host=self._link.server_address)
        self.url = f"https://{self._link.server_address}:{port}"
