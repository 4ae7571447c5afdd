"""Names the regressions between two runs, beyond the noise that the runs themselves measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LEAST_SHARE = 0.05  # a change below 5 % is not called a regression, however quiet the runs were


@dataclass(frozen=True, slots=True)
class Change:
    """One case that became worse: p50 before and after, and how much the two runs allow."""

    name: str
    before: float
    after: float
    allowed: float
    unit: str

    def __str__(self) -> str:
        return f"{self.name}: {self.before:.4g} -> {self.after:.4g} {self.unit} (allowed {self.allowed:.3g})"


def regressions(before: dict[str, Any], after: dict[str, Any]) -> tuple[list[Change], list[str]]:
    """(what became worse, cases that cannot be compared with the reason)."""
    old = {(r["benchmark"], r["case"]): r for r in before["results"]}
    worse: list[Change] = []
    unknown: list[str] = []
    for new in after["results"]:
        name = f"{new['benchmark']} {new['case']}".rstrip()
        past = old.pop((new["benchmark"], new["case"]), None)
        if past is None:
            unknown.append(f"{name}: not in the first run")
        elif new["skipped"] or past["skipped"]:
            unknown.append(f"{name}: skipped: {new['skipped'] or past['skipped']}")
        else:
            change = _change(name, past, new)
            if change is not None:
                worse.append(change)
    unknown += [f"{' '.join(key).rstrip()}: not in the second run" for key in old]
    return worse, unknown


def _slower_machine(past: dict[str, Any], new: dict[str, Any]) -> float:
    """How much worse p50 had to become because the machine was slower: the same peer in both runs says so."""
    before, after = past.get("peer"), new.get("peer")
    if not before or not after or (before["name"], before["version"]) != (after["name"], after["version"]):
        return 0.0
    factor = after["p50"] / before["p50"]
    if str(new["unit"]).endswith("/s"):
        return max(0.0, 1 - factor) * past["p50"]
    return max(0.0, factor - 1) * past["p50"]


def _change(name: str, past: dict[str, Any], new: dict[str, Any]) -> Change | None:
    allowed = max(past["noise"] + new["noise"], LEAST_SHARE * abs(past["p50"])) + _slower_machine(past, new)
    lost = new["p50"] - past["p50"]
    if str(new["unit"]).endswith("/s"):
        lost = -lost
    return Change(name, past["p50"], new["p50"], allowed, new["unit"]) if lost > allowed else None
