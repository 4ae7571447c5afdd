"""Finding studies: pages, filters, names, isolation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from pydicom.uid import generate_uid

from dicomnet.archive.ingest import Ingest
from dicomnet.archive.objects import LocalObjects
from dicomnet.archive.query import (
    StudyFilters,
    find_instances,
    get_study,
    list_instances,
    list_series,
    list_studies,
    resolve_ae,
)
from dicomnet.archive.search_sql import Where, like_pattern, text_match
from dicomnet.database import Database
from dicomnet.keyring import Keyring
from tests.support.dicom_files import as_bytes, make_ct

NAMES = ["王^小明", "王^芳", "张^三丰", "李^雷", "Smith^John", "欧阳^修"]


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.load_or_create(tmp_path / "key")


@pytest_asyncio.fixture
async def archive(database: Database, institution: int, keyring: Keyring, tmp_path: Path) -> AsyncIterator[Ingest]:
    """Six studies, one a day, the last one MR."""
    ingest = Ingest(database, LocalObjects(tmp_path / "blobs"), keyring, min_free_bytes=0)
    for number, name in enumerate(NAMES):
        ds = make_ct(
            PatientName=name,
            PatientID=f"P{number}",
            StudyDate=f"2024030{number + 1}",
            AccessionNumber=f"ACC{number}",
            StudyDescription="胸部CT平扫" if number % 2 else "Head_50%",
            Modality="MR" if number == 5 else "CT",
        )
        await ingest.store(as_bytes(ds), institution_id=institution, source="test")
    yield ingest
    ingest.close()


async def names(database: Database, keyring: Keyring, institution: int, filters: StudyFilters) -> list[str]:
    return [row.patient_name for row in (await list_studies(database, keyring, institution, filters)).rows]


@pytest.mark.usefixtures("archive")
async def test_pages_run_from_new_to_old_and_join_without_gap(
    database: Database, institution: int, keyring: Keyring
) -> None:
    seen: list[str] = []
    after = None
    for _ in range(10):
        page = await list_studies(database, keyring, institution, StudyFilters(), after, 4)
        seen += [row.patient_name for row in page.rows]
        after = page.next_after
        if after is None:
            break
    assert seen == NAMES[::-1]


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (StudyFilters(patient_name="*王*"), ["王^芳", "王^小明"]),
        (StudyFilters(patient_name="王*"), ["王^芳", "王^小明"]),
        (StudyFilters(patient_name="*小明"), ["王^小明"]),
        (StudyFilters(patient_name="zhang*"), ["张^三丰"]),
        (StudyFilters(patient_name="smith*"), ["Smith^John"]),
        (StudyFilters(patient_name="*赵*"), []),
        (StudyFilters(patient_id="P3"), ["李^雷"]),
        (StudyFilters(patient_id="P?"), NAMES[::-1]),
        (StudyFilters(accession_number="ACC2"), ["张^三丰"]),
        (StudyFilters(accession_number="ACC*"), NAMES[::-1]),
        (StudyFilters(study_description="*CT*"), [NAMES[5], NAMES[3], NAMES[1]]),
        (StudyFilters(study_description="head_50%"), [NAMES[4], NAMES[2], NAMES[0]]),
        (StudyFilters(study_description="head?5"), []),
        (StudyFilters(modalities=("MRI",)), ["欧阳^修"]),
        (StudyFilters(modalities=("CT",), patient_name="*李*"), ["李^雷"]),
        (StudyFilters(since=datetime(2024, 3, 5, tzinfo=UTC)), [NAMES[5], NAMES[4]]),
        (StudyFilters(until=datetime(2024, 3, 2, tzinfo=UTC)), [NAMES[0]]),
        (StudyFilters(study_date_from="20240302", study_date_to="20240303"), [NAMES[2], NAMES[1]]),
        (StudyFilters(patient_id="P1' or '1'='1"), []),
    ],
)
async def test_filters(
    database: Database, institution: int, keyring: Keyring, filters: StudyFilters, expected: list[str]
) -> None:
    assert await names(database, keyring, institution, filters) == expected


@pytest.mark.usefixtures("archive")
async def test_a_common_name_is_found_by_time_as_well(
    database: Database, institution: int, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicomnet.archive.query._FEW_PATIENTS", 1)
    assert await names(database, keyring, institution, StudyFilters(patient_name="王*")) == ["王^芳", "王^小明"]


@pytest.mark.usefixtures("archive")
async def test_another_institution_finds_nothing(
    database: Database, second_institution: int, institution: int, keyring: Keyring
) -> None:
    assert await names(database, keyring, second_institution, StudyFilters()) == []
    assert await names(database, keyring, second_institution, StudyFilters(patient_name="王*")) == []
    (study, *_) = (await list_studies(database, keyring, institution, StudyFilters())).rows
    assert await get_study(database, keyring, second_institution, study.study_key) is None
    assert await list_series(database, second_institution, study.study_key) == []


async def test_series_instances_and_conflicts_of_a_study(
    database: Database, institution: int, keyring: Keyring, archive: Ingest
) -> None:
    ds = make_ct(SeriesDescription="平扫", SeriesNumber=2)
    stored = await archive.store(as_bytes(ds), institution_id=institution, source="test")
    ds.SeriesInstanceUID, ds.SOPInstanceUID, ds.SeriesNumber = generate_uid(), generate_uid(), 1
    await archive.store(as_bytes(ds), institution_id=institution, source="test")
    ds.PixelData = bytes(128)
    await archive.store(as_bytes(ds), institution_id=institution, source="test")
    study = await get_study(database, keyring, institution, study_instance_uid=ds.StudyInstanceUID)
    assert study is not None
    assert (study.series_count, study.instance_count, study.conflict_count) == (2, 2, 1)
    series = await list_series(database, institution, study.study_key)
    assert [item.series_number for item in series] == [1, 2]
    (instance,) = await list_instances(database, institution, series[1].series_key)
    assert instance.instance_key == stored.instance_key
    found = await find_instances(database, institution, study_instance_uid=ds.StudyInstanceUID)
    assert len(found) == 2
    (one,) = await find_instances(
        database,
        institution,
        study_instance_uid=ds.StudyInstanceUID,
        series_instance_uid=ds.SeriesInstanceUID,
        sop_instance_uid=ds.SOPInstanceUID,
    )
    assert one.series_key == series[0].series_key
    assert await find_instances(database, institution, study_instance_uid="1.2") == []


async def test_the_called_title_names_the_institution(database: Database, institution: int) -> None:
    found = await resolve_ae(database, "CLOUDFILM")
    assert found is not None
    assert (found.institution_id, found.suspended) == (institution, False)
    assert await resolve_ae(database, "NOBODY") is None


def test_values_travel_as_parameters_only() -> None:
    where = Where()
    text_match(where, "c", "50%_x*")
    assert where.sql == "c >= $1 and c < $2 and c like $3"
    assert where.arguments == ["50%_x", "50%_x\U0010ffff", "50\\%\\_x%"]
    assert like_pattern("a?b*") == "a_b%"
    text_match(where, "c", "**")
    assert len(where.arguments) == 3
