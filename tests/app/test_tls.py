from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from app import tls
from app.settings import Settings, SettingsError


def test_a_self_made_certificate_names_this_machine_and_is_kept(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, tls=True)
    files = tls.certificate_files(settings)
    assert files is not None
    certificate = x509.load_pem_x509_certificate(files[0].read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert "127.0.0.1" in [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    key = load_pem_private_key(files[1].read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == certificate.public_key()
    assert stat.S_IMODE(files[1].stat().st_mode) == 0o600
    before = files[0].read_bytes()
    assert tls.certificate_files(settings) == files
    assert files[0].read_bytes() == before


def test_one_that_is_about_to_end_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path, tls=True)
    files = tls.certificate_files(settings)
    assert files is not None
    before = files[0].read_bytes()

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) + timedelta(days=355)

    monkeypatch.setattr(tls, "datetime", Later)
    tls.certificate_files(settings)
    assert files[0].read_bytes() != before


def test_given_files_and_none(tmp_path: Path) -> None:
    assert tls.certificate_files(Settings(home=tmp_path)) is None
    given = Settings(home=tmp_path, tls_cert="/c.pem", tls_key="/k.pem")
    assert tls.certificate_files(given) == (Path("/c.pem"), Path("/k.pem"))
    with pytest.raises(SettingsError):
        tls.certificate_files(Settings(home=tmp_path, tls_cert="/c.pem"))
