"""Searches find what matches, say nothing of what does not, and refuse what cannot be understood."""

from __future__ import annotations

import pytest

from app.archive_api.errors import BadParameterError
from app.archive_api.qido_parameters import MAX_LIMIT, parse_query
from tests.support.dicom_files import as_bytes, make_ct
from tests.support.web_app import Web


def test_tags_and_keywords_mean_the_same() -> None:
    assert parse_query([("00100020", "P1")]) == parse_query([("PatientID", "P1")])
    assert parse_query([("PatientID", "P1")]).studies.patient_id == "P1"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("NoSuchThing", "1"),
        ("limit", "-1"),
        ("limit", "many"),
        ("offset", "10001"),
        ("StudyDate", "2024-02-29"),
        ("StudyDate", "-"),
        ("StudyTime", "1"),
        ("StudyInstanceUID", "1.2;drop"),
        ("PatientBirthDate", "1970"),
        ("SeriesNumber", "one"),
        ("fuzzymatching", "perhaps"),
        ("includefield", "NoSuchThing"),
    ],
)
def test_what_cannot_be_understood_is_refused(name: str, text: str) -> None:
    with pytest.raises(BadParameterError) as caught:
        parse_query([(name, text)])
    assert caught.value.code == "dicomweb.bad_parameter"


def test_limits_are_bounded_and_unmatched_attributes_told() -> None:
    query = parse_query([("limit", "999999"), ("Manufacturer", "X"), ("00400275.00400009", "Y")])
    assert query.limit == MAX_LIMIT
    assert query.ignored == ("Manufacturer", "00400275.00400009")


async def _fill(web: Web, institution: int) -> None:
    await web.store(
        institution,
        as_bytes(make_ct(StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1", SOPInstanceUID="1.1.1.1", Modality="CT")),
    )
    await web.store(
        institution,
        as_bytes(make_ct(StudyInstanceUID="1.1", SeriesInstanceUID="1.1.2", SOPInstanceUID="1.1.2.1", Modality="SC")),
    )
    await web.store(
        institution,
        as_bytes(
            make_ct(
                StudyInstanceUID="1.2",
                SeriesInstanceUID="1.2.1",
                SOPInstanceUID="1.2.1.1",
                PatientName="Li^Si",
                PatientID="P002",
                AccessionNumber="B7",
                StudyDate="20230101",
                StudyTime="080000",
                Modality="MR",
            )
        ),
    )


async def test_studies_by_every_matching_attribute(web: Web, institution: int) -> None:
    await _fill(web, institution)
    expected = {
        "PatientName=*小明*": ["1.1"],
        "PatientName=wang*": ["1.1"],
        "PatientName=Li^S?": ["1.2"],
        "PatientID=P002": ["1.2"],
        "AccessionNumber=B*": ["1.2"],
        "StudyDate=20240101-": ["1.1"],
        "StudyDate=-20231231": ["1.2"],
        "StudyDate=20230101-20240229": ["1.1", "1.2"],
        "StudyDate=20240229": ["1.1"],
        "StudyTime=14-15": ["1.1"],
        "ModalitiesInStudy=MR": ["1.2"],
        "StudyInstanceUID=1.1,1.2": ["1.1", "1.2"],
        "StudyInstanceUID=1.1\\1.9": ["1.1"],
        "StudyDescription=*平扫": ["1.1", "1.2"],
        "0020000D=1.2": ["1.2"],
        "PatientBirthDate=19700101": ["1.1", "1.2"],
        "limit=1": ["1.1"],
        "limit=1&offset=1": ["1.2"],
    }
    async with await web.client(institution, "dicomweb-read") as client:
        for text, uids in expected.items():
            answer = await client.get("/dicom-web/studies?" + text)
            assert answer.status_code == 200, text
            assert [row["0020000D"]["Value"][0] for row in answer.json()] == uids, text
        empty = await client.get("/dicom-web/studies?PatientID=P9")
        assert (empty.status_code, empty.content) == (204, b"")
        study = (await client.get("/dicom-web/studies?PatientID=P001")).json()[0]
    assert study["00080061"]["Value"] == ["CT", "SC"]
    assert study["00100010"]["Value"] == [{"Alphabetic": "王^小明"}]
    assert study["00201206"]["Value"] == [2]
    assert study["00201208"]["Value"] == [2]
    assert study["00081190"]["Value"] == [f"{web.url}/dicom-web/studies/1.1"]


async def test_series_and_instances_in_every_form(web: Web, institution: int) -> None:
    await _fill(web, institution)
    expected = {
        "/series": ["1.1.1", "1.1.2", "1.2.1"],
        "/series?Modality=MR": ["1.2.1"],
        "/series?PatientName=*小明*&limit=1&offset=1": ["1.1.2"],
        "/series?SeriesInstanceUID=1.1.2": ["1.1.2"],
        "/studies/1.1/series": ["1.1.1", "1.1.2"],
        "/studies/1.1/series?SeriesNumber=1": ["1.1.1", "1.1.2"],
    }
    instances = {
        "/instances": ["1.1.1.1", "1.1.2.1", "1.2.1.1"],
        "/instances?limit=1&offset=2": ["1.2.1.1"],
        "/instances?PatientID=P001": ["1.1.1.1", "1.1.2.1"],
        "/studies/1.1/instances": ["1.1.1.1", "1.1.2.1"],
        "/studies/1.1/series/1.1.2/instances": ["1.1.2.1"],
        "/instances?SOPInstanceUID=1.2.1.1": ["1.2.1.1"],
        "/instances?SOPClassUID=1.2.840.10008.5.1.4.1.1.2&InstanceNumber=1&limit=2": ["1.1.1.1", "1.1.2.1"],
    }
    async with await web.client(institution) as client:
        for paths, tag in ((expected, "0020000E"), (instances, "00080018")):
            for path, uids in paths.items():
                answer = await client.get("/dicom-web" + path)
                assert answer.status_code == 200, path
                assert [row[tag]["Value"][0] for row in answer.json()] == uids, path
        row = (await client.get("/dicom-web/instances?limit=1")).json()[0]
        more = await client.get("/dicom-web/series?limit=1&fuzzymatching=true&Manufacturer=x")
    assert row["00100020"]["Value"] == ["P001"]
    assert row["00080060"]["Value"] == ["CT"]
    assert row["00280010"]["Value"] == [8]
    for word in ("Fuzzy matching is not supported", "Manufacturer", "more results"):
        assert word in more.headers["warning"]


async def test_nothing_of_another_institution_is_found(web: Web, institution: int, second_institution: int) -> None:
    await _fill(web, institution)
    async with await web.client(second_institution) as client:
        for path in ("/studies", "/series", "/instances", "/studies/1.1/series", "/studies/1.1/instances"):
            assert (await client.get("/dicom-web" + path)).status_code == 204


async def test_a_bad_search_answers_with_a_stable_code(web: Web, institution: int) -> None:
    async with await web.client(institution) as client:
        answer = await client.get("/dicom-web/studies?StudyDate=yesterday")
        xml = await client.get("/dicom-web/studies", headers={"Accept": "application/dicom+xml"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "dicomweb.bad_parameter"
    assert answer.json()["data"] == {"parameter": "StudyDate"}
    assert (xml.status_code, xml.json()["code"]) == (406, "dicomweb.not_acceptable")
