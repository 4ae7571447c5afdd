-- The one durable job queue of the house. FIFO per (queue, ordering_key), retries with back-off, dead letters.
create schema queue authorization cloudfilm_owner;
grant usage on schema queue to cloudfilm_runtime;

create table queue.job (
  job_id bigint generated always as identity primary key,
  institution_id bigint not null references archive.institution,
  queue text not null,
  ordering_key text not null default '',          -- '' = no order; else strictly one at a time, oldest first
  single_flight_key text,                         -- at most one waiting job with this key
  payload jsonb not null,
  state text not null default 'waiting',          -- waiting | running | done | dead
  priority integer not null default 0,            -- higher first
  attempts integer not null default 0,
  max_attempts integer not null default 8,
  run_after timestamptz not null default now(),
  leased_until timestamptz,
  leased_by text,
  last_error text not null default '',
  correlation_id text not null default '',
  created_at timestamptz not null default now(),
  finished_at timestamptz
);
create unique index job_single_flight on queue.job (institution_id, queue, single_flight_key) where state = 'waiting' and single_flight_key is not null;
create index job_leased on queue.job (queue, leased_until) where state = 'running';
create index job_ready on queue.job (queue, priority desc, run_after, job_id) where state in ('waiting', 'running');
create index job_order on queue.job (queue, ordering_key, job_id) where state in ('waiting', 'running') and ordering_key <> '';
call archive.protect('queue.job');

-- Adds a job; null when one with the same single-flight key already waits. Enqueuers of one ordering key take turns until
-- their commits: identifiers are then in commit order, so a job that commits late never overtakes one that runs.
create function queue.enqueue(
  p_institution_id bigint, p_queue text, p_payload jsonb, p_ordering_key text, p_single_flight_key text, p_priority integer,
  p_max_attempts integer, p_correlation_id text, p_delay interval
) returns bigint language plpgsql as $$
declare created bigint;
begin
  if p_ordering_key <> '' then
    perform pg_advisory_xact_lock(hashtextextended(format('%s/%s/%s', p_institution_id, p_queue, p_ordering_key), 7));
  end if;
  insert into queue.job (institution_id, queue, payload, ordering_key, single_flight_key, priority, max_attempts,
                         correlation_id, run_after)
    values (p_institution_id, p_queue, p_payload, p_ordering_key, p_single_flight_key, p_priority, p_max_attempts,
            p_correlation_id, clock_timestamp() + p_delay)
    on conflict (institution_id, queue, single_flight_key)
      where state = 'waiting' and single_flight_key is not null do nothing
    returning job_id into created;
  return created;
end $$;

-- Takes the best ready job of any institution. A job whose lease ran out is ready again, unless that was its last
-- attempt: one that kills its worker each time dies. With an ordering key only the oldest unfinished job of that key is
-- a candidate, so a failed one that waits holds back the younger ones.
create function queue.claim(queues text[], worker text, lease interval)
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
            and older.job_id < candidate.job_id and older.state in ('waiting', 'running')))
      order by candidate.priority desc, candidate.run_after, candidate.job_id
      limit 1 for update skip locked) best
    order by best.priority desc, best.run_after, best.job_id
    limit 1)
  returning *;
end $$;

-- The three ways a claimed job goes on; each answers whether the caller still held the lease.
create function queue.complete(id bigint, worker text)
returns boolean language sql security definer set search_path = queue, pg_temp
as $$
  with changed as (
    update job set state = 'done', finished_at = now(), leased_until = null
    where job_id = id and leased_by = worker and state = 'running' returning 1)
  select exists (select from changed)
$$;

create function queue.fail(id bigint, worker text, error text, retry_after interval)
returns text language plpgsql security definer set search_path = queue, pg_temp
as $$
declare result text;
begin
  update job set
    state = case when attempts >= max_attempts then 'dead' else 'waiting' end,
    finished_at = case when attempts >= max_attempts then now() end,
    last_error = left(error, 2000), leased_until = null, run_after = clock_timestamp() + retry_after
  where job_id = id and leased_by = worker and state = 'running'
  returning state into result;
  return result;
exception when unique_violation then
  -- A second job with the same single-flight key waits already: it keeps the key.
  update job set
    state = 'waiting', single_flight_key = null,
    last_error = left(error, 2000), leased_until = null, run_after = clock_timestamp() + retry_after
  where job_id = id and leased_by = worker and state = 'running'
  returning state into result;
  return result;
end $$;

create function queue.heartbeat(id bigint, worker text, lease interval)
returns boolean language sql security definer set search_path = queue, pg_temp
as $$
  with changed as (
    update job set leased_until = clock_timestamp() + lease
    where job_id = id and leased_by = worker and state = 'running' returning 1)
  select exists (select from changed)
$$;

create function queue.remove_finished(older_than interval)
returns bigint language sql security definer set search_path = queue, pg_temp
as $$
  with gone as (delete from job where state = 'done' and finished_at < now() - older_than returning 1)
  select count(*) from gone
$$;

revoke execute on all functions in schema queue from public;
grant execute on function queue.enqueue(bigint, text, jsonb, text, text, integer, integer, text, interval),
  queue.claim(text[], text, interval), queue.complete(bigint, text),
  queue.fail(bigint, text, text, interval), queue.heartbeat(bigint, text, interval),
  queue.remove_finished(interval) to cloudfilm_runtime;
