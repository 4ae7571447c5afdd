"""``make requirements``: one line per requirement, from the results of the last test run.

``4.27 passed tests/acceptance/…::name``, or ``skipped``, ``failed``, ``none``. A skipped test covers nothing.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def status_lines(csv_path: Path, results_path: Path) -> list[tuple[str, str, str]]:
    """(id, outcome, test) per requirement in the file's order; a failed test outweighs passed ones."""
    results: list[dict[str, str]] = []
    if results_path.is_file():
        results = json.loads(results_path.read_text("utf-8"))
    rank = {"failed": 0, "passed": 1, "skipped": 2}
    lines: list[tuple[str, str, str]] = []
    with csv_path.open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            found = sorted((r for r in results if r["id"] == row["id"]), key=lambda r: rank[r["outcome"]])
            lines.append((row["id"], found[0]["outcome"], found[0]["test"]) if found else (row["id"], "none", ""))
    return lines


def main() -> None:
    """Print the table, or with ``--summary`` the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--summary", action="store_true")
    arguments = parser.parse_args()
    lines = status_lines(ROOT / "docs" / "requirements.csv", ROOT / "results" / "requirements.json")
    if arguments.summary:
        counts = Counter(outcome for _, outcome, _ in lines)
        print("requirements: " + ", ".join(f"{counts[k]} {k}" for k in ("passed", "failed", "skipped", "none")))
        return
    for identifier, outcome, test in lines:
        print(f"{identifier} {outcome} {test}".rstrip())


if __name__ == "__main__":
    main()
