-- One call writes one received object into the index: one round trip, one transaction, the event included.
--
-- Locks are taken in one order by every writer (patient, exam, study, series, instance, then the counters of series and
-- study), so writers of one series wait for each other's commit but never in a circle. The counters come last: their row
-- locks are held for the commit only.

create type archive.stored as (
  outcome text,              -- new | duplicate (same bytes) | differs (same UID, other bytes; nothing was written)
  instance_key bigint,
  series_key bigint,
  study_key bigint,
  object_key text,           -- of the instance that is in the index
  object_sha256 bytea
);

-- p_context holds what is needed only for the first object of a patient, exam, study or series:
--   issuer, patient_id, birth_date, sex, accession_number, study_at (local time or absent), utc_offset_minutes, study_date,
--   study_time, study_id, study_description, series_number, series_description, body_part, protocol_name, station_name
create function archive.store_instance(
  p_institution_id bigint,
  p_study_instance_uid text,
  p_series_instance_uid text,
  p_sop_instance_uid text,
  p_sop_class_uid text,
  p_transfer_syntax_uid text,
  p_modality text,
  p_instance_number integer,
  p_number_of_frames integer,
  p_image_rows integer,
  p_image_columns integer,
  p_sort_position double precision,
  p_object_key text,
  p_object_size bigint,
  p_object_sha256 bytea,
  p_open_record bytea,
  p_patient_name_sealed bytea,
  p_patient_name_index bigint[],
  p_referring_physician_sealed bytea,
  p_context jsonb
) returns archive.stored
language plpgsql as $$
declare
  result archive.stored;
  v_patient_key bigint;
  v_exam_key bigint;
  v_exam_patient_key bigint;
  v_new_series integer := 0;
  v_body_part text := coalesce(p_context->>'body_part', '');
  v_station text := coalesce(p_context->>'station_name', '');
