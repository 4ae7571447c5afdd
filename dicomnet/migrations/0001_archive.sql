-- Schema of the archive. Every table carries institution_id, has row-level security forced, and is read and
-- written by the role cloudfilm_runtime only inside a transaction that has set cloudfilm.institution_id.
-- The role cloudfilm_owner (migrations, security-definer functions) sees all rows by a policy of its own.

create schema archive authorization cloudfilm_owner;
grant usage on schema archive to cloudfilm_runtime;

create function archive.current_institution() returns bigint
language sql stable parallel safe
as $$ select nullif(current_setting('cloudfilm.institution_id', true), '')::bigint $$;

-- One call protects a table: RLS on and forced, one policy per role. Used by every later migration.
create procedure archive.protect(target regclass)
language plpgsql as $$
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format('create policy owner_all on %s to cloudfilm_owner using (true) with check (true)', target);
  execute format('create policy own_institution on %s to cloudfilm_runtime '
    'using (institution_id = (select archive.current_institution())) '
    'with check (institution_id = (select archive.current_institution()))', target);
  execute format('grant select, insert, update, delete on %s to cloudfilm_runtime', target);
end $$;

create table archive.institution (
  institution_id bigint generated always as identity primary key,
  code text not null unique,
  name text not null,
  suspended boolean not null default false,
  time_zone text not null default 'Asia/Shanghai',
  path_rule text not null default '{StudyDate}/{StudyInstanceUID}/{SeriesInstanceUID}/{SOPInstanceUID}',
  created_at timestamptz not null default now()
);
call archive.protect('archive.institution');

-- The called AE title picks the institution.
create table archive.application_entity (
  ae_title text primary key,
  institution_id bigint not null references archive.institution,
  description text not null default '',
  enabled boolean not null default true
);
call archive.protect('archive.application_entity');

create table archive.patient (
  patient_key bigint generated always as identity primary key,
  institution_id bigint not null references archive.institution,
  issuer_of_patient_id text not null default '',
  patient_id text not null,
  patient_name_sealed bytea not null,
  patient_name_index bigint[] not null default '{}',   -- keyed blind index: exact, prefix, bigrams; name and pinyin
  patient_birth_date date,
  patient_sex text not null default '',
  created_at timestamptz not null default now(),
  unique (institution_id, issuer_of_patient_id, patient_id)
);
create index patient_name on archive.patient using gin (patient_name_index);
call archive.protect('archive.patient');

-- exam_identity: 'acc:' || accession number, or 'uid:' || study UID where the sender gave no accession number.
create table archive.exam (
  exam_key bigint generated always as identity primary key,
  institution_id bigint not null references archive.institution,
  exam_identity text not null,
  accession_number text not null default '',
  patient_key bigint not null references archive.patient,
  created_at timestamptz not null default now(),
  unique (institution_id, exam_identity)
);
create index exam_patient on archive.exam (patient_key);
call archive.protect('archive.exam');

create table archive.study (
  study_key bigint generated always as identity primary key,
  institution_id bigint not null references archive.institution,
  study_instance_uid text not null,
  exam_key bigint not null references archive.exam,
  patient_key bigint not null references archive.patient,
  study_at timestamptz not null,           -- date and time in the institution's zone; received time where absent
  study_date text not null default '',     -- DA as sent
  study_time text not null default '',     -- TM as sent
  study_id text not null default '',
  accession_number text not null default '',
  study_description text not null default '',
  referring_physician_sealed bytea,
  modalities text[] not null default '{}',
  body_parts text[] not null default '{}',
  station_names text[] not null default '{}',
  series_count integer not null default 0,
  instance_count integer not null default 0,
  received_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (institution_id, study_instance_uid)
);
create index study_by_time on archive.study (institution_id, study_at desc, study_key desc);
create index study_patient on archive.study (patient_key);
create index study_exam on archive.study (exam_key);
create index study_accession on archive.study (institution_id, accession_number) where accession_number <> '';
call archive.protect('archive.study');

