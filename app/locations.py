"""From settings to addresses: database URLs, key file, object store, sockets."""

from __future__ import annotations

import secrets
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import orjson

from app.settings import Settings
from dicomnet.archive.objects import Objects, open_objects
from dicomnet.database_roles import OWNER_ROLE, RUNTIME_ROLE, create_roles
from dicomnet.embedded_postgres import EmbeddedPostgres
from dicomnet.keyring import Keyring
from dicomnet.secret_file import read_or_create


def migration_folders() -> tuple[Path, Path]:
    """dicomnet's tables first, then the app's."""
    root = Path(__file__).resolve().parents[1]
    return root / "dicomnet" / "migrations", root / "app" / "migrations"


def runtime_url(settings: Settings) -> str:
    """What every process connects with."""
    if settings.runtime_database_url:
        return settings.runtime_database_url
    if settings.database_url:
        return _with_role(settings.database_url, RUNTIME_ROLE, role_password(settings, RUNTIME_ROLE))
    return EmbeddedPostgres(settings.home).runtime_url


def role_password(settings: Settings, role: str) -> str:
    """The generated password of one of our roles on an external server."""
    return read_or_create(settings.home / "secrets" / f"{role}.password", lambda: secrets.token_urlsafe(24))


def _with_role(url: str, role: str, password: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{quote(password, safe='')}@{host}"))


async def prepare_external(settings: Settings) -> str:
    """Create the two roles on an external server (the URL's user must be allowed to); returns the owner's URL."""
    owner, runtime = role_password(settings, OWNER_ROLE), role_password(settings, RUNTIME_ROLE)
    await create_roles(settings.database_url, owner, runtime, database=urlsplit(settings.database_url).path.lstrip("/"))
    return _with_role(settings.database_url, OWNER_ROLE, owner)


def key_path(settings: Settings) -> Path:
    """The master key's file."""
    return Path(settings.secrets_file) if settings.secrets_file else settings.home / "secrets" / "master.key"


def keyring(settings: Settings) -> Keyring:
    """The master key's ring; created at first start."""
    return Keyring.load_or_create(key_path(settings))


def objects(settings: Settings) -> Objects:
    """The object store of the settings."""
    return open_objects(settings.blobs_url, settings.home)


def sop_class_file(settings: Settings) -> Path | None:
    """The site's file of additional SOP classes, when there is one."""
    if settings.sop_classes_file:
        return Path(settings.sop_classes_file)
    path = settings.home / "sop_classes.toml"
    return path if path.is_file() else None


def render_socket(settings: Settings) -> Path:
    """Where the render process listens. A Unix socket path has at most 107 bytes: long homes use the temp folder."""
    path = settings.run_folder / "render.sock"
    if len(str(path)) <= 100:
        return path
    import hashlib
    import tempfile

    digest = hashlib.sha256(str(settings.home.resolve()).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"cloudfilm-{digest}-render.sock"


def public_url(settings: Settings, http: str) -> str:
    """The address that links carry."""
    return (settings.public_url or http).rstrip("/")


def running_url(settings: Settings) -> str:
    """The public address, or the one the running supervisor wrote down, or what the settings say."""
    state = settings.run_folder / "state.json"
    if not settings.public_url and state.is_file():
        found = orjson.loads(state.read_bytes()).get("http")
        if isinstance(found, str):
            return found
    return public_url(settings, f"{'https' if settings.tls or settings.tls_cert else 'http'}://{settings.http}")
