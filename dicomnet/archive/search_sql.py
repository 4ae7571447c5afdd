"""Small pieces of SQL for searches: conditions with numbered parameters, DICOM wildcards as LIKE."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Where:
    """Conditions joined by ``and``; ``{}`` in a condition stands for the next parameter."""

    conditions: list[str] = field(default_factory=list[str])
    arguments: list[Any] = field(default_factory=list[Any])

    def value(self, argument: Any) -> str:
        """Placeholder of a new parameter."""
        self.arguments.append(argument)
        return f"${len(self.arguments)}"

    def add(self, condition: str, *arguments: Any) -> None:
        """One condition with its parameters."""
        self.conditions.append(condition.format(*(self.value(argument) for argument in arguments)))

    @property
    def sql(self) -> str:
        """The condition as a whole."""
        return " and ".join(self.conditions) or "true"


def like_pattern(text: str) -> str:
    """A DICOM wildcard pattern as a LIKE pattern: ``*`` -> ``%``, ``?`` -> ``_``, the rest as it is."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")


def text_match(where: Where, column: str, text: str, *, fold_case: bool = False) -> None:
    """Add a match of ``column`` against a text that may hold wildcards. "" and "*" do not limit.

    A fixed beginning also bounds a range, which an index can serve under row-level security (LIKE cannot).
    """
    text = text.replace("\0", "")[:256]
    if not text.strip("*"):
        return
    if "*" not in text and "?" not in text and not fold_case:
        where.add(f"{column} = {{}}", text)
        return
    if fold_case:
        where.add(f"{column} ilike {{}}", like_pattern(text))
        return
    prefix = text[: min(position for mark in "*?" if (position := text.find(mark)) >= 0)]
    if prefix:
        where.add(f"{column} >= {{}}", prefix)
        where.add(f"{column} < {{}}", prefix + "\U0010ffff")
    where.add(f"{column} like {{}}", like_pattern(text))