-- Studies by what lists are filtered by, newest first. The GIN index on modalities cannot serve a query under row-level
-- security (its operator is not leakproof); equality on text can, and a rare or absent term is then found at once.
create table archive.study_term (
  institution_id bigint not null references archive.institution,
  term text not null,                            -- 'modality:CT', 'body_part:CHEST'
  study_at timestamptz not null,
  study_key bigint not null references archive.study on delete cascade,
  primary key (institution_id, term, study_at, study_key)
);
create index study_term_study on archive.study_term (study_key);
call archive.protect('archive.study_term');

create function archive.note_study_terms() returns trigger
language plpgsql as $$
begin
  if tg_op = 'UPDATE' then
    if new.study_at <> old.study_at then
      update archive.study_term set study_at = new.study_at where study_key = new.study_key;
    end if;
  end if;
  insert into archive.study_term (institution_id, term, study_at, study_key)
    select new.institution_id, 'modality:' || value, new.study_at, new.study_key from unnest(new.modalities) value
    union all
    select new.institution_id, 'body_part:' || value, new.study_at, new.study_key from unnest(new.body_parts) value
    on conflict do nothing;
  return null;
end $$;
create trigger study_terms_of_new after insert on archive.study
  for each row when (new.modalities <> '{}' or new.body_parts <> '{}') execute function archive.note_study_terms();
create trigger study_terms_of_changed after update on archive.study
  for each row when (new.modalities is distinct from old.modalities or new.body_parts is distinct from old.body_parts
    or new.study_at <> old.study_at) execute function archive.note_study_terms();

create table archive.series (
  series_key bigint generated always as identity primary key,
  institution_id bigint not null references archive.institution,
  study_key bigint not null references archive.study,
  series_instance_uid text not null,
  modality text not null default '',
  series_number integer,
  series_description text not null default '',
  body_part_examined text not null default '',
  protocol_name text not null default '',
  instance_count integer not null default 0,
  frame_count integer not null default 0,     -- frames that are pictures; 0 = nothing to show (SR, PDF …)
  version bigint not null default 0,          -- grows with each new instance; prepared things are keyed by it
  received_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (institution_id, study_key, series_instance_uid)
);
create index series_study on archive.series (study_key, series_number);
call archive.protect('archive.series');

create table archive.instance (
  instance_key bigint generated always as identity primary key,
  institution_id bigint not null references archive.institution,
  series_key bigint not null references archive.series,
  study_key bigint not null references archive.study,
  sop_instance_uid text not null,
  sop_class_uid text not null,
  transfer_syntax_uid text not null,
  instance_number integer,
  number_of_frames integer not null default 0,   -- 0 = no pixels
  image_rows integer not null default 0,
  image_columns integer not null default 0,
  sort_position double precision,                -- dot(ImagePositionPatient, normal) in mm, where known
  object_key text not null,                      -- key in the object store
  object_size bigint not null,
  object_sha256 bytea not null,
  open_record bytea not null,                    -- dicomnet.archive.open_record, orjson, zlib
  frame_trial text not null default 'pending',   -- pending | passed | failed
  frame_faults jsonb not null default '{}',      -- {"frame index": "code"} of frames never to be decoded in a shared process
  received_at timestamptz not null default now(),
  unique (institution_id, sop_instance_uid)
);
create index instance_series on archive.instance (series_key, instance_key);
create index instance_study on archive.instance (study_key);
call archive.protect('archive.instance');

-- Same SOP Instance UID, other bytes: kept aside, shown to the reader, never overwriting.
create table archive.conflict (
  conflict_key bigint generated always as identity primary key,
  institution_id bigint not null references archive.institution,
  instance_key bigint not null references archive.instance,
  object_key text not null,
  object_size bigint not null,
  object_sha256 bytea not null,
  received_at timestamptz not null default now(),
  resolved_at timestamptz,
  unique (institution_id, instance_key, object_sha256)
);
call archive.protect('archive.conflict');

