"""Institutions and their AE titles."""

from __future__ import annotations

import re

import asyncpg

from app.errors import AppError
from dicomnet.archive.index import set_path_rule
from dicomnet.database import Database

_CODE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
# PS3.5 6.2, AE: 1 to 16 characters of the default repertoire, no backslash, no leading or trailing space.
_AE_TITLE = re.compile(r"[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?")


class InstitutionExistsError(AppError):
    """The code or the AE title is taken."""

    code = "institution.exists"
    message = {"zh": "机构代码或AE标题已存在", "en": "The institution's code or AE title is taken"}


class InstitutionNotFoundError(AppError):
    """No institution has this code."""

    code = "institution.not_found"
    message = {"zh": "没有这个机构", "en": "There is no such institution"}


class InstitutionInvalidError(AppError):
    """``data['what']`` is not as it must be: the code, the name or the AE title."""

    code = "institution.invalid"
    message = {"zh": "机构代码、名称或AE标题不合规", "en": "The institution's code, name or AE title is not valid"}


def _check_name(name: str) -> None:
    if not 0 < len(name.strip()) <= 200 or not name.isprintable():
        raise InstitutionInvalidError(what="name")


def _check_ae_title(ae_title: str) -> None:
    if not _AE_TITLE.fullmatch(ae_title):
        raise InstitutionInvalidError(what="ae_title")


class Institutions:
    """Create, find, edit, suspend. A suspended institution's devices and people are refused."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, code: str, name: str, ae_title: str) -> int:
        """The new institution_id. Raises InstitutionInvalidError, InstitutionExistsError."""
        if not _CODE.fullmatch(code):
            raise InstitutionInvalidError(what="code")
        _check_name(name)
        if ae_title:
            _check_ae_title(ae_title)
        try:
            return int(
                await self._database.fetchval(
                    None, "select archive.create_institution($1, $2, $3)", code, name, ae_title
                )
            )
        except asyncpg.UniqueViolationError:
            raise InstitutionExistsError(code=code, ae_title=ae_title) from None

    async def edit(self, code: str, *, name: str = "", add_ae_title: str = "", remove_ae_title: str = "") -> int:
        """Rename, give or take an AE title; empty texts change nothing. Returns the institution_id.

        Raises InstitutionNotFoundError (also for an AE title that is another institution's), InstitutionInvalidError,
        InstitutionExistsError.
        """
        institution_id = await self.resolve(code)
        if name:
            _check_name(name)
        if add_ae_title:
            _check_ae_title(add_ae_title)
        try:
            async with self._database.transaction(institution_id) as connection:
                if name:
                    await connection.execute(
                        "update archive.institution set name = $2 where institution_id = $1", institution_id, name
                    )
                if remove_ae_title:
                    gone = await connection.execute(
                        "delete from archive.application_entity where institution_id = $1 and ae_title = $2",
                        institution_id,
                        remove_ae_title,
                    )
                    if gone != "DELETE 1":
                        raise InstitutionNotFoundError(ae_title=remove_ae_title)
                if add_ae_title:
                    await connection.execute(
                        "insert into archive.application_entity (institution_id, ae_title) values ($1, $2)",
                        institution_id,
                        add_ae_title,
                    )
        except asyncpg.UniqueViolationError:
            raise InstitutionExistsError(ae_title=add_ae_title) from None
        return institution_id

    async def ae_titles(self, institution_id: int) -> list[str]:
        """The AE titles by which devices call this institution."""
        rows = await self._database.fetch(
            institution_id, "select ae_title from archive.application_entity where enabled order by ae_title"
        )
        return [row["ae_title"] for row in rows]

    async def all(self) -> list[tuple[int, str, str, bool]]:
        """(institution_id, code, name, suspended) of every institution."""
        rows = await self._database.fetch(None, "select * from archive.institutions_for_house()")
        return [(row["institution_id"], row["code"], row["name"], row["suspended"]) for row in rows]

    async def resolve(self, code: str | None) -> int:
        """The institution of a code; without one, the only or first one. Raises InstitutionNotFoundError."""
        if code is None:
            every = await self.all()
            if every:
                return every[0][0]
            raise InstitutionNotFoundError(code="")
        found = await self._database.fetchval(None, "select archive.resolve_institution($1)", code)
        if found is None:
            raise InstitutionNotFoundError(code=code)
        return int(found)

    async def set_path_rule(self, code: str, template: str) -> None:
        """Where new objects of the institution go. Raises InstitutionNotFoundError, PathRuleInvalidError."""
        await set_path_rule(self._database, await self.resolve(code), template)

    async def set_suspended(self, code: str, suspended: bool) -> None:
        """Raises InstitutionNotFoundError."""
        changed = await self._database.fetchval(
            None, "select archive.set_institution_suspended($1, $2)", code, suspended
        )
        if changed is None:
            raise InstitutionNotFoundError(code=code)
