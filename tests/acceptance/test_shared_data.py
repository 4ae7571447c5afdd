"""Every real file that the index marks as decoded: sent by DCMTK, back over DICOMweb unchanged, shown as others show it.

What is expected comes from ``index.csv`` alone. Files that share a SOP Instance UID (one image in several transfer
syntaxes) go to institutions of their own, as they would come from different hospitals.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.tag import BaseTag

from tests.support.multipart import body, parts
from tests.support.reference import foreign_picture, need_foreign_programs, ssim
from tests.support.server import Server

MIN_SSIM = 0.98
AT_ONCE = 2
AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@dataclass(frozen=True)
class Sent:
    """One file and where it went."""

    path: Path
    title: str
    sop_instance_uid: str


def decoded_files(folder: Path) -> list[Path]:
    with (folder / "index.csv").open(encoding="utf-8") as stream:
        return [folder / row["path"] for row in csv.DictReader(stream) if row["decode_check"].startswith("decoded")]


def big_endian(folder: Path) -> set[Path]:
    """Files whose byte order DCMTK changes on the way: both sides speak little endian, which is proposed first."""
    with (folder / "index.csv").open(encoding="utf-8") as stream:
        return {
            folder / row["path"] for row in csv.DictReader(stream) if row["transfer_syntax"] == "1.2.840.10008.1.2.2"
        }


def assign(paths: list[Path]) -> list[Sent]:
    """The first institution whose SOP Instance UIDs do not hold this one yet."""
    held: dict[str, int] = defaultdict(int)
    sent: list[Sent] = []
    for path in paths:
        dataset = pydicom.dcmread(path, force=True, specific_tags=["SOPInstanceUID"])
        uid = str(dataset.SOPInstanceUID)
        sent.append(Sent(path, f"DATA{held[uid]}", uid))
        held[uid] += 1
    return sent


def dcmsend(server: Server, title: str, paths: list[Path]) -> set[Path]:
    """Send as they are; returns the files that this DCMTK does not send (a syntax it does not know, two UIDs in one)."""
    report = server.home / f"{title}.txt"
    options = ["-dn", "--no-halt", "-aec", title, "+crf", str(report)]
    subprocess.run(
        ["dcmsend", *options, "127.0.0.1", str(server.dicom.port), *map(str, paths)],
        capture_output=True,
        timeout=300,
        env={"TCP_NODELAY": "1", "PATH": "/usr/bin:/bin"},
    )
    statuses = dict(
        re.findall(r"(?s)Filename +: ([^\n]+)\n(?:(?!Filename).)*?DIMSE Status +: (\w+)", report.read_text())
    )
    # B007 is a warning: stored, but announced under another SOP class than the file has (PS3.4 Table B.2-1).
    refused = {path: status for path, status in statuses.items() if status not in {"0x0000", "0xb007"}}
    assert refused == {}
    return {path for path in paths if str(path) not in statuses}


def stow(client: httpx.Client, path: Path) -> str:
    """Store over HTTP; the SOP Instance UID under which it is kept (a file may have none)."""
    content, headers = body([path.read_bytes()])
    answer = client.post("/dicom-web/studies", content=content, headers=headers)
    assert answer.status_code == 200, (path.name, answer.text)
    return str(answer.json()["00081199"]["Value"][0]["00081155"]["Value"][0])


@pytest.fixture(scope="module")
def sent(server: Server, test_data: Path) -> Iterator[list[tuple[Sent, httpx.Client]]]:
    need_foreign_programs()
    if shutil.which("dcmsend") is None:
        pytest.skip("dcmtk is not installed")
    files = assign(decoded_files(test_data))
    titles = sorted({one.title for one in files})
    with server.admin() as admin:
        for title in titles:
            made = {"code": title.lower(), "name": title, "ae_title": title}
            assert admin.post("/api/institutions", json=made).status_code == 201

    def logged_in(title: str) -> httpx.Client:
        token = server.cli_json("token", "create", "--role", "dicomweb-write", "--institution", title.lower())["token"]
        return server.client(headers={"Authorization": f"Bearer {token}"})

    with ThreadPoolExecutor(AT_ONCE) as pool:
        clients = dict(zip(titles, pool.map(logged_in, titles), strict=True))
    kept: list[tuple[Sent, httpx.Client]] = []
    for title, client in clients.items():
        mine = [one for one in files if one.title == title]
        by_http = big_endian(test_data)
        left = by_http | dcmsend(server, title, [one.path for one in mine if one.path not in by_http])
        for one in mine:
            uid = stow(client, one.path) if one.path in left else one.sop_instance_uid
            kept.append((replace(one, sop_instance_uid=uid), client))
    yield kept
    for client in clients.values():
        client.close()


def found(client: httpx.Client, uid: str) -> str:
    """The instance's URL."""
    rows = client.get("/dicom-web/instances", params={"SOPInstanceUID": uid}).json()
    assert len(rows) == 1, uid
    study, series = rows[0]["0020000D"]["Value"][0], rows[0]["0020000E"]["Value"][0]
    return f"/dicom-web/studies/{study}/series/{series}/instances/{uid}"


