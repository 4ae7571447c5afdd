"""Share links: a random token, a six-digit code, counters that survive restarts, revocation at once."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app.delivery.burned_in import may_show_names
from app.delivery.errors import (
    BurnedInError,
    CodeLockedError,
    ShareExpiredError,
    ShareNotFoundError,
    ShareRevokedError,
    ShareTermError,
    WrongCodeError,
)
from app.identity.service import token_hash
from app.services import Services
from app.viewing.errors import StudyNotFoundError

CODE_DIGITS = 6
FREE_ATTEMPTS = 5
_FREE_PER_ADDRESS = 15
_SESSION_HOURS = 12
_ADDRESS_MEMORY = timedelta(days=1)  # many people share an address: what failed there yesterday is forgotten


@dataclass(frozen=True, slots=True)
class NewShare:
    """Told once: neither token nor code can be read again."""

    share_key: int
    token: str
    code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Share:
    """A share as its link sees it."""

    share_key: int
    institution_id: int
    study_key: int
    expires_at: datetime
    hide_identity: bool
    include_report: bool
    failed_codes: int
    locked_until: datetime | None


def lock_minutes(failures: int, free: int = FREE_ATTEMPTS) -> float:
    """0 within the free attempts, then 1, 2, 4 … at most 1,440 minutes with each further failure."""
    return 0.0 if failures < free else float(min(1440, 2 ** min(11, failures - free)))


class Shares:
    """Use cases of share links."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def _code_hmac(self, token_sha256: bytes, code: str) -> bytes:
        """Bound to the share: the same digits have another value on every link."""
        return self._services.keyring.hmac("share-code", token_sha256 + code.encode())

    async def create(
        self,
        institution_id: int,
        study_key: int,
        created_by: str,
        *,
        days: float,
        hide_identity: bool = True,
        include_report: bool = False,
    ) -> NewShare:
        """Raises StudyNotFoundError, ShareTermError, BurnedInError."""
        most = self._services.settings.share_max_days
        if not 0 < days <= most:
            raise ShareTermError(most_days=most)
        found = await self._services.database.fetchval(
            institution_id, "select 1 from archive.study where study_key = $1", study_key
        )
        if found is None:
            raise StudyNotFoundError
        if hide_identity and await may_show_names(self._services, institution_id, study_key):
            raise BurnedInError
        token, code = secrets.token_urlsafe(24), _new_code()
        expires = datetime.now(UTC) + timedelta(days=days)
        share_key = await self._services.database.fetchval(
            institution_id,
            "insert into delivery.share (institution_id, token_sha256, code_hmac, study_key, created_by, expires_at, "
            "hide_identity, include_report) values ($1, $2, $3, $4, $5, $6, $7, $8) returning share_key",
            institution_id,
            token_hash(token),
            self._code_hmac(token_hash(token), code),
            study_key,
            created_by,
            expires,
            hide_identity,
            include_report,
        )
        await self._services.audit.record(
            institution_id, created_by, "share.create", study_key=study_key, details={"share": share_key, "days": days}
        )
        return NewShare(int(share_key), token, code, expires)

    async def find(self, token: str) -> Share:
        """A living share. Raises ShareNotFoundError, ShareExpiredError, ShareRevokedError."""
        where = await self._services.database.fetchrow(None, "select * from delivery.find_share($1)", token_hash(token))
        if where is None:
            raise ShareNotFoundError
        row = await self._services.database.fetchrow(
            where["institution_id"], "select * from delivery.share where share_key = $1", where["share_key"]
        )
        if row is None:
            raise ShareNotFoundError
        if row["revoked_at"] is not None:
            raise ShareRevokedError
        if row["expires_at"] <= datetime.now(UTC):
            raise ShareExpiredError
        names = ("share_key", "institution_id", "study_key", "expires_at", "hide_identity", "include_report")
        return Share(**{n: row[n] for n in names}, failed_codes=row["failed_codes"], locked_until=row["locked_until"])

    async def check_covered(self, share: Share) -> None:
        """What arrived after the share was made may show a name that it hides. Raises BurnedInError."""
        if not share.hide_identity:
            return
        grown = await self._services.database.fetchval(
            share.institution_id,
            "select s.updated_at > d.created_at from delivery.share d join archive.study s using (study_key) "
            "where d.share_key = $1",
            share.share_key,
        )
        if grown and await may_show_names(self._services, share.institution_id, share.study_key):
            raise BurnedInError

    async def reissue(self, institution_id: int, share_key: int, actor: str) -> str:
        """A new code for a living share, told once; the old one is void and the count of failures starts again.

        Phones that gave the old code stay open. Raises ShareNotFoundError.
        """
        code = _new_code()
        async with self._services.database.transaction(institution_id) as connection:
            row = await connection.fetchrow(
                "select token_sha256, study_key from delivery.share where share_key = $1 and revoked_at is null "
                "and expires_at > now() for update",
                share_key,
            )
            if row is None:
                raise ShareNotFoundError
            await connection.execute(
                "update delivery.share set code_hmac = $2, failed_codes = 0, locked_until = null where share_key = $1",
                share_key,
                self._code_hmac(bytes(row["token_sha256"]), code),
            )
        await self._services.audit.record(
            institution_id, actor, "share.reissue", study_key=row["study_key"], details={"share": share_key}
        )
        return code

    async def open(self, token: str, code: str, address: str) -> tuple[Share, str]:
        """(share, session token) for the right code. Raises WrongCodeError, CodeLockedError and ``find``'s errors.

        The failure is counted before the code is compared, in one transaction, so that attempts in parallel cannot
        slip past the limit; a right code takes its count back.
        """
        share = await self.find(token)
        address_hmac = self._services.keyring.hmac("address", address.encode())
        left = await self._count_attempt(share, address_hmac)
        session = secrets.token_urlsafe(32)
        given = self._code_hmac(token_hash(token), code.strip())
        async with self._services.database.transaction(share.institution_id) as connection:
            stored = await connection.fetchval(
                "select code_hmac from delivery.share where share_key = $1", share.share_key
            )
            right = hmac.compare_digest(bytes(stored or b""), given)
            if right:
                await connection.execute(
                    "update delivery.share set failed_codes = 0, locked_until = null, opened_count = opened_count + 1, "
                    "last_opened_at = now() where share_key = $1",
                    share.share_key,
                )
                await connection.execute("delete from delivery.code_failure where address_hmac = $1", address_hmac)
                await connection.execute("delete from delivery.share_session where expires_at < now()")
                await connection.execute(
                    "insert into delivery.share_session (token_sha256, institution_id, share_key, expires_at) "
                    "values ($1, $2, $3, least($4, now() + $5))",
                    token_hash(session),
                    share.institution_id,
                    share.share_key,
                    share.expires_at,
                    timedelta(hours=_SESSION_HOURS),
                )
        actor = f"share:{share.share_key}"
        if not right:
            await self._services.audit.record(
                share.institution_id, actor, "share.code_failed", study_key=share.study_key, outcome="refused"
            )
            raise WrongCodeError(attempts_left=left)
        await self._services.audit.record(share.institution_id, actor, "share.open", study_key=share.study_key)
        return share, session

    async def _count_attempt(self, share: Share, address_hmac: bytes) -> int:
        """Count an attempt on the share and on the address; attempts left. Raises CodeLockedError."""
        now = datetime.now(UTC)
        async with self._services.database.transaction(share.institution_id) as connection:
            row = await connection.fetchrow(
                "select failed_codes, locked_until from delivery.share where share_key = $1 for update", share.share_key
            )
            await connection.execute(
                "insert into delivery.code_failure (institution_id, address_hmac) values ($1, $2) on conflict do nothing",
                share.institution_id,
                address_hmac,
            )
            by_address = await connection.fetchrow(
                "select case when last_failed_at > now() - $2::interval then failed_codes else 0 end as failed_codes, "
                "locked_until from delivery.code_failure where address_hmac = $1 for update",
                address_hmac,
                _ADDRESS_MEMORY,
            )
            assert row is not None and by_address is not None  # noqa: S101  # both exist in this transaction
            for found in (row, by_address):
                if found["locked_until"] is not None and found["locked_until"] > now:
                    raise CodeLockedError(retry_after_s=(found["locked_until"] - now).total_seconds())
            failures, address_failures = row["failed_codes"] + 1, by_address["failed_codes"] + 1
            await connection.execute(
                "update delivery.share set failed_codes = $2, locked_until = $3 where share_key = $1",
                share.share_key,
                failures,
                _until(now, lock_minutes(failures)),
            )
            await connection.execute(
                "update delivery.code_failure set failed_codes = $2, locked_until = $3, last_failed_at = now() "
                "where address_hmac = $1",
                address_hmac,
                address_failures,
                _until(now, lock_minutes(address_failures, _FREE_PER_ADDRESS)),
            )
        return max(0, FREE_ATTEMPTS - failures)

    async def revoke(self, institution_id: int, share_key: int, actor: str) -> None:
        """End a share; open viewers lose it at once. Raises ShareNotFoundError."""
        study_key = await self._services.database.fetchval(
            institution_id,
            "update delivery.share set revoked_at = coalesce(revoked_at, now()) where share_key = $1 returning study_key",
            share_key,
        )
        if study_key is None:
            raise ShareNotFoundError
        await self._services.audit.record(
            institution_id, actor, "share.revoke", study_key=study_key, details={"share": share_key}
        )
        await self._services.bus.publish(f"share:{share_key}:ended")  # may raise: repeated, it tells again

    async def of_study(self, institution_id: int, study_key: int) -> list[dict[str, Any]]:
        """Shares of a study, newest first, without tokens and codes."""
        rows = await self._services.database.fetch(
            institution_id,
            "select share_key, created_at, expires_at, revoked_at, hide_identity, include_report, opened_count, "
            "last_opened_at from delivery.share where study_key = $1 order by share_key desc limit 200",
            study_key,
        )
        return [dict(row) for row in rows]


def _new_code() -> str:
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"


def _until(now: datetime, minutes: float) -> datetime | None:
    return now + timedelta(minutes=minutes) if minutes else None
