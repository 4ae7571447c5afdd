"""A beating heart in four-chamber view as an ultrasound cine: colour, JPEG, multi-frame."""

from __future__ import annotations

import numpy as np
import pydicom.uid
import simplejpeg
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import Tag

from app.demo.datasets import Exam, Person, decimal, new_instance
from app.demo.shapes import Image

SUN = Person("CF-DEMO-0006", "Sun^Li=孙^丽", "19820227", "F", "042Y", 54.0, 1.60)
US_EXAM = Exam("us", SUN, "20240315", "153045", "心脏超声", "CFD2403150006")

DEPTH_MM = 165.0
HALF_ANGLE = np.deg2rad(40)
FRAME_TIME_MS = 33.33
FRAMES_PER_BEAT = 25
_APEX_ROW = 12


def _field(noise: Image, depth: Image, angle: Image) -> Image:
    """Speckle in beam coordinates: fine along the beam, wider across it, wider still with depth."""
    rows = (depth * 2.2).astype(np.intp) % noise.shape[0]
    columns = ((angle + HALF_ANGLE) * 130).astype(np.intp) % noise.shape[1]
    return noise[rows, columns]


class _Scan:
    """The sector's coordinates, made once for all frames."""

    def __init__(self, rows: int, columns: int) -> None:
        self.pixel_mm = DEPTH_MM / (rows - _APEX_ROW - rows // 10)
        y = (np.arange(rows, dtype=np.float32)[:, None] - _APEX_ROW) * self.pixel_mm
        x = (np.arange(columns, dtype=np.float32)[None, :] - (columns - 1) / 2) * self.pixel_mm
        self.x, self.y = np.broadcast_to(x, (rows, columns)), np.broadcast_to(y, (rows, columns))
        self.depth = np.hypot(self.x, self.y).astype(np.float32)
        self.angle = np.arctan2(self.x, np.maximum(self.y, 1e-3)).astype(np.float32)
        self.inside = (np.abs(self.angle) < HALF_ANGLE) & (self.depth < DEPTH_MM) & (self.depth > 3) & (self.y > 0)

    def ball(self, cx: float, cy: float, rx: float, ry: float, turn: float = 0.0) -> Image:
        """Signed distance (approximate, mm) to an ellipse turned by ``turn`` degrees."""
        c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
        dx, dy = self.x - cx, self.y - cy
        f = np.hypot((c * dx + s * dy) / rx, (c * dy - s * dx) / ry)
        return ((f - 1) * min(rx, ry)).astype(np.float32)


def _frame(scan: _Scan, beat: float, noise: Image, drift: Image) -> NDArray[np.uint8]:
    """One grey frame at ``beat`` (0 … 1 of the cycle; systole in the first third)."""
    squeeze = float(np.sin(np.pi * min(beat / 0.42, 1.0)) ** 2)
    fill = float(np.sin(np.pi * np.clip((beat - 0.35) / 0.6, 0, 1)) ** 2)
    lift = 4.0 * squeeze
    heart = scan.ball(0, 84, 50, 66)
    echo = np.full(scan.x.shape, 0.34, np.float32)
    echo[heart < 0] = 0.50
    echo += 0.5 * np.exp(-(((heart - 1) / 2.0) ** 2))  # pericardium
    for cavity in (
        scan.ball(17, 62 - lift, 16 - 5.5 * squeeze, 34 - 6 * squeeze, 6),
        scan.ball(-19, 66 - lift, 13 - 3.5 * squeeze, 27 - 4 * squeeze, -12),
        scan.ball(18, 121 - lift, 18 + 2.5 * squeeze - 1.5 * fill, 17 + 2 * squeeze),
        scan.ball(-19, 120 - lift, 17 + 2 * squeeze - 1.5 * fill, 16 + 2 * squeeze),
    ):
        echo = np.where(cavity < 0, 0.035, echo)
        echo += 0.22 * np.exp(-((cavity / 1.2) ** 2))
    for hinge, tip in (((33, 101), 20), ((3, 101), 16), ((-4, 97), -14), ((-31, 98), -20)):
        opening = 13 * fill if squeeze < 0.4 else 0.0
        end = np.array([tip, 101 - lift + (-opening if opening else 3.0)])
        start = np.array([hinge[0], hinge[1] - lift])
        along = end - start
        t = np.clip(((scan.x - start[0]) * along[0] + (scan.y - start[1]) * along[1]) / (along @ along), 0, 1)
        leaf = np.hypot(scan.x - start[0] - t * along[0], scan.y - start[1] - t * along[1])
        echo += 0.6 * np.exp(-((leaf / 1.4) ** 2))
    speckle = _field(noise, scan.depth + 3 * lift * (heart < 0), scan.angle)
    clutter = _field(drift, scan.depth, scan.angle)
    amplitude = echo * speckle * np.exp(-scan.depth / 420) + 0.012 * clutter
    grey = 255 * np.clip(0.98 + 0.22 * np.log(np.maximum(amplitude, 1e-4)), 0, 1)
    return np.where(scan.inside, grey, 0).astype(np.uint8)


def cine_frames(frames: int = 60, rows: int = 480, columns: int = 640) -> NDArray[np.uint8]:
    """(frames, y, x, 3) RGB: the sector in a warm grey, an ECG trace in green below it."""
    scan = _Scan(rows, columns)
    rng = np.random.Generator(np.random.SFC64([60, rows]))
    noise = rng.rayleigh(0.8, (512, 256)).astype(np.float32)
    pictures = np.zeros((frames, rows, columns, 3), np.uint8)
    tint = np.array([1.0, 0.97, 0.88], np.float32)
    at = np.arange(columns) / columns * frames / FRAMES_PER_BEAT
    phase = (at + 0.1) % 1.0
    trace = np.exp(-(((phase - 0.1) / 0.012) ** 2)) - 0.25 * np.exp(-(((phase - 0.14) / 0.015) ** 2))
    trace += 0.18 * np.exp(-(((phase - 0.38) / 0.05) ** 2)) + 0.1 * np.exp(-(((phase - 0.97) / 0.025) ** 2))
    line = np.clip(rows - 8 - (trace * rows * 0.07), 0, rows - 2).astype(np.intp)
    for index in range(frames):
        drift = rng.rayleigh(0.8, (512, 256)).astype(np.float32)
        grey = _frame(scan, (index / FRAMES_PER_BEAT) % 1.0, noise, drift)
        pictures[index] = grey[..., None] * tint
        drawn = max(2, int(columns * (index + 1) / frames))
        for offset in (0, 1):
            pictures[index, line[:drawn] - offset, np.arange(drawn)] = (60, 230, 90)
    return pictures


def phantom_us(frames: int = 60, rows: int = 480, columns: int = 640) -> Dataset:
    """An ultrasound multi-frame image (PS3.3 A.7): JPEG baseline, YBR_FULL_422, with FrameTime and region calibration."""
    ds = new_instance(
        US_EXAM,
        sop_class_uid=pydicom.uid.UltrasoundMultiFrameImageStorage,
        modality="US",
        series=f"us{frames}x{rows}",
        series_number=1,
        instance_number=1,
        series_description="四腔心切面",
        transfer_syntax_uid=pydicom.uid.JPEGBaseline8Bit,
        body_part="HEART",
    )
    ds.ImageType = ["ORIGINAL", "PRIMARY", "", "0001"]
    ds.PatientOrientation = ""
    pictures = cine_frames(frames, rows, columns)
    encoded = [
        simplejpeg.encode_jpeg(picture, quality=88, colorspace="RGB", colorsubsampling="422") for picture in pictures
    ]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "YBR_FULL_422", 0
    ds.Rows, ds.Columns, ds.NumberOfFrames = rows, columns, frames
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.FrameIncrementPointer = Tag(0x0018, 0x1063)
    ds.FrameTime, ds.CineRate, ds.RecommendedDisplayFrameRate = decimal(FRAME_TIME_MS), 30, 30
    ds.HeartRate, ds.UltrasoundColorDataPresent = round(60000 / (FRAME_TIME_MS * FRAMES_PER_BEAT)), 0
    ds.LossyImageCompression = "01"
    ds.LossyImageCompressionRatio = decimal(round(pictures.nbytes / sum(map(len, encoded)), 1))
    ds.LossyImageCompressionMethod = "ISO_10918_1"
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 2
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = columns - 1, rows - rows // 10
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = DEPTH_MM / 10 / (rows - _APEX_ROW - rows // 10)
    ds.SequenceOfUltrasoundRegions = DicomSequence([region])
    ds.add_new(0x7FE00010, "OB", encapsulate(encoded))
    ds["PixelData"].is_undefined_length = True
    return ds
