"""The built client: hashed assets for ever, staff pages never cached; brotli from the build, gzip made once at first use."""

from __future__ import annotations

import gzip
import mimetypes
from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.errors import NotFoundError
from app.http import PUBLIC, RouteSpec
from app.identity.models import Principal
from app.services import Services

STATIC = Path(__file__).resolve().parents[1] / "static"
_COMPRESSIBLE = {".js", ".css", ".html", ".json", ".svg", ".webmanifest", ".wasm"}
_DECODER_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"


@lru_cache(maxsize=64)
def _load(relative: str) -> tuple[dict[str, bytes], str] | None:
    """(content by its coding, best first, '' as it is; media type); None when there is no such file inside the folder."""
    path = (STATIC / relative).resolve()
    if not path.is_relative_to(STATIC.resolve()) or not path.is_file():
        return None
    content = path.read_bytes()
    codings: dict[str, bytes] = {}
    if path.suffix in _COMPRESSIBLE:
        made = path.with_name(f"{path.name}.br")
        if made.is_file():
            codings["br"] = made.read_bytes()
        codings["gzip"] = gzip.compress(content, 9, mtime=0)
    codings[""] = content
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if media_type.startswith("text/") or media_type == "application/javascript":
        media_type += "; charset=utf-8"
    return codings, media_type


def _answer(request: Request, relative: str, cache: str) -> Response:
    loaded = _load(relative)
    if loaded is None:
        raise NotFoundError
    codings, media_type = loaded
    taken = {one.split(";")[0].strip() for one in request.headers.get("accept-encoding", "").split(",")} | {""}
    coding = next(coding for coding in codings if coding in taken)
    headers = {"Cache-Control": cache, "Vary": "Accept-Encoding"}
    if coding:
        headers["Content-Encoding"] = coding
    return Response(codings[coding], headers=headers, media_type=media_type)


async def asset(request: Request, services: Services, principal: Principal) -> Response:
    """A hashed file of the built client. Only the worker that decodes values may compile WebAssembly."""
    name = str(request.path_params["name"])
    response = _answer(request, f"assets/{name}", "public, max-age=31536000, immutable")
    if name.startswith("values-worker-"):
        response.headers["Content-Security-Policy"] = _DECODER_POLICY
    return response


async def staff(request: Request, services: Services, principal: Principal) -> Response:
    """The staff pages: one document, its script asks who is logged in."""
    return _answer(request, "staff.html", "no-store")


async def home(request: Request, services: Services, principal: Principal) -> Response:
    """/ leads staff to the study list."""
    return RedirectResponse("/studies", 303)


async def icon(request: Request, services: Services, principal: Principal) -> Response:
    """An icon that names no hospital."""
    return _answer(request, "icon.svg", "public, max-age=86400")


ROUTES = (
    RouteSpec("/", home, PUBLIC, summary="to the study list"),
    RouteSpec("/login", staff, PUBLIC, html=True, summary="staff login page"),
    RouteSpec("/studies", staff, PUBLIC, html=True, summary="staff study list page"),
    RouteSpec("/assets/{name}", asset, PUBLIC, summary="built client files"),
    RouteSpec("/icon.svg", icon, PUBLIC, summary="icon"),
    RouteSpec("/favicon.ico", icon, PUBLIC, summary="icon"),
)
