"""``pixels``: stored values that are already in memory become a JPEG (the cost of one more picture while scrolling).

The peer is the obvious way with the same libraries' C code: NumPy windowing, Pillow's resize and JPEG encoder.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from app.demo.body_ct import body_slice
from app.demo.radiographs import chest_pixels
from benchmarks.harness import (
    Benchmark,
    BenchmarkError,
    Options,
    Result,
    against,
    interleave,
    pair_with,
    peer_of,
    summarize,
    timed_ms,
)
from render.encode import decode, encode
from render.engine import Engine
from render.frame import Frame
from render.request import JPEG, StackView

_QUALITY = 80


def _plain(values: NDArray[Any], slope: float, intercept: float, centre: float, width: float, side: int) -> Image.Image:
    """The picture by PS3.3 C.11.2.1.2's linear window, then an area-averaging resize."""
    low = centre - 0.5 - (width - 1) / 2
    shown = np.clip((values.astype(np.float32) * slope + intercept - low) * (255 / (width - 1)), 0, 255)
    picture = Image.fromarray(np.rint(shown).astype(np.uint8))
    return picture if side == values.shape[1] else picture.resize((side, side), Image.Resampling.BOX)


def _peer(values: NDArray[Any], voi: tuple[float, float], side: int) -> Callable[[], bytes]:
    def work() -> bytes:
        stream = io.BytesIO()
        _plain(values, 1, 0, voi[0], voi[1], side).save(stream, "JPEG", quality=_QUALITY)
        return stream.getvalue()

    return work


def _case(name: str, values: NDArray[Any], voi: tuple[float, float], side: int, limit_ms: float, count: int) -> Result:
    engine = Engine()
    frame = Frame(values=values)
    view = StackView(side, side, voi="window", window_center=voi[0], window_width=voi[1])

    def ours() -> bytes:
        return encode(engine.render_stack(frame, view).pixels, JPEG, _QUALITY)

    theirs = _peer(values, voi, side)
    seen = decode(ours(), colour=False).astype(np.float64)
    wanted = np.asarray(_plain(values, 1, 0, voi[0], voi[1], side), np.float64)
    if seen.shape != wanted.shape or np.abs(seen - wanted).mean() > 4:
        raise BenchmarkError(f"pixels {name}: the picture differs from the plain one")

    samples, peer = interleave(count, lambda: timed_ms(ours), lambda: timed_ms(theirs, peer=True))
    result = summarize("pixels", name, "ms", samples)
    result.bytes = len(ours())
    pair_with(result, [peer_of("numpy+Pillow", PIL.__version__, peer, "ms")])
    started = time.process_time()
    for _ in range(10):
        ours()
    result.steps["cpu_ms"] = round((time.process_time() - started) * 100, 3)
    return against(result, f"<= {limit_ms:g} ms CPU", result.steps["cpu_ms"] <= limit_ms)


def run(options: Options) -> list[Result]:
    """CT 512² as it is, DX 3000² to 1080 pixels."""
    results: list[Result] = []
    count = 12 if options.quick else 60
    if options.wants("CT512"):
        results.append(_case("CT512", body_slice(200.0), (50.0, 350.0), 512, 1.0, count))
    if options.wants("DX3000"):
        results.append(_case("DX3000", chest_pixels(3000), (8000.0, 14000.0), 1080, 8.0, count // 3))
    return results


BENCHMARK = Benchmark("pixels", "stored values in memory to a JPEG: CT 512 x 512, DX 3000 x 3000", (), run)
