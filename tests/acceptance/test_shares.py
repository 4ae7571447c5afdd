"""A share link from outside: made, opened by its code, guarded by counters that last, ended at once."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.dicom_files import as_bytes, make_ct
from tests.support.multipart import body
from tests.support.server import Server


def _send(server: Server, uid: str) -> None:
    content, headers = body(
        [as_bytes(make_ct(StudyInstanceUID=uid, SeriesInstanceUID=uid + ".1", SOPInstanceUID=uid + ".1.1"))]
    )
    headers["Authorization"] = f"Bearer {server.token('dicomweb-write')}"
    with server.client() as client:
        assert client.post("/dicom-web/studies", content=content, headers=headers).status_code == 200


def _path(url: str) -> str:
    return "/s/" + url.rpartition("/s/")[2]


def test_a_link_with_its_code_opens_and_is_stopped_at_once(server: Server) -> None:
    uid = "1.2.826.0.1.427"
    _send(server, uid)
    made = server.cli_json("share", "create", "--study", uid, "--days", "1")
    assert re.fullmatch(r"[0-9]{6}", made["code"])
    path = _path(made["url"])
    with server.client() as phone:
        form = phone.get(path)
        assert "请输入6位验证码" in form.text
        wrong = f"{(int(made['code']) + 1) % 10**6:06d}"
        assert "还可尝试4次" in phone.post(path, data={"code": wrong}).text
        opened = phone.post(path, data={"code": made["code"]})
        assert opened.status_code == 200
        assert "data:image/webp;base64," in opened.text
        assert "data:image/webp;base64," in phone.get(path).text
        with server.admin() as admin:
            (study,) = admin.get("/api/studies", params={"q": "王"}).json()["studies"][:1]
            shares = [
                row["share_key"]
                for study in admin.get("/api/studies", params={"q": "王"}).json()["studies"]
                for row in admin.get(f"/api/studies/{study['study_key']}/shares").json()["shares"]
                if row["opened_count"]
            ]
            assert study["patient_name"].startswith("王")
            assert admin.post(f"/api/shares/{shares[0]}/revoke").status_code == 200
        assert phone.get(path).status_code == 410
        assert "分享人已停止分享" in phone.post(path, data={"code": made["code"]}).text
        assert phone.get("/api/studies").status_code == 401
    _token_is_in_no_log(server.home, path.removeprefix("/s/"), made["code"])


def _token_is_in_no_log(home: Path, token: str, code: str) -> None:
    logs = [path for path in home.rglob("*.log") if path.is_file()]
    assert logs
    text = b"".join(path.read_bytes() for path in logs)
    assert b"http.request" in text
    assert token.encode() not in text
    assert f'"{code}"'.encode() not in text


def test_failures_are_counted_across_a_restart(own_server: Server) -> None:
    server = own_server.start()
    uid = "1.2.826.0.1.428"
    _send(server, uid)
    made = server.cli_json("share", "create", "--study", uid, "--days", "1")
    path = _path(made["url"])
    wrong = f"{(int(made['code']) + 1) % 10**6:06d}"
    with server.client() as phone:
        for _ in range(5):
            assert phone.post(path, data={"code": wrong}).status_code == 403
    server.restart()
    with server.client() as phone:
        locked = phone.post(path, data={"code": made["code"]})
    assert locked.status_code == 429
    assert "分钟后再试" in locked.text
