-- What lists of a million studies need beyond the first indexes (benchmarks/lists.py).

-- QIDO /series and /instances by a Series Instance UID alone.
create index series_uid on archive.series (institution_id, series_instance_uid);

-- As in 0002, but for "older.ordering_key <> ''": job_order is an index of such rows only, and without the words the look
-- for an older job of the same key walked every finished job (25 ms behind 100,000 of them).
create or replace function queue.claim(queues text[], worker text, lease interval)
returns setof queue.job
language plpgsql security definer set search_path = queue, pg_temp
as $$
begin
  update job set state = 'dead', finished_at = now(), leased_until = null,
      last_error = case when last_error = '' then 'lease expired' else left('lease expired; before: ' || last_error, 2000) end
  where job_id in (
    select lost.job_id from job lost
    where lost.queue = any (queues) and lost.state = 'running' and lost.leased_until < clock_timestamp()
      and lost.attempts >= lost.max_attempts
    for update skip locked);
  return query
  update job set state = 'running', attempts = attempts + 1, leased_by = worker, leased_until = clock_timestamp() + lease
  where job_id = (
    select best.job_id from unnest(queues) wanted (queue), lateral (
      select candidate.job_id, candidate.priority, candidate.run_after from job candidate
      where candidate.queue = wanted.queue and candidate.state in ('waiting', 'running')
        and ((candidate.state = 'waiting' and candidate.run_after <= clock_timestamp())
          or (candidate.state = 'running' and candidate.leased_until < clock_timestamp()))
        and (candidate.ordering_key = '' or not exists (
          select from job older
          where older.queue = candidate.queue and older.ordering_key = candidate.ordering_key
            and older.institution_id = candidate.institution_id
            and older.job_id < candidate.job_id and older.ordering_key <> '' and older.state in ('waiting', 'running')))
      order by candidate.priority desc, candidate.run_after, candidate.job_id
      limit 1 for update skip locked) best
    order by best.priority desc, best.run_after, best.job_id
    limit 1)
  returning *;
end $$;
