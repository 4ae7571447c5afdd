"""``first_picture``: from a tap to the painted picture on a phone behind a 4G link.

Cases are ``CLOCK/DATA/PROFILE/STATE``. Clock A: navigation to /viewer/{study} with a valid session and an empty
cache. Clock B: a share's code is submitted after idle typing. The clock ends when the refined picture is painted at
full viewport width; its pixels must have SSIM >= 0.95 to a plain rendering of the same frame. States: ``prepared``,
``restarted`` (the server was just started again), ``arriving`` (opened at the last C-STORE response).
In the same run, taken in turn: the link's floor (a bare page of the same bytes), Orthanc's own web viewer (without
TLS, in its favour) and OHIF with cold and warm cache (in a desktop's viewport: on a phone's it shows 65 pixels).
"""

from __future__ import annotations

import json
import re
import shutil
import ssl
import tempfile
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator
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
from benchmarks.browser import Phone, screenshot, shown_picture
from benchmarks.harness import (
    Benchmark,
    BenchmarkError,
    Options,
    Peer,
    Result,
    against,
    pair_with,
    peer_of,
    summarize,
)
from benchmarks.link import PROFILES, Link, inside
from benchmarks.needs import CHROMIUM, DCMTK, NAMESPACES, ORTHANC, ohif_folder
from benchmarks.programs import CloudFilm, Orthanc, Program, dcmsend, free_port, wait_for

OHIF_VERSION = "3.13.2"
TARGET_MS = {("A", "CT"): 1000, ("A", "MR"): 1000, ("A", "DX"): 1300, ("A", "MG"): 1300}
MIN_SSIM = 0.95
_STATES = ("prepared", "restarted", "arriving")


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
    yield Subject("DX", [phantom_dx(3000)])
    yield Subject("MG", list(phantom_mg(3000)))


