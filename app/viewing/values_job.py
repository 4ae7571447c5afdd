"""A worker job: lossless HTJ2K codestreams of a series' frames, proven equal, kept beside the received objects.

A frame that is stored as HTJ2K already and decodes to exactly the stored values is passed through: the row then
points into the received object. One object per instance holds the codestreams of all its other frames.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from app.errors import describe_error
from app.logging import get_logger
from app.rendering.decode_pool import HARMFUL, DecodePool
from app.rendering.frame_values import CodedFrame, PreparedValues, exact_spec, save_prepared
from app.rendering.loader import decoded_here, note_fault
from app.services import Services
from dicomnet.archive.open_record import OpenRecord, load_instance, read_frame_bytes
from render.codec import decode_frame
from render.errors import CodecError
from render.values import CODER_VERSION, can_code, decodes_to, dtype_code, encode_htj2k, fingerprint, resolution_ends

VALUES = "values"
_TURN_S = 5.0  # of one job; the rest of the series follows behind other series
_HTJ2K_LOSSLESS = frozenset({"1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202"})
_LARGEST_FRAME = 1 << 28  # bytes of values; larger frames are shown by tiles only

Values = NDArray[Any]


async def enqueue_values(services: Services, institution_id: int, series_key: int) -> None:
    """Ask for the codestreams of what is new in a series; behind everything that somebody waits for."""
    await services.queue.enqueue(
        institution_id,
        VALUES,
        {"series_key": series_key},
        single_flight_key=f"values-{series_key}",
        ordering_key=f"values-{series_key}",
        priority=-2,
    )


async def code_series(services: Services, pool: DecodePool, institution_id: int, series_key: int) -> bool:
    """Code every instance that has no codestreams of this coder yet; False when time ran out."""
    deadline = time.monotonic() + _TURN_S
    rows = await services.database.fetch(
        institution_id,
        "select i.instance_key from archive.instance i where i.series_key = $1 and i.frame_trial <> 'failed' and not exists"
        " (select 1 from viewing.frame_values v where v.instance_key = i.instance_key and v.coder_version = $2)"
        " order by i.instance_key",
        series_key,
        CODER_VERSION,
    )
    for row in rows:
        if time.monotonic() > deadline:
            return False
        record = await load_instance(services.database, institution_id, row["instance_key"])
        if record is None or record.number_of_frames == 0:
            continue
        await _code_instance(services, pool, institution_id, series_key, record)
    return True


async def _code_instance(
    services: Services, pool: DecodePool, institution_id: int, series_key: int, record: OpenRecord
) -> None:
    """One row, whatever became of its frames: what cannot be coded is not tried again by every job."""
    key = f"derived/{institution_id}/{series_key}/values-{record.instance_key}-{CODER_VERSION}.jphc"
    descriptor, temporary = services.objects.open_temporary()
    kinds: set[tuple[str, tuple[int, ...], str]] = set()
    frames: list[CodedFrame | None] = []
    try:
        with os.fdopen(descriptor, "wb") as file:
            for index in range(record.number_of_frames):
                frames.append(await _code_frame(services, pool, institution_id, record, index, key, file, kinds))
        await _put(services, key, temporary, frames)
    finally:
        temporary.unlink(missing_ok=True)
    dtype, shape, photometric = next(iter(kinds), ("", (), ""))
    await save_prepared(
        services.database,
        institution_id,
        record.instance_key,
        PreparedValues(dtype, shape, photometric, tuple(frames)),
    )


async def _put(services: Services, key: str, temporary: Path, frames: Sequence[CodedFrame | None]) -> None:
    if any(frame is not None and frame.object_key == key for frame in frames):
        await asyncio.to_thread(services.objects.put_file, key, temporary)


async def _code_frame(
    services: Services,
    pool: DecodePool,
    institution_id: int,
    record: OpenRecord,
    index: int,
    key: str,
    file: BinaryIO,
    kinds: set[tuple[str, tuple[int, ...], str]],
) -> CodedFrame | None:
    """Decode, code, prove, append; None for a frame that has no codestream."""
    if str(index) in record.frame_faults:
        return None
    data = await asyncio.to_thread(read_frame_bytes, services.objects, record, index)
    try:
        values, photometric = await _decode(services, pool, institution_id, record, index, data)
        if not can_code(values) or values.nbytes > _LARGEST_FRAME:
            return None
        kind = (dtype_code(values), tuple(int(n) for n in values.shape), photometric)
        if kinds and kind not in kinds:
            return None  # the row has one kind; the render process codes such a frame on demand
        place = _stored_place(record, index)
        if place is not None and await asyncio.to_thread(_passes, data, values):
            kinds.add(kind)
            ends = resolution_ends(data)
            return CodedFrame(fingerprint(values), record.object_key, place[0], place[1], ends)
        coded = await asyncio.to_thread(encode_htj2k, values)
        kinds.add(kind)
        offset = file.tell()
        file.write(coded.data)
        return CodedFrame(fingerprint(values), key, offset, len(coded.data), coded.ends)
    except Exception as error:
        described = describe_error(error)
        if described is None or described.retryable:
            raise
        get_logger().info("values.not_coded", instance=record.instance_key, frame=index, code=described.code)
        return None


async def _decode(
    services: Services, pool: DecodePool, institution_id: int, record: OpenRecord, index: int, data: bytes
) -> tuple[Values, str]:
    """Where the frame may be decoded; a frame that harms its decoder is written down."""
    spec, photometric = exact_spec(record, data)
    if decoded_here(spec.transfer_syntax_uid, record.frame_trial):
        decoded = await asyncio.to_thread(decode_frame, data, spec)
    else:
        try:
            decoded, _, _ = await pool.decode(data, spec, owner=f"values-{institution_id}")
        except CodecError as error:
            if error.code in HARMFUL:
                await note_fault(services.database, institution_id, record.instance_key, index, error.code)
            raise
    return decoded.values, photometric or decoded.photometric_interpretation


def _stored_place(record: OpenRecord, index: int) -> tuple[int, int] | None:
    """(offset, length) of a frame that lies as one piece of HTJ2K in the received object."""
    if record.transfer_syntax_uid not in _HTJ2K_LOSSLESS or record.deflated:
        return None
    fragments = record.fragments(index)
    return fragments[0] if len(fragments) == 1 else None


def _passes(data: bytes, values: Values) -> bool:
    """A bare codestream (SOC first) that decodes to the stored values as they are."""
    return data[:2] == b"\xff\x4f" and decodes_to(data, np.ascontiguousarray(values))
