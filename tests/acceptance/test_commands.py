"""The command line beside a running server: import, verify, users, tokens, institutions."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import httpx
import pytest
from pydicom.uid import generate_uid

from tests.support.dicom_files import as_bytes, make_ct
from tests.support.scp_process import send
from tests.support.server import NEW_PASSWORD, Server

pytestmark = pytest.mark.timeout(400)


def make_folder(folder: Path, count: int) -> Path:
    (folder / "sub").mkdir(parents=True)
    study, series = generate_uid(), generate_uid()
    for number in range(count):
        made = make_ct(StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=number + 1)
        (folder / "sub" / f"{number}.dcm").write_bytes(as_bytes(made))
    return folder


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


def test_a_suspended_institutions_tokens_are_refused(server: Server) -> None:
    server.cli("institution", "create", "branch", "--name", "分院", "--ae-title", "BRANCH")
    made = server.cli_json("token", "create", "--role", "dicomweb-read", "--institution", "branch", "--hours", "1")
    headers = {"Authorization": f"Bearer {made['token']}"}
    with server.client(headers=headers) as client:
        assert client.get("/dicom-web/studies").status_code in {200, 204}
        server.cli("institution", "suspend", "branch")
        assert client.get("/dicom-web/studies").status_code == 401
        server.cli("institution", "resume", "branch")
        assert client.get("/dicom-web/studies").status_code in {200, 204}


def _stored(server: Server, title: str) -> bool:
    """Whether a device that calls this title may store; a refused one gets no association."""
    try:
        return all(status.Status == 0 for status in send(server.dicom.port, [make_ct()], title))
    except ConnectionError:
        return False


@pytest.mark.req("2.14")
def test_institutions_are_registered_edited_and_suspended_with_their_titles(server: Server) -> None:
    with server.admin() as client:

        def change(method: str, address: str, status: int, **body: object) -> None:
            answer = client.request(method, "/api/institutions" + address, json=body)
            assert answer.status_code == status, answer.text

        def listed() -> dict[str, object]:
            rows = client.get("/api/institutions").raise_for_status().json()["institutions"]
            (row,) = [row for row in rows if row["code"] == "clinic"]
            return {name: row[name] for name in ("name", "suspended", "ae_titles")}

        assert not _stored(server, "CLINIC")
        change("POST", "", 201, code="clinic", name="门诊部", ae_title="CLINIC")
        assert listed() == {"name": "门诊部", "suspended": False, "ae_titles": ["CLINIC"]}
        assert _stored(server, "CLINIC")
        change("POST", "", 409, code="clinic2", name="另一门诊", ae_title="CLINIC")

        change("PATCH", "/clinic", 200, name="东区门诊部", add_ae_title="CLINIC_CT")
        assert listed() == {"name": "东区门诊部", "suspended": False, "ae_titles": ["CLINIC", "CLINIC_CT"]}
        assert _stored(server, "CLINIC_CT")
        change("PATCH", "/clinic", 200, remove_ae_title="CLINIC")
        assert not _stored(server, "CLINIC")
        assert _stored(server, "CLINIC_CT")
        change("PATCH", "/clinic", 409, add_ae_title=server.dicom.ae_title)
        change("PATCH", "/clinic", 404, remove_ae_title=server.dicom.ae_title)
        change("PATCH", "/clinic", 400, add_ae_title="a title of more than 16 characters")
        change("PATCH", "/clinic", 400)
        change("PATCH", "/nowhere", 404, name="x")
        assert _stored(server, server.dicom.ae_title), "nobody else's title was touched"

        change("POST", "/clinic", 200, suspended=True)
        assert listed()["suspended"] is True
        assert not _stored(server, "CLINIC_CT")
        change("POST", "/clinic", 200, suspended=False)
        assert _stored(server, "CLINIC_CT")


def test_an_institution_is_edited_by_command(server: Server) -> None:
    server.cli("institution", "create", "lab", "--name", "化验", "--ae-title", "LAB")
    server.cli("institution", "edit", "lab", "--name", "检验科", "--ae-title", "LAB2", "--remove-ae-title", "LAB")
    rows = [json.loads(line) for line in server.cli("institution", "list", "--json").stdout.splitlines()]
    (row,) = [row for row in rows if row["code"] == "lab"]
    assert (row["name"], row["ae_titles"]) == ("检验科", ["LAB2"])
    refused = server.cli("institution", "edit", "lab", "--ae-title", server.dicom.ae_title, check=False)
    assert (refused.returncode, "institution.exists" in refused.stderr) == (1, True)


@pytest.mark.req("4.16")
def test_login_opens_what_a_role_may_use_and_nothing_else(server: Server) -> None:
    """Every route of the API's own description, asked by nobody and by a person of each role."""
    with server.client() as nobody:
        paths = nobody.get("/openapi.json").json()["paths"]
        closed = [
            (method.upper(), path.replace("{", "").replace("}", ""), row["x-permission"])
            for path, methods in paths.items()
            for method, row in methods.items()
            if row["security"]
        ]
        assert len({permission for _, _, permission in closed}) > 5
        for method, path, _ in closed:
            assert nobody.request(method, path).status_code == 401, (method, path)
    permissions: dict[str, set[str]] = {}
    for role in ("hospital_admin", "doctor", "viewer"):
        made = server.cli_json("user", "create", f"one.{role}", "--role", role)
        with server.client() as person:
            permissions[role] = _first_login(person, f"one.{role}", str(made["one_time_password"]))
            for method, path, permission in closed:
                if path in {"/api/logout", "/api/password"}:
                    continue
                answer = person.request(method, path)
                forbidden = answer.status_code == 403 and answer.json()["code"] == "identity.forbidden"
                assert forbidden == (permission not in permissions[role]), (role, method, path, answer.status_code)
            assert person.post("/api/logout").status_code == 200
            assert person.get("/api/studies").status_code == 401
    assert "share.create" in permissions["doctor"] - permissions["viewer"]
    assert "institution.admin" not in permissions["hospital_admin"] | permissions["doctor"]


def _first_login(person: httpx.Client, username: str, one_time: str) -> set[str]:
    """Log in and change the one-time password, before which nothing else is allowed; what this person may do."""
    person.post("/api/login", json={"username": username, "password": one_time}).raise_for_status()
    assert person.get("/api/studies").json()["code"] == "identity.password_change_needed"
    person.post("/api/password", json={"old": one_time, "new": NEW_PASSWORD}).raise_for_status()
    return set(person.get("/api/me").json()["permissions"])


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


def test_tokens_of_shares_never_reach_a_log(server: Server) -> None:
    token = "SECRETSHARETOKENthatMustNotBeWritten"
    with server.client() as client:
        client.get(f"/s/{token}")
        client.get(f"/s/{token}/x")
    logs = b"".join(path.read_bytes() for path in (server.home / "logs").iterdir())
    assert b'"/s/' in logs
    assert token.encode() not in logs + (server.home / "serve.log").read_bytes()