def similarity(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """SSIM (Wang et al. 2004: Gaussian, sigma 1.5)."""
    from skimage.metrics import structural_similarity

    found: Any = structural_similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    return float(found)


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
        self.phone = stack.enter_context(Phone(link.phone))
        self._certificate = self.ours.folder / "home" / "tls"
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


def _check(page: Any, subject: Subject, case: str) -> tuple[float, int, bytes]:
    """Correct first: (SSIM of the refined picture, bytes of the response, the bare page). Raises BenchmarkError."""
    picture, share = shown_picture(page)
    if share < 0.99:
        raise BenchmarkError(f"{case}: the picture takes only {share:.0%} of the viewport's width")
    shape = (picture.shape[1], picture.shape[0])
    middle = len(subject.instances) // 2 if subject.name in {"CT", "MR"} else 0
    frames = {middle, len(subject.instances) - 1 - middle}  # a stack may be shown from either end
    best = max(similarity(picture, subject.reference(index, shape)) for index in frames)
    if best < MIN_SSIM:
        raise BenchmarkError(f"{case}: SSIM {best:.3f} to the plain rendering")
    if screenshot(page).std() < 10:
        raise BenchmarkError(f"{case}: the screen shows no picture")
    size = int(page.evaluate("performance.getEntriesByType('navigation')[0].encodedBodySize"))
    return best, size, _without_scripts(str(page.evaluate("fetch(location.href).then(r => r.text())")))


def _without_scripts(html: str) -> bytes:
    """The page as the server sends it, packed as the server packs it, with nothing to run."""
    bare = re.sub(r"<script defer[^>]*></script>|<link rel=\"stylesheet\"[^>]*>", "", html).encode()
    packer = zlib.compressobj(6, zlib.DEFLATED, 31, 9, zlib.Z_HUFFMAN_ONLY)
    return packer.compress(bare) + packer.flush()


def _ours(rig: Rig, subject: Subject, clock: str, state: str, case: str, count: int) -> tuple[list[float], Any]:
    """Our samples of one case, and what the first of them proved."""
    samples: list[float] = []
    proof: Any = None
    idle_s = 6.0 if rig.quick else 20.0
    share = (
        rig.ours.run("share", "create", "--study", str(subject.instances[0].StudyInstanceUID), "--days", "1")
        if clock == "B"
        else {}
    )
    for _ in range(count):
        key = rig.keys[subject.name]
        if state == "restarted":
            rig.ours.restart()
        elif state == "arriving":
            key = rig.fresh(subject)
        if clock == "A":
            elapsed, page = rig.phone.open_picture(f"{rig.ours.url}/viewer/{key}", rig.cookie)
        else:
            elapsed, page = rig.phone.open_share(str(share["url"]), str(share["code"]), idle_s)
        proof = proof or _check(page, subject, case)
        page.context.close()
        samples.append(elapsed)
    return samples, proof


def _floor(rig: Rig, body: bytes, count: int) -> list[float]:
    """A page of the same bytes without any work behind it, from the same kind of server."""
    path = rig.folder / "bare.html"
    path.write_bytes(body)
    samples: list[float] = []
    with rig.page("bare", str(path)) as bare:
        for _ in range(count):
            elapsed, page = rig.phone.open_picture(bare.url + "/", None)
            page.context.close()
            samples.append(elapsed)
    return samples


def _peers(rig: Rig, subject: Subject, count: int) -> list[Peer]:
    """Orthanc's web viewer, OHIF cold, OHIF warm; each on the same link and data."""
    peers: list[Peer] = []
    study_uid = str(pydicom.dcmread(rig.folder / subject.name / "0.dcm", stop_before_pixels=True).StudyInstanceUID)
    series = rig.orthanc.get(f"/studies/{_orthanc_study(rig, study_uid)}/series")
    identifier = str(series[0]["ID"])
    tries: list[tuple[str, str, str, bool]] = [
        (
            "Orthanc web viewer",
            rig.orthanc.version,
            f"{rig.orthanc.url}/web-viewer/app/viewer.html?series={identifier}",
            False,
        )
    ]
    if "ohif" in rig.pages:
        url = f"{rig.pages['ohif'].url}/viewer?StudyInstanceUIDs={study_uid}"
        tries += [("OHIF cold", OHIF_VERSION, url, False), ("OHIF warm", OHIF_VERSION, url, True)]
    for name, version, url, warm in tries:
        samples = _canvas_samples(rig, url, count, warm=warm)
        if samples:
            peers.append(peer_of(name, version, samples, "ms"))
    return peers


def _canvas_samples(rig: Rig, url: str, count: int, *, warm: bool) -> list[float]:
    samples: list[float] = []
    desk = not url.startswith(rig.orthanc.url)
    context = rig.phone.context(canvas=True, desk=desk)
    try:
        if warm:
            rig.phone.open_canvas(url, context)
        for _ in range(count):
            if not warm:
                context.close()
                context = rig.phone.context(canvas=True, desk=desk)
            samples.append(rig.phone.open_canvas(url, context))
    except Exception as error:
        print(f"first_picture: {url.split('?')[0]} showed no picture ({type(error).__name__})")
    finally:
        context.close()
    return samples


def _orthanc_study(rig: Rig, study_uid: str) -> str:
    found = [s for s in rig.orthanc.get("/studies?expand") if s["MainDicomTags"]["StudyInstanceUID"] == study_uid]
    return str(found[0]["ID"])


def _case(rig: Rig, clock: str, name: str, profile: str, state: str, peers: Callable[[str], list[Peer]]) -> Result:
    case = f"{clock}/{name}/{profile}/{state}"
    subject = rig.subjects[name]
    full = 6 if rig.quick else 20
    count = full if state == "prepared" else max(2, full // 4)
    samples, (ssim, size, body) = _ours(rig, subject, clock, state, case, count)
    result = summarize("first_picture", case, "ms", samples)
    result.bytes = size
    result.steps = {
        "ssim": round(ssim, 4),
        "link_rtt_ms": round(rig.link.measured_rtt_ms, 1),
        "link_down_mbit": round(rig.link.measured_down_mbit, 2),
    }
    if clock == "A" and state == "prepared":
        floor = _floor(rig, body, max(3, full // 2))
        result.floor = summarize("", "", "ms", floor).p50
        pair_with(result, peers(name))
    target = TARGET_MS.get((clock, name), 750) if state != "arriving" else 1500
    return against(result, f"p95 <= {target} ms", result.p95 <= target)


def run(options: Options) -> list[Result]:
    """Every case of both profiles; peers and floor beside A/…/prepared."""
    results: list[Result] = []
    plan = [
        (c, n, s) for s in _STATES for c in ("A", "B") for n in ("CT", "MR", "DX", "MG") if (c, s) != ("B", "arriving")
    ]
    with ExitStack() as stack:
        link = stack.enter_context(Link(next(iter(PROFILES.values()))))
        rig = Rig(stack, link, options.quick)
        rig.wait_prepared()
        for profile in PROFILES.values():
            wanted = [(c, n, s) for c, n, s in plan if options.wants(f"{c}/{n}/{profile.name}/{s}")]
            if not wanted:
                continue
            if link.profile != profile:
                link.set_profile(profile)
            for clock, name, state in wanted:
                case = f"{clock}/{name}/{profile.name}/{state}"
                try:
                    results.append(
                        _case(
                            rig,
                            clock,
                            name,
                            profile.name,
                            state,
                            lambda n: _peers(rig, rig.subjects[n], 2 if options.quick else 5),
                        )
                    )
                except BenchmarkError as error:
                    results.append(Result("first_picture", case, "ms", skipped=f"FAILED: {error}"))
                print(f"  {case} done", flush=True)
    return results


BENCHMARK = Benchmark(
    "first_picture",
    "tap to painted picture on a phone over 4G, against Orthanc's viewer and OHIF",
    (NAMESPACES, CHROMIUM, ORTHANC, DCMTK),
    run,
)
