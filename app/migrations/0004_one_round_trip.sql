-- What every request for a picture does, in one round trip and one commit each: the audit entry and the look-up.
-- Both run with the caller's rights under row-level security; they only name the institution themselves.

-- Append entries to an institution's chain, when it still ends where the caller believes: the caller has hashed them
-- behind that end. Otherwise nothing is written and the answer tells where the chain ends now.
create function audit.append(
  p_institution_id bigint,
  p_sequence_number bigint,                        -- of the last entry that the caller knows; 0 of an empty chain
  p_previous_hash bytea,
  p_at timestamptz[],
  p_actor text[],
  p_action text[],
  p_study_key bigint[],
  p_series_key bigint[],
  p_quality text[],
  p_frame_count integer[],
  p_outcome text[],
  p_correlation_id text[],
  p_details jsonb[],
  p_entry_hash bytea[]
) returns table (appended boolean, sequence_number bigint, entry_hash bytea)
language plpgsql as $$
declare
  v_number bigint := 0;
  v_hash bytea := decode(repeat('00', 32), 'hex');
begin
  perform set_config('cloudfilm.institution_id', p_institution_id::text, true);
  perform pg_advisory_xact_lock(hashtext('cloudfilm.audit'), p_institution_id::integer);
  select e.sequence_number, e.entry_hash into v_number, v_hash from audit.entry e
   where e.institution_id = p_institution_id order by e.sequence_number desc limit 1;
  if not found then
    v_number := 0;
    v_hash := decode(repeat('00', 32), 'hex');
  end if;
  if v_number <> p_sequence_number or v_hash <> p_previous_hash then
    return query select false, v_number, v_hash;
    return;
  end if;
  insert into audit.entry (institution_id, sequence_number, at, actor, action, study_key, series_key, quality,
                           frame_count, outcome, correlation_id, details, previous_hash, entry_hash)
    select p_institution_id, p_sequence_number + i, p_at[i], p_actor[i], p_action[i], p_study_key[i], p_series_key[i],
           p_quality[i], p_frame_count[i], p_outcome[i], p_correlation_id[i], p_details[i],
           case when i = 1 then p_previous_hash else p_entry_hash[i - 1] end, p_entry_hash[i]
      from generate_subscripts(p_entry_hash, 1) as i;
  return query select true, p_sequence_number + cardinality(p_entry_hash), p_entry_hash[cardinality(p_entry_hash)];
end $$;

-- Instances named by the UIDs of their study, series and themselves, each with what pictures need of its series.
create function viewing.find_instances(
  p_institution_id bigint, p_study_instance_uid text[], p_series_instance_uid text[], p_sop_instance_uid text[]
) returns table (
  place integer, instance_key bigint, series_key bigint, study_key bigint, sop_instance_uid text, sop_class_uid text,
  transfer_syntax_uid text, instance_number integer, number_of_frames integer, image_rows integer,
  image_columns integer, object_key text, object_size bigint, frame_trial text, received_at timestamptz,
  series_version bigint, series_frame_count integer
)
language plpgsql as $$
begin
  perform set_config('cloudfilm.institution_id', p_institution_id::text, true);
  return query
    select a.place::integer, i.instance_key, i.series_key, i.study_key, i.sop_instance_uid, i.sop_class_uid,
           i.transfer_syntax_uid, i.instance_number, i.number_of_frames, i.image_rows, i.image_columns, i.object_key,
           i.object_size, i.frame_trial, i.received_at, r.version, r.frame_count
      from unnest(p_study_instance_uid, p_series_instance_uid, p_sop_instance_uid)
             with ordinality as a (study_uid, series_uid, sop_uid, place)
      join archive.instance i on i.institution_id = p_institution_id and i.sop_instance_uid = a.sop_uid
      join archive.series r on r.series_key = i.series_key and r.series_instance_uid = a.series_uid
      join archive.study s on s.study_key = r.study_key and s.study_instance_uid = a.study_uid;
end $$;

revoke execute on function audit.append, viewing.find_instances from public;
grant execute on function audit.append, viewing.find_instances to cloudfilm_runtime;