begin
  perform set_config('cloudfilm.institution_id', p_institution_id::text, true);

  select s.series_key, s.study_key into result.series_key, result.study_key
    from archive.study t join archive.series s on s.study_key = t.study_key
   where t.institution_id = p_institution_id and t.study_instance_uid = p_study_instance_uid
     and s.institution_id = p_institution_id and s.series_instance_uid = p_series_instance_uid;

  if result.series_key is null then
    -- A UID that is stored already (in whatever study) writes nothing, not even an empty study.
    select i.instance_key, i.series_key, i.study_key, i.object_key, i.object_sha256
      into result.instance_key, result.series_key, result.study_key, result.object_key, result.object_sha256
      from archive.instance i where i.institution_id = p_institution_id and i.sop_instance_uid = p_sop_instance_uid;
    if found then
      result.outcome := case when result.object_sha256 = p_object_sha256 then 'duplicate' else 'differs' end;
      return result;
    end if;

    select study_key into result.study_key from archive.study
     where institution_id = p_institution_id and study_instance_uid = p_study_instance_uid;
    if result.study_key is null then
      v_patient_key := archive.patient_of(p_institution_id, p_patient_name_sealed, p_patient_name_index, p_context);

      insert into archive.exam (institution_id, exam_identity, accession_number, patient_key)
        values (p_institution_id,
                case when p_context->>'accession_number' <> '' then 'acc:' || (p_context->>'accession_number')
                     else 'uid:' || p_study_instance_uid end,
                p_context->>'accession_number', v_patient_key)
        on conflict (institution_id, exam_identity) do nothing returning exam_key into v_exam_key;
      if v_exam_key is null then
        select exam_key, patient_key into v_exam_key, v_exam_patient_key from archive.exam
         where institution_id = p_institution_id
           and exam_identity = case when p_context->>'accession_number' <> '' then 'acc:' || (p_context->>'accession_number')
                                    else 'uid:' || p_study_instance_uid end;
        if v_exam_patient_key <> v_patient_key then
          -- An accession number used for two patients must not join them.
          insert into archive.exam (institution_id, exam_identity, accession_number, patient_key)
            values (p_institution_id, 'uid:' || p_study_instance_uid, p_context->>'accession_number', v_patient_key)
            on conflict (institution_id, exam_identity) do update set accession_number = excluded.accession_number
            returning exam_key into v_exam_key;
        end if;
      end if;

      insert into archive.study (institution_id, study_instance_uid, exam_key, patient_key, study_at, study_date, study_time,
                                 study_id, accession_number, study_description, referring_physician_sealed)
        values (p_institution_id, p_study_instance_uid, v_exam_key, v_patient_key,
                archive.moment(p_institution_id, p_context), p_context->>'study_date', p_context->>'study_time',
                p_context->>'study_id', p_context->>'accession_number', p_context->>'study_description',
                p_referring_physician_sealed)
        on conflict (institution_id, study_instance_uid) do nothing returning study_key into result.study_key;
      if result.study_key is null then
        select study_key into result.study_key from archive.study
         where institution_id = p_institution_id and study_instance_uid = p_study_instance_uid;
      end if;
    end if;

    insert into archive.series (institution_id, study_key, series_instance_uid, modality, series_number,
                                series_description, body_part_examined, protocol_name)
      values (p_institution_id, result.study_key, p_series_instance_uid, p_modality,
              (p_context->>'series_number')::integer, p_context->>'series_description', v_body_part,
              p_context->>'protocol_name')
      on conflict (institution_id, study_key, series_instance_uid) do nothing returning series_key into result.series_key;
    if result.series_key is null then
      select series_key into result.series_key from archive.series
       where institution_id = p_institution_id and study_key = result.study_key
         and series_instance_uid = p_series_instance_uid;
    else
      v_new_series := 1;
    end if;
  end if;

  insert into archive.instance (institution_id, series_key, study_key, sop_instance_uid, sop_class_uid,
                                transfer_syntax_uid, instance_number, number_of_frames, image_rows, image_columns,
                                sort_position, object_key, object_size, object_sha256, open_record)
    values (p_institution_id, result.series_key, result.study_key, p_sop_instance_uid, p_sop_class_uid,
            p_transfer_syntax_uid, p_instance_number, p_number_of_frames, p_image_rows, p_image_columns,
            p_sort_position, p_object_key, p_object_size, p_object_sha256, p_open_record)
    on conflict (institution_id, sop_instance_uid) do nothing
    returning instance_key into result.instance_key;

  if result.instance_key is null then
    select i.instance_key, i.series_key, i.study_key, i.object_key, i.object_sha256
      into result.instance_key, result.series_key, result.study_key, result.object_key, result.object_sha256
      from archive.instance i where i.institution_id = p_institution_id and i.sop_instance_uid = p_sop_instance_uid;
    result.outcome := case when result.object_sha256 = p_object_sha256 then 'duplicate' else 'differs' end;
    return result;
  end if;

  insert into archive.event (institution_id, kind, payload)
    values (p_institution_id, 'instance_stored', jsonb_build_object(
      'instance_key', result.instance_key, 'series_key', result.series_key, 'study_key', result.study_key,
      'frames', p_number_of_frames));

  update archive.series
     set instance_count = instance_count + 1, frame_count = frame_count + p_number_of_frames,
         version = version + 1, updated_at = now()
   where series_key = result.series_key;
  update archive.study
     set instance_count = instance_count + 1, series_count = series_count + v_new_series, updated_at = now(),
         modalities = case when p_modality = '' or p_modality = any (modalities) then modalities
                           else array_append(modalities, p_modality) end,
         body_parts = case when v_body_part = '' or v_body_part = any (body_parts) or cardinality(body_parts) >= 64
                           then body_parts else array_append(body_parts, v_body_part) end,
         station_names = case when v_station = '' or v_station = any (station_names) or cardinality(station_names) >= 64
                              then station_names else array_append(station_names, v_station) end
   where study_key = result.study_key;

  result.outcome := 'new';
  result.object_key := p_object_key;
  result.object_sha256 := p_object_sha256;
  return result;
