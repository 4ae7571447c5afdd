"""``cloudfilm institution …``."""

from __future__ import annotations

from app.cli import parser
from app.commands import print_result, run_with_services
from app.services import Services
from app.settings import Settings


def main(settings: Settings, argv: list[str]) -> int:
    """``institution create|edit CODE [--name N] [--ae-title T] | list | suspend|resume CODE | path-rule CODE RULE``."""
    arguments = parser("institution", main.__doc__ or "")
    arguments.add_argument("action", choices=["create", "edit", "list", "suspend", "resume", "path-rule"])
    arguments.add_argument("code", nargs="?")
    arguments.add_argument("rule", nargs="?", help="{StudyDate}/{StudyInstanceUID}/…/{SOPInstanceUID}")
    arguments.add_argument("--name")
    arguments.add_argument("--ae-title", default="", help="edit: one more")
    arguments.add_argument("--remove-ae-title", default="", help="edit: devices that call it are refused from now on")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args(argv)
    if given.action != "list" and not given.code:
        arguments.error("the institution's CODE is missing")

    async def work(services: Services) -> int:
        if given.action == "create":
            identifier = await services.institutions.create(given.code, given.name or given.code, given.ae_title)
            await services.audit.record(identifier, "system:command", "institution.create")
            print_result({"institution_id": identifier, "code": given.code}, as_json=given.json)
        elif given.action == "edit":
            identifier = await services.institutions.edit(
                given.code,
                name=given.name or "",
                add_ae_title=given.ae_title,
                remove_ae_title=given.remove_ae_title,
            )
            await services.audit.record(identifier, "system:command", "institution.edit")
        elif given.action == "list":
            for identifier, code, name, suspended in await services.institutions.all():
                row = {"institution_id": identifier, "code": code, "name": name, "suspended": suspended}
                titles = await services.institutions.ae_titles(identifier)
                print_result({**row, "ae_titles": titles}, as_json=given.json)
        elif given.action == "path-rule":
            await services.institutions.set_path_rule(given.code, given.rule or "")
            identifier = await services.institutions.resolve(given.code)
            await services.audit.record(identifier, "system:command", "institution.path_rule")
        else:
            await services.institutions.set_suspended(given.code, given.action == "suspend")
            identifier = await services.institutions.resolve(given.code)
            await services.audit.record(identifier, "system:command", f"institution.{given.action}")
        return 0

    return run_with_services(settings, work)
