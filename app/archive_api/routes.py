"""Routes of the archive: the staff's list and DICOMweb."""

from __future__ import annotations

from app.archive_api.studies import ROUTES as STUDY_ROUTES

ROUTES = (*STUDY_ROUTES,)
