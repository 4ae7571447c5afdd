"""Exact values out of the render process: what frames hold (with their hash), and their bytes as HTJ2K or raw."""

from __future__ import annotations

import asyncio
import base64
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from app.errors import describe_error
from app.rendering.errors import SeriesNotFoundError, ValuesTooLargeError, ValuesUnavailableError
from app.rendering.frame_values import CodedFrame, PreparedCache, PreparedValues, fidelity
from app.rendering.frames import FramePlace, pixel_aspect
from app.rendering.loader import FrameLoader
from app.rendering.series import OpenSeries
from app.rendering.values_request import GZIP, HTJ2K, MOST_DESCRIBED
from dicomnet.archive.lut import Lut
from dicomnet.archive.objects import ObjectError, Objects
from dicomnet.database import Database
from render.values import can_code, deflated, dtype_code, encode_htj2k, fingerprint, packed

LARGEST_BYTES = 60 << 20  # of one frame's values: what one message of the socket holds (app/rendering/wire.py)
NOT_PREPARED = "values.not_prepared"  # a frame whose codestream the worker has not made yet
_AT_ONCE = 2  # frames decoded, hashed or coded at once for this purpose; pictures go on beside them
_MOST_HASHES = 20_000


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a decoded frame turned out to be."""

    sha256: str
    dtype: str
    shape: tuple[int, ...]
    photometric_interpretation: str
    codable: bool


class ValuesSource:
    """Prepared codestreams where the worker made them; decoded, hashed and coded on demand where it has not yet."""

    def __init__(self, database: Database, objects: Objects, loader: FrameLoader, threads: ThreadPoolExecutor) -> None:
        self._objects = objects
        self._loader = loader
        self._threads = threads
        self._prepared = PreparedCache(database)
        self._facts: OrderedDict[tuple[int, int, int], _Facts] = OrderedDict()
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def describe(
        self, series: OpenSeries, first: int, count: int, *, only_prepared: bool = False
    ) -> dict[str, Any]:
        """The values manifest of at most 64 frames (docs/values.md). Raises SeriesNotFoundError.

        ``only_prepared``: frames without a codestream yet are told as ``values.not_prepared`` instead of being decoded.
        """
        if not 0 <= first < len(series.frames) or count < 1:
            raise SeriesNotFoundError(frame_index=first)
        places = series.frames[first : first + min(count, MOST_DESCRIBED)]
        prepared = await self._prepared.get(series.institution_id, [p.record.instance_key for p in places])
        frames = await asyncio.gather(*(self._describe_one(series, place, prepared, only_prepared) for place in places))
        return {"series": series.series_key, "version": series.version, "first": first, "frames": frames}

    async def _describe_one(
        self, series: OpenSeries, place: FramePlace, prepared: dict[int, PreparedValues], only_prepared: bool
    ) -> dict[str, Any]:
        """A frame whose values cannot be had is told by its code and costs no other."""
        values = prepared.get(place.record.instance_key)
        coded = _coded(values, place)
        if values is not None and coded is not None:
            facts = _Facts(coded.sha256, values.dtype, values.shape, values.photometric_interpretation, True)
        elif only_prepared:
            return {"problem": NOT_PREPARED}
        else:
            try:
                facts = await self._fact(series, place)
            except Exception as error:
                described = describe_error(error)
                if described is None or described.retryable:
                    raise
                return {"problem": described.code}
        return {
            "sha256": facts.sha256,
            "dtype": facts.dtype,
            "shape": list(facts.shape),
            "photometric_interpretation": facts.photometric_interpretation,
            "htj2k": facts.codable,
            "bytes": coded.length if coded is not None else None,
            "ends": list(coded.ends) if coded is not None else [],
            **describe_meaning(place),
        }

    async def _fact(self, series: OpenSeries, place: FramePlace) -> _Facts:
        key = (series.institution_id, place.record.instance_key, place.frame_index)
        known = self._facts.get(key)
        if known is not None:
            return known
        async with self._slots:
            decoded = await self._loader.exact(series, place)

            def look() -> _Facts:
                values = decoded.values
                shape = tuple(int(n) for n in values.shape)
                photometric = decoded.photometric_interpretation
                return _Facts(fingerprint(values), dtype_code(values), shape, photometric, can_code(values))

            facts = await asyncio.get_running_loop().run_in_executor(self._threads, look)
        self._facts[key] = facts
        while len(self._facts) > _MOST_HASHES:
            self._facts.popitem(last=False)
        return facts

    async def values(self, series: OpenSeries, place: FramePlace, coding: str) -> tuple[dict[str, Any], bytes]:
        """({sha256, coding}, bytes) of one frame.

        Raises CodecError, FrameFaultError, ObjectError, UnsupportedValuesError, UnequalCodestreamError,
        ValuesUnavailableError, ValuesTooLargeError.
        """
        prepared = await self._prepared.get(series.institution_id, [place.record.instance_key])
        coded = _coded(prepared.get(place.record.instance_key), place)
        if coding == HTJ2K and coded is not None:
            with suppress(ObjectError):  # the row outlived its object: coded anew
                data = await asyncio.get_running_loop().run_in_executor(
                    self._threads, self._objects.read_range, coded.object_key, coded.offset, coded.length
                )
                return {"sha256": coded.sha256, "coding": HTJ2K}, data
        facts = await self._fact(series, place)
        if coding == HTJ2K and not facts.codable:
            raise ValuesUnavailableError(dtype=facts.dtype)
        async with self._slots:
            decoded = await self._loader.exact(series, place)
            if decoded.values.nbytes > LARGEST_BYTES:
                raise ValuesTooLargeError(length_bytes=int(decoded.values.nbytes))

            def code() -> bytes:
                if coding == HTJ2K:
                    return encode_htj2k(decoded.values).data
                raw = packed(decoded.values)
                return deflated(raw) if coding == GZIP else raw

            data = await asyncio.get_running_loop().run_in_executor(self._threads, code)
        return {"sha256": facts.sha256, "coding": coding}, data


def _coded(prepared: PreparedValues | None, place: FramePlace) -> CodedFrame | None:
    if prepared is None or place.frame_index >= len(prepared.frames):
        return None
    return prepared.frames[place.frame_index]


def describe_meaning(place: FramePlace) -> dict[str, Any]:
    """From stored values to what they mean and how they are shown (PS3.3 C.7.6.3, C.11.1, C.11.2). No names or UIDs."""
    record = place.record
    slope, intercept = place.value("rescale_slope"), place.value("rescale_intercept")
    windows = place.value("voi_windows") or ()
    meaning: dict[str, Any] = {
        "fidelity": fidelity(record),
        "bits_stored": record.bits_stored,
        "modality": record.modality,
        "rescale_slope": float(slope) if slope else 1.0,
        "rescale_intercept": float(intercept or 0.0),
        "unit": unit_of(place),
        "modality_lut": _table(record.modality_lut),
        "windows": [[float(w[0]), float(w[1])] for w in windows][:8],
        "voi_lut_function": place.value("voi_lut_function") or "LINEAR",
        "voi_lut": _table(record.voi_luts[0]) if record.voi_luts and not windows else None,
        "palette": None,
        "padding_value": record.pixel_padding_value,
        "padding_range_limit": record.pixel_padding_range_limit,
        "inverse": record.presentation_lut_shape == "INVERSE" and record.photometric_interpretation != "MONOCHROME1",
        "pixel_aspect": pixel_aspect(place),
    }
    if record.palette is not None and record.photometric_interpretation == "PALETTE COLOR":
        meaning["palette"] = [_table(t) for t in (record.palette.red, record.palette.green, record.palette.blue)]
    return meaning


def unit_of(place: FramePlace) -> str:
    """The unit of modality values: Rescale Type (PS3.3 C.11.1.1.2), HU for CT whose file gives none, else ''."""
    said = str(place.value("rescale_type") or "")
    if said and said != "US":
        return said
    image_type = place.record.image_type
    localizer = len(image_type) >= 3 and image_type[2] == "LOCALIZER"
    return "HU" if not said and place.record.modality == "CT" and not localizer else ""


def _table(lut: Lut | None) -> dict[str, Any] | None:
    if lut is None or not len(lut.values):
        return None
    data = base64.b64encode(lut.values.astype("<u2").tobytes()).decode("ascii")
    return {"first_mapped": lut.first_mapped, "bits": lut.bits, "data": data}
