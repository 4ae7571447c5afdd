"""One instance by the UIDs of a WADO path: requests of one institution that arrive together share a round trip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dicomnet.archive.query import InstanceRow
from dicomnet.database import Database
from dicomnet.together import Together

_FIND = "select * from viewing.find_instances($1, $2::text[], $3::text[], $4::text[])"


class Uids(NamedTuple):
    """What the path names."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class FoundInstance:
    """The instance, and the version of its series that has it."""

    row: InstanceRow
    series_version: int
    series_frame_count: int


class InstanceFinder:
    """Nothing is remembered: every request is answered by the database under the institution's row-level security."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._institutions: dict[int, Together[Uids, FoundInstance]] = {}

    async def find(self, institution_id: int, uids: Uids) -> FoundInstance | None:
        """None where the institution has no such instance in that series of that study."""
        together = self._institutions.get(institution_id)
        if together is None:

            async def look(wanted: Sequence[Uids]) -> dict[Uids, FoundInstance]:
                return await self._look(institution_id, wanted)

            together = self._institutions[institution_id] = Together(look)
        return await together.get(uids)

    async def _look(self, institution_id: int, wanted: Sequence[Uids]) -> dict[Uids, FoundInstance]:
        rows = await self._database.fetch(None, _FIND, institution_id, *zip(*wanted, strict=True))
        found: dict[Uids, FoundInstance] = {}
        for row in rows:
            place, *fields, version, frame_count = row.values()
            found[wanted[place - 1]] = FoundInstance(InstanceRow(*fields), version, frame_count)
        return found
