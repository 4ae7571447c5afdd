"""A house with many studies, made inside PostgreSQL in seconds."""

from __future__ import annotations

import asyncpg

from dicomnet.archive.index import PATIENT_NAME_CONTEXT, institution_context
from dicomnet.keyring import Keyring

NAMES = ("王小明", "李红", "张三", "欧阳锋", "Smith^John", "陈王军", "赵敏", "刘德华", "孙悟空", "周芷若")


async def make_studies(
    owner_url: str, keyring: Keyring, institution_id: int, *, studies: int, patients: int, rare_name: str
) -> None:
    """``studies`` one minute apart, the newest now; patient 1 alone is called ``rare_name``."""
    connection = await asyncpg.connect(owner_url)
    context = institution_context(institution_id, PATIENT_NAME_CONTEXT)
    names = [*NAMES, rare_name]
    try:
        await connection.execute("create temp table known_name (n integer, sealed bytea, tokens bigint[])")
        await connection.executemany(
            "insert into known_name values ($1, $2, $3)",
            [(n, keyring.seal(name, context), keyring.blind_tokens_for_name(name)) for n, name in enumerate(names)],
        )
        await connection.execute(
            f"""
            insert into archive.patient (institution_id, patient_id, patient_name_sealed, patient_name_index, patient_sex)
              select {institution_id}, 'P' || p, sealed, tokens, case p % 2 when 0 then 'F' else 'M' end
              from generate_series(1, {patients}) p
              join known_name on n = case p when 1 then {len(NAMES)} else p % {len(NAMES)} end
              order by p;
            insert into archive.exam (institution_id, exam_identity, accession_number, patient_key)
              select {institution_id}, 'acc:{institution_id}-' || patient_key, '{institution_id}-' || patient_key, patient_key
              from archive.patient where institution_id = {institution_id};
            alter table archive.study disable trigger user;
            insert into archive.study (institution_id, study_instance_uid, exam_key, patient_key, study_at, study_date,
                                       accession_number, study_description, modalities, series_count, instance_count)
              select {institution_id}, '1.2.{institution_id}.' || s, exam_key, patient_key, now() - s * interval '1 minute',
                     to_char(now() - s * interval '1 minute', 'YYYYMMDD'), '{institution_id}-' || s, 'Chest',
                     case when s % 1000 = 0 then '{{NM}}'::text[] when s % 3 = 0 then '{{MR}}' else '{{CT}}' end, 3, 300
              from generate_series(1, {studies}) s
              join (select exam_key, patient_key, row_number() over (order by patient_key) as n from archive.exam
                    where institution_id = {institution_id}) e on e.n = 1 + s % {patients};
            alter table archive.study enable trigger user;
            insert into archive.study_term (institution_id, term, study_at, study_key)
              select institution_id, 'modality:' || modalities[1], study_at, study_key from archive.study
              where institution_id = {institution_id};
            """
        )
        await connection.execute("analyze")
    finally:
        await connection.close()
