-- A claim no longer reads the backlog of a key that is blocked.
--
-- The jobs at the front of the queue are looked at as before, but at most a window of them. When all of those wait for an
-- older job of their key, the claim goes from key to key and looks at the oldest unfinished job of each, and beside them
-- at the front of the jobs that have no key: what it reads grows with the number of keys and not with their backlogs.

drop index queue.job_order;
create index job_order on queue.job (queue, ordering_key, institution_id, job_id)
  where state in ('waiting', 'running') and ordering_key <> '';
create index job_unordered on queue.job (queue, priority desc, run_after, job_id)
  where state in ('waiting', 'running') and ordering_key = '';

create function queue.is_ready(candidate queue.job) returns boolean
language sql stable as $$
  select (candidate.state = 'waiting' and candidate.run_after <= clock_timestamp())
      or (candidate.state = 'running' and candidate.leased_until < clock_timestamp())
$$;

create or replace function queue.claim(queues text[], worker text, lease interval)
returns setof queue.job
language plpgsql security definer set search_path = queue, pg_temp
-- Every step is one look into an index; a plan that reads the table is never better here, whatever the statistics say.
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
  most constant integer := 20;
  chosen bigint;
begin
  update job set state = 'dead', finished_at = now(), leased_until = null,
      last_error = case when last_error = '' then 'lease expired' else left('lease expired; before: ' || last_error, 2000) end
  where job_id in (
    select lost.job_id from job lost
    where lost.queue = any (queues) and lost.state = 'running' and lost.leased_until < clock_timestamp()
      and lost.attempts >= lost.max_attempts
    for update skip locked);

  select best.job_id into chosen from job best
  where best.state in ('waiting', 'running') and queue.is_ready(best) and best.job_id = any (array(
    select front.job_id from unnest(queues) wanted (queue), lateral (
      select candidate.* from job candidate
      where candidate.queue = wanted.queue and candidate.state in ('waiting', 'running')
        and ((candidate.state = 'waiting' and candidate.run_after <= clock_timestamp())
          or (candidate.state = 'running' and candidate.leased_until < clock_timestamp()))
      order by candidate.priority desc, candidate.run_after, candidate.job_id
      limit most) front
    where front.ordering_key = '' or front.job_id = (
      select oldest.job_id from job oldest
      where oldest.queue = front.queue and oldest.ordering_key = front.ordering_key and oldest.ordering_key <> ''
        and oldest.institution_id = front.institution_id and oldest.state in ('waiting', 'running')
      order by oldest.job_id limit 1)))
  order by best.priority desc, best.run_after, best.job_id
  limit 1 for update skip locked;

  if chosen is null then
    select best.job_id into chosen from job best
    where best.state in ('waiting', 'running') and queue.is_ready(best) and best.job_id = any (array(
      with recursive head (queue, ordering_key, institution_id, job_id) as (
        select first.* from unnest(queues) wanted (queue), lateral (
          select j.queue, j.ordering_key, j.institution_id, j.job_id from job j
          where j.queue = wanted.queue and j.state in ('waiting', 'running') and j.ordering_key <> ''
          order by j.ordering_key, j.institution_id, j.job_id limit 1) first
        union all
        select next.* from head, lateral (
          select j.queue, j.ordering_key, j.institution_id, j.job_id from job j
          where j.queue = head.queue and j.state in ('waiting', 'running') and j.ordering_key <> ''
            and (j.ordering_key, j.institution_id) > (head.ordering_key, head.institution_id)
          order by j.ordering_key, j.institution_id, j.job_id limit 1) next)
      select head.job_id from head
      union all
      select front.job_id from unnest(queues) wanted (queue), lateral (
        select candidate.job_id from job candidate
        where candidate.queue = wanted.queue and candidate.state in ('waiting', 'running') and candidate.ordering_key = ''
          and ((candidate.state = 'waiting' and candidate.run_after <= clock_timestamp())
            or (candidate.state = 'running' and candidate.leased_until < clock_timestamp()))
        order by candidate.priority desc, candidate.run_after, candidate.job_id
        limit most) front))
    order by best.priority desc, best.run_after, best.job_id
    limit 1 for update skip locked;
  end if;

  if chosen is null then
    return;
  end if;
  return query
  update job set state = 'running', attempts = attempts + 1, leased_by = worker, leased_until = clock_timestamp() + lease
  where job_id = chosen
  returning *;
end $$;
