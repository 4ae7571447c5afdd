from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from starlette.requests import HTTPConnection

from app.identity.errors import (
    LockedError,
    TokenTermError,
    UnknownRoleError,
    UserExistsError,
    UserNameError,
    UserNotFoundError,
    WeakPasswordError,
    WrongCredentialsError,
)
from app.identity.models import ROLES, SELF, permissions_of
from app.identity.service import STAFF_COOKIE, Identity, lock_time_s
from app.settings import Settings
from dicomnet.database import Database
from tests.conftest import Urls

GOOD = "a-settled-password"


@pytest_asyncio.fixture
async def identity(database: Database, tmp_path: Path) -> AsyncIterator[Identity]:
    yield Identity(database, Settings(home=tmp_path))


def connection(**headers: str) -> HTTPConnection:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "headers": raw})


def with_cookie(token: str, prefix: str = "") -> HTTPConnection:
    return connection(cookie=f"{prefix}{STAFF_COOKIE}={token}")


async def settled(identity: Identity, institution: int, name: str, *roles: str) -> None:
    first = await identity.create_user(institution, name, list(roles))
    _, user = await identity.login(name, first)
    await identity.change_password(user, first, GOOD)


async def test_a_one_time_password_allows_only_to_change_it(identity: Identity, institution: int) -> None:
    first = await identity.create_user(institution, "Doctor.Wang", ["doctor"])
    token, user = await identity.login("doctor.wang", first)
    assert user.must_change_password
    assert user.permissions == {SELF}
    await identity.change_password(user, first, GOOD)
    principal = await identity.identify(with_cookie(token))
    assert (principal.kind, principal.institution_id, principal.username) == ("user", institution, "doctor.wang")
    assert principal.permissions == permissions_of(["doctor"])
    with pytest.raises(WrongCredentialsError):
        await identity.login("doctor.wang", first)


async def test_nothing_secret_is_stored_in_clear(identity: Identity, institution: int, urls: Urls) -> None:
    first = await identity.create_user(institution, "wang", ["doctor"])
    session, _ = await identity.login("wang", first)
    token, _ = await identity.create_token(institution, "dicomweb-read", 1)
    owner = await asyncpg.connect(urls.owner)
    rows = str(
        [
            *await owner.fetch("select * from identity.user_account"),
            *await owner.fetch("select * from identity.session"),
            *await owner.fetch("select * from identity.api_token"),
        ]
    )
    await owner.close()
    assert "$argon2id$" in rows
    for secret in (first, session, token):
        assert secret not in rows


async def test_wrong_name_and_wrong_password_look_the_same(identity: Identity, institution: int) -> None:
    await identity.create_user(institution, "wang", ["doctor"])
    errors: list[WrongCredentialsError] = []
    for name in ("wang", "nobody"):
        with pytest.raises(WrongCredentialsError) as caught:
            await identity.login(name, "guess")
        errors.append(caught.value)
    assert errors[0].data == errors[1].data == {}
    assert errors[0].institution_id == institution, "known to the audit"
    assert errors[1].institution_id is None


async def test_attempts_at_once_get_no_more_guesses_than_one_after_the_other(
    identity: Identity, institution: int
) -> None:
    first = await identity.create_user(institution, "wang", ["doctor"])
    results = await asyncio.gather(*(identity.login("wang", "guess") for _ in range(12)), return_exceptions=True)
    assert sum(isinstance(r, WrongCredentialsError) for r in results) == 5
    locked = [r for r in results if isinstance(r, LockedError)]
    assert len(locked) == 7
    assert all(0 < r.data["retry_after_s"] <= 60 for r in locked)
    with pytest.raises(LockedError):
        await identity.login("wang", first)


async def test_the_lock_ends_and_the_right_password_sets_the_count_back(
    identity: Identity, database: Database, institution: int
) -> None:
    first = await identity.create_user(institution, "wang", ["doctor"])
    for _ in range(5):
        with pytest.raises(WrongCredentialsError):
            await identity.login("wang", "guess")
    with pytest.raises(LockedError):
        await identity.login("wang", first)
    await database.execute(institution, "update identity.user_account set locked_until = now() - interval '1 s'")
    await identity.login("wang", first)
    row = await database.fetchrow(institution, "select failed_logins, locked_until from identity.user_account")
    assert row is not None
    assert (row["failed_logins"], row["locked_until"]) == (0, None)


def test_the_back_off_doubles_up_to_an_hour() -> None:
    assert [lock_time_s(n) for n in (0, 4, 5, 6, 7, 50, 5000)] == [0, 0, 60, 120, 240, 3600, 3600]


