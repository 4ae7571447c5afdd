"""TLS by a given certificate or a self-made one (ECDSA P-256, a year), renewed when it is about to end."""

from __future__ import annotations

import ipaddress
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.settings import Settings, SettingsError


def certificate_files(settings: Settings) -> tuple[Path, Path] | None:
    """(certificate, key) to serve with, None for plain HTTP. Raises SettingsError when only one is given."""
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise SettingsError("CLOUDFILM_TLS_CERT and CLOUDFILM_TLS_KEY belong together")
    if settings.tls_cert:
        return Path(settings.tls_cert), Path(settings.tls_key)
    if not settings.tls:
        return None
    folder = settings.home / "tls"
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not _still_good(certificate):
        _make(folder, certificate, key)
    return certificate, key


def _still_good(certificate: Path) -> bool:
    if not certificate.is_file():
        return False
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    return loaded.not_valid_after_utc > datetime.now(UTC) + timedelta(days=14)


def _names() -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.DNSName(socket.gethostname())]
    addresses = {"127.0.0.1", "::1"}
    for family, *_, address in socket.getaddrinfo(socket.gethostname(), None):
        if family in (socket.AF_INET, socket.AF_INET6):
            addresses.add(str(address[0]).partition("%")[0])
    names.extend(x509.IPAddress(ipaddress.ip_address(a)) for a in sorted(addresses))
    return names


def _make(folder: Path, certificate: Path, key_path: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CloudFilm")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName(_names()), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key_path.unlink(missing_ok=True)
    with os.fdopen(os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(pem)
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
