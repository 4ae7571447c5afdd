"""Exact values in a real Chromium: the array that the page's decoder makes is the one that foreign programs make."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from playwright.sync_api import Page, expect
from pydicom.data import get_testdata_file
from pydicom.uid import UID, generate_uid

from app.delivery.page import client_files
from tests.support.browser import device
from tests.support.dicom_files import as_bytes, make_ct
from tests.support.foreign_values import foreign_values
from tests.support.multipart import body
from tests.support.reference import need_foreign_programs
from tests.support.series import ct_series, values_of
from tests.support.server import Server, wait_until
from tools.screenshots import chromium_path, log_in

pytestmark = pytest.mark.skipif(chromium_path() is None, reason="no chromium (apt install chromium)")

_JPEG = "1.2.840.10008.1.2.4."
LOSSLESS = {
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.5",
    *(_JPEG + kind for kind in ("57", "70", "80", "90", "201", "202")),
}
PACKAGED = (
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_jp2klossless.dcm",
    "SC_rgb_rle.dcm",
    "SC_rgb_16bit.dcm",
    "examples_palette.dcm",
    "liver_1frame.dcm",
)
MOST_ALIKE = 2  # files of one syntax, photometric interpretation, depth and sign

# Fetch what the server tells, decode in the product's worker, tell the SHA-256 of the typed array there.
DIGEST = """async ([worker, decoder, wished]) => {
  const pool = new Worker('/' + worker), waiting = new Map();
  let number = 0;
  pool.onmessage = ({ data }) => { waiting.get(data.id)(data); waiting.delete(data.id); };
  const ask = (question) => new Promise((done) => { waiting.set(++number, done); pool.postMessage({ id: number, ...question }); });
  const started = await ask({ op: 'start', decoder: decoder ? location.origin + '/' + decoder : '' });
  const found = [];
  for (const [series, index] of wished) {
    const told = await (await fetch(`/api/series/${series}/values?first=${index}&count=1`)).json();
    const frame = told.frames[0];
    if (frame.problem) { found.push({ problem: frame.problem }); continue; }
    const coding = decoder && frame.htj2k ? 'htj2k' : 'raw';
    const answer = await fetch(`/api/series/${series}/frames/${index}/values?coding=${coding}`);
    const data = await answer.arrayBuffer();
    const kept = await ask({ op: 'keep', key: 'a', frame, coding, level: 0, data });
    const digest = await ask({ op: 'digest', key: 'a' });
    await ask({ op: 'drop', keys: ['a'] });
    found.push({ sha256: digest.value, told: frame.sha256, coding, dtype: frame.dtype, fidelity: frame.fidelity,
                 error: kept.error || null });
  }
  pool.terminate();
  return { started: started.value, found };
}"""


@dataclass(frozen=True, slots=True)
class Case:
    """One frame that is asked for, and what a foreign program makes of it."""

    name: str
    series: int
    frame: int
    sha256: str


class House:
    """A server with a logged-in browser page and a client that stores."""

    def __init__(self, server: Server, page: Page, client: httpx.Client, admin: httpx.Client) -> None:
        self.server, self.page, self.client, self.admin = server, page, client, admin

    def store(self, *files: bytes) -> tuple[int, int]:
        """(study, series) of files of one series."""
        number = generate_uid().rsplit(".", 1)[1][:24]
        prepared: list[bytes] = []
        study, series = generate_uid(), generate_uid()
        for data in files:
            ds = pydicom.dcmread(io.BytesIO(data), force=True)
            ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = study, series, generate_uid()
            ds.PatientID, ds.PatientName = number, "VALUES"  # other tests of this server search by name
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            buffer = io.BytesIO()
            ds.save_as(buffer, enforce_file_format=True)
            prepared.append(buffer.getvalue())
        content, headers = body(prepared)
        answer = self.client.post("/dicom-web/studies", content=content, headers=headers)
        assert answer.status_code == 200, answer.text
        rows = self.admin.get("/api/studies", params={"patient_id": number}).json()["studies"]
        assert len(rows) == 1
        key = int(rows[0]["study_key"])
        told = self.admin.get(f"/api/studies/{key}/series").json()["series"]
        return key, int(told[0]["series"])

    def digests(self, cases: list[Case], *, decoder: bool = True) -> list[dict[str, Any]]:
        files = client_files()
        wished = [[case.series, case.frame] for case in cases]
        told = self.page.evaluate(DIGEST, [files["values-worker.js"], files["openjph.wasm"] if decoder else "", wished])
        assert told["started"] is decoder
        return told["found"]


@pytest.fixture(scope="module")
def house(server: Server) -> Iterator[House]:
    if "values-worker.js" not in client_files():
        pytest.skip("the web client is not built (python -m tools.build_client)")
    with device("desktop") as context, server.admin() as admin:
        log_in(context, server.http, server.username, server.password)
        page = context.new_page()
        page.goto(server.http + "/login")
        with server.client(headers={"Authorization": f"Bearer {server.token('dicomweb-write')}"}) as client:
            yield House(server, page, client, admin)


def cases_of(house: House, paths: list[Path]) -> list[Case]:
    """The first and the last frame of each file that a foreign program can read."""
    cases: list[Case] = []
    for path in paths:
        count = max(1, int(pydicom.dcmread(path, force=True, stop_before_pixels=True).get("NumberOfFrames", 1) or 1))
        frames = sorted({0, count - 1})
        expected = [foreign_values(path, frame) for frame in frames]
        if any(values is None for values in expected):
            continue
        _, series = house.store(readable(path))
        for frame, values in zip(frames, expected, strict=True):
            assert values is not None
            cases.append(Case(f"{path.name}[{frame}]", series, frame, sha256(values.tobytes()).hexdigest()))
    return cases


def readable(path: Path) -> bytes:
    """The file with the meta information that it may lack."""
    from tests.support.render_frames import read_dataset

    ds = read_dataset(path)
    if "MediaStorageSOPClassUID" in ds.file_meta and ds.get("SOPClassUID"):
        return path.read_bytes()
    ds.file_meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7")
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID") or generate_uid()
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def wrong_ones(cases: list[Case], found: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    return [
        (case.name, one)
        for case, one in zip(cases, found, strict=True)
        if one.get("error") or one.get("sha256") != case.sha256 or one.get("told") != case.sha256
    ]


def various(folder: Path) -> list[Path]:
    """Of every lossless syntax, photometric interpretation, depth and sign a few files; subsampled colour is none."""
    alike: dict[tuple[str, ...], int] = defaultdict(int)
    chosen: list[Path] = []
    with (folder / "index.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            kind = (row["transfer_syntax"], row["photometric"], row["bits_stored"])
            if not row["decode_check"].startswith("decoded") or kind[0] not in LOSSLESS or "422" in kind[1]:
                continue
            path = folder / row["path"]
            header = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            key = (*kind, str(header.get("PixelRepresentation", 0)), str(header.get("PlanarConfiguration", 0)))
            if header.get("LossyImageCompression") == "01" or alike[key] >= MOST_ALIKE:
                continue
            alike[key] += 1
            chosen.append(path)
    return chosen


def test_packaged_files_decode_to_what_foreign_programs_decode(house: House) -> None:
    need_foreign_programs()
    paths = [Path(str(name)) for file in PACKAGED if (name := get_testdata_file(file, download=False))]
    cases = cases_of(house, paths)
    assert len(cases) >= 6
    found = house.digests(cases)
    assert wrong_ones(cases, found) == []
    assert {one["coding"] for one in found} >= {"htj2k"}
    assert wrong_ones(cases, house.digests(cases, decoder=False)) == []


@pytest.mark.req("5.21")
@pytest.mark.timeout(600)
def test_every_lossless_syntax_decodes_to_what_foreign_programs_decode(house: House, test_data: Path) -> None:
    need_foreign_programs()
    cases = cases_of(house, various(test_data))
    assert len(cases) > 50
    found = house.digests(cases)
    assert wrong_ones(cases, found) == []
    assert {one["dtype"] for one in found} >= {"u8", "u16", "i16", "u32"}
    assert {one["coding"] for one in found} == {"htj2k", "raw"}
    choose_the_uncompressed_mode(house)


# A timer of the page that fires behind every timer of the viewer that is set now (the longest waits 250 ms).
LATER = "new Promise((done) => setTimeout(done, 400))"

# What HTJ2K in the page does not carry: 32-bit integers, floats, signed bytes. They go as they are, and are proven so.
RAW_KINDS = {
    "i8": ("i1", "PixelData"),
    "i32": ("<i4", "PixelData"),
    "u32": ("<u4", "PixelData"),
    "f32": ("<f4", "FloatPixelData"),
    "f64": ("<f8", "DoubleFloatPixelData"),
}
PARAMETRIC_MAP = UID("1.2.840.10008.5.1.4.1.1.30")


def raw_values(kind: str, side: int = 64) -> Any:
    """(y, x) over the whole range of the type, its ends included; of floats also fractions."""
    dtype = np.dtype(RAW_KINDS[kind][0])
    if dtype.kind == "f":
        values = np.linspace(-1.5, 70_000.25, side * side).astype(dtype)
        values[:2] = (np.finfo(np.float32).max, -0.0)
    else:
        limits = np.iinfo(dtype)
        values = np.linspace(limits.min, limits.max, side * side).astype(dtype)
        values[:2] = (limits.max, limits.min)
    return values.reshape(side, side)


def raw_file(kind: str) -> bytes:
    values, element = raw_values(kind), RAW_KINDS[kind][1]
    bits = values.dtype.itemsize * 8
    is_float = values.dtype.kind == "f"
    changes: dict[str, Any] = {
        "Rows": values.shape[0],
        "Columns": values.shape[1],
        "BitsAllocated": bits,
        "PixelData": None,
        "RescaleIntercept": 0,
        "WindowCenter": 100,
        "WindowWidth": 400,
    }
    for keyword in ("BitsStored", "HighBit", "PixelRepresentation"):
        fixed = {"BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": int(values.dtype.kind == "i")}
        changes[keyword] = None if is_float else fixed[keyword]
    ds = make_ct(**changes)
    setattr(ds, element, values.tobytes())
    if element == "PixelData":
        ds["PixelData"].VR = "OB" if bits == 8 else "OW"
    else:
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = PARAMETRIC_MAP
    return as_bytes(ds)


def test_wide_integers_floats_and_signed_bytes_come_raw_and_exact(house: House) -> None:
    cases: list[Case] = []
    for kind in RAW_KINDS:
        _, series = house.store(raw_file(kind))
        cases.append(Case(kind, series, 0, sha256(raw_values(kind).tobytes()).hexdigest()))
    found = house.digests(cases)
    assert wrong_ones(cases, found) == []
    assert [(one["dtype"], one["coding"], one["fidelity"]) for one in found] == [
        (kind, "raw", "stored") for kind in RAW_KINDS
    ]


@pytest.mark.parametrize("kind", ["i8", "u32", "f32"])
def test_the_viewer_is_lossless_for_what_only_goes_raw(house: House, kind: str) -> None:
    study, _ = house.store(raw_file(kind))
    page = open_viewer(house, study)
    try:
        lossless(page)
        assert page.evaluate("cloudfilmValues.layer.digest()") == sha256(raw_values(kind).tobytes()).hexdigest()
        values = raw_values(kind)[10:20, 10:20].astype(np.float64)
        told = page.evaluate("cloudfilmValues.layer.statistics([10, 10, 10, 10])")
        assert told["count"] == 100
        assert told["mean"] == pytest.approx(values.mean())
        assert (told["minimum"], told["maximum"]) == (values.min(), values.max())
    finally:
        page.close()


# The viewer -------------------------------------------------------------------------------------------------------


def open_viewer(house: House, study: int, search: str = "?debug=1") -> Page:
    page = house.page.context.new_page()
    page.goto(f"{house.server.http}/viewer/{study}{search}")
    return page


def lossless(page: Page) -> None:
    expect(page.locator(".quality")).to_have_attribute("data-quality", "lossless", timeout=30_000)


def choose_the_uncompressed_mode(house: House) -> None:
    """Lossless by default; after the choice the same array comes as it is, and the mark says so."""
    study, _ = house.store(*ct_series(1, 64))
    page = open_viewer(house, study)
    try:
        lossless(page)
        expect(page.locator(".quality")).not_to_contain_text("未压缩")
        page.get_by_role("button", name="更多").click()
        with page.expect_response("**/frames/0/values?coding=raw&packed=0") as answer:
            page.get_by_text("原始数据不压缩传输").click()
        assert answer.value.body() == values_of(0, 64).tobytes()
        assert "content-encoding" not in answer.value.headers
        expect(page.locator(".quality")).to_have_text("● 原始无损 · 未压缩", timeout=30_000)
    finally:
        page.evaluate("localStorage.clear()")
        page.close()


def test_the_uncompressed_mode_can_be_chosen(house: House) -> None:
    choose_the_uncompressed_mode(house)


def test_windows_and_probes_are_local_once_the_values_are_there(house: House) -> None:
    study, _ = house.store(*ct_series(3, 64))
    page = open_viewer(house, study)
    try:
        lossless(page)
        expect(page.locator(".quality")).to_contain_text("●")
        digest = page.evaluate("cloudfilmValues.layer.digest()")
        assert digest == sha256(values_of(1, 64).tobytes()).hexdigest()
        box = page.locator("#stage").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2 + 1, box["y"] + box["height"] / 2 + 1)
        expect(page.locator(".probe")).to_contain_text(f"(32, 32) {int(values_of(1, 64)[32, 32]) - 1024} HU")
        values = values_of(1, 64).astype(float) - 1024
        told = page.evaluate("cloudfilmValues.layer.statistics([0, 0, 64, 64])")
        assert told["count"] == 64 * 64
        assert told["mean"] == pytest.approx(values.mean())
        assert told["standardDeviation"] == pytest.approx(values.std())
        before = page.evaluate("document.querySelector('canvas.values').toDataURL()")
        page.context.set_offline(True)
        page.keyboard.press("5")  # a preset: lung
        changed = "document.querySelector('canvas.values').toDataURL()"
        wait_until(lambda: page.evaluate(changed) != before, 30, "a window without the server")
        lossless(page)
    finally:
        page.context.set_offline(False)
        page.close()


def test_nothing_is_asked_of_the_server_while_exact_values_are_shown(house: House) -> None:
    """A window drag, presets, zoom and paging over frames whose values are here: not one picture is requested."""
    study, _ = house.store(*ct_series(3, 64))
    page = house.page.context.new_page()
    asked: list[str] = []

    def listen(socket: Any) -> None:
        socket.on("framesent", lambda payload: asked.append(str(payload)))

    page.on("websocket", listen)
    try:
        page.goto(f"{house.server.http}/viewer/{study}?debug=1")
        lossless(page)
        wait_until(lambda: page.evaluate("cloudfilmValues.layer.heldFrames") == 3, 30, "all values")
        page.evaluate(LATER)
        before = len(asked)
        assert any('"t":"view"' in message for message in asked), "previews come first"
        box = page.locator("#stage").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        for step in range(40):
            page.mouse.move(x + step * 2, y + step)
        page.mouse.up()
        for key in ("5", "ArrowDown", "ArrowUp", "+", "i"):
            page.keyboard.press(key)
            lossless(page)
        page.evaluate(LATER)
        wanted = [message for message in asked[before:] if '"t":"view"' in message or '"t":"tiles"' in message]
        assert wanted == []
    finally:
        page.close()


def test_the_page_itself_asks_for_the_first_values_and_only_once(house: House) -> None:
    """With its codestream prepared the frame is described in the page and fetched before any script runs."""
    study, series = house.store(*ct_series(3, 64))

    def described() -> bool:
        told = house.admin.get(f"/api/series/{series}/values?first=0&count=3").json()
        return all(frame.get("bytes") for frame in told["frames"])

    wait_until(described, 60, "codestreams")
    page = open_viewer(house, study)
    try:
        lossless(page)
        assert page.evaluate("cloudfilmValues.layer.digest()") == sha256(values_of(1, 64).tobytes()).hexdigest()
        asked = page.evaluate(
            """performance.getEntriesByType("resource").filter((one) => one.name.includes("/frames/1/values"))
                .map((one) => [one.initiatorType, new URL(one.name).search])"""
        )
        assert asked == [["link", "?coding=htj2k"]]
        assert page.evaluate("cloudfilm.viewer.boot.values.frames.length") == 1
        # Loaded again the page may show another frame: nothing is fetched before its address was read.
        page.reload()
        lossless(page)
        early = (
            "performance.getEntriesByType('resource').filter((one) => one.initiatorType === 'link').map((o) => o.name)"
        )
        assert not [name for name in page.evaluate(early) if "/values?" in name]
    finally:
        page.close()


def test_a_changed_array_is_never_called_lossless(house: House) -> None:
    study, _ = house.store(*ct_series(3, 64))
    page = house.page.context.new_page()

    def falsify(route: Any) -> None:
        answer = route.fetch()
        data = bytearray(answer.body())
        data[100] ^= 1
        headers = {name: value for name, value in answer.headers.items() if name != "content-encoding"}
        route.fulfill(status=200, headers=headers, body=bytes(data))

    try:
        page.route("**/frames/*/values?*", falsify)
        with page.expect_response("**/frames/*/values?*"):
            page.goto(f"{house.server.http}/viewer/{study}?values=raw&debug=1")
        page.wait_for_selector('.quality[data-quality="refined"]')
        expect(page.locator("#debug")).to_contain_text("refused", timeout=30_000)
        assert page.evaluate("cloudfilmValues.layer.shown") is None
    finally:
        page.close()


def test_the_page_stays_within_its_memory(house: House) -> None:
    study, _ = house.store(*ct_series(40, 256))
    page = open_viewer(house, study)
    try:
        lossless(page)
        for _ in range(12):
            page.keyboard.press("ArrowDown")
        lossless(page)
        panel = page.locator("#debug")
        for name in ("previews", "values", "decoders"):
            expect(panel).to_contain_text(name)

        def total() -> int:
            return int(panel.get_attribute("data-total") or 0)

        used = wait_until(total, 30, "figures of the panel")
        assert used <= int(panel.get_attribute("data-budget") or 0) <= 300 << 20
    finally:
        page.close()
