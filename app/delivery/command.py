"""``cloudfilm share create``."""

from __future__ import annotations

from app import locations
from app.cli import parser
from app.commands import print_result, run_with_services
from app.delivery.service import Shares
from app.services import Services
from app.settings import Settings
from app.viewing.errors import StudyNotFoundError


def share(settings: Settings, argv: list[str]) -> int:
    """``share create --study UID [--institution I] --days N [--show-identity] [--json]``: link and code, told once."""
    arguments = parser("share", share.__doc__ or "")
    arguments.add_argument("action", choices=["create"])
    arguments.add_argument("--study", required=True)
    arguments.add_argument("--institution")
    arguments.add_argument("--days", type=float, default=7)
    arguments.add_argument("--show-identity", action="store_true")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args(argv)

    async def work(services: Services) -> int:
        institution_id = await services.institutions.resolve(given.institution)
        study_key = await services.database.fetchval(
            institution_id, "select study_key from archive.study where study_instance_uid = $1", given.study
        )
        if study_key is None:
            raise StudyNotFoundError
        made = await Shares(services).create(
            institution_id, study_key, "system:command", days=given.days, hide_identity=not given.show_identity
        )
        url = f"{locations.running_url(settings)}/s/{made.token}"
        print_result({"url": url, "code": made.code, "expires": made.expires_at.isoformat()}, as_json=given.json)
        return 0

    return run_with_services(settings, work)
