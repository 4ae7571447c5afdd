"""The PET/CT pair of the demo on the 3D page in a real Chromium: chosen, coloured, windowed in SUV."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from app.delivery.page import client_files
from app.demo.phantoms import dicom_bytes, phantom_pet, phantom_petct_ct
from tests.support.browser import device
from tests.support.server import Server
from tests.support.volume_page import Wire, choose, colour, rested, show, store_study
from tools.screenshots import chromium_path, log_in

pytestmark = pytest.mark.skipif(chromium_path() is None, reason="no chromium (apt install chromium)")
SLICES = 30
# 310 MBq of F-18 one hour before the scan, to the phantom's patient: the file's own window ends at SUV 6.
FILE_END = 6.0


def pair(server: Server, patient_id: str, *, weight: str | None = "") -> int:
    """The demo's pair as another patient's. ``weight``: of the PET, kg; None: absent, "": the phantom's."""
    files: list[bytes] = []
    for ds in (*phantom_petct_ct(SLICES, 64), *phantom_pet(SLICES, 32)):
        ds.PatientID = patient_id
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(ds, keyword, f"{getattr(ds, keyword)[:50]}.{len(patient_id)}")
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        if weight is None and "PatientWeight" in ds:
            del ds.PatientWeight
        files.append(dicom_bytes(ds))
    return store_study(server, patient_id, files)


@pytest.mark.parametrize("kind", ["phone", "desktop"])
def test_the_pair_is_fused_from_the_list(server: Server, kind: str) -> None:
    if "volume.js" not in client_files():
        pytest.skip("the web client is not built (python -m tools.build_client)")
    pair(server, f"FUSION-{kind}")
    with device(kind) as context:
        log_in(context, server.http, server.username, server.password)
        page = context.new_page()
        wire = Wire(page)
        page.goto(f"{server.http}/studies?q=FUSION-{kind}")
        page.locator("tr", has_text=f"FUSION-{kind}").get_by_role("link", name="融合").click()
        wire.until(lambda: wire.last("axial").get("kind") == "fusion", "a fusion at once")
        show(page, "冠状")
        hot = colour(page, "coronal")
        assert hot[0] > hot[2] + 15  # red over blue
        facts = page.locator('[data-kind="coronal"] .facts')
        expect(facts).to_contain_text(f"SUV 0–{FILE_END:g}")
        choose(page, "fusion", "map-cool")
        wire.until(lambda: wire.last("coronal").get("colour_map") == "cool", "another map")
        cool = colour(page, "coronal")
        assert cool[2] > cool[0] + 15
        choose(page, "fusion", "suv-2.5")
        asked = wire.until(lambda: wire.last("coronal").get("overlay_window_width"), "a window of its own")
        rested(page, "coronal")
        expect(facts).to_contain_text("SUV 0–2.5")
        brighter = colour(page, "coronal")
        assert brighter[2] - brighter[0] > cool[2] - cool[0]
        choose(page, "fusion", "overlay-higher")
        wire.until(
            lambda: wire.last("coronal").get("overlay_window_width") == pytest.approx(asked * 1.25), "a higher end"
        )
        slider = page.locator("#volume .slide input")
        slider.focus()
        page.keyboard.press("Home")
        wire.until(lambda: wire.last("coronal").get("opacity") == 0, "no colour at all")
        bare = colour(page, "coronal")
        assert abs(bare[2] - bare[0]) < 3
        choose(page, "fusion", "fuse-none")
        wire.until(lambda: wire.last("coronal").get("kind") == "slab", "the CT alone")


def test_without_weight_the_reason_is_told(server: Server) -> None:
    if "volume.js" not in client_files():
        pytest.skip("the web client is not built (python -m tools.build_client)")
    study = pair(server, "FUSION-NO-WEIGHT", weight=None)
    with device("desktop") as context:
        log_in(context, server.http, server.username, server.password)
        page = context.new_page()
        page.goto(f"{server.http}/viewer/{study}#fusion")
        page.wait_for_selector("#volume .pane", state="attached")
        rested(page, "coronal")
        expect(page.locator("#volume .volume-chips")).to_contain_text("无法计算 SUV：缺少体重")
        expect(page.locator('#volume [data-choice="suv-5"]')).to_have_count(0)
        expect(page.locator('[data-kind="coronal"] .facts')).not_to_contain_text("SUV")
