-- A received object refers to its series, study and institution by one foreign key instead of three, and its event by none.
--
-- Each foreign key costs a look-up and a row lock in the referred table for every object. The one that stays says more than
-- the three did: that the series is of that study and of that institution (whose own references series and study keep).
-- Events are only written beside an instance of the same institution, in the same transaction.
alter table archive.series add constraint series_of_study unique (series_key, study_key, institution_id);
alter table archive.instance
  drop constraint instance_institution_id_fkey,
  drop constraint instance_series_key_fkey,
  drop constraint instance_study_key_fkey,
  add constraint instance_of_series foreign key (series_key, study_key, institution_id)
    references archive.series (series_key, study_key, institution_id);
alter table archive.event drop constraint event_institution_id_fkey;
