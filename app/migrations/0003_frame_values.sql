-- Exact values for viewers: one lossless HTJ2K codestream per frame, proven equal, and the hash of what it decodes to.
-- The bytes lie in the object store under derived/, or in the received object itself where that is HTJ2K already.
create table viewing.frame_values (
  institution_id bigint not null references archive.institution,
  instance_key bigint not null references archive.instance on delete cascade,
  coder_version text not null,
  object_key text not null,
  dtype text not null,                             -- u8, i8, u16 or i16
  shape integer[] not null,                        -- rows, columns[, samples]
  photometric_interpretation text not null,        -- of the values, after decoding
  frames jsonb not null,                           -- by frame: null, or [sha256, offset, length, end of each resolution …]
  created_at timestamptz not null default now(),
  primary key (institution_id, instance_key)
);
call archive.protect('viewing.frame_values');
