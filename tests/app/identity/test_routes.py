from __future__ import annotations

import httpx

from app.identity.service import Identity
from dicomnet.database import Database
from tests.support.web_app import Web


async def entries(database: Database, institution: int) -> list[tuple[str, str, str]]:
    rows = await database.fetch(institution, "select actor, action, outcome from audit.entry order by sequence_number")
    return [(row["actor"], row["action"], row["outcome"]) for row in rows]


async def log_in(client: httpx.AsyncClient, password: str) -> httpx.Response:
    return await client.post("/api/login", json={"username": "wang", "password": password})


async def test_login_change_password_logout_and_what_the_audit_says(web: Web, institution: int) -> None:
    first = await Identity(web.database, web.settings).create_user(institution, "wang", ["doctor"])
    async with web.anonymous() as client:
        assert (await client.get("/api/me")).status_code == 401
        wrong = await log_in(client, "guess")
        assert (wrong.status_code, wrong.json()["code"]) == (401, "identity.wrong_credentials")
        answer = await log_in(client, first)
        assert answer.json()["must_change_password"] is True
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert "path=/" in cookie
        assert (await client.get("/api/studies")).json()["code"] == "identity.password_change_needed"
        changed = await client.post("/api/password", json={"old": first, "new": "a-settled-password"})
        assert changed.status_code == 200
        me = (await client.get("/api/me")).json()
        assert (me["username"], me["roles"], me["must_change_password"]) == ("wang", ["doctor"], False)
        assert (await client.post("/api/logout", headers={"Origin": "https://evil.test"})).status_code == 403
        assert (await client.post("/api/logout")).status_code == 200
        assert (await client.get("/api/me")).status_code == 401
    user = f"user:{await web.database.fetchval(institution, 'select user_key from identity.user_account')}"
    assert await entries(web.database, institution) == [
        (user, "login", "wrong_credentials"),
        (user, "login", "ok"),
        (user, "password.change", "ok"),
        (user, "logout", "ok"),
    ]


async def test_one_address_tries_only_so_often(web: Web) -> None:
    async with web.anonymous() as client:
        answers = [await client.post("/api/login", json={}) for _ in range(24)]
    assert answers[0].status_code == 400
    assert answers[-1].status_code == 429
    assert answers[-1].json()["code"] == "http.too_many_requests"
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_what_is_no_login(web: Web) -> None:
    async with web.anonymous() as client:
        for body in (
            {},
            {"username": "x"},
            {"username": 1, "password": "y"},
            {"username": "x", "password": "y" * 2000},
        ):
            assert (await client.post("/api/login", json=body)).status_code == 400
        assert (await client.post("/api/login", content=b"x" * (1 << 15))).status_code == 413
