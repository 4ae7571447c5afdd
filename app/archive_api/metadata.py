"""WADO-RS metadata (PS3.18 10.4.1.1.2): DICOM JSON without bulk data, streamed as it is made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.archive_api import dicom_json as dj
from app.archive_api.errors import PartTooLargeError, ResourceNotFoundError
from app.archive_api.found import Target, audit, find, not_modified, private_headers
from app.archive_api.header_json import bulk_value, headers_json
from app.archive_api.media import DICOM_JSON, require_json
from app.http import RouteSpec
from app.identity.models import DICOMWEB_READ, Principal
from app.services import Services
from dicomnet.archive.open_record import OpenRecord, load_instances
from dicomnet.archive.query import InstanceRow

_BATCH = 16
_LARGEST_HEADER_BYTES = 256 << 20


def header_length(record: OpenRecord) -> int:
    """Bytes before the first pixel: all that metadata needs; the whole object where it has none, or is deflated."""
    if record.deflated or record.number_of_frames == 0:
        return record.object_size
    if record.frames:
        starts = [offset for frame in record.frames for offset, _ in frame[:1]]
        return min(starts, default=record.object_size)
    return record.native_offset or record.object_size


def _read_header(services: Services, record: OpenRecord) -> bytes:
    length = header_length(record)
    if length > _LARGEST_HEADER_BYTES:
        raise PartTooLargeError(limit_bytes=_LARGEST_HEADER_BYTES)
    return services.objects.read_range(record.object_key, 0, length)


def _pixel_vr(record: OpenRecord) -> str:
    if record.pixel_element in {"FloatPixelData", "DoubleFloatPixelData"}:
        return "OF" if record.pixel_element == "FloatPixelData" else "OD"
    return "OB" if record.frames or record.bits_allocated <= 8 else "OW"


async def _batch(
    services: Services, institution_id: int, rows: Sequence[InstanceRow], urls: Sequence[str]
) -> list[bytes]:
    """JSON objects of some instances, in their order."""
    records = await load_instances(services.database, institution_id, [row.instance_key for row in rows])
    if len(records) != len(rows):
        raise ResourceNotFoundError
    headers = await asyncio.to_thread(lambda: [_read_header(services, record) for record in records])
    work = [
        (header, url, record.pixel_element, _pixel_vr(record))
        for header, url, record in zip(headers, urls, records, strict=True)
    ]
    return await services.headers.run(headers_json, work)


async def _instance_urls(services: Services, institution_id: int, target: Target, base: str) -> list[str]:
    found = await services.database.fetch(
        institution_id,
        "select series_key, series_instance_uid from archive.series where series_key = any($1::bigint[])",
        list({row.series_key for row in target.rows}),
    )
    series = {row["series_key"]: row["series_instance_uid"] for row in found}
    return [
        dj.instance_url(base, target.study_instance_uid, series[row.series_key], row.sop_instance_uid)
        for row in target.rows
    ]


async def metadata(request: Request, services: Services, principal: Principal) -> Response:
    """A JSON array, one object an instance."""
    require_json(request)
    target = await find(request, services, principal)
    if unchanged := not_modified(request, target, "j"):
        return unchanged
    institution_id = principal.institution_id
    urls = await _instance_urls(services, institution_id, target, dj.base_url(request, services))
    first = await _batch(services, institution_id, target.rows[:_BATCH], urls[:_BATCH])
    await audit(services, principal, "dicomweb.metadata", target, 0)

    async def body() -> AsyncIterator[bytes]:
        yield b"[" + b",".join(first)
        for begin in range(_BATCH, len(target.rows), _BATCH):
            end = begin + _BATCH
            yield b"," + b",".join(await _batch(services, institution_id, target.rows[begin:end], urls[begin:end]))
        yield b"]"

    return StreamingResponse(body(), headers=private_headers(target, "j"), media_type=DICOM_JSON)


async def read_bulk_data(services: Services, institution_id: int, row: InstanceRow, tag: str) -> bytes:
    """Bytes of a top-level binary element outside the pixel data. Raises ResourceNotFoundError."""
    records = await load_instances(services.database, institution_id, [row.instance_key])
    if not records:
        raise ResourceNotFoundError
    header = await asyncio.to_thread(_read_header, services, records[0])
    value = await services.headers.run(bulk_value, header, int(tag, 16))
    if value is None:
        raise ResourceNotFoundError
    return value


_STUDY = "/dicom-web/studies/{study}"
ROUTES = (
    RouteSpec(_STUDY + "/metadata", metadata, DICOMWEB_READ, summary="WADO-RS metadata of a study"),
    RouteSpec(_STUDY + "/series/{series}/metadata", metadata, DICOMWEB_READ, summary="WADO-RS metadata of a series"),
    RouteSpec(
        _STUDY + "/series/{series}/instances/{instance}/metadata",
        metadata,
        DICOMWEB_READ,
        summary="WADO-RS metadata of an instance",
    ),
)
