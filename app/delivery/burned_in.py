"""Names in the pixels: which studies may not be shared with names hidden. Without a pixel rule the answer is no."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from app.services import Services
from app.viewing.studies import BURNED_IN_MODALITIES
from dicomnet.archive.open_record import decode


def _says_burned_in(records: Sequence[bytes]) -> bool:
    """Whether any record says Burned In Annotation (0028,0301) YES; blocking, about 0.1 ms a record."""
    return any(decode(record).burned_in_annotation.strip().upper() == "YES" for record in records)


async def may_show_names(services: Services, institution_id: int, study_key: int) -> bool:
    """Whether pictures of the study may carry a name: by kind of picture, or because a file says so."""
    rows: list[Any] = await services.database.fetch(
        institution_id,
        "select i.open_record, s.modality = any($2::text[]) as suspect from archive.instance i "
        "join archive.series s using (series_key) where i.study_key = $1 and i.number_of_frames > 0",
        study_key,
        sorted(BURNED_IN_MODALITIES),
    )
    if any(row["suspect"] for row in rows):
        return True
    return await asyncio.to_thread(_says_burned_in, [row["open_record"] for row in rows])
