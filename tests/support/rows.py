"""A row in every table, so that a test which expects none to be seen is not vacuous."""

from __future__ import annotations

import asyncpg

# In the order of their references; $1 is the institution. A new table is added here (a test fails without it).
_STATEMENTS = (
    "update archive.institution set name = name where institution_id = $1",  # made by the fixture
    "update archive.application_entity set description = 'a' where institution_id = $1",
    "insert into archive.patient (patient_key, institution_id, patient_id, patient_name_sealed) "
    "overriding system value values (1, $1, 'P', '')",
    "insert into archive.exam (exam_key, institution_id, exam_identity, patient_key) "
    "overriding system value values (1, $1, 'acc:1', 1)",
    "insert into archive.study (study_key, institution_id, study_instance_uid, exam_key, patient_key, study_at) "
    "overriding system value values (1, $1, '1.2', 1, 1, now())",
    "insert into archive.study_term (institution_id, term, study_at, study_key) values ($1, 'modality:CT', now(), 1)",
    "insert into archive.series (series_key, institution_id, study_key, series_instance_uid) "
    "overriding system value values (1, $1, 1, '1.3')",
    "insert into archive.instance (instance_key, institution_id, series_key, study_key, sop_instance_uid, "
    "sop_class_uid, transfer_syntax_uid, object_key, object_size, object_sha256, open_record) "
    "overriding system value values (1, $1, 1, 1, '1.4', '1.5', '1.6', 'k', 1, '', '')",
    "insert into archive.conflict (institution_id, instance_key, object_key, object_size, object_sha256) "
    "values ($1, 1, 'k', 1, '')",
    "insert into archive.event (institution_id, kind, payload) values ($1, 'instance_stored', '{}')",
    "insert into archive.event_cursor (consumer, institution_id) values ('c', $1)",
    "insert into queue.job (institution_id, queue, payload) values ($1, 'q', '{}')",
    "insert into identity.user_account (user_key, institution_id, username, password_hash) "
    "overriding system value values (1, $1, 'u', '')",
    "insert into identity.session (token_sha256, institution_id, user_key, expires_at) values ('', $1, 1, now())",
    "insert into identity.api_token (token_sha256, institution_id, role, expires_at) values ('', $1, 'r', now())",
    "insert into audit.entry (institution_id, sequence_number, actor, action, previous_hash, entry_hash) "
    "values ($1, 1, 'a', 'a', '', '')",
    "insert into delivery.share (share_key, institution_id, token_sha256, code_hmac, study_key, created_by, expires_at) "
    "overriding system value values (1, $1, '', '', 1, 'u', now())",
    "insert into delivery.code_failure (institution_id, address_hmac) values ($1, '')",
    "insert into delivery.share_session (token_sha256, institution_id, share_key, expires_at) values ('', $1, 1, now())",
    "insert into viewing.prepared_picture (institution_id, series_key, series_version, kind, width, preset, "
    "renderer_version, media_type, object_key, object_size, frame_index, picture_width, picture_height, backend) "
    "values ($1, 1, 1, 'base', 1, 'file', 'v', 'image/jpeg', 'k', 1, 0, 1, 1, 'cpu')",
    "insert into viewing.frame_values (institution_id, instance_key, coder_version, object_key, dtype, shape, "
    "photometric_interpretation, frames) values ($1, 1, 'v', 'k', 'u8', '{1,1}', 'MONOCHROME2', '[]')",
    "insert into viewing.key_image (institution_id, instance_key, frame_number, study_key, marked_by) "
    "values ($1, 1, 1, 1, 'user:1')",
)


async def fill_every_table(connection: asyncpg.Connection, institution_id: int) -> None:
    """Insert with the owner's connection into a fresh database."""
    for statement in _STATEMENTS:
        await connection.execute(statement, institution_id)
