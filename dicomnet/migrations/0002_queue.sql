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
