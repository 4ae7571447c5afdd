"""Small pieces of searches: conditions with numbered parameters, DICOM wildcards as LIKE, pages of matching rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

Row = TypeVar("Row")

# Under row-level security every joined table looks forty times smaller than it is (the policy's institution is unknown
# to the planner), so that reading everything and sorting it looks cheap. Pages of many rows are read in order.
_IN_ORDER = "set local enable_sort = off; set local enable_hashjoin = off; set local enable_mergejoin = off"
_MOST_ROWS = 1001  # of one statement
_MOST_ROUNDS = 40


@dataclass(slots=True)
class Where:
    """Conditions joined by ``and``; ``{}`` in a condition stands for the next parameter.

    ``few``: the conditions leave few studies, so that finding them first and sorting them is the way.
    """

    conditions: list[str] = field(default_factory=list[str])
    arguments: list[Any] = field(default_factory=list[Any])
    few: bool = False

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


# Different descriptions of an institution, each found behind the one before by one probe of study_description.
_DESCRIPTIONS = """
with recursive known (words) as (
  (select study_description from archive.study where institution_id = $1 order by study_description limit 1)
  union all
  select (select n.study_description from archive.study n
          where n.institution_id = $1 and n.study_description > known.words order by n.study_description limit 1)
  from known where known.words is not null)
select words, words ilike $2 as wanted from known where words is not null limit $3
"""
_MOST_DESCRIPTIONS = 500
_FEW_STUDIES = 2000


async def limit_descriptions(where: Where, connection: Any, institution_id: int, pattern: str) -> None:
    """Studies whose description matches. Scanners and worklists use a few hundred ones, many times each: they are
    matched instead of the studies, so that words which stand nowhere are known at once."""
    pattern = pattern.replace("\0", "")[:256]
    rows = await connection.fetch(_DESCRIPTIONS, institution_id, like_pattern(pattern), _MOST_DESCRIPTIONS + 1)
    if len(rows) > _MOST_DESCRIPTIONS:
        text_match(where, "s.study_description", pattern, fold_case=True)
        return
    wanted = [row["words"] for row in rows if row["wanted"]]
    where.add("s.study_description = any ({}::text[])", wanted)
    count = await connection.fetchval(
        "select count(*) from (select 1 from archive.study"
        " where institution_id = $1 and study_description = any ($2::text[]) limit $3) s",
        institution_id,
        wanted,
        _FEW_STUDIES + 1,
    )
    where.few = where.few or count <= _FEW_STUDIES


async def page_of(
    fetch: Callable[[Row | None, int, int], Awaitable[list[Row]]],
    keep: Callable[[Row], bool] | None,
    *,
    offset: int,
    limit: int,
) -> tuple[list[Row], bool]:
    """(rows ``offset`` … ``offset + limit`` of those that ``keep`` accepts, whether more follow).

    ``fetch(last, count, skip)`` gives the next ``count`` rows behind ``last``, the first ``skip`` of them left out.
    ``keep`` is for what the database cannot decide (names are sealed); with None the database does the skipping.
    """
    skip, drop = (offset, 0) if keep is None else (0, offset)
    wanted = drop + limit + 1
    rows: list[Row] = []
    last: Row | None = None
    for _ in range(_MOST_ROUNDS):
        size = min(_MOST_ROWS, max(limit + 1, wanted - len(rows)))
        batch = await fetch(last, size, skip)
        skip = 0
        rows.extend(batch if keep is None else filter(keep, batch))
        if len(batch) < size or len(rows) >= wanted:
            break
        last = batch[-1]
    return rows[drop : drop + limit], len(rows) > drop + limit


async def fetch_newest(
    connection: Any,
    select: str,
    where: Where,
    order: str,
    terms: list[str],
    count: int,
    skip: int,
    key: Callable[[Any], Any],
) -> list[Any]:
    """``count`` rows in ``order`` after ``skip`` of them; with ``terms``, of studies that have any of them.

    One term at a time is read in order from its index; the newest of all terms are the newest of the list. ``key``
    sorts rows of several terms, newest highest, and is the same for the same row.
    """
    if not where.few:
        await connection.execute(_IN_ORDER)
    if len(terms) <= 1:
        condition = f"{where.sql} and t.term = {where.value(terms[0])}" if terms else where.sql
        sql = f"{select} where {condition} order by {order} limit {where.value(count)} offset {where.value(skip)}"
        return list(await connection.fetch(sql, *where.arguments))
    condition = f"{where.sql} and t.term = {where.value('')}"
    sql = f"{select} where {condition} order by {order} limit {where.value(count + skip)}"
    found: dict[Any, Any] = {}
    for term in terms:
        where.arguments[-2] = term
        found.update((key(row), row) for row in await connection.fetch(sql, *where.arguments))
    return [found[at] for at in sorted(found, reverse=True)][skip : skip + count]
