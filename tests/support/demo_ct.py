"""The demo's small CT on the shared server, sent by C-STORE, and a phone on which a share of it is open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page

from app.demo.studies import demo_studies
from dicomnet.dimse.scu import send
from tests.support.browser import device, settled
from tests.support.server import Server, wait_until


@dataclass(frozen=True, slots=True)
class Study:
    server: Server
    key: int
    modality: str


@pytest.fixture(scope="session")
def ct(server: Server) -> Study:
    """A small CT of the demo, sent by C-STORE; hiding shares of it are permitted."""
    demo = demo_studies(small=True)[0]
    address = server.dicom
    send(address.host, address.port, demo.instances(), demo.contexts, called_ae_title=address.ae_title)
    with server.admin() as client:

        def complete() -> int:
            rows = client.get("/api/studies", params={"modality": "CT"}).json()["studies"]
            full = [row for row in rows if row["instance_count"] == demo.count and row["patient_id"] == "CF-DEMO-0001"]
            return int(full[0]["study_key"]) if full else 0

        return Study(server, wait_until(complete, 90, "the CT's arrival"), "CT")


@dataclass(frozen=True, slots=True)
class Made:
    share: int
    path: str
    code: str


def make_share(study: Study) -> Made:
    """A share by the administrator, opened at the server's own address."""
    with study.server.admin() as client:
        answer = client.post(f"/api/studies/{study.key}/shares", json={"days": 1}).raise_for_status().json()
    return Made(answer["share"], "/s/" + answer["url"].rsplit("/", 1)[1], answer["code"])


def open_share(page: Page, study: Study, made: Made) -> None:
    """Type the code as a patient does."""
    page.goto(study.server.http + made.path)
    page.fill("input[name=code]", made.code)
    page.click("button")
    settled(page)


@pytest.fixture
def phone(ct: Study) -> Iterator[Page]:
    """A phone on which a share of the CT is open."""
    with device("phone") as context:
        page = context.new_page()
        open_share(page, ct, make_share(ct))
        yield page


def middle(page: Page) -> tuple[float, float]:
    """Of the stage, CSS px."""
    box = page.locator("#stage").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
