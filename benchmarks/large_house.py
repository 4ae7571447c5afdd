"""A house with a million studies, made inside PostgreSQL by ``generate_series``: 40 institutions, skewed.

Institutions shrink like 1 / rank ** 0.8 (the largest holds a sixth of the house, the smallest a hundredth); half of an
institution's studies belong to a fifth of its patients; surnames follow their frequency in China; an institution has
302 different study descriptions. Every study has an accession number, an exam and two series; ``instances_per_series``
rows stand for its images.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import asyncpg

from dicomnet.archive.index import PATIENT_NAME_CONTEXT, institution_context
from dicomnet.keyring import Keyring

YEARS = 8
# Surnames with their share of the population in per mille; the rest is spread over the last ones.
_SURNAMES = (
    *(
        ("王", 72),
        ("李", 71),
        ("张", 68),
        ("刘", 54),
        ("陈", 46),
        ("杨", 31),
        ("黄", 25),
        ("赵", 21),
        ("周", 19),
        ("吴", 18),
    ),
    *(
        ("徐", 17),
        ("孙", 16),
        ("马", 13),
        ("朱", 12),
        ("胡", 12),
        ("郭", 11),
        ("何", 11),
        ("林", 11),
        ("高", 10),
        ("罗", 9),
    ),
    *(("郑", 9), ("梁", 8), ("谢", 7), ("宋", 7), ("唐", 7), ("许", 6), ("韩", 6), ("冯", 6), ("邓", 6), ("曹", 6)),
    *(("欧阳", 1), ("上官", 1), ("司马", 1), ("诸葛", 1), ("轩辕", 1), ("慕容", 1), ("令狐", 1), ("尉迟", 1)),
)
_GIVEN = "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂兰文华建国玉梅春红志海燕波宁云飞鹏辉婷雪琳浩宇轩子涵梓欣怡佳俊"
RARE_NAME = "端木罕见"


@dataclass(frozen=True, slots=True)
class Institution:
    """What was generated for one institution. Patients are ``P1`` … and accession numbers ``A1`` … of its own."""

    institution_id: int
    studies: int
    patients: int


@dataclass(frozen=True, slots=True)
class Size:
    """How much to make."""

    studies: int = 1_000_000
    patients: int = 320_000
    institutions: int = 40
    instances_per_series: int = 1
    jobs: int = 200_000
    names: int = 4000


def names(count: int) -> list[str]:
    """Names by surname frequency, the same ones every time; the last is ``RARE_NAME``."""
    chance = random.Random(1)
    surnames = [name for name, _ in _SURNAMES]
    weights = [weight for _, weight in _SURNAMES]
    found = [
        chance.choices(surnames, weights)[0] + "".join(chance.choices(_GIVEN, k=chance.choice((1, 2, 2))))
        for _ in range(count - 1)
    ]
    return [*found, RARE_NAME]


def shares(size: Size) -> list[tuple[int, int]]:
    """(studies, patients) per institution, the largest first."""
    weights = [1 / rank**0.8 for rank in range(1, size.institutions + 1)]
    total = sum(weights)
    return [(max(50, int(size.studies * w / total)), max(20, int(size.patients * w / total))) for w in weights]


async def make_house(owner_url: str, keyring: Keyring, size: Size) -> list[Institution]:
    """Fill an empty migrated database; institutions from the largest to the smallest."""
    connection = await asyncpg.connect(owner_url)
    try:
        await connection.execute("set synchronous_commit = off")
        await connection.execute("create temp table known_name (n integer primary key, sealed bytea, tokens bigint[])")
        made: list[Institution] = []
        await connection.execute("alter table archive.study disable trigger user")
        for number, (studies, patients) in enumerate(shares(size), 1):
            institution_id = int(
                await connection.fetchval(
                    "select archive.create_institution($1, $2, $3)", f"c{number}", f"第{number}医院", f"AE{number}"
                )
            )
            await _know_names(connection, keyring, institution_id, names(size.names))
            await connection.execute(_statements(institution_id, studies, patients, size))
            made.append(Institution(institution_id, studies, patients))
        await connection.execute("alter table archive.study enable trigger user")
        await connection.execute(_jobs(made[0].institution_id, size.jobs))
        await connection.execute("vacuum analyze")
        return made
    finally:
        await connection.close()


async def _know_names(connection: asyncpg.Connection, keyring: Keyring, institution_id: int, known: list[str]) -> None:
    """Names sealed for this institution; the blind tokens are the house's and computed once."""
    context = institution_context(institution_id, PATIENT_NAME_CONTEXT)
    first = await connection.fetchval("select count(*) from known_name") == 0
    if first:
        rows = [(n, keyring.seal(name, context), keyring.blind_tokens_for_name(name)) for n, name in enumerate(known)]
        await connection.executemany("insert into known_name values ($1, $2, $3)", rows)
        return
    sealed = [keyring.seal(name, context) for name in known]
    await connection.execute(
        "update known_name k set sealed = v.sealed from unnest($1::bytea[]) with ordinality v (sealed, n)"
        " where k.n = v.n - 1",
        sealed,
    )


