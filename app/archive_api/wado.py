"""WADO-RS (PS3.18 10.4): instances as they were stored, frames as they lie in them, bulk data.

Objects are streamed in chunks read by threads; nothing is decoded and no object is held whole.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence

import numpy as np
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.archive_api import dicom_json as dj
from app.archive_api.errors import BadParameterError, ResourceNotFoundError
from app.archive_api.found import Target, audit, find, not_modified, private_headers
from app.archive_api.media import DICOM, accepted, choose, frame_media
from app.archive_api.metadata import read_bulk_data
from app.archive_api.multipart import PartHeader, closing, new_boundary
from app.http import RouteSpec
from app.identity.models import DICOMWEB_READ, Principal
from app.services import Services
from dicomnet.archive.open_record import OpenRecord, load_instance, read_frame_bytes
from dicomnet.archive.query import InstanceRow

_MOST_FRAMES = 2000
_CHUNK_BYTES = 1 << 20
INSTANCE = "/dicom-web/studies/{study}/series/{series}/instances/{instance}"


async def _object_chunks(services: Services, key: str) -> AsyncIterator[bytes]:
    chunks = services.objects.chunks(key, _CHUNK_BYTES)
    while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
        yield chunk


async def _instances_in_parts(services: Services, rows: Sequence[InstanceRow], boundary: str) -> AsyncIterator[bytes]:
    for row in rows:
        yield PartHeader(f"{DICOM}; transfer-syntax={row.transfer_syntax_uid}").encode(boundary)
        async for chunk in _object_chunks(services, row.object_key):
            yield chunk
    yield closing(boundary)


async def retrieve(request: Request, services: Services, principal: Principal) -> Response:
    """A study, series or instance: the stored bytes, in parts or (one instance) as one file."""
    target = await find(request, services, principal)
    syntaxes = {row.transfer_syntax_uid for row in target.rows}
    chosen = choose(accepted(request), {DICOM}, syntaxes, len(target.rows))
    salt = "m" if chosen.multipart else "s"
    if unchanged := not_modified(request, target, salt):
        return unchanged
    frames = sum(row.number_of_frames for row in target.rows)
    await audit(services, principal, "dicomweb.retrieve", target, frames)
    headers = private_headers(target, salt)
    if not chosen.multipart:
        headers["Content-Length"] = str(target.rows[0].object_size)
        return StreamingResponse(_object_chunks(services, target.rows[0].object_key), headers=headers, media_type=DICOM)
    boundary = new_boundary()
    return StreamingResponse(
        _instances_in_parts(services, target.rows, boundary),
        headers=headers,
        media_type=f'multipart/related; type="{DICOM}"; boundary={boundary}',
    )


def parse_frames(text: str, number_of_frames: int) -> list[int]:
    """0-based indexes of ``1,2,5``. Raises BadParameterError, ResourceNotFoundError."""
    parts = text.split(",")
    if len(parts) > _MOST_FRAMES or not all(re.fullmatch(r"[0-9]{1,9}", part) for part in parts):
        raise BadParameterError(parameter="frames")
    indexes = [int(part) - 1 for part in parts]
    if not all(0 <= index < number_of_frames for index in indexes):
        raise ResourceNotFoundError(frames=number_of_frames)
    return indexes


def frame_bytes(services: Services, record: OpenRecord, index: int) -> bytes:
    """One frame as it goes out: a codestream as stored, native samples in little endian order (blocking)."""
    data = read_frame_bytes(services.objects, record, index)
    if record.frames or record.bits_allocated <= 8:
        return np.frombuffer(data, "<u2").byteswap().tobytes() if record.swapped_words and len(data) % 2 == 0 else data
    if record.little_endian:
        return data
    return np.frombuffer(data, f"<u{record.bits_allocated // 8}").byteswap().tobytes()


async def record_of(services: Services, principal: Principal, row: InstanceRow) -> OpenRecord:
    """The instance's open record. Raises ResourceNotFoundError."""
    record = await load_instance(services.database, principal.institution_id, row.instance_key)
    if record is None or record.number_of_frames == 0:
        raise ResourceNotFoundError
    return record


