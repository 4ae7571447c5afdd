-- Tables of the app's slices: one schema per owner.
create schema identity authorization cloudfilm_owner;
create schema audit authorization cloudfilm_owner;
create schema delivery authorization cloudfilm_owner;
create schema viewing authorization cloudfilm_owner;
grant usage on schema identity, audit, delivery, viewing to cloudfilm_runtime;

create table identity.user_account (
  user_key bigint generated always as identity primary key,
  institution_id bigint not null references archive.institution,
  username text not null unique,                   -- login name; unique in the house, folded to lower case
  display_name_sealed bytea,
  password_hash text not null,                     -- argon2id
  roles text[] not null default '{}',
  must_change_password boolean not null default false,
  disabled boolean not null default false,
  failed_logins integer not null default 0,
  locked_until timestamptz,
  password_changed_at timestamptz not null default now(),
  created_at timestamptz not null default now()
);
call archive.protect('identity.user_account');

create table identity.session (
  token_sha256 bytea primary key,
  institution_id bigint not null references archive.institution,
  user_key bigint not null references identity.user_account on delete cascade,
  created_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  expires_at timestamptz not null
);
call archive.protect('identity.session');

create table identity.api_token (
  token_sha256 bytea primary key,
  institution_id bigint not null references archive.institution,
  role text not null,
  label text not null default '',
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz
);
call archive.protect('identity.api_token');

create table audit.entry (
  entry_id bigint generated always as identity primary key,
  institution_id bigint not null references archive.institution,
  sequence_number bigint not null,                 -- 1, 2, 3 … within the institution
  at timestamptz not null default now(),
  actor text not null,                             -- 'user:12', 'share:34', 'token:…', 'ae:STORESCU', 'system'
  action text not null,                            -- 'series.view', 'frames.read', 'study.list', 'share.create', 'login' …
  study_key bigint,
  series_key bigint,
  quality text not null default '',
  frame_count integer not null default 0,
  outcome text not null default 'ok',
  correlation_id text not null default '',
  details jsonb not null default '{}',             -- no personal data
  previous_hash bytea not null,
  entry_hash bytea not null,
  unique (institution_id, sequence_number)
);
create index audit_study on audit.entry (institution_id, study_key, entry_id desc);
call archive.protect('audit.entry');
revoke update, delete on audit.entry from cloudfilm_runtime;

create table delivery.share (
  share_key bigint generated always as identity primary key,
  institution_id bigint not null references archive.institution,
  token_sha256 bytea not null unique,              -- token >= 128 bits, never stored
  code_hmac bytea not null,                        -- keyed hash of the six digits
  study_key bigint not null references archive.study,
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  revoked_at timestamptz,
  hide_identity boolean not null default true,     -- 隐去姓名和医院
  include_report boolean not null default false,
  failed_codes integer not null default 0,
  locked_until timestamptz,
  opened_count integer not null default 0,
  last_opened_at timestamptz
);
create index share_study on delivery.share (institution_id, study_key);
call archive.protect('delivery.share');

-- Failures counted per share and per address.
create table delivery.code_failure (
  institution_id bigint not null references archive.institution,
  address_hmac bytea not null,
  failed_codes integer not null default 0,
  locked_until timestamptz,
  last_failed_at timestamptz not null default now(),
  primary key (institution_id, address_hmac)
);
call archive.protect('delivery.code_failure');

-- What a phone holds after the right code (cookie); ends with the share.
create table delivery.share_session (
  token_sha256 bytea primary key,
  institution_id bigint not null references archive.institution,
  share_key bigint not null references delivery.share on delete cascade,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
call archive.protect('delivery.share_session');

-- Prepared pictures (first picture, thumbnails): bytes are in the object store under derived/.
create table viewing.prepared_picture (
  institution_id bigint not null references archive.institution,
  series_key bigint not null references archive.series on delete cascade,
  series_version bigint not null,
  kind text not null,                              -- 'base' | 'refined' | 'thumbnail'
  width integer not null,                          -- of the profile: 0 for thumbnail, else target CSS width x ratio
  preset text not null,                            -- 'file' or a preset's name
  profile text not null default '',                -- de-identification profile
  renderer_version text not null,
  media_type text not null,
  object_key text not null,
  object_size integer not null,
  frame_index integer not null,                    -- which frame of the series' display order
  picture_width integer not null,
  picture_height integer not null,
  window_center double precision,
  window_width double precision,
  backend text not null,
  created_at timestamptz not null default now(),
  primary key (institution_id, series_key, series_version, kind, width, preset, profile, renderer_version)
);
call archive.protect('viewing.prepared_picture');
