from __future__ import annotations

import csv
import json
from pathlib import Path

from tools.requirements import ROOT, status_lines


def test_one_line_per_requirement_and_skipped_is_not_covered(tmp_path: Path) -> None:
    table = tmp_path / "requirements.csv"
    table.write_text("id,title,done_when\n2.1,a,b\n2.5,a,b\n4.27,a,b\n5.2,a,b\n", "utf-8")
    results = tmp_path / "requirements.json"
    results.write_text(
        json.dumps(
            [
                {"id": "2.1", "test": "t::one", "outcome": "passed"},
                {"id": "2.1", "test": "t::two", "outcome": "failed"},
                {"id": "2.5", "test": "t::three", "outcome": "skipped"},
                {"id": "4.27", "test": "t::four", "outcome": "skipped"},
                {"id": "4.27", "test": "t::five", "outcome": "passed"},
            ]
        ),
        "utf-8",
    )
    assert status_lines(table, results) == [
        ("2.1", "failed", "t::two"),
        ("2.5", "skipped", "t::three"),
        ("4.27", "passed", "t::five"),
        ("5.2", "none", ""),
    ]


def test_requirement_ids_are_unique_and_complete() -> None:
    with (ROOT / "docs" / "requirements.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    ids = [row["id"] for row in rows]
    assert len(ids) == len(set(ids))
    assert {"S1", "1.1", "2.22", "4.25", "5.37", "7.2"} <= set(ids)
    assert all(row["title"] for row in rows)
