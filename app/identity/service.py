"""Login, sessions, tokens and users. Passwords are argon2id (RFC 9106), tokens are stored as SHA-256."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import asyncpg
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
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
from app.identity.models import ANONYMOUS, ROLES, SELF, SHARE_PERMISSIONS, Principal, permissions_of
from app.settings import Settings
from dicomnet.database import Database
from dicomnet.together import Together

STAFF_COOKIE = "cloudfilm_session"
SHARE_COOKIE = "cloudfilm_share"
_FREE_FAILURES = 5
_SHORTEST_PASSWORD = 10
_LONGEST_TOKEN_HOURS = 24 * 366 * 5
_USER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def token_hash(token: str) -> bytes:
    """What is stored of a random token."""
    return sha256(token.encode()).digest()


def lock_time_s(failures: int) -> float:
    """Five free failures, then 60 s doubling up to an hour."""
    return 0.0 if failures < _FREE_FAILURES else min(3600.0, 60.0 * 2.0 ** min(failures - _FREE_FAILURES, 6))


class Identity:
    """Who is who; everything that concerns one institution runs in its name."""

    def __init__(self, database: Database, settings: Settings, *, secure: bool = False) -> None:
        self._database = database
        self._settings = settings
        self._api_tokens = Together(self._find_api_tokens)
        self._prefix = "__Host-" if secure else ""
        # One argon2 needs 64 MiB and a core for 50 ms: a flood of logins waits here, not in everybody's thread pool.
        self._hashing = asyncio.Semaphore(2)
        self._hasher = PasswordHasher()
        # Verified when no such user exists, so that both answers take the same time.
        self._decoy = self._hasher.hash(secrets.token_hex(8))

    def cookie(self, name: str) -> str:
        """The cookie's name: over TLS bound to this host, path / and TLS (RFC 6265bis, 4.1.3.2)."""
        return self._prefix + name

    # Who asks ---------------------------------------------------------------------------------------------------

    async def identify(self, connection: HTTPConnection) -> Principal:
        """Bearer token, else staff session, else share session, else anonymous. Never raises for bad credentials."""
        authorization = connection.headers.get("authorization", "")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer" and token:
            return await self._by_api_token(token.strip())
        if session := connection.cookies.get(self.cookie(STAFF_COOKIE)):
            principal = await self._by_session(session)
            if principal.kind != "anonymous":
                return principal
        if share := connection.cookies.get(self.cookie(SHARE_COOKIE)):
            return await self.by_share_session(share)
        return ANONYMOUS

    async def _by_api_token(self, token: str) -> Principal:
        return await self._api_tokens.get(token_hash(token)) or ANONYMOUS

    async def _find_api_tokens(self, hashes: Sequence[bytes]) -> dict[bytes, Principal]:
        rows = await self._database.fetch(
            None,
            "select t.hash, f.institution_id, f.role from unnest($1::bytea[]) as t (hash),"
            " lateral identity.find_api_token(t.hash) as f",
            list(hashes),
        )
        return {
            bytes(row["hash"]): Principal(
                "token", row["institution_id"], f"token:{row['role']}", permissions_of([row["role"]]), (row["role"],)
            )
            for row in rows
        }

    async def _by_session(self, token: str) -> Principal:
        hashed = token_hash(token)
        row = await self._database.call("select * from identity.find_session($1)", hashed)
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
        row = await self._database.call("select * from delivery.find_share_session($1)", hashed)
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

    async def ends_at(self, principal: Principal) -> datetime | None:
        """When the principal's right ends by itself; None when it has no known end."""
        sql = {
            "user": "select expires_at from identity.session where token_sha256 = $1",
            "share": "select least(p.expires_at, s.expires_at) from delivery.share_session p "
            "join delivery.share s using (share_key) where p.token_sha256 = $1",
        }.get(principal.kind)
        if sql is None:
            return None
        return await self._database.fetchval(principal.institution_id, sql, principal.session_sha256)

    # Login ------------------------------------------------------------------------------------------------------

    async def login(self, username: str, password: str) -> tuple[str, Principal]:
        """A session token and whose it is. Raises WrongCredentialsError, LockedError.

        The attempt is counted before the password is looked at, so that many at once get no more guesses than one
        after the other; the right password sets the count back.
        """
        found = await self._database.call("select * from identity.find_user($1)", username)
        if found is None:
            await self._verify(self._decoy, password)
            raise WrongCredentialsError
        institution_id, user_key = int(found["institution_id"]), int(found["user_key"])
        hashed, disabled = await self._count_attempt(institution_id, user_key)
        if not await self._verify(hashed, password) or disabled:
            raise WrongCredentialsError().of(institution_id, user_key)
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
        principal = await self._by_session(token)
        if principal.kind == "anonymous":  # the institution is suspended
            raise WrongCredentialsError().of(institution_id, user_key)
        return token, principal

    async def _count_attempt(self, institution_id: int, user_key: int) -> tuple[str, bool]:
        """(password hash, disabled). Raises LockedError without counting."""
        async with self._database.transaction(institution_id) as connection:
            row = await connection.fetchrow(
                "select password_hash, disabled, failed_logins, "
                "extract(epoch from locked_until - clock_timestamp())::float8 as wait_s "
                "from identity.user_account where user_key = $1 for update",
                user_key,
            )
            if row is None:
                raise WrongCredentialsError
            if row["wait_s"] is not None and row["wait_s"] > 0:
                raise LockedError(retry_after_s=round(row["wait_s"], 1)).of(institution_id, user_key)
            wait_s = lock_time_s(int(row["failed_logins"]) + 1)
            await connection.execute(
                "update identity.user_account set failed_logins = failed_logins + 1, "
                "locked_until = case when $2::float8 > 0 then clock_timestamp() + make_interval(secs => $2) end "
                "where user_key = $1",
                user_key,
                wait_s,
            )
        return str(row["password_hash"]), bool(row["disabled"])

    async def _verify(self, hashed: str, password: str) -> bool:
        def work() -> bool:
            try:
                return self._hasher.verify(hashed, password[:1024])
            except VerifyMismatchError:
                return False

        async with self._hashing:
            return await asyncio.to_thread(work)

    async def _hash(self, password: str) -> str:
        async with self._hashing:
            return await asyncio.to_thread(self._hasher.hash, password)

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
        if not _SHORTEST_PASSWORD <= len(new) <= 1024 or new == old:
            raise WeakPasswordError
        await self._set_password(principal.institution_id, int(principal.user_key or 0), new, must_change=False)
        await self._database.execute(
            principal.institution_id,
            "delete from identity.session where user_key = $1 and token_sha256 <> $2",
            principal.user_key,
            principal.session_sha256,
        )

    async def _set_password(self, institution_id: int, user_key: int, password: str, *, must_change: bool) -> None:
        hashed = await self._hash(password)
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
        """Returns the one-time password. Raises UnknownRoleError, UserExistsError, UserNameError."""
        if not _USER_NAME.fullmatch(username):
            raise UserNameError
        for role in roles:
            if role not in ROLES:
                raise UnknownRoleError(role=role, roles=sorted(ROLES))
        password = secrets.token_urlsafe(12)
        hashed = await self._hash(password)
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

    async def users(self, institution_id: int) -> list[tuple[str, list[str], bool]]:
        """(login name, roles, disabled) of an institution's users, by name."""
        rows = await self._database.fetch(
            institution_id, "select username, roles, disabled from identity.user_account order by username"
        )
        return [(row["username"], list(row["roles"]), row["disabled"]) for row in rows]

    async def institution_of(self, username: str) -> int:
        """Raises UserNotFoundError."""
        return (await self._find(username))[0]

    async def _find(self, username: str) -> tuple[int, int]:
        row = await self._database.fetchrow(None, "select * from identity.find_user($1)", username)
        if row is None:
            raise UserNotFoundError(username=username)
        return int(row["institution_id"]), int(row["user_key"])

    async def create_token(self, institution_id: int, role: str, hours: float) -> tuple[str, datetime]:
        """A Bearer token for programs and when it ends. Raises UnknownRoleError, TokenTermError."""
        if role not in ROLES:
            raise UnknownRoleError(role=role, roles=sorted(ROLES))
        if not 0 < hours <= _LONGEST_TOKEN_HOURS:
            raise TokenTermError(hours=_LONGEST_TOKEN_HOURS)
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
