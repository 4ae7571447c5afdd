-- Several received objects of one institution in one call and one commit: the usual case, in which patient, exam, study and
-- series are there already and the sender's process knows their keys.
--
-- An object is left out of the answer, and nothing of it is written, when its series is not (or no longer) that of its
-- study, or when its UID is there already: archive.store_instance then says what it is.
--
-- Locks: instances first (the caller gives them in the order of their UIDs), then the counters of series and of studies,
-- each in the order of their keys: writers wait for each other but never in a circle. The counters change once per call,
-- so that writers of one study wait for one commit per call and not for one per object.
create function archive.append_instances(
  p_institution_id bigint,
  p_series_key bigint[],
  p_study_key bigint[],
  p_sop_instance_uid text[],
  p_object_key text[],
  p_sop_class_uid text[],
  p_transfer_syntax_uid text[],
  p_instance_number integer[],
  p_number_of_frames integer[],
  p_image_rows integer[],
  p_image_columns integer[],
  p_sort_position double precision[],
  p_object_size bigint[],
  p_object_sha256 bytea[],
  p_open_record bytea[],
  p_modality text[],
  p_body_part text[],
  p_station_name text[]
) returns table (place integer, instance_key bigint)
language plpgsql as $$
declare
  v_key bigint;
  v_keys bigint[] := '{}';
  v record;
begin
  perform set_config('cloudfilm.institution_id', p_institution_id::text, true);

  for i in 1 .. cardinality(p_series_key) loop
    insert into archive.instance (institution_id, series_key, study_key, sop_instance_uid, sop_class_uid,
                                  transfer_syntax_uid, instance_number, number_of_frames, image_rows, image_columns,
                                  sort_position, object_key, object_size, object_sha256, open_record)
      select p_institution_id, s.series_key, s.study_key, p_sop_instance_uid[i], p_sop_class_uid[i],
             p_transfer_syntax_uid[i], p_instance_number[i], p_number_of_frames[i], p_image_rows[i], p_image_columns[i],
             p_sort_position[i], p_object_key[i], p_object_size[i], p_object_sha256[i], p_open_record[i]
        from archive.series s
       where s.series_key = p_series_key[i] and s.study_key = p_study_key[i] and s.institution_id = p_institution_id
      on conflict (institution_id, sop_instance_uid) do nothing
      returning instance.instance_key into v_key;
    v_keys := array_append(v_keys, v_key);
    if v_key is not null then
      insert into archive.event (institution_id, kind, payload)
        values (p_institution_id, 'instance_stored', jsonb_build_object(
          'instance_key', v_key, 'series_key', p_series_key[i], 'study_key', p_study_key[i],
          'frames', p_number_of_frames[i]));
    end if;
  end loop;

  for v in
    select a.series_key, count(*) as instances, sum(a.frames) as frames
      from unnest(p_series_key, p_number_of_frames, v_keys) as a (series_key, frames, added)
     where a.added is not null group by a.series_key order by a.series_key
  loop
    update archive.series
       set instance_count = instance_count + v.instances, frame_count = frame_count + v.frames,
           version = version + v.instances, updated_at = now()
     where series_key = v.series_key;
  end loop;
  for v in
    select a.study_key, count(*) as instances, array_agg(distinct a.modality) filter (where a.modality <> '') as modalities,
           array_agg(distinct a.body_part) filter (where a.body_part <> '') as body_parts,
           array_agg(distinct a.station_name) filter (where a.station_name <> '') as station_names
      from unnest(p_study_key, p_modality, p_body_part, p_station_name, v_keys)
        as a (study_key, modality, body_part, station_name, added)
     where a.added is not null group by a.study_key order by a.study_key
  loop
    update archive.study
       set instance_count = instance_count + v.instances, updated_at = now(),
           modalities = archive.with_terms(modalities, v.modalities),
           body_parts = archive.with_terms(body_parts, v.body_parts),
           station_names = archive.with_terms(station_names, v.station_names)
     where study_key = v.study_key;
  end loop;

  return query select (k.place)::integer, k.added from unnest(v_keys) with ordinality as k (added, place)
    where k.added is not null;
end $$;

-- The terms with those that are new behind them, at most 64.
create function archive.with_terms(p_terms text[], p_more text[]) returns text[]
language sql immutable parallel safe as $$
  select case when p_more is null or p_more <@ p_terms then p_terms
    else (p_terms || array(select more from unnest(p_more) more where more <> all (p_terms)))[1:64] end
$$;

revoke execute on function archive.append_instances, archive.with_terms from public;
grant execute on function archive.append_instances, archive.with_terms to cloudfilm_runtime;
