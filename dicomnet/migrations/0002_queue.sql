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
create index job_ready on queue.job (queue, priority desc, run_after, job_id) where state in ('waiting', 'running');
create index job_order on queue.job (queue, ordering_key, job_id) where state in ('waiting', 'running') and ordering_key <> '';
call archive.protect('queue.job');

-- Takes the best ready job of any institution. A job whose lease ran out is ready again. With an ordering key only
-- the oldest unfinished job of that key is a candidate, so a failed one that waits holds back the younger ones.
create function queue.claim(queues text[], worker text, lease interval)
returns setof queue.job
language sql security definer set search_path = queue, pg_temp
as $$
  update job set state = 'running', attempts = attempts + 1, leased_by = worker, leased_until = clock_timestamp() + lease
  where job_id = (
    select candidate.job_id from job candidate
    where candidate.queue = any (queues)
      and ((candidate.state = 'waiting' and candidate.run_after <= clock_timestamp())
        or (candidate.state = 'running' and candidate.leased_until < clock_timestamp()))
      and (candidate.ordering_key = '' or not exists (
        select from job older
        where older.queue = candidate.queue and older.ordering_key = candidate.ordering_key
          and older.institution_id = candidate.institution_id
          and older.job_id < candidate.job_id and older.state in ('waiting', 'running')))
    order by candidate.priority desc, candidate.run_after, candidate.job_id
    limit 1 for update skip locked)
  returning *
$$;

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
returns text language sql security definer set search_path = queue, pg_temp
as $$
  update job set
    state = case when attempts >= max_attempts then 'dead' else 'waiting' end,
    finished_at = case when attempts >= max_attempts then now() end,
    -- a second waiting job with the same single-flight key may stand behind this one: it keeps the key
    single_flight_key = case when exists (
      select from job other where other.institution_id = job.institution_id and other.queue = job.queue
        and other.single_flight_key = job.single_flight_key and other.state = 'waiting') then null
      else single_flight_key end,
    last_error = left(error, 2000), leased_until = null, run_after = clock_timestamp() + retry_after
  where job_id = id and leased_by = worker and state = 'running'
  returning state
$$;

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
grant execute on function queue.claim(text[], text, interval), queue.complete(bigint, text),
  queue.fail(bigint, text, text, interval), queue.heartbeat(bigint, text, interval),
  queue.remove_finished(interval) to cloudfilm_runtime;
