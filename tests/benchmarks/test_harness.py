"""The harness: samples to results, pairing, skipping with a reason, comparing beyond noise, the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.settings import Settings
from benchmarks.cli import catalogue, main
from benchmarks.compare import regressions
from benchmarks.harness import (
    INJECTED_SLEEP,
    Benchmark,
    Need,
    Options,
    Result,
    noise_of,
    pair_with,
    peer_of,
    percentile,
    run,
    summarize,
)
from benchmarks.report import write_report

KEYS = {"benchmark", "case", "unit", "n", "p50", "p95", "p99", "peer", "ratio", "floor", "target", "met", "skipped"}


def _document(p50: float, noise: float, unit: str = "ms", peer_p50: float | None = None) -> dict[str, object]:
    peer = {"name": "p", "version": "1", "p50": peer_p50} if peer_p50 else None
    row = {"benchmark": "b", "case": "c", "unit": unit, "p50": p50, "noise": noise, "skipped": "", "peer": peer}
    return {"results": [row]}


def test_percentiles_are_measured_values() -> None:
    samples = [float(n) for n in range(1, 101)]
    assert [percentile(samples, share) for share in (0, 0.5, 0.95, 0.99, 1)] == [1, 50, 95, 99, 100]


def test_a_rate_counts_its_slow_side() -> None:
    samples = [float(n) for n in range(1, 101)]
    assert summarize("b", "c", "pictures/s", samples).p95 == 5
    assert summarize("b", "c", "ms", samples).p95 == 95


@pytest.mark.parametrize(("unit", "ours", "theirs", "ratio"), [("ms", 10.0, 25.0, 2.5), ("x/s", 30.0, 20.0, 1.5)])
def test_the_ratio_says_how_much_better_we_are_than_the_best_peer(
    unit: str, ours: float, theirs: float, ratio: float
) -> None:
    worse = theirs * 4 if unit == "ms" else theirs / 4
    peers = [peer_of("slow", "1", [worse], unit), peer_of("fast", "2", [theirs], unit)]
    result = pair_with(summarize("b", "c", unit, [ours]), peers)
    assert result.peer is not None and result.peer.name == "fast"
    assert result.ratio == pytest.approx(ratio)
    assert len(result.peers) == 2


def test_noise_sees_scatter_and_drift() -> None:
    assert noise_of([10.0] * 20) == 0
    assert noise_of([10.0] * 10 + [14.0] * 10) >= 4
    assert noise_of([9.0, 11.0] * 20) > 0.3


def test_missing_needs_skip_with_the_reason() -> None:
    called: list[Options] = []

    def work(options: Options) -> list[Result]:
        called.append(options)
        return []

    lines: list[str] = []
    benchmark = Benchmark("x", "", (Need("a", lambda: "no GPU"), Need("b", lambda: "")), work)
    document = run([benchmark], Options(), lines.append)
    assert document["results"][0]["skipped"] == "no GPU"
    assert lines == ["x: skipped: no GPU"]
    assert not called
    assert set(document) == {"commit", "hardware", "when", "results"}


@pytest.mark.parametrize(
    ("before", "after", "unit", "worse"),
    [
        (10.0, 10.4, "ms", False),  # below 5 %
        (10.0, 12.0, "ms", True),
        (10.0, 8.0, "ms", False),
        (100.0, 80.0, "pictures/s", True),
        (100.0, 120.0, "pictures/s", False),
    ],
)
def test_a_regression_is_a_change_for_the_worse(before: float, after: float, unit: str, worse: bool) -> None:
    found, _ = regressions(_document(before, 0.1, unit), _document(after, 0.1, unit))
    assert bool(found) is worse


def test_noise_of_the_runs_themselves_is_allowed() -> None:
    assert regressions(_document(10, 2), _document(13, 2))[0] == []
    assert regressions(_document(10, 0.2), _document(13, 0.2))[0] != []


def test_a_machine_that_slowed_the_peer_as_well_is_allowed_for() -> None:
    assert regressions(_document(10, 0, peer_p50=20), _document(15, 0, peer_p50=30))[0] == []
    assert regressions(_document(10, 0, peer_p50=20), _document(15, 0, peer_p50=20))[0] != []
    assert regressions(_document(90, 0, "x/s", 60), _document(45, 0, "x/s", 30))[0] == []


def test_cases_that_cannot_be_compared_are_named() -> None:
    after = {"results": [{"benchmark": "b", "case": "new", "unit": "ms", "p50": 1, "noise": 0, "skipped": ""}]}
    assert regressions(_document(1, 0), after)[1] == ["b new: not in the first run", "b c: not in the second run"]


def test_an_injected_sleep_is_a_regression_and_an_unchanged_run_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real ``pixels`` benchmark through the command line: twice as it is, once with 100 ms injected."""
    first, second, slow = (tmp_path / f"{name}.json" for name in ("first", "second", "slow"))
    arguments = ["run", "pixels", "--only", "CT512", "--json"]
    assert main(Settings(), [*arguments, str(first)]) == 0
    assert main(Settings(), [*arguments, str(second)]) == 0
    monkeypatch.setenv(INJECTED_SLEEP, "100")
    assert main(Settings(), [*arguments, str(slow)]) == 0
    (row,) = json.loads(first.read_text("utf-8"))["results"]
    assert set(row) >= KEYS
    assert row["peer"]["name"] == "numpy+Pillow"
    capsys.readouterr()
    assert main(Settings(), ["compare", str(first), str(second)]) == 0
    assert main(Settings(), ["compare", str(first), str(slow)]) == 1
    assert "REGRESSION pixels CT512" in capsys.readouterr().out


def test_the_report_is_one_file_with_plots(tmp_path: Path) -> None:
    result = pair_with(summarize("b", "A/CT", "ms", [1.0, 2.0, 3.0]), [peer_of("peer <1>", "1.0", [4.0], "ms")])
    result.floor = 0.5
    document = run([Benchmark("b", "", (), lambda _: [result])], Options(), lambda _: None)
    (tmp_path / "run.json").write_text(json.dumps(document), "utf-8")
    page = write_report(tmp_path).read_text("utf-8")
    assert "<svg" in page and "A/CT" in page and "peer &lt;1&gt;" in page
    assert not any(outside in page for outside in ("http://", "https://", "<script", "@import"))


def test_a_report_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_report(tmp_path)


def test_the_list_names_every_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(Settings(), ["list"]) == 0
    output = capsys.readouterr().out
    assert all(name in output for name in catalogue())


def test_an_unknown_name_is_wrong_usage() -> None:
    assert main(Settings(), ["run", "nothing"]) == 2