end $$;

-- The patient row of (issuer, identifier). A name that was missing is filled in; a name that is there stays.
create function archive.patient_of(p_institution_id bigint, p_name_sealed bytea, p_name_index bigint[], p_context jsonb)
returns bigint
language plpgsql as $$
declare
  v_key bigint;
begin
  insert into archive.patient (institution_id, issuer_of_patient_id, patient_id, patient_name_sealed, patient_name_index,
                               patient_birth_date, patient_sex)
    values (p_institution_id, p_context->>'issuer', p_context->>'patient_id', p_name_sealed, p_name_index,
            (p_context->>'birth_date')::date, p_context->>'sex')
    on conflict (institution_id, issuer_of_patient_id, patient_id) do nothing
    returning patient_key into v_key;
  if v_key is not null then
    return v_key;
  end if;
  select patient_key into v_key from archive.patient
   where institution_id = p_institution_id and issuer_of_patient_id = p_context->>'issuer'
     and patient_id = p_context->>'patient_id';
  update archive.patient
     set patient_name_sealed = p_name_sealed, patient_name_index = p_name_index
   where patient_key = v_key and cardinality(patient_name_index) = 0 and cardinality(p_name_index) > 0;
  update archive.patient set patient_birth_date = (p_context->>'birth_date')::date
   where patient_key = v_key and patient_birth_date is null and p_context->>'birth_date' is not null;
  update archive.patient set patient_sex = p_context->>'sex'
   where patient_key = v_key and patient_sex = '' and p_context->>'sex' <> '';
  return v_key;
end $$;

-- The moment of the study: its local date and time at its own UTC offset, else in the institution's zone, else now.
create function archive.moment(p_institution_id bigint, p_context jsonb) returns timestamptz
language sql stable as $$
  select coalesce(
    case when p_context->>'utc_offset_minutes' is not null
      then ((p_context->>'study_at')::timestamp
            - make_interval(mins => (p_context->>'utc_offset_minutes')::integer)) at time zone 'UTC'
      else (p_context->>'study_at')::timestamp
           at time zone (select time_zone from archive.institution where institution_id = p_institution_id)
    end, now())
$$;

-- Same UID, other bytes: the object is noted beside the instance and shown to the reader.
create function archive.store_conflict(
  p_institution_id bigint, p_instance_key bigint, p_object_key text, p_object_size bigint, p_object_sha256 bytea
) returns boolean
language plpgsql as $$
begin
  perform set_config('cloudfilm.institution_id', p_institution_id::text, true);
  insert into archive.conflict (institution_id, instance_key, object_key, object_size, object_sha256)
    values (p_institution_id, p_instance_key, p_object_key, p_object_size, p_object_sha256)
    on conflict (institution_id, instance_key, object_sha256) do nothing;
  if found then
    insert into archive.event (institution_id, kind, payload)
      values (p_institution_id, 'instance_conflict', jsonb_build_object('instance_key', p_instance_key));
  end if;
  return found;
end $$;

grant execute on function archive.store_instance, archive.patient_of, archive.moment, archive.store_conflict
  to cloudfilm_runtime;

-- Patients whose blind index holds all tokens. The GIN index cannot be used by a query under row-level
-- security (array containment is not leakproof); this function asks for the one institution itself.
create function archive.patients_with_tokens(p_tokens bigint[], p_limit integer)
returns table (patient_key bigint)
language sql stable security definer set search_path = archive, pg_temp
as $$
  select p.patient_key from patient p
   where p.institution_id = current_institution() and p.patient_name_index @> p_tokens
   limit p_limit
$$;
revoke execute on function archive.patients_with_tokens from public;
grant execute on function archive.patients_with_tokens to cloudfilm_runtime;

create index patient_identifier on archive.patient (institution_id, patient_id);
create index conflict_open on archive.conflict (institution_id, instance_key) where resolved_at is null;
-- Which objects belong to a row (verify looks from the store's side).
create index instance_object on archive.instance (institution_id, object_key);
