"""Plans of the statements that a piece of code runs, taken as the runtime role with row-level security on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg

from dicomnet.database import Database

PlanMode = str  # "force_custom_plan" | "force_generic_plan": asyncpg's statements get either, by their age


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one statement as PostgreSQL's JSON."""

    sql: str
    root: dict[str, Any]

    def nodes(self) -> Iterator[dict[str, Any]]:
        """Every node, sub-plans included."""
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(node.get("Plans", []))

    def scanned(self) -> set[str]:
        """Tables that are read from their first row to their last."""
        return {node["Relation Name"] for node in self.nodes() if node["Node Type"].endswith("Seq Scan")}

    def indexes(self) -> set[str]:
        """Indexes that are used."""
        return {node["Index Name"] for node in self.nodes() if "Index Name" in node}

    def sorts(self) -> bool:
        """Whether rows are sorted instead of read in order."""
        return any(node["Node Type"] == "Sort" for node in self.nodes())


async def plans_of(
    runtime_url: str,
    institution_id: int,
    action: Callable[[Database], Awaitable[object]],
    mode: PlanMode = "force_custom_plan",
) -> list[Plan]:
    """Run ``action`` with a pool of one connection, then explain every SELECT that it sent, with its arguments.

    What the action's transaction had set before a statement (``set local``) is set for its plan too.
    """
    database = await Database.connect(runtime_url, max_size=1)
    sent: list[tuple[str, tuple[Any, ...], tuple[str, ...]]] = []
    settings: list[str] = []

    def note(record: Any) -> None:
        text = record.query.lstrip().lower()
        if text.startswith("begin"):
            settings.clear()
        elif text.startswith("set local"):
            settings.append(record.query)
        elif text.startswith("select"):
            sent.append((record.query, tuple(record.args or ()), tuple(settings)))

    try:
        async with database.transaction(None) as connection:
            connection.add_query_logger(note)
        await action(database)
        async with database.transaction(None) as connection:
            connection.remove_query_logger(note)
        plans: list[Plan] = []
        for sql, arguments, before in sent:
            async with database.transaction(institution_id) as connection:
                await connection.execute(f"set local plan_cache_mode = {mode}")
                for setting in before:
                    await connection.execute(setting)
                plans.append(await _explain(connection, sql, arguments))
        return plans
    finally:
        await database.close()


async def _explain(connection: asyncpg.Connection, sql: str, arguments: tuple[Any, ...]) -> Plan:
    (root,) = await connection.fetchval(f"explain (format json) {sql}", *arguments)
    return Plan(sql, root["Plan"])
