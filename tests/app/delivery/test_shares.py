"""Share links: the code guards, counters last, what is over is over, and a look consumes nothing."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest

from app.delivery.errors import (
    BurnedInError,
    CodeLockedError,
    ShareExpiredError,
    ShareNotFoundError,
    ShareRevokedError,
    ShareTermError,
    WrongCodeError,
)
from app.delivery.service import FREE_ATTEMPTS, NewShare, Shares, lock_minutes
from app.opening import open_services
from app.viewing.errors import StudyNotFoundError
from tests.support.dicom_files import as_bytes, make_ct
from tests.support.web_app import Web

ADDRESS = "192.0.2.7"


def wrong(code: str) -> str:
    """Six digits that are not the code."""
    return f"{(int(code) + 1) % 1_000_000:06d}"


async def _study(web: Web, institution: int, **changes: Any) -> int:
    return (await web.store(institution, as_bytes(make_ct(**changes)))).study_key


async def _row(web: Web, institution: int, share: NewShare) -> Any:
    return await web.database.fetchrow(
        institution, "select * from delivery.share where share_key = $1", share.share_key
    )


def test_each_further_failure_locks_longer() -> None:
    assert [lock_minutes(n) for n in (0, 4, 5, 6, 7, 30)] == [0, 0, 1, 2, 4, 1440]


async def test_neither_token_nor_code_is_stored(web: Web, institution: int) -> None:
    share = await web.share(institution, await _study(web, institution))
    assert len(share.token) >= 22  # 128 bits in base64
    assert re.fullmatch(r"[0-9]{6}", share.code)
    row = await _row(web, institution, share)
    stored = b"|".join(bytes(value) for value in row.values() if isinstance(value, bytes))
    assert share.token.encode() not in stored
    assert share.code.encode() not in stored
    other = await web.share(institution, row["study_key"])
    shares = Shares(web.services)
    with pytest.raises((WrongCodeError, CodeLockedError)):
        await shares.open(other.token, share.code if share.code != other.code else wrong(share.code), ADDRESS)


async def test_the_right_code_opens_and_clears_the_count(web: Web, institution: int) -> None:
    shares = Shares(web.services)
    share = await web.share(institution, await _study(web, institution))
    with pytest.raises(WrongCodeError) as caught:
        await shares.open(share.token, wrong(share.code), ADDRESS)
    assert caught.value.data == {"attempts_left": FREE_ATTEMPTS - 1}
    opened, session = await shares.open(share.token, f" {share.code} ", ADDRESS)
    assert opened.share_key == share.share_key
    assert (await web.services.identity.by_share_session(session)).study_key == opened.study_key
    row = await _row(web, institution, share)
    assert (row["failed_codes"], row["opened_count"]) == (0, 1)


async def test_five_wrong_codes_lock_also_the_right_one_and_a_restart_changes_nothing(
    web: Web, institution: int
) -> None:
    share = await web.share(institution, await _study(web, institution))
    results = await asyncio.gather(
        *(Shares(web.services).open(share.token, wrong(share.code), ADDRESS) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(result, WrongCodeError) for result in results) == FREE_ATTEMPTS
    assert sum(isinstance(result, CodeLockedError) for result in results) == 8 - FREE_ATTEMPTS
    async with open_services(web.settings) as restarted:
        with pytest.raises(CodeLockedError) as caught:
            await Shares(restarted).open(share.token, share.code, "198.51.100.1")
        assert 0 < caught.value.data["retry_after_s"] <= 60
    await web.database.execute(
        institution,
        "update delivery.share set locked_until = now() - interval '1 second' where share_key = $1",
        share.share_key,
    )
    with pytest.raises(WrongCodeError):
        await Shares(web.services).open(share.token, wrong(share.code), "198.51.100.2")
    with pytest.raises(CodeLockedError) as caught:
        await Shares(web.services).open(share.token, share.code, "198.51.100.3")
    assert 60 < caught.value.data["retry_after_s"] <= 120


async def test_an_address_that_tries_many_links_is_locked_on_all(web: Web, institution: int) -> None:
    study = await _study(web, institution)
    shares = Shares(web.services)
    links = [await web.share(institution, study) for _ in range(5)]
    for link in links[:4]:
        for _ in range(4):
            with pytest.raises((WrongCodeError, CodeLockedError)):
                await shares.open(link.token, wrong(link.code), ADDRESS)
    with pytest.raises(CodeLockedError):
        await shares.open(links[4].token, links[4].code, ADDRESS)
    opened, _ = await shares.open(links[4].token, links[4].code, "198.51.100.9")
    assert opened.share_key == links[4].share_key


async def test_a_reissued_code_replaces_the_old_one(web: Web, institution: int, second_institution: int) -> None:
    shares = Shares(web.services)
    share = await web.share(institution, await _study(web, institution))
    with pytest.raises(ShareNotFoundError):
        await shares.reissue(second_institution, share.share_key, "user:9")
    fresh = await shares.reissue(institution, share.share_key, "user:1")
    if fresh != share.code:
        with pytest.raises(WrongCodeError):
            await shares.open(share.token, share.code, ADDRESS)
    opened, _ = await shares.open(share.token, fresh, ADDRESS)
    assert opened.share_key == share.share_key


async def test_what_is_over_is_over(web: Web, institution: int, second_institution: int) -> None:
    shares = Shares(web.services)
    share = await web.share(institution, await _study(web, institution))
    _, session = await shares.open(share.token, share.code, ADDRESS)
    with pytest.raises(ShareNotFoundError):
        await shares.revoke(second_institution, share.share_key, "user:9")
    async with web.services.bus.subscribe(f"share:{share.share_key}:ended") as ended:
        await shares.revoke(institution, share.share_key, "user:1")
        assert await asyncio.wait_for(ended.get(), 1.0) == f"share:{share.share_key}:ended"
    assert (await web.services.identity.by_share_session(session)).kind == "anonymous"
    with pytest.raises(ShareRevokedError):
        await shares.find(share.token)
    late = await web.share(institution, await _study(web, institution))
    _, session = await shares.open(late.token, late.code, ADDRESS)
    await web.database.execute(
        institution, "update delivery.share set expires_at = now() where share_key = $1", late.share_key
    )
    with pytest.raises(ShareExpiredError):
        await shares.open(late.token, late.code, ADDRESS)
    assert (await web.services.identity.by_share_session(session)).kind == "anonymous"
    with pytest.raises(ShareNotFoundError):
        await shares.find("A" * 32)


async def test_terms_and_foreign_studies_are_refused(web: Web, institution: int, second_institution: int) -> None:
    study = await _study(web, institution)
    for days in (0, -1, 31):
        with pytest.raises(ShareTermError):
            await web.share(institution, study, days=days)
    with pytest.raises(StudyNotFoundError):
        await web.share(second_institution, study)


@pytest.mark.parametrize("changes", [{"Modality": "US"}, {"Modality": "SC"}, {"BurnedInAnnotation": "YES"}])
async def test_pixels_that_may_carry_a_name_cannot_be_shared_without_it(
    web: Web, institution: int, changes: dict[str, str]
) -> None:
    study = await _study(web, institution, **changes)
    with pytest.raises(BurnedInError):
        await web.share(institution, study)
    assert (await web.share(institution, study, hide_identity=False)).share_key


async def test_pictures_that_arrive_later_do_not_undo_the_hiding(web: Web, institution: int) -> None:
    study = await _study(web, institution, StudyInstanceUID="1.9")
    share = await web.share(institution, study)
    shares = Shares(web.services)
    await shares.check_covered(await shares.find(share.token))
    await web.store(institution, as_bytes(make_ct(StudyInstanceUID="1.9", BurnedInAnnotation="YES")))
    with pytest.raises(BurnedInError):
        await shares.check_covered(await shares.find(share.token))


async def test_a_crawlers_get_consumes_nothing_and_names_nobody(web: Web, institution: int) -> None:
    share = await web.share(institution, await _study(web, institution))
    before = dict(await _row(web, institution, share))
    async with web.anonymous() as client:
        crawler = {"User-Agent": "WeChat-crawler"}
        answers = [await client.get(f"/s/{share.token}", headers=crawler) for _ in range(20)]
        assert {answer.status_code for answer in answers} == {200}
        await client.head(f"/s/{share.token}")
    answer = answers[-1]
    assert dict(await _row(web, institution, share)) == before
    assert "set-cookie" not in answer.headers
    assert answer.headers["referrer-policy"] == "no-referrer"
    for word in ("影像检查结果（需验证码）", 'name="robots" content="noindex', "请输入6位验证码", "有效至"):
        assert word in answer.text
    for word in ("王", "小明", "第一医院", "P001", "胸部"):
        assert word not in answer.text
    for script in re.findall("<script.*?</script>", answer.text, re.DOTALL):
        assert re.fullmatch(r'<script defer src="/assets/form-\w+\.js" data-next="[\w/. -]*"></script>', script)


async def test_the_form_says_how_many_attempts_are_left_in_both_languages(web: Web, institution: int) -> None:
    share = await web.share(institution, await _study(web, institution))
    async with web.anonymous() as client:

        async def attempt(language: str) -> httpx.Response:
            return await client.post(f"/s/{share.token}?lang={language}", data={"code": wrong(share.code)})

        first = await attempt("zh")
        assert (first.status_code, "验证码不正确，还可尝试4次" in first.text) == (403, True)
        second = await attempt("en")
        assert "Wrong code, 3 attempts left" in second.text
        for _ in range(3):
            await attempt("zh")
        locked = await attempt("zh")
        assert (locked.status_code, "尝试过多，请1分钟后再试" in locked.text) == (429, True)
    actions = await web.database.fetch(institution, "select action, outcome from audit.entry order by entry_id")
    assert [row["outcome"] for row in actions if row["action"] == "share.code_failed"] == ["refused"] * 5


async def test_pages_of_links_that_are_over_say_so(web: Web, institution: int) -> None:
    share = await web.share(institution, await _study(web, institution))
    await Shares(web.services).revoke(institution, share.share_key, "user:1")
    async with web.anonymous() as client:
        for method in ("GET", "POST"):
            gone = await client.request(method, f"/s/{share.token}")
            assert (gone.status_code, "分享人已停止分享" in gone.text) == (410, True)
            unknown = await client.request(method, "/s/" + "A" * 32)
            assert (unknown.status_code, "链接无效" in unknown.text) == (404, True)


async def test_owners_create_list_reissue_and_revoke_over_http(
    web: Web, institution: int, second_institution: int
) -> None:
    study = await _study(web, institution)
    async with (
        await web.client(institution, "doctor") as doctor,
        await web.client(second_institution, "doctor") as other,
    ):
        made = await doctor.post(f"/api/studies/{study}/shares", json={"days": 1})
        assert made.status_code == 201
        share = made.json()
        assert share["url"].startswith(f"{web.url}/s/")
        assert share["qr_svg"].startswith("<svg")
        listed = (await doctor.get(f"/api/studies/{study}/shares")).json()["shares"]
        assert [row["share_key"] for row in listed] == [share["share"]]
        assert share["code"] not in str(listed)
        for path in (f"/api/studies/{study}/shares", f"/api/shares/{share['share']}/revoke"):
            assert (await other.post(path, json={"days": 1})).status_code == 404
        assert (await other.get(f"/api/studies/{study}/shares")).json()["shares"] == []
        fresh = (await doctor.post(f"/api/shares/{share['share']}/code")).json()["code"]
        assert re.fullmatch(r"[0-9]{6}", fresh)
        assert (await doctor.post(f"/api/shares/{share['share']}/revoke")).status_code == 200
        assert (await doctor.post(f"/api/shares/{share['share']}/code")).status_code == 404
    async with await web.client(institution, "viewer") as viewer:
        assert (await viewer.post(f"/api/studies/{study}/shares", json={})).status_code == 403
