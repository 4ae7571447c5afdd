"""``diagnostic_time``: from the tap to exact values on a phone's screen, behind a 4G link, with an empty cache.

The clock begins with the navigation to /viewer/{study} (session there, cache empty) and ends with the animation frame
after the page called the picture lossless. Asserted: the SHA-256 of the array in the page is that of the file's pixels
as pydicom reads them. ``prepared``: the worker has made the codestreams. The steps are the page's own resource times.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from app.demo.phantoms import phantom_ct, write_dicom
from app.demo.radiographs import phantom_dx
from benchmarks.browser import Phone, screenshot
from benchmarks.first_picture_rig import log_in, request_json
from benchmarks.harness import Benchmark, BenchmarkError, Options, Result, against, summarize
from benchmarks.link import PROFILES, Link
from benchmarks.needs import CHROMIUM, DCMTK, NAMESPACES
from benchmarks.programs import CloudFilm, dcmsend

_TARGET_MS = 1800.0
_LOSSLESS = """
new MutationObserver((_, self) => {
  if (!document.querySelector('.quality[data-quality="lossless"]')) return;
  self.disconnect();
  requestAnimationFrame(() => { window.__lossless = performance.now(); });
}).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ['data-quality']});
"""
# When what was there, ms after the navigation began; bytes of the codestream on the wire.
_STEPS = """() => {
  const found = {}, {last} = cloudfilmValues.layer.loading, [html] = performance.getEntriesByType('navigation');
  found.connected_ms = html.connectEnd; found.html_first_byte_ms = html.responseStart; found.html_ms = html.responseEnd;
  const names = [['viewer_script', /viewer-[\\w]*\\.js/], ['viewer_style', /viewer-[\\w]*\\.css/],
                 ['values_script', /values-[0-9a-f]*\\.js/], ['worker_script', /values-worker/], ['decoder', /\\.wasm/],
                 ['described', /values\\?first/], ['codestream', /values\\?coding/]];
  for (const e of performance.getEntriesByType('resource'))
    for (const [name, form] of names)
      if (form.test(e.name) && !(name + '_ms' in found)) {
        found[name + '_asked_ms'] = e.requestStart; found[name + '_first_byte_ms'] = e.responseStart;
        found[name + '_ms'] = e.responseEnd;
        if (name === 'codestream') found.codestream_bytes = e.encodedBodySize;
      }
  const p = window.__painted;
  return {...found, first_picture_ms: p.refined || p.base || 0, decode_ms: last.decodeMs, hash_ms: last.hashMs};
}"""


@dataclass(frozen=True, slots=True)
class House:
    """The server behind the link, and what it holds."""

    link: Link
    ours: CloudFilm
    cookie: tuple[str, str]
    phone: Phone


def study_of(house: House, datasets: list[Dataset]) -> int:
    """Send a study (at most 64 frames) and return its key when all its codestreams are made. Raises BenchmarkError."""
    with tempfile.TemporaryDirectory(prefix="cloudfilm-bench-") as name:
        for index, dataset in enumerate(datasets):
            write_dicom(dataset, Path(name) / f"{index}.dcm")
        dcmsend(Path(name), house.ours.dicom_port, "CLOUDFILM", house.link.server)
    cookie, url = "=".join(house.cookie), house.ours.url
    listed, _ = request_json(house.link.server, f"{url}/api/studies?limit=20", cookie=cookie)
    modality = str(datasets[0].Modality)
    study = next(int(row["study_key"]) for row in listed["studies"] if modality in row["modalities"])
    opened, _ = request_json(house.link.server, f"{url}/api/studies/{study}/series", cookie=cookie)
    series, count = int(opened["series"][0]["series"]), int(opened["series"][0]["frame_count"])
    end = time.monotonic() + 120
    while time.monotonic() < end:
        where = f"{url}/api/series/{series}/values?first=0&count={count}"
        told, _ = request_json(house.link.server, where, cookie=cookie)
        if all(frame.get("bytes") for frame in told["frames"]):
            return study
        time.sleep(0.5)
    raise BenchmarkError("diagnostic_time: the worker made no codestreams within two minutes")


def hashes(datasets: list[Dataset]) -> set[str]:
    """SHA-256 of the stored pixels, little endian, as pydicom reads them."""
    return {
        sha256(dataset.pixel_array.astype(dataset.pixel_array.dtype, order="C").tobytes()).hexdigest()
        for dataset in datasets
    }


def _visit(house: House, study: int) -> tuple[float, Any]:
    url = f"{house.ours.url}/viewer/{study}"
    context = house.phone.context(house.cookie, url)
    context.add_init_script(_LOSSLESS)
    page = context.new_page()
    page.goto(url, wait_until="commit")
    page.wait_for_function("() => window.__lossless", timeout=60_000)
    return float(page.evaluate("window.__lossless")), page


def _case(house: House, name: str, study: int, exact: set[str], count: int) -> Result:
    case = f"{name}/{house.link.profile.name}/prepared"
    _, page = _visit(house, study)
    if page.evaluate("cloudfilmValues.layer.digest()") not in exact:
        raise BenchmarkError(f"diagnostic_time {case}: the array in the page is not the file's")
    if screenshot(page).std() < 10:
        raise BenchmarkError(f"diagnostic_time {case}: the screen shows no picture")
    page.context.close()
    samples: list[float] = []
    steps: list[dict[str, float]] = []
    for _ in range(count):
        elapsed, page = _visit(house, study)
        samples.append(elapsed)
        steps.append(page.evaluate(_STEPS))
        page.context.close()
    result = summarize("diagnostic_time", case, "ms", samples)
    result.steps = {key: round(statistics.median(step.get(key, 0.0) for step in steps), 1) for key in steps[0]}
    result.bytes = int(result.steps.get("codestream_bytes", 0))
    if name != "CT":
        result.target = "published, not promised"
        return result
    return against(result, f"p95 <= {_TARGET_MS:.0f} ms", result.p95 <= _TARGET_MS)


def run(options: Options) -> list[Result]:
    """CT and DX on both profiles."""
    results: list[Result] = []
    subjects = {"CT": list(phantom_ct(40, 512)), "DX": [phantom_dx(3000)]}
    with ExitStack() as stack:
        link = stack.enter_context(Link(next(iter(PROFILES.values()))))
        ours = stack.enter_context(CloudFilm(link.server, link.server_address))
        certificate = ours.folder / "home" / "tls" / "certificate.pem"
        phone = stack.enter_context(Phone(link.phone, certificate))
        house = House(link, ours, log_in(link, ours), phone)
        for name, datasets in subjects.items():
            wanted = [p for p in PROFILES.values() if options.wants(f"{name}/{p.name}/prepared")]
            study, exact = (study_of(house, datasets), hashes(datasets)) if wanted else (0, set[str]())
            for profile in wanted:
                if link.profile != profile:
                    link.set_profile(profile)
                results.append(_case(house, name, study, exact, 4 if options.quick else 12))
    return results


BENCHMARK = Benchmark(
    "diagnostic_time", "tap to exact values on a phone's screen over 4G", (NAMESPACES, CHROMIUM, DCMTK), run
)
