"""``first_picture``: from a tap to the painted picture on a phone behind a 4G link.

Cases are ``CLOCK/DATA/PROFILE/STATE``. Clock A: navigation to /viewer/{study} with a valid session and an empty
cache. Clock B: a share's code is submitted after idle typing. The clock ends when the refined picture is painted at
full viewport width; its pixels must have SSIM >= 0.95 to a plain rendering of the same frame. States: ``prepared``,
``restarted`` (the server was just started again; of the code, three digits are typed after that, 300 ms a key),
``arriving`` (opened at the last C-STORE response).
In the same run, taken in turn: the link's floor (a bare page of the same bytes), Orthanc's own web viewer (without
TLS, in its favour) and OHIF with cold and warm cache (in a desktop's viewport: on a phone's it shows 65 pixels).
"""

from __future__ import annotations

import re
import statistics
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from playwright.sync_api import Error as PlaywrightError

from benchmarks.browser import screenshot, shown_picture
from benchmarks.first_picture_rig import Rig, Subject
from benchmarks.harness import (
    Benchmark,
    BenchmarkError,
    Options,
    Result,
    against,
    describe,
    pair_with,
    peer_of,
    summarize,
)
from benchmarks.link import PROFILES, Link
from benchmarks.needs import CHROMIUM, DCMTK, NAMESPACES, ORTHANC

OHIF_VERSION = "3.13.2"
TARGET_MS = {("A", "CT"): 1000, ("A", "MR"): 1000, ("A", "DX"): 1300, ("A", "MG"): 1300}
MIN_SSIM = 0.95
_STATES = ("prepared", "restarted", "arriving")

# Of the present navigation, ms: connection with TLS, request to first byte, the answer's bytes, then to the paint.
_STEPS = """() => {
  const n = performance.getEntriesByType('navigation')[0], p = window.__painted;
  return {connect_ms: n.connectEnd - n.connectStart, first_byte_ms: n.responseStart - n.requestStart,
          body_ms: n.responseEnd - n.responseStart, base_paint_ms: p.base || 0,
          paint_after_body_ms: (p.refined || p.base) - n.responseEnd};
}"""


