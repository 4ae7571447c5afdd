from __future__ import annotations

import pytest

from app.identity.service import Identity
from app.institutions.service import (
    InstitutionExistsError,
    InstitutionInvalidError,
    InstitutionNotFoundError,
    Institutions,
)
from dicomnet.archive.query import resolve_ae
from dicomnet.database import Database
from tests.support.web_app import Web


async def test_create_find_suspend(database: Database) -> None:
    institutions = Institutions(database)
    with pytest.raises(InstitutionNotFoundError):
        await institutions.resolve(None)
    first = await institutions.create("one", "第一医院", "FIRST")
    second = await institutions.create("two", "第二医院", "")
    assert await institutions.all() == [(first, "one", "第一医院", False), (second, "two", "第二医院", False)]
    assert (await institutions.resolve(None), await institutions.resolve("two")) == (first, second)
    await institutions.set_suspended("one", True)
    called = await resolve_ae(database, "FIRST")
    assert called is not None
    assert (called.institution_id, called.suspended) == (first, True)
    for missing in ("three", ""):
        with pytest.raises(InstitutionNotFoundError):
            await institutions.resolve(missing)
        with pytest.raises(InstitutionNotFoundError):
            await institutions.set_suspended(missing, True)


async def test_codes_and_titles_are_unique_and_well_formed(database: Database) -> None:
    institutions = Institutions(database)
    await institutions.create("one", "第一医院", "FIRST")
    for code, title in (("one", "OTHER"), ("other", "FIRST")):
        with pytest.raises(InstitutionExistsError):
            await institutions.create(code, "x", title)
    wrong = [
        ("", "x", "A"),
        ("One", "x", "A"),
        ("a/b", "x", "A"),
        ("a", "", "A"),
        ("a", "x\n", "A"),
        ("a", "x", "SEVENTEEN_LETTERS"),
        ("a", "x", " A"),
        ("a", "x", "A\\B"),
        ("a", "x", "医院"),
    ]
    for code, name, title in wrong:
        with pytest.raises(InstitutionInvalidError):
            await institutions.create(code, name, title)
    assert len(await institutions.all()) == 1


async def test_over_http_for_the_house_only(web: Web, institution: int) -> None:
    identity = Identity(web.database, web.settings)
    token, _ = await identity.create_token(institution, "super_admin", 1)
    other, _ = await identity.create_token(institution, "hospital_admin", 1)
    async with web.anonymous() as client:
        assert (await client.get("/api/institutions")).status_code == 401
        refused = await client.get("/api/institutions", headers={"Authorization": f"Bearer {other}"})
        assert refused.status_code == 403
        client.headers["Authorization"] = f"Bearer {token}"
        made = await client.post("/api/institutions", json={"code": "two", "name": "第二医院", "ae_title": "SECOND"})
        assert made.status_code == 201
        assert (await client.post("/api/institutions", json={"code": "two", "name": "x"})).status_code == 409
        assert (await client.post("/api/institutions", json={"code": 2})).status_code == 400
        assert (await client.post("/api/institutions/two", json={"suspended": True})).status_code == 200
        assert (await client.post("/api/institutions/one", json={"suspended": True})).status_code == 400
        assert (await client.post("/api/institutions/nine", json={"suspended": True})).status_code == 404
        rows = (await client.get("/api/institutions")).json()["institutions"]
    assert [(row["code"], row["suspended"]) for row in rows] == [("one", False), ("two", True)]
    actions = await web.database.fetch(
        made.json()["institution_id"], "select action from audit.entry order by entry_id"
    )
    assert [row["action"] for row in actions] == ["institution.create", "institution.suspend"]
