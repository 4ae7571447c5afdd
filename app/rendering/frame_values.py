"""Prepared values of a frame: which codestream, where it lies, what it decodes to; and what of a file is exact."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from dicomnet.archive.open_record import OpenRecord, frame_spec
from dicomnet.database import Database
from render.codec import FrameSpec
from render.codestream import j2k_component_transform
from render.errors import CodecError
from render.values import CODER_VERSION

_JPEG = "1.2.840.10008.1.2.4."
# Retired JPEG processes 1-5 and near-lossless JPEG-LS lose; these may (PS3.5 A.4.4, A.4.10): the file says it.
_LOSSY = frozenset({_JPEG + kind for kind in ("50", "51", "53", "55", "81")})
_PERHAPS_LOSSY = frozenset({_JPEG + kind for kind in ("91", "93", "203")})
_JPEG_2000 = frozenset({_JPEG + kind for kind in ("90", "91", "92", "93", "201", "202", "203")})
_MOST_CACHED_FRAMES = 100_000


@dataclass(frozen=True, slots=True)
class CodedFrame:
    """One HTJ2K codestream inside an object. ``ends``: bytes after which each resolution is complete."""

    sha256: str
    object_key: str
    offset: int
    length: int
    ends: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PreparedValues:
    """An instance's codestreams; None for a frame that could not be coded."""

    dtype: str
    shape: tuple[int, ...]
    photometric_interpretation: str
    frames: tuple[CodedFrame | None, ...]


def exact_spec(record: OpenRecord, data: bytes) -> tuple[FrameSpec, str]:
    """(how to decode a frame without converting its colours, photometric interpretation of the values or '').

    YBR_FULL of lossless syntaxes stays as stored; the client converts for display. '' = as the decoder says.
    """
    spec = frame_spec(record)
    if not keeps_ybr(record):
        return spec, ""
    if record.transfer_syntax_uid in _JPEG_2000:
        try:
            if j2k_component_transform(data):
                return spec, "RGB"
        except CodecError:
            return spec, ""
    return replace(spec, photometric_interpretation="RGB"), "YBR_FULL"


def keeps_ybr(record: OpenRecord) -> bool:
    """Whether the stored samples are YBR_FULL and can be given so."""
    lossless = record.transfer_syntax_uid not in _LOSSY
    return record.samples_per_pixel == 3 and record.photometric_interpretation == "YBR_FULL" and lossless


def fidelity(record: OpenRecord) -> str:
    """How the values relate to those of the sender's detector and file.

    ``stored``: the file's values; ``lossy``: the file's values, which an earlier lossy compression changed (PS3.3
    C.7.6.1.1.5); ``converted``: colours that had to be converted, so that they are no stored values.
    """
    syntax, said = record.transfer_syntax_uid, record.lossy_image_compression
    if syntax in _LOSSY or said == "01" or (syntax in _PERHAPS_LOSSY and said != "00"):
        return "lossy"
    subsampled = record.photometric_interpretation in ("YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420")
    return "converted" if subsampled and record.samples_per_pixel == 3 else "stored"


async def save_prepared(database: Database, institution_id: int, instance_key: int, values: PreparedValues) -> None:
    """Write the row of an instance; one of an older coder is replaced."""
    frames = [None if f is None else [f.sha256, f.offset, f.length, *f.ends] for f in values.frames]
    key = next((frame.object_key for frame in values.frames if frame is not None), "")
    await database.execute(
        institution_id,
        """
        insert into viewing.frame_values (institution_id, instance_key, coder_version, object_key, dtype, shape,
          photometric_interpretation, frames)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict (institution_id, instance_key) do update set coder_version = excluded.coder_version,
          object_key = excluded.object_key, dtype = excluded.dtype, shape = excluded.shape,
          photometric_interpretation = excluded.photometric_interpretation, frames = excluded.frames""",
        institution_id,
        instance_key,
        CODER_VERSION,
        key,
        values.dtype,
        list(values.shape),
        values.photometric_interpretation,
        frames,
    )


class PreparedCache:
    """Rows of ``viewing.frame_values`` that were read; they never change, so the bound is all they need."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows: OrderedDict[tuple[int, int], PreparedValues] = OrderedDict()
        self._frames = 0

    async def get(self, institution_id: int, instance_keys: Sequence[int]) -> dict[int, PreparedValues]:
        """What is prepared of these instances: at most one query."""
        wanted = set(instance_keys)
        found = {key: self._rows[(institution_id, key)] for key in wanted if (institution_id, key) in self._rows}
        missing = [key for key in wanted if key not in found]
        if missing:
            rows = await self._database.fetch(
                institution_id,
                "select instance_key, object_key, dtype, shape, photometric_interpretation, frames"
                " from viewing.frame_values where instance_key = any($1::bigint[]) and coder_version = $2",
                missing,
                CODER_VERSION,
            )
            for row in rows:
                found[row["instance_key"]] = self._keep((institution_id, row["instance_key"]), _from_row(row))
        return found

    def _keep(self, key: tuple[int, int], values: PreparedValues) -> PreparedValues:
        self._rows[key] = values
        self._frames += len(values.frames)
        while self._frames > _MOST_CACHED_FRAMES and len(self._rows) > 1:
            self._frames -= len(self._rows.popitem(last=False)[1].frames)
        return values


def _from_row(row: Any) -> PreparedValues:
    frames = tuple(
        None if entry is None else CodedFrame(entry[0], row["object_key"], entry[1], entry[2], tuple(entry[3:]))
        for entry in row["frames"]
    )
    return PreparedValues(row["dtype"], tuple(row["shape"]), row["photometric_interpretation"], frames)
