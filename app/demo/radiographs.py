"""Projection pictures of the demo: a chest radiograph of the CT's own body, and a mammogram in two views."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pydicom.uid
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from app.demo.anatomy import Anatomy, body, outline
from app.demo.body_ct import texture
from app.demo.datasets import Exam, Person, code_sequence, decimal, new_instance, set_pixels, set_windows
from app.demo.shapes import Grid, Image

LI = Person("CF-DEMO-0004", "Li^Na=李^娜", "19720605", "F", "051Y", 60.0, 1.63)
ZHAO = Person("CF-DEMO-0005", "Zhao^Guoqiang=赵^国强", "19631130", "M", "060Y", 75.0, 1.74)
DX_EXAM = Exam("dx", ZHAO, "20240313", "082010", "胸部正位 DR", "CFD2403130003")
MG_EXAM = Exam("mg", LI, "20240313", "101500", "左乳钼靶", "CFD2403130004")

CHEST_MM, CHEST_TOP_MM = 360.0, -28.0
BREAST_MM = 255.0
STRIP_ROWS = 250


def _water_equivalent(grid: Grid, anatomy: Anatomy) -> Image:
    """Path length through the body along y as millimetres of water, for rows u and columns x of ``grid``."""
    path = np.zeros(grid.shape, np.float32)
    size = np.array([outline(float(u)) for u in np.clip(grid.b, 0, 400)], np.float32)
    inside = np.maximum(1 - np.abs(grid.a[None, :] / size[:, :1]) ** 2.4, 0)
    path += 2 * size[:, 1:2] * inside ** (1 / 2.4)
    ribs_shadow = np.clip((np.abs(grid.a) - 20) / 12, 0, 1)[None, :]
    air = np.zeros_like(path)
    for lung in anatomy.lungs:
        lung.project(air, grid, 0.80)
    lungs = np.minimum(air / 40, 1)
    path -= air
    for organ in anatomy.organs:
        if organ.name in {"heart", "liver", "left lobe", "lung nodule", "hilar node"}:
            organ.shape.project(path, grid, {"lung nodule": 1.0, "heart": 0.55}.get(organ.name, 0.38))
        elif organ.name == "gastric air":
            organ.shape.project(path, grid, -1.0)
    vessels = np.zeros_like(path)
    anatomy.lung_vessels.project(vessels, grid, 1.7)
    anatomy.arteries.project(vessels, grid, 0.55)
    path += vessels * lungs
    anatomy.airways.project(path, grid, -1.1)
    for bones, dense in ((anatomy.ribs, 1.5), (anatomy.long_bones, 1.6), (anatomy.sternum, 0.5)):
        bones.project(path, grid, dense)
        bones.project(path, grid, -0.75 * dense, grow_mm=-1.3)
    _project_spine(path, grid)
    return path + 2.0 * ribs_shadow * texture(np.random.Generator(np.random.SFC64([9, len(grid.b)])), grid.shape, 24)


def _project_spine(path: Image, grid: Grid) -> None:
    phase = (grid.b - 2) % 28.5
    solid = np.where(phase > 22.5, 0.12, np.where((phase < 1.5) | (phase > 21), 0.95, 0.55))[:, None]
    across = np.sqrt(np.maximum(1 - (grid.a / 21) ** 2, 0))[None, :]
    path += 33 * solid * across
    pedicles = np.exp(-(((np.abs(grid.a)[None, :] - 13) / 3.0) ** 2) - ((phase[:, None] - 7) / 4.5) ** 2)
    path += 14 * pedicles


def chest_pixels(matrix: int = 3000) -> NDArray[np.uint16]:
    """The radiograph as (u, x) 14-bit values that grow with exposure: lungs high, bone low (MONOCHROME1)."""
    anatomy = body()
    pixel_mm = CHEST_MM / matrix
    rng = np.random.Generator(np.random.SFC64([2024, matrix]))
    pixels = np.empty((matrix, matrix), np.uint16)
    rows = max(1, STRIP_ROWS * matrix // 3000)
    for top in range(0, matrix, rows):
        grid = Grid.centred(matrix, min(rows, matrix - top), pixel_mm, CHEST_TOP_MM + top * pixel_mm)
        path = _water_equivalent(grid, anatomy)
        # Scatter lifts the thick parts; quantum noise grows as fewer quanta arrive, and a machine's own enhancement
        # of detail has doubled it before the image is sent: real ones cost 5 to 130 kB at 1080 wide, this one 50.
        log_exposure = -0.0175 * np.maximum(path, 0)
        noise = rng.standard_normal(path.shape, np.float32) * (0.02 * np.exp(-0.5 * log_exposure))
        values = 16383 * (0.99 + 0.215 * (log_exposure + noise))
        pixels[top : top + path.shape[0]] = np.clip(np.rint(values), 0, 16383).astype(np.uint16)
    return pixels


def _projection_modules(ds: Dataset, *, intent: str, pixel_mm: float, sign: int) -> None:
    """The parts of DX Series, Image and Detector (PS3.3 C.8.11.1, C.8.11.3, C.8.11.4) that DX and MG share."""
    ds.PresentationIntentType = intent
    ds.ImageType = ["DERIVED", "PRIMARY", ""]
    ds.PixelIntensityRelationship, ds.PixelIntensityRelationshipSign = "LOG", sign
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "US"
    ds.ImagerPixelSpacing = [decimal(pixel_mm)] * 2
    ds.PixelSpacing = [decimal(pixel_mm)] * 2
    ds.DetectorType, ds.DetectorConfiguration, ds.DetectorDescription = "DIRECT", "AREA", "aSe"
    ds.DetectorID, ds.DetectorActiveShape, ds.FieldOfViewShape = "DEMO", "RECTANGLE", "RECTANGLE"
    ds.AcquisitionDeviceProcessingDescription = "demo"
    ds.AcquisitionContextSequence = DicomSequence([])
    ds.AcquisitionNumber = 1


def phantom_dx(matrix: int = 3000) -> Dataset:
    """A postero-anterior chest radiograph (PS3.3 A.26), 14 bit MONOCHROME1, 0.12 mm at 3000 x 3000."""
    ds = new_instance(
        DX_EXAM,
        sop_class_uid=pydicom.uid.DigitalXRayImageStorageForPresentation,
        modality="DX",
        series=f"dx{matrix}",
        series_number=1,
        instance_number=1,
        series_description="胸部后前位",
        body_part="CHEST",
    )
    _projection_modules(ds, intent="FOR PRESENTATION", pixel_mm=CHEST_MM / matrix, sign=1)
    ds.PatientOrientation = ["L", "F"]
    ds.ImageLaterality, ds.ViewPosition = "U", "PA"
    ds.ViewCodeSequence = code_sequence("R-10214", "SRT", "postero-anterior")
    ds.ViewCodeSequence[0].ViewModifierCodeSequence = DicomSequence([])
    ds.AnatomicRegionSequence = code_sequence("T-D3000", "SRT", "Chest")
    ds.PositionerType, ds.KVP, ds.ExposureTime, ds.XRayTubeCurrent = "COLUMN", "120", 8, 320
    ds.PresentationLUTShape = "INVERSE"
    ds.VOILUTFunction = "LINEAR"
    pixels = chest_pixels(matrix)
    low, high = np.percentile(pixels[:: max(1, matrix // 500), :: max(1, matrix // 500)], (3, 99))
    set_windows(ds, (round(float(low + high) / 2), round(float(high - low) * 1.05), "NORMAL"))
    set_pixels(ds, pixels, bits_stored=14, photometric="MONOCHROME1")
    return ds


def breast_pixels(view: str, rows: int = 3000) -> NDArray[np.uint16]:
    """A left breast in view "CC" or "MLO": 12 bit, chest wall at the left edge, tissue bright (MONOCHROME2)."""
    columns = rows * 4 // 5
    pixel_mm = BREAST_MM / rows
    rng = np.random.Generator(np.random.SFC64([12, rows, len(view)]))
    x = (np.arange(columns, dtype=np.float32) * pixel_mm)[None, :]
    y = (np.arange(rows, dtype=np.float32) * pixel_mm - BREAST_MM / 2)[:, None]
    sag = 0.0 if view == "CC" else 18.0
    reach = np.sqrt((x / 108) ** 2 + ((y - sag) / 94) ** 2)
    edge_mm = (1 - reach) * 94
    thickness = np.sqrt(np.clip(edge_mm / 22, 0, 1))  # compressed flat, round only near the skin
    cone = np.clip(1.15 - np.hypot((x - 66) / 52, (y - sag) / (58 - 0.25 * x)), 0, 1)
    fine = texture(rng, (rows, columns), max(2, rows // 170))
    coarse = texture(rng, (rows, columns), max(3, rows // 34))
    glandular = np.clip(cone * 1.5 + 0.30 * coarse + 0.22 * fine - 0.25, 0, 1) * np.clip(cone * 3, 0, 1)
    fibres = 0.10 * np.abs(fine) * np.clip(1 - reach, 0, 1)
    density = thickness * (0.30 + 0.48 * glandular + fibres + 0.02 * texture(rng, (rows, columns), 3))
    density += 0.30 * np.clip(1 - np.abs(edge_mm - 0.9) / 0.9, 0, 1)  # skin
    density += 0.25 * np.exp(-((np.hypot(x - 107, (y - sag) / 1.1) / 5.5) ** 4))  # nipple
    if view == "MLO":
        density += 0.34 * np.clip((62 - x - 0.55 * (y + BREAST_MM / 2)) / 2.5, 0, 1) * (edge_mm > -60)
    density += 0.16 * np.exp(-((np.hypot(x - 48, y - sag + 20) / 7.5) ** 6)) * (1 + 0.2 * fine)  # mass
    for _ in range(26):  # microcalcifications
        cx, cy = 72 + rng.normal(scale=5), sag + 16 + rng.normal(scale=5)
        column, row = int(cx / pixel_mm), int((cy + BREAST_MM / 2) / pixel_mm)
        reach_px = max(1, int(0.22 / pixel_mm))
        density[row - reach_px : row + reach_px, column - reach_px : column + reach_px] += 0.28
    noise = rng.standard_normal((rows, columns), np.float32) * 0.008
    return np.clip(np.rint(4095 * (0.02 + 0.86 * density + noise)), 0, 4095).astype(np.uint16)


def phantom_mg(rows: int = 3000) -> Iterator[Dataset]:
    """Cranio-caudal and medio-lateral oblique views of a left breast (PS3.3 A.27), 12 bit MONOCHROME2."""
    views = (
        ("CC", ("R-10242", "cranio-caudal"), ["A", "R"], "0"),
        ("MLO", ("R-10226", "medio-lateral oblique"), ["A", "FR"], "45"),
    )
    for index, (view, (code, meaning), orientation, angle) in enumerate(views):
        ds = new_instance(
            MG_EXAM,
            sop_class_uid=pydicom.uid.DigitalMammographyXRayImageStorageForPresentation,
            modality="MG",
            series=f"mg{rows}{view}",
            series_number=index + 1,
            instance_number=1,
            series_description=f"L-{view}",
            body_part="BREAST",
        )
        _projection_modules(ds, intent="FOR PRESENTATION", pixel_mm=BREAST_MM / rows, sign=-1)
        ds.PatientOrientation = orientation
        ds.ImageLaterality, ds.ViewPosition, ds.OrganExposed = "L", view, "BREAST"
        ds.ViewCodeSequence = code_sequence(code, "SRT", meaning)
        ds.ViewCodeSequence[0].ViewModifierCodeSequence = DicomSequence([])
        ds.AnatomicRegionSequence = code_sequence("T-04000", "SRT", "Breast")
        ds.PositionerType, ds.PositionerPrimaryAngle, ds.BreastImplantPresent = "MAMMOGRAPHIC", angle, "NO"
        ds.KVP, ds.ExposureInuAs, ds.AnodeTargetMaterial = "29", 78000, "TUNGSTEN"
        ds.BodyPartThickness, ds.CompressionForce = "52", "110"
        ds.PresentationLUTShape = "IDENTITY"
        set_windows(ds, (1900, 3000, "NORMAL"))
        set_pixels(ds, breast_pixels(view, rows), bits_stored=12)
        yield ds
