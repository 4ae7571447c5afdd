"""``cloudfilm token …`` and ``cloudfilm user …``."""

from __future__ import annotations

from app.cli import parser
from app.commands import print_result, run_with_services
from app.services import Services
from app.settings import Settings


def token(settings: Settings, argv: list[str]) -> int:
    """``token create --role R [--institution I] [--hours H] [--json]``: prints the token once."""
    arguments = parser("token", token.__doc__ or "")
    arguments.add_argument("action", choices=["create"])
    arguments.add_argument("--role", required=True)
    arguments.add_argument("--institution")
    arguments.add_argument("--hours", type=float, default=24.0)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args(argv)

    async def work(services: Services) -> int:
        institution_id = await services.institutions.resolve(given.institution)
        value, expires = await services.identity.create_token(institution_id, given.role, given.hours)
        await services.audit.record(institution_id, "system:command", "token.create", details={"role": given.role})
        print_result({"token": value, "expires": expires.isoformat()}, as_json=given.json)
        return 0

    return run_with_services(settings, work)


def user(settings: Settings, argv: list[str]) -> int:
    """``user create|list|reset-password|disable|enable NAME [--role R …] [--institution I] [--json]``."""
    arguments = parser("user", user.__doc__ or "")
    arguments.add_argument("action", choices=["create", "list", "reset-password", "disable", "enable"])
    arguments.add_argument("name", nargs="?", default="")
    arguments.add_argument("--role", action="append", default=[])
    arguments.add_argument("--institution")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args(argv)
    if given.action != "list" and not given.name:
        arguments.error("the user's NAME is missing")

    async def work(services: Services) -> int:
        result: dict[str, object] = {"username": given.name}
        if given.action == "list":
            for username, roles, disabled in await services.identity.users(
                await services.institutions.resolve(given.institution)
            ):
                print_result({"username": username, "roles": roles, "disabled": disabled}, as_json=given.json)
            return 0
        if given.action == "create":
            institution_id = await services.institutions.resolve(given.institution)
            result["one_time_password"] = await services.identity.create_user(
                institution_id, given.name, given.role or ["viewer"]
            )
        elif given.action == "reset-password":
            result["one_time_password"] = await services.identity.reset_password(given.name)
        else:
            await services.identity.set_disabled(given.name, given.action == "disable")
        institution_id = await services.identity.institution_of(given.name)
        await services.audit.record(
            institution_id, "system:command", f"user.{given.action}", details={"username": given.name.lower()}
        )
        print_result(result, as_json=given.json)
        return 0

    return run_with_services(settings, work)