@pytest.mark.timeout(600)
def test_what_was_sent_comes_back_with_the_same_tags_and_pixels(sent: list[tuple[Sent, httpx.Client]]) -> None:
    assert len(sent) > 700

    def fault(row: tuple[Sent, httpx.Client]) -> str:
        one, client = row
        answer = client.get(found(client, one.sop_instance_uid), headers={"Accept": AS_STORED})
        if answer.status_code != 200:
            return f"{one.path.name}: {answer.status_code}"
        [(_, returned)] = parts(answer)
        before, after = pydicom.dcmread(one.path, force=True), pydicom.dcmread(io.BytesIO(returned))
        return "" if same(before, after) else one.path.name

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert [told for told in pool.map(fault, sent) if told] == []


def same(before: pydicom.Dataset, after: pydicom.Dataset) -> bool:
    """The same data set, element by element, pixel data byte for byte.

    Group lengths (PS3.5 7.2), trailing padding and delimiters that stand alone in a faulty file are no attributes.
    """
    tags = [{tag for tag in dataset._dict if tag.element and tag.group < 0xFFFC} for dataset in (before, after)]
    return tags[0] == tags[1] and all(same_element(before, after, tag) for tag in tags[0])


def same_element(before: pydicom.Dataset, after: pydicom.Dataset, tag: BaseTag) -> bool:
    """Equal values; of what pydicom cannot interpret, equal bytes."""
    raw = [dataset.get_item(tag) for dataset in (before, after)]
    if raw[0].value == raw[1].value:
        return True
    try:
        values = before[tag].value, after[tag].value
        return bool(values[0] == values[1]) or not (values[0] or values[1])
    except (NotImplementedError, ValueError):
        return False


@pytest.mark.timeout(900)
def test_every_picture_is_shown_as_foreign_programs_show_it(sent: list[tuple[Sent, httpx.Client]]) -> None:
    def fault(row: tuple[Sent, httpx.Client]) -> str:
        one, client = row
        answer = client.get(
            found(client, one.sop_instance_uid) + "/rendered",
            params={"quality": "95"},
            headers={"Accept": "image/png"},
        )
        if answer.status_code != 200:
            return f"{one.path.name}: {answer.text[:120]}"
        theirs = foreign_picture(one.path)
        ours = np.asarray(Image.open(io.BytesIO(answer.content)))
        if ours.shape[:2] != theirs.shape[:2]:
            return f"{one.path.name}: {ours.shape} for {theirs.shape}"
        similarity = ssim(ours, theirs)
        return "" if similarity >= MIN_SSIM else f"{one.path.name}: {similarity:.4f}"

    with ThreadPoolExecutor(AT_ONCE) as pool:  # the foreign programs and the server are processes of their own
        assert [told for told in pool.map(fault, sent) if told] == []
