"""Key images: which frames of a study staff marked. Kept per institution, at most 500 of a study."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.errors import AppError
from dicomnet.database import Database

MOST_PER_STUDY = 500

_LIST = """
select i.sop_instance_uid, k.frame_number, i.series_key, k.marked_at, coalesce(u.username, '') as username
  from viewing.key_image k
  join archive.instance i using (instance_key)
  left join identity.user_account u on k.marked_by = 'user:' || u.user_key
 where k.study_key = $1
 order by i.series_key, i.instance_number nulls last, i.instance_key, k.frame_number
"""
_INSTANCE = """
select instance_key from archive.instance
 where institution_id = $1 and study_key = $2 and sop_instance_uid = $3 and number_of_frames >= $4
"""
_MARK = """
insert into viewing.key_image (institution_id, instance_key, frame_number, study_key, marked_by)
  select $1, $2, $3, $4, $5 where (select count(*) from viewing.key_image where study_key = $4) < $6
"""
_IS_MARKED = "select 1 from viewing.key_image where instance_key = $1 and frame_number = $2"
_UNMARK = "delete from viewing.key_image where instance_key = $1 and frame_number = $2"


class UnknownImageError(AppError):
    """The study has no such image."""

    code = "key_image.unknown_image"
    message = {"zh": "该检查中没有这幅图像", "en": "The study has no such image"}


class TooManyKeyImagesError(AppError):
    """The study has as many as it may have; ``data['most']`` says how many."""

    code = "key_image.too_many"
    message = {"zh": "关键影像已达上限，请先取消一些", "en": "The study has its most key images: unmark some first"}


@dataclass(frozen=True, slots=True)
class KeyImage:
    """One marked frame; ``frame_number`` counts from 1 within the instance."""

    sop_instance_uid: str
    frame_number: int
    series_key: int
    username: str  # of who marked it; '' where the account is gone
    marked_at: datetime


async def key_images_of(database: Database, institution_id: int, study_key: int) -> list[KeyImage]:
    """All of a study, by series and image."""
    rows = await database.fetch(institution_id, _LIST, study_key)
    return [
        KeyImage(row["sop_instance_uid"], row["frame_number"], row["series_key"], row["username"], row["marked_at"])
        for row in rows
    ]


async def set_key_image(
    database: Database,
    institution_id: int,
    study_key: int,
    sop_instance_uid: str,
    frame_number: int,
    *,
    marked_by: str,
    marked: bool,
) -> int | None:
    """Mark or unmark a frame: its instance's key, None where it was so already (who marked it first stays).

    Raises UnknownImageError, TooManyKeyImagesError.
    """
    async with database.transaction(institution_id) as connection:
        # Two who mark at once must not pass the bound together.
        await connection.execute("select pg_advisory_xact_lock(hashtext('viewing.key_image'), $1)", study_key % 2**31)
        instance_key = await connection.fetchval(_INSTANCE, institution_id, study_key, sop_instance_uid, frame_number)
        if instance_key is None:
            raise UnknownImageError
        if (await connection.fetchval(_IS_MARKED, instance_key, frame_number) is not None) == marked:
            return None
        if not marked:
            await connection.execute(_UNMARK, instance_key, frame_number)
            return int(instance_key)
        written = await connection.execute(
            _MARK, institution_id, instance_key, frame_number, study_key, marked_by, MOST_PER_STUDY
        )
        if written != "INSERT 0 1":
            raise TooManyKeyImagesError(most=MOST_PER_STUDY)
        return int(instance_key)
