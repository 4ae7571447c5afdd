"""The one harness: what a benchmark is, how its samples become a result, what a run writes down.

A benchmark asserts correctness before it times anything, warms up, and takes its peer's samples between its own
(interleaved), so that a machine that slows down slows both.
"""

from __future__ import annotations

import math
import os
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

INJECTED_SLEEP = "CLOUDFILM_BENCH_SLEEP_MS"  # a test's way to make a run slower on purpose


class BenchmarkError(Exception):
    """Something was wrong rather than slow; no time is reported for it."""


@dataclass(frozen=True, slots=True)
class Need:
    """Something the machine must have; ``missing`` says why it does not, or is empty."""

    name: str
    missing: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Options:
    """``quick`` takes few samples of few cases; ``only`` keeps cases whose name contains it."""

    quick: bool = False
    only: str = ""

    def wants(self, case: str) -> bool:
        """Whether this case is asked for."""
        return self.only in case


@dataclass(slots=True)
class Peer:
    """Another program's figures in the same run."""

    name: str
    version: str
    p50: float
    p95: float


@dataclass(slots=True)
class Result:
    """One case. Times in ``unit`` ("ms": less is better; any "…/s": more is better); ``ratio`` > 1 means better than
    the peer; ``noise`` is the change of p50 that this run itself shows without a cause."""

    benchmark: str
    case: str
    unit: str
    n: int = 0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    peer: Peer | None = None
    peers: list[Peer] = field(default_factory=list)
    ratio: float | None = None
    floor: float | None = None
    target: str = ""
    met: bool | None = None
    skipped: str = ""
    noise: float = 0.0
    bytes: int | None = None
    peak_memory_mb: float | None = None
    steps: dict[str, float] = field(default_factory=dict)

    @property
    def less_is_better(self) -> bool:
        """True for times, False for rates."""
        return not self.unit.endswith("/s")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A named benchmark; ``run`` yields its results."""

    name: str
    summary: str
    needs: Sequence[Need]
    run: Callable[[Options], list[Result]]


def percentile(samples: Sequence[float], share: float) -> float:
    """Nearest-rank percentile (share 0 … 1): a value that was really measured."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(round(share * len(ordered), 6)) - 1))]


def noise_of(samples: Sequence[float]) -> float:
    """What p50 may change by without a cause: three standard errors of the median, the drift between the run's
    halves, or half the interquartile range, whichever is most."""
    if len(samples) < 2:
        return abs(samples[0]) * 0.25 if samples else 0.0
    deviation = statistics.median(abs(s - statistics.median(samples)) for s in samples) * 1.4826
    error = 3 * 1.2533 * deviation / math.sqrt(len(samples))
    half = len(samples) // 2
    drift = abs(statistics.median(samples[:half]) - statistics.median(samples[half:]))
    spread = (percentile(samples, 0.75) - percentile(samples, 0.25)) / 2
    return max(error, drift, spread)


def summarize(benchmark: str, case: str, unit: str, samples: Sequence[float]) -> Result:
    """A result of the samples. For rates p95 and p99 are the slow side, as for times."""
    slow = (lambda share: share) if not unit.endswith("/s") else (lambda share: 1 - share)
    return Result(
        benchmark,
        case,
        unit,
        len(samples),
        statistics.median(samples),
        percentile(samples, slow(0.95)),
        percentile(samples, slow(0.99)),
        noise=noise_of(samples),
        peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    )


def peer_of(name: str, version: str, samples: Sequence[float], unit: str) -> Peer:
    """A peer's figures."""
    result = summarize("", "", unit, samples)
    return Peer(name, version, result.p50, result.p95)


def pair_with(result: Result, peers: Sequence[Peer]) -> Result:
    """Name the fastest peer, keep the others beside it, and set the ratio."""
    if not peers:
        return result
    result.peers = sorted(peers, key=lambda peer: peer.p50 if result.less_is_better else -peer.p50)
    result.peer = result.peers[0]
    if result.p50 and result.peer.p50:
        result.ratio = round(result.peer.p50 / result.p50 if result.less_is_better else result.p50 / result.peer.p50, 3)
    return result


def against(result: Result, target: str, met: bool) -> Result:
    """Name the target and whether this run met it."""
    result.target, result.met = target, met
    return result


def timed_ms(work: Callable[[], object], *, peer: bool = False) -> float:
    """Wall milliseconds of one call; the injected sleep of a test counts as part of ours, not of a peer's."""
    injected = 0.0 if peer else float(os.environ.get(INJECTED_SLEEP, "0")) / 1000
    start = time.perf_counter()
    work()
    if injected:
        time.sleep(injected)
    return (time.perf_counter() - start) * 1000


def interleave(count: int, *works: Callable[[], float]) -> list[list[float]]:
    """``count`` samples of each, taken in turn after one warm-up each."""
    for work in works:
        work()
    samples: list[list[float]] = [[] for _ in works]
    for _ in range(count):
        for index, work in enumerate(works):
            samples[index].append(work())
    return samples


def hardware() -> dict[str, Any]:
    """What the figures were taken on; the load says whether the machine was shared."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_1min": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    """The commit of the working tree, with + when it has changes; empty outside one."""
    root = Path(__file__).resolve().parents[1]
    try:
        head = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=root, capture_output=True, text=True)
        dirty = subprocess.run(["git", "status", "--porcelain"], cwd=root, capture_output=True, text=True)
    except OSError:
        return ""
    return head.stdout.strip() + ("+" if dirty.stdout.strip() and head.stdout.strip() else "")


def run(benchmarks: Sequence[Benchmark], options: Options, tell: Callable[[str], None] = print) -> dict[str, Any]:
    """Run them and return the document that ``--json`` writes."""
    results: list[Result] = []
    for benchmark in benchmarks:
        reasons = [text for need in benchmark.needs if (text := need.missing())]
        if reasons:
            results.append(Result(benchmark.name, "", "", skipped="; ".join(reasons)))
            tell(f"{benchmark.name}: skipped: {results[-1].skipped}")
            continue
        found = benchmark.run(options)
        results.extend(found)
        for result in found:
            tell(describe(result))
    return {
        "commit": commit(),
        "hardware": hardware(),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "results": [asdict(result) for result in results],
    }


def describe(result: Result) -> str:
    """One line for a person."""
    head = f"{result.benchmark} {result.case}".rstrip()
    if result.skipped:
        return f"{head}: skipped: {result.skipped}"
    text = f"{head}: p50 {result.p50:.4g} p95 {result.p95:.4g} {result.unit} (n={result.n})"
    if result.peer is not None:
        text += f"; {result.peer.name} {result.peer.p50:.4g}, ratio {result.ratio}"
    if result.floor is not None:
        text += f"; floor {result.floor:.4g}"
    if result.target:
        text += f"; target {result.target}: {'met' if result.met else 'NOT MET'}"
    return text