async def test_changing_the_password_ends_the_other_sessions(identity: Identity, institution: int) -> None:
    await settled(identity, institution, "wang", "doctor")
    here, user = await identity.login("wang", GOOD)
    there, _ = await identity.login("wang", GOOD)
    for old, new, error in (
        ("wrong", "another-password", WrongCredentialsError),
        (GOOD, "short", WeakPasswordError),
        (GOOD, GOOD, WeakPasswordError),
        (GOOD, "x" * 1025, WeakPasswordError),
    ):
        with pytest.raises(error):
            await identity.change_password(user, old, new)
    await identity.change_password(user, GOOD, "another-password")
    assert (await identity.identify(with_cookie(here))).kind == "user"
    assert (await identity.identify(with_cookie(there))).kind == "anonymous"


async def test_logout_expiry_disabling_and_suspension_end_a_session(
    identity: Identity, database: Database, institution: int
) -> None:
    await settled(identity, institution, "wang", "doctor")
    tokens = [(await identity.login("wang", GOOD))[0] for _ in range(2)]
    await identity.logout(await identity.identify(with_cookie(tokens[0])))
    assert (await identity.identify(with_cookie(tokens[0]))).kind == "anonymous"
    session = with_cookie(tokens[1])

    async def kind() -> str:
        return (await identity.identify(session)).kind

    assert await kind() == "user"
    await identity.set_disabled("wang", True)
    assert await kind() == "anonymous"
    with pytest.raises(WrongCredentialsError):
        await identity.login("wang", GOOD)
    await identity.set_disabled("wang", False)
    assert await kind() == "user"
    await database.fetchval(None, "select archive.set_institution_suspended('one', true)")
    assert await kind() == "anonymous"
    with pytest.raises(WrongCredentialsError):
        await identity.login("wang", GOOD)
    await database.fetchval(None, "select archive.set_institution_suspended('one', false)")
    await database.execute(institution, "update identity.session set expires_at = now() - interval '1 s'")
    assert await kind() == "anonymous"


async def test_reset_password_gives_a_new_one_time_password(identity: Identity, institution: int) -> None:
    await settled(identity, institution, "wang", "doctor")
    token, _ = await identity.login("wang", GOOD)
    first = await identity.reset_password("Wang")
    assert (await identity.identify(with_cookie(token))).kind == "anonymous"
    assert (await identity.login("wang", first))[1].must_change_password
    with pytest.raises(UserNotFoundError):
        await identity.reset_password("nobody")


async def test_bearer_tokens_have_one_role_and_an_end(identity: Identity, database: Database, institution: int) -> None:
    token, _ = await identity.create_token(institution, "dicomweb-read", 1)
    principal = await identity.identify(connection(authorization=f"Bearer {token}"))
    assert (principal.kind, principal.subject, principal.institution_id) == (
        "token",
        "token:dicomweb-read",
        institution,
    )
    assert principal.permissions == ROLES["dicomweb-read"]
    for header in ("Bearer nonsense", "Bearer ", "Basic eDp5", f"Bearer {token}x"):
        assert (await identity.identify(connection(authorization=header))).kind == "anonymous"
    await database.execute(institution, "update identity.api_token set expires_at = now() - interval '1 s'")
    assert (await identity.identify(connection(authorization=f"Bearer {token}"))).kind == "anonymous"
    for hours in (0, -1, float("nan"), float("inf"), 1e9):
        with pytest.raises(TokenTermError):
            await identity.create_token(institution, "dicomweb-read", hours)
    with pytest.raises(UnknownRoleError):
        await identity.create_token(institution, "god", 1)


async def test_user_names(identity: Identity, institution: int, second_institution: int) -> None:
    await identity.create_user(institution, "wang", ["doctor"])
    with pytest.raises(UserExistsError):
        await identity.create_user(second_institution, "WANG", ["doctor"])
    for name in ("", "a b", "王", "x" * 65, "-x", "a\n"):
        with pytest.raises(UserNameError):
            await identity.create_user(institution, name, ["doctor"])
    with pytest.raises(UnknownRoleError):
        await identity.create_user(institution, "li", ["god"])
    assert await identity.users(institution) == [("wang", ["doctor"], False)]
    assert await identity.users(second_institution) == []


async def test_over_tls_the_cookie_is_bound_to_the_host(
    identity: Identity, database: Database, institution: int, tmp_path: Path
) -> None:
    await settled(identity, institution, "wang", "doctor")
    secure = Identity(database, Settings(home=tmp_path), secure=True)
    token, _ = await secure.login("wang", GOOD)
    assert (await secure.identify(with_cookie(token, "__Host-"))).kind == "user"
    assert (await secure.identify(with_cookie(token))).kind == "anonymous"


def test_roles_deny_by_default() -> None:
    assert permissions_of(["god"]) == frozenset()
    assert "dicomweb.write" not in permissions_of(["doctor", "viewer"])
    assert permissions_of(["dicomweb-read"]) == {"dicomweb.read"}
