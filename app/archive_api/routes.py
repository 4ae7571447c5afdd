"""Routes of the archive: the staff's list and DICOMweb."""

from __future__ import annotations

from app.archive_api.detail import ROUTES as DETAIL_ROUTES
from app.archive_api.metadata import ROUTES as METADATA_ROUTES
from app.archive_api.qido import ROUTES as QIDO_ROUTES
from app.archive_api.rendered import ROUTES as RENDERED_ROUTES
from app.archive_api.stow import ROUTES as STOW_ROUTES
from app.archive_api.studies import ROUTES as STUDY_ROUTES
from app.archive_api.wado import ROUTES as WADO_ROUTES

ROUTES = (
    *RENDERED_ROUTES,
    *WADO_ROUTES,
    *STUDY_ROUTES,
    *DETAIL_ROUTES,
    *QIDO_ROUTES,
    *METADATA_ROUTES,
    *STOW_ROUTES,
)
