"""Key images: marked by staff, kept, bounded, audited; seen by colleagues and in a share, marked in none."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from app.identity.models import KEYIMAGE_WRITE, ROLES, SHARE_PERMISSIONS
from app.viewing import key_images
from app.viewing.key_image_routes import ROUTES
from dicomnet.database import Database
from tests.app.viewing.test_stream import viewing
from tests.support.house import House
from tests.support.series import ct_series

pytestmark = pytest.mark.asyncio(loop_scope="module")


def client(house: House, cookie: str = "") -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=house.http, headers={"Cookie": cookie} if cookie else {}, timeout=30)


async def uids_of(database: Database, institution: int, study: int) -> list[str]:
    rows = await database.fetch(
        institution,
        "select sop_instance_uid from archive.instance where study_key = $1 order by instance_number",
        study,
    )
    return [str(row["sop_instance_uid"]) for row in rows]


async def marked(client: httpx.AsyncClient, study: int) -> list[tuple[str, int]]:
    answer = await client.get(f"/api/studies/{study}/key-images")
    assert answer.status_code == 200
    return [(one["sop_instance_uid"], one["frame_number"]) for one in answer.json()["key_images"]]


async def entries(house: House, study: int) -> list[tuple[str, str]]:
    rows = await house.services.database.fetch(
        house.institution,
        "select action, outcome from audit.entry where study_key = $1 and action like '%key_image%' order by entry_id",
        study,
    )
    return [(row["action"], row["outcome"]) for row in rows]


async def test_a_mark_is_kept_told_to_colleagues_and_audited(house: House) -> None:
    study, series = await house.store(*ct_series(3))
    first, second, _ = await uids_of(house.services.database, house.institution, study)
    path = f"/api/studies/{study}/key-images"
    async with client(house, await house.staff()) as me, client(house, await house.staff("viewer")) as colleague:
        assert await marked(me, study) == []
        for uid in (second, first, second):
            answer = await me.put(f"{path}/{uid}/1")
            assert answer.status_code == 200
        assert [one["sop_instance_uid"] for one in answer.json()["key_images"]] == [first, second]
        told = (await colleague.get(path)).json()["key_images"][0]
        assert (told["sop_instance_uid"], told["frame_number"], told["series"]) == (first, 1, series)
        assert told["by"].startswith("person")
        assert told["at"].startswith("20")
        for _ in range(2):
            assert (await me.delete(f"{path}/{first}/1")).status_code == 200
        assert await marked(colleague, study) == [(second, 1)]
    assert await entries(house, study) == [
        ("study.key_images", "ok"),
        ("key_image.mark", "ok"),
        ("key_image.mark", "ok"),
        ("key_image.mark", "unchanged"),
        ("study.key_images", "ok"),
        ("key_image.unmark", "ok"),
        ("key_image.unmark", "unchanged"),
        ("study.key_images", "ok"),
    ]


async def test_a_share_sees_stars_by_the_manifests_names_and_marks_none(house: House) -> None:
    study, series = await house.store(*ct_series(2))
    _, uid = await uids_of(house.services.database, house.institution, study)
    async with client(house, await house.staff()) as me:
        assert (await me.put(f"/api/studies/{study}/key-images/{uid}/1")).status_code == 200
    for hide_identity in (True, False):
        cookie, _ = await house.share(study, hide_identity=hide_identity)
        async with client(house, cookie) as phone:
            manifest = (await phone.get(f"/api/series/{series}/manifest")).json()
            told: list[dict[str, Any]] = (await phone.get(f"/api/studies/{study}/key-images")).json()["key_images"]
            name = manifest["sop_instance_uid_root"] + manifest["frames"][1]["sop_instance_uid"]
            assert told == [{"sop_instance_uid": name, "frame_number": 1, "series": series}]
            assert (name == uid) == (not hide_identity)
            for method in ("PUT", "DELETE"):
                refused = await phone.request(method, f"/api/studies/{study}/key-images/{name}/1")
                assert (refused.status_code, refused.json()["code"]) == (403, "identity.forbidden")


async def test_who_may_not_mark(house: House) -> None:
    study, _ = await house.store(*ct_series(1))
    other, _ = await house.store(*ct_series(1))
    (uid,) = await uids_of(house.services.database, house.institution, study)
    path = f"/api/studies/{study}/key-images/{uid}/1"
    async with client(house) as nobody, client(house, await house.staff("viewer")) as reader:
        assert (await nobody.put(path)).status_code == 401
        assert (await nobody.get(f"/api/studies/{study}/key-images")).status_code == 401
        assert (await reader.put(path)).json()["code"] == "identity.forbidden"
    cookie, _ = await house.share(other)
    async with client(house, cookie) as phone:
        assert (await phone.get(f"/api/studies/{study}/key-images")).json()["code"] == "viewing.not_found"
    async with client(house, await house.staff()) as me:
        assert (await me.put(path, headers={"Origin": "https://evil.test"})).json()["code"] == "http.cross_site"
        assert await marked(me, study) == []


async def test_roles_that_mark() -> None:
    marking = {role for role, permissions in ROLES.items() if KEYIMAGE_WRITE in permissions}
    assert marking == {"super_admin", "hospital_admin", "doctor", "technician"}
    assert KEYIMAGE_WRITE not in SHARE_PERMISSIONS
    assert {spec.permission for spec in ROUTES if set(spec.methods) - {"GET"}} == {KEYIMAGE_WRITE}


async def test_another_institution_neither_sees_nor_marks(house: House) -> None:
    study, _ = await house.store(*ct_series(1))
    (uid,) = await uids_of(house.services.database, house.institution, study)
    path = f"/api/studies/{study}/key-images"
    async with client(house, await house.staff()) as me:
        assert (await me.put(f"{path}/{uid}/1")).status_code == 200
    elsewhere = await house.services.database.fetchval(
        None, "select institution_id from archive.institution where institution_id <> $1 limit 1", house.institution
    )
    rows = await house.services.database.fetch(elsewhere or house.institution + 1, "select 1 from viewing.key_image")
    assert rows == []


async def test_what_is_no_image_of_the_study(house: House) -> None:
    study, _ = await house.store(*ct_series(1))
    other, _ = await house.store(*ct_series(1))
    (uid,) = await uids_of(house.services.database, house.institution, study)
    (foreign,) = await uids_of(house.services.database, house.institution, other)
    path = f"/api/studies/{study}/key-images"
    async with client(house, await house.staff()) as me:
        for place, status, code in (
            (f"{uid}/2", 404, "key_image.unknown_image"),
            (f"{foreign}/1", 404, "key_image.unknown_image"),
            ("1.2.3/1", 404, "key_image.unknown_image"),
            (f"{uid}/0", 400, "http.bad_request"),
            (f"{uid}/{2**31}", 400, "http.bad_request"),
            (f"{uid}/x", 400, "http.bad_request"),
            (f"{'1' * 65}/1", 400, "http.bad_request"),
            ("%E5%9B%BE/1", 400, "http.bad_request"),
        ):
            answer = await me.put(f"{path}/{place}")
            assert (answer.status_code, answer.json()["code"]) == (status, code), place
            assert set(answer.json()["message"]) == {"zh", "en"}
        assert (await me.put(f"/api/studies/987654/key-images/{uid}/1")).json()["code"] == "viewing.not_found"
        assert await marked(me, study) == []


async def test_a_study_has_only_so_many_also_when_all_come_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, _ = await house.store(*ct_series(6))
    uids = await uids_of(house.services.database, house.institution, study)
    monkeypatch.setattr(key_images, "MOST_PER_STUDY", 3)
    async with client(house, await house.staff()) as me:
        answers = await asyncio.gather(*(me.put(f"/api/studies/{study}/key-images/{uid}/1") for uid in uids))
        refused = [answer.json() for answer in answers if answer.status_code == 409]
        assert [one["code"] for one in refused] == ["key_image.too_many"] * 3
        assert refused[0]["data"] == {"most": 3}
        assert len(await marked(me, study)) == 3


async def test_rule_32_key_images(house: House) -> None:
    study, _ = await house.store(*ct_series(1))
    (uid,) = await uids_of(house.services.database, house.institution, study)
    async with viewing(house, await house.staff()) as viewer, client(house, await house.staff()) as me:
        await viewer.open(study)
        assert (await me.put(f"/api/studies/{study}/key-images/{uid}/1")).status_code == 200
        assert await viewer.text("key_images") == {"t": "key_images", "study": study}
