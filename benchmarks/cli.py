"""``cloudfilm bench list | run NAME… | compare A.json B.json | report DIR``."""

from __future__ import annotations

import importlib
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.compare import regressions
from benchmarks.harness import Benchmark, Options, run
from benchmarks.report import write_report

if TYPE_CHECKING:
    from app.settings import Settings

MODULES = (
    "pixels",
    "ingest",
    "first_picture",
    "scroll",
    "tiles",
    "many_viewers",
    "rendered_frames",
    "diagnostic_time",
    "window_drag",
    "lists",
    "vr",
    "render.mpr",
    "render.vr_scaling",
    "render.first_volume",
)


def catalogue() -> dict[str, Benchmark]:
    """Every benchmark by name."""
    found: list[Benchmark] = [importlib.import_module(f"benchmarks.{name}").BENCHMARK for name in MODULES]
    return {benchmark.name: benchmark for benchmark in found}


def main(settings: Settings, argv: list[str]) -> int:
    """Exit status: 0 done or no regression, 1 a regression, 2 wrong usage."""
    from app.cli import parser

    arguments = parser("bench", "measure, compare, report")
    commands = arguments.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="every benchmark and what this machine lacks for it")
    running = commands.add_parser("run", help="run benchmarks")
    running.add_argument("names", nargs="+", metavar="NAME", help="or: all")
    running.add_argument("--json", type=Path, metavar="FILE")
    running.add_argument("--quick", action="store_true", help="few samples")
    running.add_argument("--only", default="", help="only cases whose name contains this")
    comparing = commands.add_parser("compare", help="exit 1 and name what became slower")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    reporting = commands.add_parser("report", help="one HTML page of the runs in a folder")
    reporting.add_argument("folder", type=Path)
    given = arguments.parse_args(argv)
    if given.command == "list":
        return _list()
    if given.command == "compare":
        return _compare(given.before, given.after)
    if given.command == "report":
        print(write_report(given.folder))
        return 0
    return _run(given.names, Options(given.quick, given.only), given.json)


def _list() -> int:
    for benchmark in catalogue().values():
        missing = "; ".join(text for need in benchmark.needs if (text := need.missing()))
        print(f"{benchmark.name:14} {benchmark.summary}" + (f"  [cannot run here: {missing}]" if missing else ""))
    return 0


def _run(names: list[str], options: Options, path: Path | None) -> int:
    known = catalogue()
    if "all" in names:
        names = list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"cloudfilm: no benchmark {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    # Told to end: leave through the with-blocks, so that no server, browser or network namespace stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    document = run([known[name] for name in names], options)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False), "utf-8")
    return 0


def _compare(before: Path, after: Path) -> int:
    worse, unknown = regressions(json.loads(before.read_text("utf-8")), json.loads(after.read_text("utf-8")))
    for text in unknown:
        print(f"not compared: {text}")
    for change in worse:
        print(f"REGRESSION {change}")
    if not worse:
        print("no regression beyond the runs' own noise")
    return 1 if worse else 0
