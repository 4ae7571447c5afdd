"""Pages that Python writes whole: the code form, and the opened page whose pictures stand in its first bytes.

The opened page is one response without redirect or script before the picture: a base picture inlined so that it
arrives in the first flight, the refined one stacked on it right behind, then the viewer. Base64 costs a third, which
Huffman coding of the response takes back.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from app.delivery.words import WORDS
from app.operations.static import STATIC
from app.viewing.prepared import PreparedPair, PreparedPicture

_FORM_STYLE = (
    "*{box-sizing:border-box}body{margin:0;background:#F4F6F9;color:#1A2430;font:16px/26px 'PingFang SC',"
    "'HarmonyOS Sans SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif}"
    "header{display:flex;justify-content:space-between;align-items:center;padding:8px 16px;"
    "padding-top:max(8px,env(safe-area-inset-top))}"
    "header a{color:#0A62C9;text-decoration:none;min-width:48px;line-height:48px;text-align:right;margin-left:16px}"
    "header h1{flex:1}"
    "main{max-width:420px;margin:0 auto;padding:8px 16px}"
    ".card{background:#fff;border-radius:8px;padding:24px 16px}"
    "h1{font-size:20px;line-height:28px;margin:0}label{display:block;font-size:16px;margin:0 0 8px}"
    "input{width:100%;height:60px;border:1px solid #7C8896;border-radius:8px;font:28px/1 inherit;font-family:inherit;"
    "letter-spacing:.4em;text-align:center;font-variant-numeric:tabular-nums;padding:0;background:#fff;color:#1A2430}"
    "button{width:100%;height:52px;margin-top:16px;border:0;border-radius:8px;background:#0A62C9;color:#fff;"
    "font:18px/1 inherit;font-family:inherit}"
    "input:focus-visible,button:focus-visible,a:focus-visible{outline:2px solid #0A62C9;outline-offset:2px}"
    ".bad{color:#B3261E;margin:8px 0 0}.bad:before{content:'\\26A0\\FE0E  '}.hint{color:#4A5866;font-size:14px;"
    "line-height:20px;margin:12px 0 0;text-align:center}"
    "@media(min-width:600px){main{padding-top:12vh}}"
)
# 长辈版: main text of 20 px, targets of 60 px.
_ELDER_STYLE = (
    "body,label{font-size:20px;line-height:30px}h1{font-size:24px;line-height:34px}header{flex-wrap:wrap}"
    "header a{font-size:20px;line-height:60px;min-width:60px}input{height:72px;font-size:34px}"
    "button{height:64px;font-size:24px}.hint{font-size:18px;line-height:28px}"
)

_OPENED_STYLE = (
    "*{box-sizing:border-box}html,body{height:100%;margin:0}"
    "body{background:#000;color:#D8E0E8;font:14px/20px 'PingFang SC','HarmonyOS Sans SC','Microsoft YaHei',"
    "'Noto Sans CJK SC',sans-serif;overflow:hidden;touch-action:none}"
    "#v{position:fixed;inset:0;height:100%;height:100dvh;display:flex;flex-direction:column;background:#000}"
    "#bar{height:48px;flex:none;display:flex;align-items:center;padding:0 12px;background:#151B22;"
    "font-variant-numeric:tabular-nums}"
    "#stage{position:relative;flex:1;min-height:0;overflow:hidden}"
    "#stage img{position:absolute;inset:0;width:100%;height:100%;object-fit:contain}"
    "#foot{flex:none;background:#151B22;min-height:56px;padding:8px 12px;color:#A3B2C1;text-align:center;"
    "padding-bottom:max(8px,env(safe-area-inset-bottom))}"
)


# Built files that the opened page needs soon, the longest first, and what they are fetched as.
_AHEAD = {"openjph.wasm": "fetch", "viewer.js": "script", "values-worker.js": "fetch", "values.js": "script"}


@dataclass(frozen=True, slots=True)
class ViewerSubject:
    """What the opened page says around the picture; empty where identity is hidden."""

    study_key: int
    modality: str
    label: str
    frame_count: int
    overlay: Mapping[str, str]
    patient_facing: bool
    close_url: str


def _document(language: str, head: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="{"zh-CN" if language == "zh" else "en"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1,viewport-fit=cover">'
        f'<meta name="robots" content="noindex,nofollow"><meta name="referrer" content="no-referrer">{head}</head>'
        f"<body>{body}"
    )


def local_time(moment: datetime, zone: str = "Asia/Shanghai") -> str:
    """``05-15 18:00`` in the institution's zone."""
    return moment.astimezone(ZoneInfo(zone)).strftime("%m-%d %H:%M")


