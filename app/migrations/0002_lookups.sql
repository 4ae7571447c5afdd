-- Look-ups that happen before the institution is known; narrow security-definer functions.
create function identity.find_user(login text)
returns table (user_key bigint, institution_id bigint)
language sql stable security definer set search_path = identity, pg_temp
as $$ select user_key, institution_id from user_account where username = lower(login) $$;

create function identity.find_session(token bytea)
returns table (institution_id bigint, user_key bigint, username text, roles text[], must_change_password boolean)
language sql stable security definer set search_path = identity, pg_temp
as $$
  select s.institution_id, u.user_key, u.username, u.roles, u.must_change_password
  from session s join user_account u using (user_key)
  join archive.institution i on i.institution_id = s.institution_id
  where s.token_sha256 = token and s.expires_at > now() and not u.disabled and not i.suspended
$$;

create function identity.find_api_token(token bytea)
returns table (institution_id bigint, role text)
language sql stable security definer set search_path = identity, pg_temp
as $$
  select t.institution_id, t.role from api_token t join archive.institution i using (institution_id)
  where t.token_sha256 = token and t.expires_at > now() and t.revoked_at is null and not i.suspended
$$;

create function delivery.find_share(token bytea)
returns table (institution_id bigint, share_key bigint)
language sql stable security definer set search_path = delivery, pg_temp
as $$ select institution_id, share_key from share where token_sha256 = token $$;

-- A phone's session is as alive as its share.
create function delivery.find_share_session(token bytea)
returns table (institution_id bigint, share_key bigint, study_key bigint, hide_identity boolean, include_report boolean)
language sql stable security definer set search_path = delivery, pg_temp
as $$
  select p.institution_id, p.share_key, s.study_key, s.hide_identity, s.include_report
  from share_session p join share s using (share_key)
  join archive.institution i on i.institution_id = p.institution_id
  where p.token_sha256 = token and p.expires_at > now() and s.expires_at > now() and s.revoked_at is null
    and not i.suspended
$$;

revoke execute on all functions in schema identity, delivery from public;
grant execute on all functions in schema identity, delivery to cloudfilm_runtime;