async def frames(request: Request, services: Services, principal: Principal) -> Response:
    """``…/frames/1,2``: octets of native frames, codestreams of compressed ones, each in its media type."""
    target = await find(request, services, principal)
    record = await record_of(services, principal, target.rows[0])
    indexes = parse_frames(str(request.path_params["frames"]), record.number_of_frames)
    return await _send_frames(request, services, principal, target, record, indexes)


async def _send_frames(
    request: Request,
    services: Services,
    principal: Principal,
    target: Target,
    record: OpenRecord,
    indexes: list[int],
) -> Response:
    media_type, syntax = frame_media(record.transfer_syntax_uid, encapsulated=bool(record.frames))
    chosen = choose(accepted(request), {media_type}, {syntax}, len(indexes))
    salt = ("m" if chosen.multipart else "s") + "-".join(map(str, indexes[:20]))
    if len(indexes) <= 20 and (unchanged := not_modified(request, target, salt)):
        return unchanged
    await audit(services, principal, "dicomweb.frames", target, len(indexes))
    headers = private_headers(target, salt) if len(indexes) <= 20 else {"Cache-Control": "private, no-store"}
    first = await asyncio.to_thread(frame_bytes, services, record, indexes[0])
    content_type = f"{media_type}; transfer-syntax={syntax}"
    if not chosen.multipart:
        return Response(first, headers=headers, media_type=content_type)
    boundary = new_boundary()
    base = dj.base_url(request, services)
    paths = request.path_params
    where = dj.instance_url(base, paths["study"], paths["series"], record.sop_instance_uid)

    async def body() -> AsyncIterator[bytes]:
        for position, index in enumerate(indexes):
            data = first if position == 0 else await asyncio.to_thread(frame_bytes, services, record, index)
            yield PartHeader(content_type, f"{where}/frames/{index + 1}").encode(boundary) + data
        yield closing(boundary)

    return StreamingResponse(
        body(), headers=headers, media_type=f'multipart/related; type="{media_type}"; boundary={boundary}'
    )


async def bulk_data(request: Request, services: Services, principal: Principal) -> Response:
    """``…/bulkdata/{tag}``: pixel data is sent as its frames, other elements as octets."""
    tag = str(request.path_params["tag"]).upper()
    if re.fullmatch(r"[0-9A-F]{8}", tag) is None:
        raise BadParameterError(parameter="tag")
    target = await find(request, services, principal)
    row = target.rows[0]
    if tag in {"7FE00010", "7FE00008", "7FE00009"}:
        record = await record_of(services, principal, row)
        if record.number_of_frames > _MOST_FRAMES:
            raise BadParameterError(parameter="tag", most_frames=_MOST_FRAMES)
        return await _send_frames(request, services, principal, target, record, list(range(record.number_of_frames)))
    chosen = choose(accepted(request), {"application/octet-stream"}, {"1.2.840.10008.1.2.1"}, 1)
    data = await read_bulk_data(services, principal.institution_id, row, tag)
    await audit(services, principal, "dicomweb.bulkdata", target, 0)
    headers = private_headers(target, tag)
    if not chosen.multipart:
        return Response(data, headers=headers, media_type="application/octet-stream")
    boundary = new_boundary()
    body = PartHeader("application/octet-stream").encode(boundary) + data + closing(boundary)
    return Response(
        body, headers=headers, media_type=f'multipart/related; type="application/octet-stream"; boundary={boundary}'
    )


ROUTES = (
    RouteSpec("/dicom-web/studies/{study}", retrieve, DICOMWEB_READ, summary="WADO-RS study"),
    RouteSpec("/dicom-web/studies/{study}/series/{series}", retrieve, DICOMWEB_READ, summary="WADO-RS series"),
    RouteSpec(INSTANCE, retrieve, DICOMWEB_READ, summary="WADO-RS instance"),
    RouteSpec(INSTANCE + "/frames/{frames}", frames, DICOMWEB_READ, summary="WADO-RS frames"),
    RouteSpec(INSTANCE + "/bulkdata/{tag}", bulk_data, DICOMWEB_READ, summary="WADO-RS bulk data"),
)
