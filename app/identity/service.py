"""Login, sessions, tokens and users. Passwords are argon2id (RFC 9106), tokens are stored as SHA-256."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import asyncpg
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from starlette.requests import HTTPConnection

from app.identity.errors import (
    LockedError,
    PasswordChangeNeededError,
    UnknownRoleError,
    UserExistsError,
    UserNotFoundError,
    WeakPasswordError,
    WrongCredentialsError,
)
from app.identity.models import ANONYMOUS, ROLES, SELF, SHARE_PERMISSIONS, Principal, permissions_of
from app.settings import Settings
from dicomnet.database import Database

STAFF_COOKIE = "cloudfilm_session"
SHARE_COOKIE = "cloudfilm_share"
_FREE_FAILURES = 5
_SHORTEST_PASSWORD = 10


def token_hash(token: str) -> bytes:
    """What is stored of a random token."""
    return sha256(token.encode()).digest()


def lock_time_s(failures: int) -> float:
    """Five free failures, then 60 s doubling up to an hour."""
    return 0.0 if failures < _FREE_FAILURES else min(3600.0, 60.0 * 2.0 ** (failures - _FREE_FAILURES))


class Identity:
    """Who is who; everything that concerns one institution runs in its name."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._hasher = PasswordHasher()
        # Verified when no such user exists, so that both answers take the same time.
        self._decoy = self._hasher.hash(secrets.token_hex(8))

    # Who asks ---------------------------------------------------------------------------------------------------

    async def identify(self, connection: HTTPConnection) -> Principal:
        """Bearer token, else staff session, else share session, else anonymous. Never raises for bad credentials."""
        authorization = connection.headers.get("authorization", "")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and token:
            return await self._by_api_token(token.strip())
        if session := connection.cookies.get(STAFF_COOKIE):
            principal = await self._by_session(session)
            if principal.kind != "anonymous":
                return principal
        if share := connection.cookies.get(SHARE_COOKIE):
            return await self.by_share_session(share)
        return ANONYMOUS

    async def _by_api_token(self, token: str) -> Principal:
        row = await self._database.fetchrow(None, "select * from identity.find_api_token($1)", token_hash(token))
        if row is None:
            return ANONYMOUS
        return Principal(
            "token", row["institution_id"], f"token:{row['role']}", permissions_of([row["role"]]), (row["role"],)
        )

    async def _by_session(self, token: str) -> Principal:
        hashed = token_hash(token)
        row = await self._database.fetchrow(None, "select * from identity.find_session($1)", hashed)
        if row is None:
            return ANONYMOUS
        principal = Principal(
            "user",
            row["institution_id"],
            f"user:{row['user_key']}",
            permissions_of(row["roles"]),
            tuple(row["roles"]),
            row["user_key"],
            row["username"],
            row["must_change_password"],
            session_sha256=hashed,
        )
        if principal.must_change_password:
            return replace(principal, permissions=frozenset({SELF}))
        return principal

    async def by_share_session(self, token: str) -> Principal:
        """The principal of a phone that gave the right code, as long as the share lives."""
        hashed = token_hash(token)
        row = await self._database.fetchrow(None, "select * from delivery.find_share_session($1)", hashed)
        if row is None:
            return ANONYMOUS
        return Principal(
            "share",
            row["institution_id"],
            f"share:{row['share_key']}",
            SHARE_PERMISSIONS,
            share_key=row["share_key"],
            study_key=row["study_key"],
            hide_identity=row["hide_identity"],
            session_sha256=hashed,
        )

    # Login ------------------------------------------------------------------------------------------------------

    async def login(self, username: str, password: str) -> tuple[str, Principal]:
        """A session token and whose it is. Raises WrongCredentialsError, LockedError."""
        found = await self._database.fetchrow(None, "select * from identity.find_user($1)", username)
        if found is None:
            await self._verify(self._decoy, password)
            raise WrongCredentialsError
        institution_id, user_key = int(found["institution_id"]), int(found["user_key"])
        row = await self._database.fetchrow(
            institution_id,
            "select password_hash, disabled, failed_logins, locked_until from identity.user_account where user_key = $1",
            user_key,
        )
        assert row is not None  # noqa: S101  # found a moment ago
        if row["locked_until"] is not None and row["locked_until"] > datetime.now(UTC):
            raise LockedError(retry_after_s=(row["locked_until"] - datetime.now(UTC)).total_seconds())
        if not await self._verify(row["password_hash"], password) or row["disabled"]:
            await self._count_failure(institution_id, user_key, int(row["failed_logins"]) + 1)
            raise WrongCredentialsError
        token = secrets.token_urlsafe(32)
        async with self._database.transaction(institution_id) as connection:
            await connection.execute(
                "update identity.user_account set failed_logins = 0, locked_until = null where user_key = $1", user_key
            )
            await connection.execute("delete from identity.session where expires_at < now()")
            await connection.execute(
                "insert into identity.session (token_sha256, institution_id, user_key, expires_at) values ($1, $2, $3, $4)",
                token_hash(token),
                institution_id,
                user_key,
                datetime.now(UTC) + timedelta(hours=self._settings.session_hours),
            )
        return token, await self._by_session(token)

    async def _count_failure(self, institution_id: int, user_key: int, failures: int) -> None:
        locked = timedelta(seconds=lock_time_s(failures))
        await self._database.execute(
            institution_id,
            "update identity.user_account set failed_logins = failed_logins + 1, "
            "locked_until = case when $2 > interval '0' then now() + $2 end where user_key = $1",
            user_key,
            locked,
        )

    async def _verify(self, hashed: str, password: str) -> bool:
        def work() -> bool:
            try:
                return self._hasher.verify(hashed, password[:1024])
            except VerifyMismatchError:
                return False

        return await asyncio.to_thread(work)

    async def logout(self, principal: Principal) -> None:
        """End this session."""
        await self._database.execute(
            principal.institution_id, "delete from identity.session where token_sha256 = $1", principal.session_sha256
        )

    async def change_password(self, principal: Principal, old: str, new: str) -> None:
        """Needs the old password; ends the person's other sessions. Raises WrongCredentialsError, WeakPasswordError."""
        hashed = await self._database.fetchval(
            principal.institution_id,
            "select password_hash from identity.user_account where user_key = $1",
            principal.user_key,
        )
        if hashed is None or not await self._verify(hashed, old):
            raise WrongCredentialsError
        if len(new) < _SHORTEST_PASSWORD or new == old:
            raise WeakPasswordError
        await self._set_password(principal.institution_id, int(principal.user_key or 0), new, must_change=False)
        await self._database.execute(
            principal.institution_id,
            "delete from identity.session where user_key = $1 and token_sha256 <> $2",
            principal.user_key,
            principal.session_sha256,
        )

    async def _set_password(self, institution_id: int, user_key: int, password: str, *, must_change: bool) -> None:
        hashed = await asyncio.to_thread(self._hasher.hash, password)
        await self._database.execute(
            institution_id,
            "update identity.user_account set password_hash = $2, must_change_password = $3, failed_logins = 0, "
            "locked_until = null, password_changed_at = now() where user_key = $1",
            user_key,
            hashed,
            must_change,
        )

    # Users and tokens -------------------------------------------------------------------------------------------

    async def create_user(self, institution_id: int, username: str, roles: list[str]) -> str:
        """Returns the one-time password. Raises UnknownRoleError, UserExistsError."""
        for role in roles:
            if role not in ROLES:
                raise UnknownRoleError(role=role, roles=sorted(ROLES))
        password = secrets.token_urlsafe(12)
        hashed = await asyncio.to_thread(self._hasher.hash, password)
        try:
            await self._database.execute(
                institution_id,
                "insert into identity.user_account (institution_id, username, password_hash, roles, must_change_password) "
                "values ($1, lower($2), $3, $4, true)",
                institution_id,
                username,
                hashed,
                roles,
            )
        except asyncpg.UniqueViolationError:
            raise UserExistsError(username=username) from None
        return password

    async def reset_password(self, username: str) -> str:
        """A new one-time password; all sessions end. Raises UserNotFoundError."""
        institution_id, user_key = await self._find(username)
        password = secrets.token_urlsafe(12)
        await self._set_password(institution_id, user_key, password, must_change=True)
        await self._database.execute(institution_id, "delete from identity.session where user_key = $1", user_key)
        return password

    async def set_disabled(self, username: str, disabled: bool) -> None:
        """A disabled user's sessions are over at once. Raises UserNotFoundError."""
        institution_id, user_key = await self._find(username)
        await self._database.execute(
            institution_id, "update identity.user_account set disabled = $2 where user_key = $1", user_key, disabled
        )

    async def _find(self, username: str) -> tuple[int, int]:
        row = await self._database.fetchrow(None, "select * from identity.find_user($1)", username)
        if row is None:
            raise UserNotFoundError(username=username)
        return int(row["institution_id"]), int(row["user_key"])

    async def create_token(self, institution_id: int, role: str, hours: float) -> tuple[str, datetime]:
        """A Bearer token for programs and when it ends. Raises UnknownRoleError."""
        if role not in ROLES:
            raise UnknownRoleError(role=role, roles=sorted(ROLES))
        token = secrets.token_urlsafe(32)
        expires = datetime.now(UTC) + timedelta(hours=hours)
        await self._database.execute(
            institution_id,
            "insert into identity.api_token (token_sha256, institution_id, role, expires_at) values ($1, $2, $3, $4)",
            token_hash(token),
            institution_id,
            role,
            expires,
        )
        return token, expires


def require_settled(principal: Principal) -> None:
    """Raise PasswordChangeNeededError while the password is a one-time one."""
    if principal.must_change_password:
        raise PasswordChangeNeededError