def _statements(institution: int, studies: int, patients: int, size: Size) -> str:
    """SQL of one institution. Every value is a number of ours."""
    instances, last_name = size.instances_per_series, size.names - 1
    return f"""
    insert into archive.patient (institution_id, patient_id, patient_name_sealed, patient_name_index, patient_sex,
                                 patient_birth_date)
      select {institution}, 'P' || p, sealed, tokens, case p % 2 when 0 then 'F' else 'M' end,
             date '1930-01-01' + (p * 7 % 32000)
      from generate_series(1, {patients}) p
      join known_name on n = case p when 1 then {last_name} else (p::bigint * 7919) % {last_name} end order by p;
    create temp table made on commit drop as
      select patient_key, row_number() over (order by patient_key) as n
      from archive.patient where institution_id = {institution};
    create unique index on made (n);
    analyze made;
    create temp table wanted on commit drop as
      select s, 'A' || s as accession_number, patient_key,
             now() - ({studies} - s) * (interval '{YEARS} years' / {studies}) as at,
             case when s % 5000 = 0 then '{{NM}}'::text[] when s % 20 < 8 then '{{CT}}' when s % 20 < 13 then '{{DX}}'
                  when s % 20 < 16 then '{{MR}}' when s % 20 < 18 then '{{US}}' when s % 20 = 18 then '{{MG}}'
                  else '{{CT,SR}}' end as modalities,
             case when s % 1000 = 0 then 'KNEE' when s % 3 = 0 then 'HEAD' else 'CHEST' end as body_part
      from generate_series(1, {studies}) s join made on n = 1 + case s % 2
        when 0 then (s::bigint * 7919) % {patients} else (s::bigint * 7919) % {max(1, patients // 5)} end;
    insert into archive.exam (institution_id, exam_identity, accession_number, patient_key)
      select {institution}, 'acc:' || accession_number, accession_number, patient_key from wanted order by s;
    insert into archive.study (institution_id, study_instance_uid, exam_key, patient_key, study_at, study_date,
                               study_time, accession_number, study_description, modalities, body_parts, series_count,
                               instance_count, received_at, updated_at)
      select {institution}, '1.2.{institution}.' || s, exam_key, w.patient_key, at, to_char(at, 'YYYYMMDD'),
             to_char(at, 'HH24MISS'), w.accession_number,
             'Chest plain' || case s % 2 when 0 then '' else ' ' || s % 301 end, modalities, array[body_part], 2,
             {2 * instances}, at, at
      from wanted w join archive.exam e
        on e.institution_id = {institution} and e.exam_identity = 'acc:' || w.accession_number order by s;
    insert into archive.study_term (institution_id, term, study_at, study_key)
      select institution_id, term, study_at, study_key
      from archive.study, lateral (select 'modality:' || m as term from unnest(modalities) m
                                   union all select 'body_part:' || b from unnest(body_parts) b) t
      where institution_id = {institution};
    insert into archive.series (institution_id, study_key, series_instance_uid, modality, series_number,
                                series_description, body_part_examined, instance_count, frame_count, version)
      select {institution}, study_key, study_instance_uid || '.' || r, modalities[1], r, 'axial', body_parts[1],
             {instances}, {instances}, 1
      from archive.study, generate_series(1, 2) r where institution_id = {institution} order by study_key;
    insert into archive.instance (institution_id, series_key, study_key, sop_instance_uid, sop_class_uid,
                                  transfer_syntax_uid, instance_number, number_of_frames, image_rows, image_columns,
                                  object_key, object_size, object_sha256, open_record, frame_trial)
      select {institution}, series_key, study_key, series_instance_uid || '.' || i, '1.2.840.10008.5.1.4.1.1.2',
             '1.2.840.10008.1.2.1', i, 1, 512, 512, {institution} || '/' || series_key || '/' || i, 526000, ''::bytea,
             ''::bytea, 'passed'
      from archive.series, generate_series(1, {instances}) i where institution_id = {institution} order by series_key;
    """


def _jobs(institution: int, count: int) -> str:
    """Half of the jobs are done, half wait; every tenth waiting one belongs to a key whose oldest job runs."""
    return f"""
    insert into queue.job (institution_id, queue, payload, ordering_key, state, run_after, finished_at, leased_until,
                           leased_by, attempts)
      select {institution}, 'prepare', jsonb_build_object('series_key', j),
             case when j % 10 = 0 then 'busy' else 'series-' || j end,
             case when j = {count // 2 + 10} then 'running' when j <= {count // 2} then 'done' else 'waiting' end,
             now() - interval '1 hour', case when j <= {count // 2} then now() end,
             case when j = {count // 2 + 10} then now() + interval '1 day' end,
             case when j = {count // 2 + 10} then 'somebody' end, 0
      from generate_series(1, {count}) j
    """
