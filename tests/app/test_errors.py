from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import app
import dicomnet
import render
from app.errors import AppError, BadRequestError, describe_error, dimse_status, statuses_of
from dicomnet.archive.errors import ArchiveUnavailableError, DiskFullError, NotDicomError
from dicomnet.errors import DicomnetError
from render.errors import RenderError

# Modules that start something, or need what is not installed everywhere, when they are imported.
_NOT_IMPORTED = ("app.__main__", "render.cuda", "dicomnet.archive.objects_s3")


def error_classes() -> list[type[Any]]:
    for package in (app, dicomnet, render):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.startswith(_NOT_IMPORTED):
                importlib.import_module(module.name)

    def below(kind: type[Any]) -> Iterator[type[Any]]:
        yield kind
        for child in kind.__subclasses__():
            yield from below(child)

    found = [c for base in (AppError, DicomnetError, RenderError) for c in below(base)]
    return [c for c in found if c.__module__.split(".")[0] in {"app", "dicomnet", "render"}]


def test_every_domain_error_has_its_row_and_speaks_both_languages() -> None:
    classes = error_classes()
    assert len(classes) > 50
    internal = {
        "app.error",
        "dicomnet.error",
        "ingest.failed",
        "keyring.cannot_open",
        "sop_classes.file",
        "values.unequal",
    }
    for kind in classes:
        status = statuses_of(kind.code).http
        assert 400 <= status < 600, kind.code
        assert status != 500 or kind.code in internal, f"{kind.code} has no row in app.errors.STATUSES"
        assert set(kind.message) >= {"zh", "en"}, kind.code
        assert all(kind.message[language] for language in ("zh", "en")), kind.code


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ingest.not_dicom", 400),
        ("ingest.unavailable", 503),
        ("viewing.frame_fault", 422),
        ("codec.truncated", 422),
        ("share.revoked", 410),
        ("identity.session_over", 401),
        ("nobody.knows.this", 500),
        ("ingestion", 500),
    ],
)
def test_the_longest_dotted_prefix_wins(code: str, status: int) -> None:
    assert statuses_of(code).http == status
    assert statuses_of(code).websocket == 4000 + status


def test_dimse_statuses_come_from_dicomnet() -> None:
    assert dimse_status(DiskFullError.code) == dimse_status(ArchiveUnavailableError.code) == 0xA700
    assert dimse_status(NotDicomError.code) & 0xF000 == 0xC000
    assert dimse_status("nobody.knows") == 0xC000


def test_a_defect_is_not_a_domain_error() -> None:
    assert describe_error(KeyError("王小明")) is None
    described = describe_error(BadRequestError(what="days"))
    assert described is not None
    assert (described.code, described.data, described.statuses.http) == ("http.bad_request", {"what": "days"}, 400)
