"""Every setting of CloudFilm: one typed table, read from ``CLOUDFILM_*`` variables and ``cloudfilm.toml``.

A secret is never an argument and never printed: it comes from a variable, or from the file that
``<NAME>_FILE`` names.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

PREFIX = "CLOUDFILM_"


class SettingsError(Exception):
    """A setting is unknown or has a value that cannot be used."""


def _default_home() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "cloudfilm"


def _setting(default: Any, help_text: str, *, secret: bool = False) -> Any:
    metadata = {"help": help_text, "secret": secret}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Settings:
    """Immutable settings of one installation. Times end in ``_s`` (seconds), sizes in ``_mb`` (MiB)."""

    home: Path = _setting(_default_home, "folder of all data")
    http: str = _setting("127.0.0.1:8080", "address of the web server; port 0 = any free")
    dicom: str = _setting("0.0.0.0:11112", "address of the DICOM server; port 0 = any free")
    ae_title: str = _setting("CLOUDFILM", "AE title of the first institution")
    public_url: str = _setting("", "address that links and QR codes carry; empty = derived from http")
    database_url: str = _setting("", "owner's PostgreSQL URL; empty = embedded", secret=True)
    runtime_database_url: str = _setting("", "runtime role's URL; empty = derived", secret=True)
    redis_url: str = _setting("", "Redis for the bus; empty = PostgreSQL", secret=True)
    blobs_url: str = _setting("", "s3://bucket/prefix; empty = files under home")
    tls: bool = _setting(False, "serve HTTPS with a self-made certificate when none is given")
    tls_cert: str = _setting("", "PEM certificate chain")
    tls_key: str = _setting("", "PEM private key")
    secrets_file: str = _setting("", "file of the master key; empty = home/secrets/master.key")
    sop_classes_file: str = _setting("", "additional SOP classes (TOML); empty = home/sop_classes.toml if present")
    decoder_plugins: str = _setting("", "extra decoders, comma separated module:function")
    dicom_processes: int = _setting(2, "DICOM server processes on the one port")
    render_threads: int = _setting(0, "threads of the render process; 0 = one per core")
    render_memory_mb: int = _setting(1536, "budget for decoded pixels in the render process")
    volume_memory_mb: int = _setting(1536, "budget for volumes (MPR, 3D) in the render process")
    decode_timeout_s: float = _setting(10.0, "one frame's decoding in a disposable child")
    decode_memory_mb: int = _setting(2048, "memory of a disposable decoding child")
    keep_alive_s: int = _setting(180, "idle HTTP connections are kept this long")
    max_upload_mb: int = _setting(4096, "largest single object accepted")
    min_free_disk_mb: int = _setting(256, "below this, new objects are refused (0xA700)")
    session_hours: int = _setting(12, "a staff session ends after")
    share_max_days: int = _setting(30, "longest life of a share link")
    log_level: str = _setting("info", "debug, info, warning or error")

    @property
    def run_folder(self) -> Path:
        """Sockets and ready files of the running processes."""
        return self.home / "run"


def _convert(name: str, kind: str, raw: Any) -> Any:
    text = str(raw)
    try:
        if kind == "Path":
            return Path(text).expanduser()
        if kind == "bool":
            if text.lower() in {"1", "true", "yes", "on"}:
                return True
            if text.lower() in {"0", "false", "no", "off", ""}:
                return False
            raise ValueError(text)
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError:
        raise SettingsError(f"{PREFIX}{name.upper()}: {text!r} is not a valid {kind}") from None
    return text


def load_settings(environ: Mapping[str, str] | None = None, config: Path | None = None) -> Settings:
    """Read the settings: variables win over ``cloudfilm.toml`` (or ``CLOUDFILM_CONFIG``), which wins over defaults.

    Raises SettingsError on an unknown name or a value of the wrong kind.
    """
    environ = os.environ if environ is None else environ
    known = {f.name: f for f in fields(Settings)}
    values: dict[str, Any] = {}
    path = config or Path(environ.get(f"{PREFIX}CONFIG", "cloudfilm.toml"))
    if path.is_file():
        for name, raw in tomllib.loads(path.read_text("utf-8")).items():
            if name not in known:
                raise SettingsError(f"{path}: unknown setting {name!r}")
            values[name] = _convert(name, str(known[name].type), raw)
    for name, spec in known.items():
        variable = PREFIX + name.upper()
        if spec.metadata["secret"] and (secret_path := environ.get(variable + "_FILE")):
            values[name] = Path(secret_path).read_text("utf-8").strip()
        elif variable in environ:
            values[name] = _convert(name, str(spec.type), environ[variable])
    return Settings(**values)


def describe(settings: Settings) -> list[tuple[str, str, str]]:
    """(variable, value with secrets hidden, help) of each setting, for ``cloudfilm settings``."""
    rows: list[tuple[str, str, str]] = []
    for spec in fields(Settings):
        value = str(getattr(settings, spec.name))
        if spec.metadata["secret"] and value:
            value = "(set)"
        rows.append((PREFIX + spec.name.upper(), value, spec.metadata["help"]))
    return rows


def split_address(address: str) -> tuple[str, int]:
    """``"127.0.0.1:8080"`` -> ``("127.0.0.1", 8080)``. Raises SettingsError."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise SettingsError(f"{address!r} is not host:port")
    return host, int(port)
