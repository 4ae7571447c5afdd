"""Records which requirement each acceptance test shows, and how it ended, in results/requirements.json."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "results" / "requirements.json"


def known_requirements() -> set[str]:
    with (ROOT / "docs" / "requirements.csv").open(encoding="utf-8") as stream:
        return {row["id"] for row in csv.DictReader(stream)}


class RequirementRecorder:
    """Collects the worst outcome of each test that carries ``@pytest.mark.req(id)``."""

    def __init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.outcomes: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        known = known_requirements()
        for item in items:
            marks = list(item.iter_markers("req"))
            if not marks:
                continue
            if len(marks) != 1 or len(marks[0].args) != 1 or marks[0].args[0] not in known:
                raise pytest.UsageError(f"{item.nodeid}: one known requirement id per test")
            self.ids[item.nodeid] = str(marks[0].args[0])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.nodeid not in self.ids:
            return
        order = ["passed", "skipped", "failed"]
        before = self.outcomes.get(report.nodeid, "passed")
        self.outcomes[report.nodeid] = max(before, report.outcome, key=order.index)

    def pytest_sessionfinish(self) -> None:
        if not self.outcomes:
            return
        RESULTS.parent.mkdir(exist_ok=True)
        rows = [{"id": self.ids[n], "test": n, "outcome": o} for n, o in sorted(self.outcomes.items())]
        RESULTS.write_text(json.dumps(rows, indent=1, ensure_ascii=False), "utf-8")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(RequirementRecorder(), "cloudfilm-requirements")