-- Durable events. A consumer reads only what is older than pg_snapshot_xmin, so commits out of order are not missed.
create table archive.event (
  event_id bigint generated always as identity primary key,
  transaction_id xid8 not null default pg_current_xact_id(),
  institution_id bigint not null references archive.institution,
  kind text not null,                            -- 'instance_stored'
  payload jsonb not null,
  at timestamptz not null default now()
);
create index event_order on archive.event (transaction_id, event_id);
call archive.protect('archive.event');

create table archive.event_cursor (
  consumer text primary key,
  institution_id bigint,                         -- null: a consumer of the whole house (owner functions only)
  transaction_id xid8 not null default '0',
  event_id bigint not null default 0,
  updated_at timestamptz not null default now()
);
call archive.protect('archive.event_cursor');

-- Look-ups before the institution is known. Narrow, and the only way around the policies.
create function archive.resolve_called_ae(title text)
returns table (institution_id bigint, suspended boolean)
language sql stable security definer set search_path = archive, pg_temp
as $$
  select i.institution_id, i.suspended or not e.enabled
  from application_entity e join institution i using (institution_id)
  where e.ae_title = title
$$;

create function archive.resolve_institution(institution_code text)
returns bigint language sql stable security definer set search_path = archive, pg_temp
as $$ select institution_id from institution where code = institution_code $$;

create function archive.institutions_for_house()
returns table (institution_id bigint, code text, name text, suspended boolean)
language sql stable security definer set search_path = archive, pg_temp
as $$ select institution_id, code, name, suspended from institution order by institution_id $$;

-- Creates an institution with its AE title; the caller is the command line or a super administrator.
create function archive.create_institution(new_code text, new_name text, new_ae_title text)
returns bigint language plpgsql security definer set search_path = archive, pg_temp
as $$
declare created bigint;
begin
  insert into institution (code, name) values (new_code, new_name) returning institution_id into created;
  if new_ae_title <> '' then
    insert into application_entity (ae_title, institution_id) values (new_ae_title, created);
  end if;
  return created;
end $$;

create function archive.set_institution_suspended(institution_code text, value boolean)
returns bigint language sql security definer set search_path = archive, pg_temp
as $$ update institution set suspended = value where code = institution_code returning institution_id $$;

-- Events of the whole house after a consumer's cursor, and only those that no running transaction can precede.
create function archive.read_events(consumer_name text, max_rows integer)
returns table (event_id bigint, transaction_id xid8, institution_id bigint, kind text, payload jsonb, at timestamptz)
language sql stable security definer set search_path = archive, pg_temp
as $$
  select e.event_id, e.transaction_id, e.institution_id, e.kind, e.payload, e.at
  from event e
  where e.transaction_id < pg_snapshot_xmin(pg_current_snapshot())
    -- Scalar sub-queries, not a join: so the index starts at the cursor instead of at the first event ever.
    and (e.transaction_id, e.event_id) > (
      coalesce((select c.transaction_id from event_cursor c where c.consumer = consumer_name), '0'::xid8),
      coalesce((select c.event_id from event_cursor c where c.consumer = consumer_name), 0))
  order by e.transaction_id, e.event_id
  limit max_rows
$$;

create function archive.commit_cursor(consumer_name text, last_transaction xid8, last_event bigint)
returns void language sql security definer set search_path = archive, pg_temp
as $$
  insert into event_cursor (consumer, transaction_id, event_id) values (consumer_name, last_transaction, last_event)
  on conflict (consumer) do update
    set transaction_id = excluded.transaction_id, event_id = excluded.event_id, updated_at = now()
    where (excluded.transaction_id, excluded.event_id) > (event_cursor.transaction_id, event_cursor.event_id)
$$;

revoke execute on all functions in schema archive from public;
grant execute on function archive.current_institution(), archive.resolve_called_ae(text), archive.resolve_institution(text),
  archive.institutions_for_house(), archive.create_institution(text, text, text),
  archive.set_institution_suspended(text, boolean), archive.read_events(text, integer),
  archive.commit_cursor(text, xid8, bigint) to cloudfilm_runtime;
