"""The command line beside a running server: import, verify, users, tokens, institutions."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import httpx
import pytest
from pydicom.uid import generate_uid

from tests.support.dicom_files import as_bytes, make_ct
from tests.support.server import Server

pytestmark = pytest.mark.timeout(400)


def make_folder(folder: Path, count: int) -> Path:
    (folder / "sub").mkdir(parents=True)
    study, series = generate_uid(), generate_uid()
    for number in range(count):
        made = make_ct(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=number + 1)
        (folder / "sub" / f"{number}.dcm").write_bytes(as_bytes(made))
    return folder


@pytest.mark.req("2.17")
def test_a_folder_and_a_zip_come_in_once_and_what_is_no_dicom_is_told(server: Server, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "disc", 6)
    first = server.cli_json("import", str(folder))
    assert first == {"new": 6, "duplicate": 0, "conflict": 0, "refused": 0, "studies": 1}
    archive = Path(shutil.make_archive(str(tmp_path / "disc"), "zip", folder))
    with zipfile.ZipFile(archive, "a") as zipped:
        zipped.writestr("readme.txt", "not an image")
    done = server.cli("import", str(archive), "--json", check=False)
    assert done.returncode == 1
    assert '"duplicate":6' in done.stdout
    assert '"refused":1' in done.stdout
    assert "ingest.not_dicom" in done.stderr
    assert sorted(p.name for p in (folder / "sub").iterdir())[0] == "0.dcm", "the originals stay"
    missing = server.cli("import", str(tmp_path / "nowhere"), check=False)
    assert missing.returncode == 2


@pytest.mark.req("4.17")
def test_verify_finds_a_changed_object(own_server: Server, tmp_path: Path) -> None:
    server = own_server.start()
    server.cli("import", str(make_folder(tmp_path / "disc", 3)))
    good = server.cli_json("verify")
    assert (good["objects"], good["ok"], good["audit_broken_at"]) == (3, True, {})
    files = [path for path in (server.home / "blobs").rglob("*") if path.is_file()]
    stored = [path for path in files if path.read_bytes()[128:132] == b"DICM"]
    assert len(stored) == 3
    data = bytearray(stored[0].read_bytes())
    data[-1] ^= 1
    stored[0].chmod(0o600)
    stored[0].write_bytes(data)
    bad = server.cli("verify", "--json", check=False)
    assert bad.returncode == 1
    assert "changed: " in bad.stderr


@pytest.mark.req("2.13")
def test_users_are_made_disabled_and_reset_by_command(server: Server) -> None:
    made = server.cli_json("user", "create", "dr.li", "--role", "doctor")
    with server.client() as client:
        credentials = {"username": "dr.li", "password": str(made["one_time_password"])}
        assert client.post("/api/login", json=credentials).json()["must_change_password"] is True
        server.cli("user", "disable", "dr.li")
        assert client.get("/api/me").status_code == 401
        assert client.post("/api/login", json=credentials).status_code == 401
        server.cli("user", "enable", "dr.li")
        credentials["password"] = str(server.cli_json("user", "reset-password", "dr.li")["one_time_password"])
        assert client.post("/api/login", json=credentials).status_code == 200
    assert "dr.li" in server.cli("user", "list").stdout
    again = server.cli("user", "create", "dr.li", check=False)
    assert (again.returncode, "identity.user_exists" in again.stderr) == (1, True)


@pytest.mark.req("2.14")
def test_a_suspended_institutions_tokens_and_devices_are_refused(server: Server) -> None:
    server.cli("institution", "create", "branch", "--name", "分院", "--ae-title", "BRANCH")
    made = server.cli_json("token", "create", "--role", "dicomweb-read", "--institution", "branch", "--hours", "1")
    headers = {"Authorization": f"Bearer {made['token']}"}
    with server.client(headers=headers) as client:
        assert client.get("/dicom-web/studies").status_code in {200, 204}
        server.cli("institution", "suspend", "branch")
        assert client.get("/dicom-web/studies").status_code == 401
        server.cli("institution", "resume", "branch")
        assert client.get("/dicom-web/studies").status_code in {200, 204}


@pytest.mark.req("4.16")
def test_nobody_gets_in_without_a_login(server: Server) -> None:
    with server.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
        closed = [(path, m) for path, methods in paths.items() for m, row in methods.items() if row["security"]]
        assert len(closed) > 10
        for path, method in closed:
            concrete = path.replace("{", "").replace("}", "")
            answer = client.request(method.upper(), concrete)
            assert answer.status_code in {401, 404}, (method, path)
            assert answer.status_code == 401 or "{" in path


@pytest.mark.req("4.9")
def test_tls_with_a_self_made_certificate(tmp_path: Path, own_server: Server) -> None:
    own_server.settings["tls"] = "1"
    server = own_server.start()
    assert server.http.startswith("https://")
    import ssl

    trusted = ssl.create_default_context(cafile=str(server.home / "tls" / "certificate.pem"))
    with httpx.Client(base_url=server.http, verify=trusted, trust_env=False) as client:
        answer = client.get("/healthz")
        assert "strict-transport-security" in answer.headers
        login = client.post("/api/login", json={"username": "admin", "password": server.one_time_password})
        assert login.headers["set-cookie"].startswith("__Host-cloudfilm_session=")
        assert "secure" in login.headers["set-cookie"].lower()
        assert client.get("/api/me").status_code == 200
    old = ssl.create_default_context(cafile=str(server.home / "tls" / "certificate.pem"))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_ciphers("AES128-SHA")
    with httpx.Client(base_url=server.http, verify=old, trust_env=False) as client, pytest.raises(httpx.ConnectError):
        client.get("/healthz")


@pytest.mark.req("4.9")
def test_tokens_of_shares_never_reach_a_log(server: Server) -> None:
    token = "SECRETSHARETOKENthatMustNotBeWritten"
    with server.client() as client:
        client.get(f"/s/{token}")
        client.get(f"/s/{token}/x")
    logs = b"".join(path.read_bytes() for path in (server.home / "logs").iterdir())
    assert b'"/s/' in logs
    assert token.encode() not in logs + (server.home / "serve.log").read_bytes()
