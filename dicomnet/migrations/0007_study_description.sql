-- Descriptions of an institution one after another (dicomnet.archive.search_sql.limit_descriptions).
create index study_description on archive.study (institution_id, study_description);