def code_page(language: str, expires_at: datetime, *, message: str = "", elder: bool = False) -> bytes:
    """The code form: works without script, consumes nothing, names nobody."""
    words = WORDS[language]
    other = "en" if language == "zh" else "zh"
    size = f'<a href="?elder={int(not elder)}">{words["usual" if elder else "elder"]}</a>'
    style = _FORM_STYLE + (_ELDER_STYLE if elder else "")
    head = (
        f"<title>{words['card']}</title>"
        f'<meta property="og:title" content="{words["card"]}"><meta property="og:type" content="website">'
        f'<link rel="icon" href="/icon.svg"><style>{style}</style>'
    )
    bad = f'<p class="bad" role="alert" id="e">{escape(message)}</p>' if message else ""
    described = 'aria-describedby="e"' if message else ""
    body = (
        f'<header><h1>{words["title"]}</h1>{size}<a href="?lang={other}" lang="{other}">'
        f'{"EN" if language == "zh" else "中文"}</a></header><main><form class="card" method="post" action="?lang={language}">'
        f'<label for="c">{words["enter"]}</label>'
        f'<input id="c" name="code" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9]{{6}}" '
        f'maxlength="6" required autofocus {described}>{bad}'
        f'<button>{words["view"]}</button><p class="hint">{words["until"].format(time=local_time(expires_at))}'
        f"<br>{words['help']}</p></form></main>{_form_script()}</body></html>"
    )
    return _document(language, head, body).encode()


def _form_script() -> str:
    """What keeps the connection warm while the code is typed and fetches the viewer ahead; nothing depends on it."""
    files = client_files()
    if "form.js" not in files:
        return ""
    ahead = " ".join(f"/{files[name]}" for name in _AHEAD if name in files)
    return f'<script defer src="/{files["form.js"]}" data-next="{ahead}"></script>'


def message_page(language: str, text: str) -> bytes:
    """A link that cannot be opened (any more), in plain words."""
    words = WORDS[language]
    head = f'<title>{words["title"]}</title><link rel="icon" href="/icon.svg"><style>{_FORM_STYLE}</style>'
    body = (
        f'<header><h1>{words["title"]}</h1></header><main><div class="card"><p role="alert">{escape(text)}</p></div></main>'
        "</body></html>"
    )
    return _document(language, head, body).encode()


def _data_uri(picture: PreparedPicture) -> str:
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.data).decode()}"


@lru_cache(maxsize=1)
def client_files() -> dict[str, str]:
    """Names of the built viewer files, from the client's manifest; {} before the client is built."""
    path = STATIC / "manifest.json"
    return orjson.loads(path.read_bytes()) if path.is_file() else {}


def opened_head(language: str, subject: ViewerSubject, pair: PreparedPair) -> bytes:
    """Everything up to and with the base picture."""
    words = WORDS[language]
    base = pair.base
    head = (
        f"<title>{words['title'] if subject.patient_facing else escape(subject.label)}</title>"
        '<meta name="theme-color" content="#000000"><link rel="icon" href="/icon.svg">'
        f"<style>{_OPENED_STYLE}</style>"
    )
    label = escape(f"{subject.label} {base.frame_index + 1}/{subject.frame_count}".strip())
    body = (
        f'<div id="v"><div id="bar">{label}</div><div id="stage">'
        f'<img id="base" alt="{words["picture"]}" elementtiming="base" fetchpriority="high" src="{_data_uri(base)}">'
    )
    return _document(language, head, body).encode()


@lru_cache(maxsize=1)
def _style() -> str:
    """The viewer's style sheet (2.5 kB packed), in the page: as a file it would come before all else that is asked for."""
    return (STATIC / client_files()["viewer.css"]).read_text()


def opened_middle(language: str, subject: ViewerSubject, pair: PreparedPair, exact_values: str = "") -> bytes:
    """The refined picture on the base. ``exact_values``: address of the shown frame's values, fetched behind it.

    Told before the picture, so that it stands first in line when this connection is free: it is by far the most bytes, and
    this connection has grown fast while the others begin slowly (RFC 5681).
    """
    refined = ""
    if exact_values:
        refined = f'<link rel="preload" as="fetch" crossorigin fetchpriority="high" href="{escape(exact_values)}">'
    if pair.refined is not None:
        refined += f'<img id="refined" alt="" elementtiming="refined" src="{_data_uri(pair.refined)}">'
    note = WORDS[language]["note"] if subject.patient_facing else ""
    return f'{refined}</div><div id="foot">{note}</div></div>'.encode()


def opened_tail(boot: Mapping[str, Any]) -> bytes:
    """The viewer's data and files."""
    parts: list[str] = []
    # "<" is escaped, so that no value can end the element.
    data = orjson.dumps(boot).decode().replace("<", "\\u003c")
    parts.append(f'<script id="boot" type="application/json">{data}</script>')
    files = client_files()
    if "viewer.css" in files:
        parts.append(f"<style>{_style()}</style>")
    if "viewer.js" in files:
        parts.append(f'<script defer src="/{files["viewer.js"]}"></script>')
    parts.append("</body></html>")
    return "".join(parts).encode()


def ahead_header() -> str:
    """``Link`` header (RFC 8288) of the viewer's files: their connections are made while the pictures come.

    One after the other, as scripts ask for them, each file would cost a round trip, and a new connection two more.
    """
    files = client_files()
    return ", ".join(
        f"</{files[name]}>; rel=preload; as={kind}; fetchpriority=low{'; crossorigin' if kind == 'fetch' else ''}"
        for name, kind in _AHEAD.items()
        if name in files
    )


async def packed(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """gzip, Huffman only: takes back what base64 costs at almost no time; each part is flushed on its own."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 31, 9, zlib.Z_HUFFMAN_ONLY)
    async for part in parts:
        yield packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()
