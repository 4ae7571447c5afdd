"""Instances by UIDs: right for each who asks, whoever asks beside them, and never from memory."""

from __future__ import annotations

import asyncio

from app.archive_api.instance_finder import InstanceFinder, Uids
from dicomnet.archive.ingest import Stored
from dicomnet.database import Database
from tests.support.dicom_files import as_bytes, make_ct
from tests.support.web_app import Web


def uids_of(stored: Stored) -> Uids:
    return Uids(stored.study_instance_uid, stored.series_instance_uid, stored.sop_instance_uid)


async def test_many_at_once_get_their_own_and_nobody_elses(
    web: Web, database: Database, institution: int, second_institution: int
) -> None:
    mine = [
        await web.store(
            institution,
            as_bytes(make_ct(StudyInstanceUID="1.7", SeriesInstanceUID="1.7.1", InstanceNumber=number)),
        )
        for number in (1, 2, 3)
    ]
    finder = InstanceFinder(database)
    wrong_series = uids_of(mine[0])._replace(series_instance_uid="1.7.2")
    wrong_study = uids_of(mine[0])._replace(study_instance_uid="1.8")
    found = await asyncio.gather(
        *(finder.find(institution, uids_of(stored)) for stored in mine),
        *(finder.find(institution, uids) for uids in (wrong_series, wrong_study)),
        *(finder.find(second_institution, uids_of(stored)) for stored in mine),
    )
    assert [one.row.sop_instance_uid for one in found[:3] if one] == [stored.sop_instance_uid for stored in mine]
    assert found[3:] == [None] * 5
    first = found[0]
    assert first is not None
    assert (first.row.number_of_frames, first.series_frame_count) == (1, 3)
    added = await web.store(
        institution, as_bytes(make_ct(StudyInstanceUID="1.7", SeriesInstanceUID="1.7.1", InstanceNumber=4))
    )
    later = await finder.find(institution, uids_of(added))
    assert later is not None
    assert later.series_version > first.series_version
    assert later.series_frame_count == 4
