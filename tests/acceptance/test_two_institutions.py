"""Two institutions hold the same UIDs; over no door does either see what the other holds."""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from tests.support.dicom_files import make_ct
from tests.support.house import Viewer
from tests.support.multipart import parts
from tests.support.outside import dial
from tests.support.scp_process import send
from tests.support.server import Server, wait_until

_DICOM = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
_PNG = {"Accept": "image/png"}


@dataclass(frozen=True, slots=True)
class House:
    """One institution: its AE title and what it alone must show."""

    code: str
    ae_title: str
    patient_name: str
    level: int  # every pixel's stored value: dark in one house, bright in the other
    token: str
    study_key: int = 0
    series_key: int = 0
    private_study_key: int = 0

    def headers(self, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", **more}


@dataclass(frozen=True, slots=True)
class Two:
    """Both houses on one server; ``common`` is held by both under the same UIDs, ``private`` by one each."""

    server: Server
    houses: tuple[House, House]
    common: FileDataset
    private: tuple[FileDataset, FileDataset]

    def each(self) -> list[tuple[House, House, FileDataset, FileDataset]]:
        """(house, the other, own private study, the other's)."""
        (a, b), (x, y) = self.houses, self.private
        return [(a, b, x, y), (b, a, y, x)]

    def client(self, house: House, **headers: str) -> httpx.Client:
        return self.server.client(headers=house.headers(**headers))


def _filled(house: House, **changes: Any) -> FileDataset:
    pixels = np.full(64, house.level, "<u2").tobytes()
    return make_ct(PatientName=house.patient_name, PixelData=pixels, WindowCenter=0, WindowWidth=2048, **changes)


def _keys(server: Server, house: House, uids: list[str]) -> House:
    with server.client(headers=house.headers()) as client:

        def listed() -> list[dict[str, Any]]:
            rows = client.get("/api/studies").raise_for_status().json()["studies"]
            return rows if len(rows) == 2 else []

        by_accession = {row["accession_number"]: row["study_key"] for row in wait_until(listed, 30, "both studies")}
        common, private = by_accession["COMMON"], by_accession["PRIVATE"]
        series = client.get(f"/api/studies/{common}/series").raise_for_status().json()["series"]
    assert len(series) == 1 == len(set(uids))
    return House(
        house.code,
        house.ae_title,
        house.patient_name,
        house.level,
        house.token,
        common,
        series[0]["series"],
        private,
    )


@pytest.fixture(scope="module")
def two(server: Server) -> Two:
    """Each AE title gets an object of the common UIDs and a study of its own, all answered with success."""
    common = {name: generate_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")}
    houses: list[House] = []
    private: list[FileDataset] = []
    for code, ae_title, name, level in (("east", "EAST", "东^一", 200), ("west", "WEST", "西^二", 1800)):
        server.cli("institution", "create", code, "--name", code, "--ae-title", ae_title)
        made = server.cli_json("token", "create", "--role", "hospital_admin", "--institution", code)
        house = House(code, ae_title, name, level, str(made["token"]))
        own = _filled(house, PatientID=f"{code}-1", AccessionNumber="PRIVATE")
        for ds in (_filled(house, PatientID="SAME", AccessionNumber="COMMON", **common), own):
            assert send(server.dicom.port, [ds], ae_title)[0].Status == 0
        houses.append(_keys(server, house, [common["StudyInstanceUID"]]))
        private.append(own)
    return Two(server, (houses[0], houses[1]), make_ct(**common), (private[0], private[1]))


def _address(ds: FileDataset, level: str = "instance") -> str:
    address = f"/dicom-web/studies/{ds.StudyInstanceUID}"
    if level != "study":
        address += f"/series/{ds.SeriesInstanceUID}"
    return address + (f"/instances/{ds.SOPInstanceUID}" if level == "instance" else "")


def test_dimse_each_title_keeps_its_own_object_and_a_re_send_changes_nothing(two: Two) -> None:
    for house, _, own, _ in two.each():
        again = _filled(house, PatientID="SAME", AccessionNumber="COMMON")
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(again, name, two.common[name].value)
        again.file_meta.MediaStorageSOPInstanceUID = again.SOPInstanceUID
        for ds in (again, own):
            assert send(two.server.dicom.port, [ds], house.ae_title)[0].Status == 0
        with two.client(house) as client:
            rows = client.get("/api/studies").json()["studies"]
        assert len(rows) == 2
        assert {row["patient_name"].replace("^", "") for row in rows} == {house.patient_name.replace("^", "")}
        assert {(row["instance_count"], row["conflict_count"]) for row in rows} == {(1, 0)}


def test_dicomweb_searches_answer_from_one_house_alone(two: Two) -> None:
    for house, other, own, others in two.each():
        with two.client(house) as client:
            for address in ("/dicom-web/studies", "/dicom-web/series", "/dicom-web/instances"):
                found = client.get(address).raise_for_status().json()
                uids = {row["0020000D"]["Value"][0] for row in found}
                assert uids == {two.common.StudyInstanceUID, own.StudyInstanceUID}
                assert {row["00100010"]["Value"][0]["Alphabetic"] for row in found} == {house.patient_name}
                for query in (
                    {"StudyInstanceUID": others.StudyInstanceUID},
                    {"PatientName": other.patient_name},
                    {"PatientID": f"{other.code}-1"},
                ):
                    assert client.get(address, params=query).status_code == 204
            counts = client.get("/dicom-web/studies", params={"StudyInstanceUID": two.common.StudyInstanceUID}).json()
            assert counts[0]["00201208"]["Value"] == [1]
            below = _address(others, "study")
            assert client.get(f"{below}/series").status_code == 204
            assert client.get(f"{below}/instances").status_code == 204


def test_dicomweb_retrieves_and_renders_one_houses_object_and_none_of_the_other(two: Two) -> None:
    for house, _, own, others in two.each():
        with two.client(house) as client:
            for level in ("study", "series", "instance"):
                answer = client.get(_address(two.common, level), headers=_DICOM).raise_for_status()
                ((_, data),) = parts(answer)
                got = pydicom.dcmread(io.BytesIO(data))
                assert (got.SOPInstanceUID, str(got.PatientName)) == (two.common.SOPInstanceUID, house.patient_name)
                assert set(got.pixel_array.ravel()) == {house.level}
                (described,) = client.get(_address(two.common, level) + "/metadata").raise_for_status().json()
                assert described["00100010"]["Value"][0]["Alphabetic"] == house.patient_name
                picture = client.get(_address(two.common, level) + "/rendered", headers=_PNG).raise_for_status()
                bright = np.asarray(Image.open(io.BytesIO(picture.content)).convert("L")).mean() > 128
                assert bright == (house.level > 1024)
                assert client.get(_address(own, level), headers=_DICOM).status_code == 200
                for suffix in ("", "/metadata", "/rendered", "/thumbnail"):
                    assert client.get(_address(others, level) + suffix).status_code == 404, (level, suffix)
            assert client.get(_address(others) + "/frames/1").status_code == 404
            assert client.get(_address(others) + "/bulkdata/7FE00010").status_code == 404


def test_the_staffs_pages_refuse_the_others_keys_as_if_there_were_none(two: Two) -> None:
    nothing = 10**15
    for house, other, _, _ in two.each():
        with two.client(other) as client:
            share = client.post(f"/api/studies/{other.study_key}/shares", json={"days": 1}).raise_for_status().json()
        with two.client(house) as client:

            def refusal(method: str, address: str, client: httpx.Client = client) -> tuple[int, str]:
                answer = client.request(method, address, json={"days": 1} if method == "POST" else None)
                return answer.status_code, answer.json()["code"]

            for method, address, key in (
                ("GET", "/api/studies/{}/series", other.study_key),
                ("GET", "/api/studies/{}/series", other.private_study_key),
                ("GET", "/viewer/{}", other.study_key),
                ("POST", "/api/studies/{}/shares", other.study_key),
                ("GET", "/api/series/{}/manifest", other.series_key),
                ("GET", "/api/series/{}/thumbnail", other.series_key),
                ("GET", "/api/series/{}/frames/0/picture?width=8&height=8", other.series_key),
                ("POST", "/api/shares/{}/code", share["share"]),
                ("POST", "/api/shares/{}/revoke", share["share"]),
            ):
                refused = refusal(method, address.format(key))
                assert refused == refusal(method, address.format(nothing)), (method, address)
                assert refused[0] == 404, (method, address)
            assert client.get(f"/api/studies/{other.study_key}/shares").json() == {"shares": []}


async def _refused(viewer: Viewer, study_key: int, series_key: int) -> None:
    """Neither opened nor viewed: the errors of a study that is not there, and no picture."""
    for key in (study_key, 10**15):
        await viewer.send(t="open", study=key)
        assert (await viewer.text("error"))["code"] == "viewing.not_found"
    await viewer.view(series_key, 1)
    assert (await viewer.text("error"))["code"] == "viewing.not_found"
    await viewer.send(t="manifest", series=series_key)
    assert (await viewer.text("error"))["code"] == "viewing.not_found"
    await viewer.send(t="prefetch", series=series_key, frames=[0])
    assert (await viewer.text("error"))["code"] == "viewing.not_found"
    assert viewer.pictures == []


async def test_the_stream_opens_one_houses_studies_alone(two: Two) -> None:
    for house, other, _, _ in two.each():
        async with dial(two.server, house.token) as socket:
            viewer = Viewer(socket)
            await viewer.hello()
            await _refused(viewer, other.study_key, other.series_key)
            await _refused(viewer, other.private_study_key, other.series_key)
            assert [row["series"] for row in (await viewer.open(house.study_key))["series"]] == [house.series_key]
            await viewer.view(house.series_key, 2)
            header, data = await viewer.picture(30)
            assert header["series"] == house.series_key
            bright = np.asarray(Image.open(io.BytesIO(data)).convert("L")).mean() > 128
            assert bright == (house.level > 1024)


async def test_a_share_opens_its_own_study_and_no_other_of_either_house(two: Two) -> None:
    made: list[tuple[str, str]] = []
    for house in two.houses:
        with two.client(house) as client:
            answer = client.post(f"/api/studies/{house.study_key}/shares", json={"days": 1}).raise_for_status().json()
        made.append(("/s/" + answer["url"].rpartition("/s/")[2], answer["code"]))
    for (house, other, _, _), (path, code), (others_path, others_code) in zip(
        two.each(), made, reversed(made), strict=True
    ):
        with two.server.client() as phone:
            assert "data:image/webp;base64," in phone.post(path, data={"code": code}).raise_for_status().text
            assert "data:image/webp;base64," in phone.get(path).text
            # The other's link asks this phone for its code, and only that code opens it.
            form = phone.get(others_path).text
            assert "data:image" not in form
            assert 'name="code"' in form
            if code != others_code:
                assert phone.post(others_path, data={"code": code}).status_code == 403
            for key in (other.study_key, other.private_study_key, house.private_study_key):
                assert phone.get(f"/api/studies/{key}/series").status_code == 404
                assert phone.get(f"/viewer/{key}").status_code == 404
            assert phone.get(f"/api/series/{other.series_key}/thumbnail").status_code == 404
            assert phone.get("/api/studies").status_code == 403
            cookie = "; ".join(f"{name}={value}" for name, value in phone.cookies.items())
        async with dial(two.server, cookie=cookie) as socket:
            viewer = Viewer(socket)
            await viewer.hello()
            await _refused(viewer, other.study_key, other.series_key)
            await _refused(viewer, house.private_study_key, other.series_key)
            assert len((await viewer.open(house.study_key))["series"]) == 1


def test_an_unknown_title_is_no_house(two: Two) -> None:
    with pytest.raises(ConnectionError, match="rejected"):
        send(two.server.dicom.port, [two.common], "NORTH")


async def test_a_study_that_arrives_wakes_its_own_houses_viewers_alone(two: Two) -> None:
    """``changed`` (stream rule 19) names a study key of one house; the other's viewer hears nothing of it."""
    east, west = two.houses
    async with dial(two.server, east.token) as a, dial(two.server, west.token) as b:
        ours, theirs = Viewer(a), Viewer(b)
        for viewer, house in ((ours, east), (theirs, west)):
            await viewer.hello()
            await viewer.open(house.study_key)
        more = _filled(
            east,
            PatientID="SAME",
            AccessionNumber="COMMON",
            StudyInstanceUID=two.common.StudyInstanceUID,
            SeriesInstanceUID=two.common.SeriesInstanceUID,
            InstanceNumber=2,
        )
        await asyncio.to_thread(send, two.server.dicom.port, [more], east.ae_title)
        assert (await ours.text("changed", 60))["study"] == east.study_key
        await theirs.send(t="ping", at=1)
        await theirs.text("pong")
        assert {text["study"] for text in theirs.texts if text["t"] == "changed"} <= {west.study_key}
