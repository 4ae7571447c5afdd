-- Key images (关键影像): frames that staff marked, for colleagues and for whoever the study is shared with.
-- From outside an image has its SOP Instance UID and frame number; within, the instance that has this UID.
create table viewing.key_image (
  institution_id bigint not null references archive.institution,
  instance_key bigint not null references archive.instance on delete cascade,
  frame_number integer not null check (frame_number > 0),   -- of the instance, from 1
  study_key bigint not null references archive.study,
  marked_by text not null,                         -- 'user:12'
  marked_at timestamptz not null default now(),
  primary key (institution_id, instance_key, frame_number)
);
create index key_image_study on viewing.key_image (study_key);
call archive.protect('viewing.key_image');