def similarity(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """SSIM (Wang et al. 2004: Gaussian, sigma 1.5)."""
    from skimage.metrics import structural_similarity

    found: Any = structural_similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
    return float(found)


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


@dataclass(slots=True)
class Visit:
    """One timed visit of ours and what the browser says about its steps."""

    elapsed_ms: float
    page: Any


def _visitor(rig: Rig, subject: Subject, clock: str, state: str, count: int) -> Callable[[], Visit]:
    """What one sample of ours is."""
    if clock == "B":
        share = rig.ours.run("share", "create", "--study", str(subject.instances[0].StudyInstanceUID), "--days", "1")
        waiting: list[Any] = []

        def submit() -> Visit:
            if state == "restarted":
                rig.ours.restart()
            # Forms are opened ten at a time and left idle together: a person types for 20 s.
            if not waiting:
                waiting.extend(
                    rig.phone.type_code(str(share["url"]), str(share["code"])) for _ in range(min(10, count))
                )
                waiting[-1].wait_for_timeout((6 if rig.quick else 20) * 1000)
            page = waiting.pop(0)
            if state == "restarted":
                rig.phone.type_again(page, str(share["code"]))
            return Visit(rig.phone.submit_code(page), page)

        return submit

    def open_page() -> Visit:
        key = rig.keys[subject.name]
        if state == "restarted":
            rig.ours.restart()
        elif state == "arriving":
            key = rig.fresh(subject)
        return Visit(*rig.phone.open_picture(f"{rig.ours.url}/viewer/{key}", rig.cookie))

    return open_page


def _peers(rig: Rig, stack: ExitStack, subject: Subject) -> list[tuple[str, str, Callable[[], float]]]:
    """(name, version, one sample) of Orthanc's web viewer, OHIF cold, OHIF warm; each on the same link and data."""
    study_uid = str(pydicom.dcmread(rig.folder / subject.name / "0.dcm", stop_before_pixels=True).StudyInstanceUID)
    found = [s for s in rig.orthanc.get("/studies?expand") if s["MainDicomTags"]["StudyInstanceUID"] == study_uid]
    identifier = str(rig.orthanc.get(f"/studies/{found[0]['ID']}/series")[0]["ID"])
    viewer = f"{rig.orthanc.url}/web-viewer/app/viewer.html?series={identifier}"
    peers = [("Orthanc web viewer", rig.orthanc.version, _canvas(rig, stack, viewer, desk=False, warm=False))]
    if "ohif" in rig.pages:
        url = f"{rig.pages['ohif'].url}/viewer?StudyInstanceUIDs={study_uid}"
        peers += [
            ("OHIF cold", OHIF_VERSION, _canvas(rig, stack, url, desk=True, warm=False)),
            ("OHIF warm", OHIF_VERSION, _canvas(rig, stack, url, desk=True, warm=True)),
        ]
    return peers


def _canvas(rig: Rig, stack: ExitStack, url: str, *, desk: bool, warm: bool) -> Callable[[], float]:
    kept = rig.phone.context(canvas=True, desk=desk) if warm else None
    if kept is not None:
        stack.callback(kept.close)
        with suppress(Exception):  # the sample itself tells when the page shows no picture
            rig.phone.open_canvas(url, kept)

    def sample() -> float:
        context = kept or rig.phone.context(canvas=True, desk=desk)
        try:
            return rig.phone.open_canvas(url, context)
        finally:
            if kept is None:
                context.close()

    return sample


def in_turn(works: Sequence[tuple[Callable[[], float], int]]) -> list[list[float]]:
    """Samples of each (work, how many), spread evenly over the same minutes. A work that fails is not tried again."""
    samples: list[list[float]] = [[] for _ in works]
    rounds = max(count for _, count in works)
    given_up: set[int] = set()
    for turn in range(rounds):
        for index, (work, count) in enumerate(works):
            due = (turn + 1) * count // rounds > turn * count // rounds
            if due and index not in given_up:
                try:
                    samples[index].append(work())
                except PlaywrightError as error:
                    print(f"first_picture: no picture ({type(error).__name__})", flush=True)
                    given_up.add(index)
    return samples


def _case(rig: Rig, clock: str, name: str, profile: str, state: str) -> Result:
    case = f"{clock}/{name}/{profile}/{state}"
    subject = rig.subjects[name]
    full = 6 if rig.quick else 20
    count = full if state == "prepared" else max(2, full // 4)
    visit = _visitor(rig, subject, clock, state, count + 1)
    first = visit()
    ssim, size, body = _check(first.page, subject, case)
    first.page.context.close()
    steps: list[dict[str, float]] = []

    def ours() -> float:
        made = visit()
        steps.append(made.page.evaluate(_STEPS))
        made.page.context.close()
        return made.elapsed_ms

    with ExitStack() as stack:
        works: list[tuple[Callable[[], float], int]] = [(ours, count)]
        peers: list[tuple[str, str, Callable[[], float]]] = []
        if clock == "A" and state == "prepared":
            works.append((_floor(rig, stack, body), max(3, full // 2)))
            peers = _peers(rig, stack, subject)
            works += [(sample, 2 if rig.quick else 5) for _, _, sample in peers]
        samples = in_turn(works)
    result = summarize("first_picture", case, "ms", samples[0])
    result.bytes = size
    result.steps = {
        "ssim": round(ssim, 4),
        "link_rtt_ms": round(rig.link.measured_rtt_ms, 1),
        "link_down_mbit": round(rig.link.measured_down_mbit, 2),
        **{name: round(statistics.median(step[name] for step in steps), 1) for name in steps[0]},
    }
    if len(samples) > 1:
        result.floor = statistics.median(samples[1])
        named = zip(peers, samples[2:], strict=True)
        pair_with(result, [peer_of(peer[0], peer[1], found, "ms") for peer, found in named if found])
    target = TARGET_MS.get((clock, name), 750) if state != "arriving" else 1500
    return against(result, f"p95 <= {target} ms", result.p95 <= target)


def _floor(rig: Rig, stack: ExitStack, body: bytes) -> Callable[[], float]:
    """A page of the same bytes without any work behind it, from the same kind of server."""
    path = rig.folder / "bare.html"
    path.write_bytes(body)
    bare = stack.enter_context(rig.page("bare", str(path)))

    def sample() -> float:
        elapsed, page = rig.phone.open_picture(bare.url + "/", None)
        page.context.close()
        return elapsed

    return sample


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
                    results.append(_case(rig, clock, name, profile.name, state))
                except BenchmarkError as error:
                    results.append(Result("first_picture", case, "ms", skipped=f"FAILED: {error}"))
                print(describe(results[-1]), flush=True)
    return results


BENCHMARK = Benchmark(
    "first_picture",
    "tap to painted picture on a phone over 4G, against Orthanc's viewer and OHIF",
    (NAMESPACES, CHROMIUM, ORTHANC, DCMTK),
    run,
)
