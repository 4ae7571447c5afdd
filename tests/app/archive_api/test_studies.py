"""The staff's list: one search box, filters together, pages that neither repeat nor miss, and one study's detail."""

from __future__ import annotations

from typing import Any

import pytest

from app.archive_api.studies import format_cursor, parse_cursor
from app.errors import BadRequestError
from tests.support.dicom_files import as_bytes, make_ct
from tests.support.web_app import Web


@pytest.mark.parametrize("text", ["x", "1", "1-", "-1", "1-2-3", "1" * 20 + "-1", "１-1"])
def test_a_cursor_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadRequestError):
        parse_cursor(text)


def test_a_cursor_comes_back_as_it_went() -> None:
    assert format_cursor(parse_cursor("1709188205250000-42")) == "1709188205250000-42"
    assert parse_cursor("") is None


async def _fill(web: Web, institution: int) -> None:
    people: list[dict[str, Any]] = [
        {"PatientName": "王^小明", "PatientID": "P001", "AccessionNumber": "A1", "StudyDate": "20240229"},
        {
            "PatientName": "Li^Si",
            "PatientID": "P002",
            "AccessionNumber": "B7",
            "StudyDate": "20240301",
            "Modality": "MR",
        },
        {"PatientName": "张^三丰", "PatientID": "P003", "AccessionNumber": "C9", "StudyDate": "20240302"},
    ]
    for person in people:
        await web.store(institution, as_bytes(make_ct(**person)))


async def test_search_and_filters(web: Web, institution: int, second_institution: int) -> None:
    await _fill(web, institution)
    expected = {
        "": ["P003", "P002", "P001"],
        "q=王": ["P001"],
        "q=*小*": ["P001"],
        "q=zhang": ["P003"],
        "q=P002": ["P002"],
        "q=C9": ["P003"],
        "q=nobody": [],
        "modality=MR": ["P002"],
        "modality=MR,CT&from=2024-03-01": ["P003", "P002"],
        "to=2024-02-29": ["P001"],
        "patient_id=P003&accession_number=C9": ["P003"],
        "patient_id=P003&accession_number=A1": [],
    }
    async with await web.client(institution, "viewer") as client:
        for query, ids in expected.items():
            answer = await client.get("/api/studies?" + query)
            assert answer.status_code == 200, query
            assert [row["patient_id"] for row in answer.json()["studies"]] == ids, query
        row = (await client.get("/api/studies?q=P001")).json()["studies"][0]
        assert row["modalities"] == ["CT"]
        assert (row["series_count"], row["instance_count"], row["arriving"]) == (1, 1, True)
        assert (row["patient_sex"], row["patient_birth_date"]) == ("M", "1970-01-01")
        for query in ("limit=0", "limit=201", "from=1.1.2024", "after=x", "q=" + "x" * 200):
            bad = await client.get("/api/studies?" + query)
            assert (bad.status_code, bad.json()["code"]) == (400, "http.bad_request"), query
    async with await web.client(second_institution, "viewer") as client:
        assert (await client.get("/api/studies")).json()["studies"] == []
    audited = await web.database.fetchval(institution, "select count(*) from audit.entry where action = 'study.list'")
    assert audited == len(expected) + 1


async def test_pages_join_without_gap_or_repeat(web: Web, institution: int) -> None:
    for number in range(7):  # all at the same moment: the key alone orders them
        await web.store(institution, as_bytes(make_ct(AccessionNumber=f"N{number}", PatientID=f"P{number}")))
    seen: list[str] = []
    after = ""
    async with await web.client(institution, "viewer") as client:
        for _ in range(4):
            page = (await client.get("/api/studies", params={"limit": 2, "after": after})).json()
            seen += [row["patient_id"] for row in page["studies"]]
            after = page["next"] or ""
            if not after:
                break
    assert sorted(seen) == [f"P{number}" for number in range(7)]
    assert len(seen) == 7


async def test_detail_lists_every_series_with_its_thumbnail(
    web: Web, institution: int, second_institution: int
) -> None:
    stored = await web.store(institution, as_bytes(make_ct(SeriesDescription="薄层")))
    async with await web.client(institution, "viewer") as client:
        detail = (await client.get(f"/api/studies/{stored.study_key}")).json()
        assert (detail["patient_name"], detail["study_description"]) == ("王^小明", "胸部平扫")
        (series,) = detail["series"]
        assert (series["description"], series["frame_count"]) == ("薄层", 1)
        assert series["thumbnail"].startswith(f"/api/series/{stored.series_key}/thumbnail")
        assert (await client.get("/api/studies/0")).status_code == 404
    async with await web.client(second_institution, "viewer") as client:
        assert (await client.get(f"/api/studies/{stored.study_key}")).status_code == 404
