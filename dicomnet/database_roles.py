"""The two roles of the house: ``cloudfilm_owner`` migrates and owns, ``cloudfilm_runtime`` works under row-level security."""

from __future__ import annotations

import asyncpg

from dicomnet.errors import DicomnetError

OWNER_ROLE = "cloudfilm_owner"
RUNTIME_ROLE = "cloudfilm_runtime"
DATABASE = "cloudfilm"


class UnsafeRoleError(DicomnetError):
    """A role that exists already is a superuser or bypasses row-level security; ``data['role']`` names it."""

    code = "database.unsafe_role"
    message = {"zh": "数据库角色权限过大", "en": "A database role may bypass row-level security"}


async def create_roles(
    superuser_url: str, owner_password: str, runtime_password: str, *, database: str = DATABASE
) -> None:
    """The two roles and the database. Neither is a superuser nor bypasses row-level security.

    The URL's user is a superuser, or has CREATEROLE and CREATEDB (a managed server). Raises UnsafeRoleError.
    """
    connection = await asyncpg.connect(superuser_url)
    try:
        for role, password in ((OWNER_ROLE, owner_password), (RUNTIME_ROLE, runtime_password)):
            exists = await connection.fetchval("select 1 from pg_roles where rolname = $1", role)
            literal = "'" + password.replace("'", "''") + "'"
            if not exists:
                await connection.execute(f"create role {role} login nocreatedb nocreaterole password {literal}")
                if not await connection.fetchval("select rolsuper from pg_roles where rolname = current_user"):
                    await connection.execute(f"grant {role} to current_user")  # to give it the database
            else:
                await connection.execute(f"alter role {role} password {literal}")
            powers = await connection.fetchval("select rolsuper or rolbypassrls from pg_roles where rolname = $1", role)
            if powers:
                raise UnsafeRoleError(role=role)
        name = '"' + database.replace('"', '""') + '"'
        if not await connection.fetchval("select 1 from pg_database where datname = $1", database):
            await connection.execute(f"create database {name} owner {OWNER_ROLE}")
        else:
            await connection.execute(f"alter database {name} owner to {OWNER_ROLE}")
        await connection.execute(f"revoke connect, temporary on database {name} from public")
        await connection.execute(f"grant connect on database {name} to {RUNTIME_ROLE}")
    finally:
        await connection.close()
