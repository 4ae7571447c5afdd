"""``window_drag``: a mouse drags the window of a CT in Chromium, 60 moves a second for some seconds.

``exact``: the values are in the page: the picture is made there. Frame times are the intervals of the browser's own
animation frames; input to picture is the time from the pointer's event to the first animation frame at which the layer
shows that window. ``previews``: a page that has no values yet (its workers are taken away) behind a 4G link: the server
makes each picture; the one on screen is tinted towards the wanted window meanwhile (not counted). Floor: the round trip.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any

from app.demo.phantoms import phantom_ct
from benchmarks.browser import Phone
from benchmarks.diagnostic_time import House, study_of
from benchmarks.first_picture_rig import log_in
from benchmarks.harness import Benchmark, BenchmarkError, Options, Result, against, summarize
from benchmarks.link import PROFILES, Link
from benchmarks.needs import CHROMIUM, DCMTK, NAMESPACES
from benchmarks.programs import CloudFilm

_MOVES_PER_S = 60
_FRAME_MS = 1000 / 60
# Every animation frame: did the wanted window change (of which input?), does a layer show another one?
_WATCH = """(name) => {
  const {viewer} = window.cloudfilm, layer = viewer.layers.find((one) => one.name === name);
  const seen = {frames: [], waits: [], pictures: 0, inputs: 0}, since = new Map();
  const of = (c, w) => c === null || c === undefined ? '' : c.toFixed(3) + '/' + w.toFixed(3);
  let input = 0, wanted = of(viewer.view.windowCenter, viewer.view.windowWidth), shown = '', last = 0;
  viewer.stage.addEventListener('pointermove', (event) => { input = event.timeStamp; seen.inputs += 1; }, true);
  const look = (now) => {
    if (last) seen.frames.push(now - last);
    last = now;
    const want = of(viewer.view.windowCenter, viewer.view.windowWidth);
    if (want !== wanted) { wanted = want; if (!since.has(want)) since.set(want, input); }
    const picture = layer.shown, is = picture ? of(picture.windowCenter, picture.windowWidth) : '';
    if (is !== shown) {
      shown = is;
      seen.pictures += 1;
      if (since.has(is)) { seen.waits.push(performance.now() - since.get(is)); since.delete(is); }
    }
    if (!window.__stop) requestAnimationFrame(look);
  };
  window.__seen = seen;
  requestAnimationFrame(look);
}"""


def _drag(page: Any, layer: str, seconds: float) -> dict[str, Any]:
    """What the page saw while the mouse went to and fro."""
    box = page.locator("#stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(_WATCH, layer)
    begun = time.perf_counter()
    for number in range(int(seconds * _MOVES_PER_S)):
        wave = number % 240
        way = wave if wave < 120 else 240 - wave
        page.mouse.move(x + way, y + way * 0.7)
        time.sleep(max(0.0, begun + (number + 1) / _MOVES_PER_S - time.perf_counter()))
    page.evaluate("new Promise((done) => setTimeout(done, 1000))")
    page.mouse.up()
    page.evaluate("window.__stop = true")
    seen: dict[str, Any] = page.evaluate("window.__seen")
    if seen["inputs"] < seconds * 20 or len(seen["waits"]) < 10:
        raise BenchmarkError(f"window_drag: {seen['inputs']} inputs, {len(seen['waits'])} pictures")
    return seen


def _open(house: House, study: int, *, values: bool) -> Any:
    url = f"{house.ours.url}/viewer/{study}"
    context = house.phone.context(house.cookie, url, desk=True)
    if not values:
        context.add_init_script("delete window.Worker")
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector(f'.quality[data-quality="{"lossless" if values else "refined"}"]', timeout=60_000)
    return page


def _exact(house: House, study: int, seconds: float) -> list[Result]:
    page = _open(house, study, values=True)
    seen = _drag(page, "values", seconds)
    draw_ms = float(page.evaluate("cloudfilmValues.layer.drawMs"))
    page.context.close()
    frames = summarize("window_drag", "exact/CT/frame times", "ms", seen["frames"])
    frames.steps = {"draw_ms": draw_ms, "pictures": float(seen["pictures"]), "inputs": float(seen["inputs"])}
    against(frames, f"p95 <= {_FRAME_MS * 1.2:.1f} ms (60 Hz)", frames.p95 <= _FRAME_MS * 1.2)
    wait = summarize("window_drag", "exact/CT/input to picture", "ms", seen["waits"])
    against(wait, "p95 <= 3 frames (50 ms)", wait.p95 <= 50)
    return [frames, wait]


def _previews(house: House, study: int, where: str, seconds: float) -> Result:
    page = _open(house, study, values=False)
    seen = _drag(page, "main", seconds)
    page.context.close()
    wait = summarize("window_drag", f"previews/CT/{where}/input to picture", "ms", seen["waits"])
    wait.floor = house.link.measured_rtt_ms
    wait.steps = {"pictures": float(seen["pictures"]), "inputs": float(seen["inputs"])}
    limit = wait.floor + 60
    return against(wait, f"p95 <= round trip + 60 ms = {limit:.0f} ms", wait.p95 <= limit)


def run(options: Options) -> list[Result]:
    """exact (this machine, no link), previews behind each 4G link."""
    results: list[Result] = []
    seconds = 4.0 if options.quick else 12.0
    with ExitStack() as stack:
        link = stack.enter_context(Link(next(iter(PROFILES.values()))))
        ours = stack.enter_context(CloudFilm(link.server, link.server_address))
        certificate, cookie = ours.folder / "home" / "tls" / "certificate.pem", log_in(link, ours)
        study = 0
        for where in ("exact", *PROFILES):
            if not options.wants(where):
                continue
            if where in PROFILES and link.profile.name != where:
                link.set_profile(PROFILES[where])
            with Phone(link.server if where == "exact" else link.phone, certificate) as phone:
                house = House(link, ours, cookie, phone)
                study = study or study_of(house, list(phantom_ct(40, 512)))
                if where == "exact":
                    results += _exact(house, study, seconds)
                else:
                    results.append(_previews(house, study, where, seconds))
    return results


BENCHMARK = Benchmark(
    "window_drag",
    "dragging the window of a CT: exact values in the page, previews over 4G",
    (NAMESPACES, CHROMIUM, DCMTK),
    run,
)
