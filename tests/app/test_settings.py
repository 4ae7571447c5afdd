from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from app.settings import Settings, SettingsError, describe, load_settings, split_address


def test_variables_win_over_the_file_which_wins_over_defaults(tmp_path: Path) -> None:
    config = tmp_path / "cloudfilm.toml"
    config.write_text('ae_title = "FILE"\nhttp = "127.0.0.1:1"\ntls = true\n')
    settings = load_settings({"CLOUDFILM_HTTP": "127.0.0.1:2", "CLOUDFILM_HOME": str(tmp_path)}, config)
    assert (settings.http, settings.ae_title, settings.tls) == ("127.0.0.1:2", "FILE", True)
    assert settings.dicom == Settings().dicom
    assert settings.run_folder == tmp_path / "run"


def test_a_secret_can_be_a_file_and_is_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://u:hidden@h/d\n")
    settings = load_settings({"CLOUDFILM_DATABASE_URL_FILE": str(secret)}, tmp_path / "none.toml")
    assert settings.database_url == "postgresql://u:hidden@h/d"
    rows = {name: value for name, value, _ in describe(settings)}
    assert rows["CLOUDFILM_DATABASE_URL"] == "(set)"
    assert "hidden" not in str(rows)
    assert len(rows) == len(fields(Settings))


@pytest.mark.parametrize(
    "environ", [{"CLOUDFILM_DICOM_PROCESSES": "two"}, {"CLOUDFILM_TLS": "maybe"}, {"CLOUDFILM_DECODE_TIMEOUT_S": ""}]
)
def test_values_of_the_wrong_kind_are_refused(environ: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=next(iter(environ))):
        load_settings(environ, tmp_path / "none.toml")


def test_unknown_names_in_the_file_are_refused(tmp_path: Path) -> None:
    config = tmp_path / "cloudfilm.toml"
    config.write_text('htttp = "x"\n')
    with pytest.raises(SettingsError, match="htttp"):
        load_settings({}, config)


def test_addresses() -> None:
    assert split_address("127.0.0.1:8080") == ("127.0.0.1", 8080)
    assert split_address("[::1]:0") == ("[::1]", 0)
    for wrong in ("8080", ":8080", "host:", "host:x", "host:70000"):
        with pytest.raises(SettingsError):
            split_address(wrong)
