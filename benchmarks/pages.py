"""Small servers of the first-picture benchmark, each a process of its own.

``bare``: one page of the same bytes as ours from the same kind of server (uvicorn, TLS 1.3): the link's floor.
``ohif``: the built OHIF viewer, compressed once and cacheable, with Orthanc's DICOMweb behind the same address.
"""

from __future__ import annotations

import gzip
import mimetypes
import sys
from pathlib import Path
from typing import Any

import uvicorn

_CONFIG = """window.config = {routerBasename: null, extensions: [], modes: [], customizationService: {},
 showStudyList: true, maxNumberOfWebWorkers: 3, showWarningMessageForCrossOrigin: false,
 showCPUFallbackMessage: false, showLoadingIndicator: true, strictZSpacingForVolumeViewport: true,
 maxNumRequests: {interaction: 100, thumbnail: 75, prefetch: 25}, defaultDataSourceName: 'dicomweb',
 dataSources: [{namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'dicomweb',
  configuration: {friendlyName: 'Orthanc', name: 'orthanc', wadoUriRoot: '/dicom-web', qidoRoot: '/dicom-web',
   wadoRoot: '/dicom-web', qidoSupportsIncludeField: false, imageRendering: 'wadors', thumbnailRendering: 'wadors',
   enableStudyLazyLoad: true, supportsFuzzyMatching: false, supportsWildcard: true,
   omitQuotationForMultipartRequest: true}}]};"""
_COMPRESSED = {".js", ".css", ".html", ".json", ".svg", ".wasm", ".map"}


async def _answer(send: Any, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def bare_app(page: bytes) -> Any:
    """Every GET is answered with ``page``, which is gzip."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            kind = [(b"content-type", b"text/html; charset=utf-8"), (b"content-encoding", b"gzip")]
            await _answer(send, 200, [*kind, (b"cache-control", b"no-store")], page)

    return app


def _load(dist: Path) -> dict[str, tuple[bytes, list[tuple[bytes, bytes]]]]:
    files: dict[str, tuple[bytes, list[tuple[bytes, bytes]]]] = {}
    for path in dist.rglob("*"):
        if not path.is_file() or path.suffix == ".map":
            continue
        data = _CONFIG.encode() if path.name == "app-config.js" else path.read_bytes()
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        kind = "application/wasm" if path.suffix == ".wasm" else kind
        headers = [(b"content-type", kind.encode()), (b"cache-control", b"public, max-age=31536000")]
        if path.suffix in _COMPRESSED:
            data = gzip.compress(data, 6)
            headers.append((b"content-encoding", b"gzip"))
        files["/" + path.relative_to(dist).as_posix()] = (data, headers)
    return files


def ohif_app(dist: Path, orthanc: str) -> Any:
    """Static files of ``dist``; /dicom-web goes to Orthanc; every other path is the single page."""
    import httpx

    files = _load(dist)
    client = httpx.AsyncClient(base_url=orthanc, timeout=60, limits=httpx.Limits(max_connections=64))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        path = str(scope["path"])
        if path.startswith("/dicom-web"):
            target = path + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
            accept = {k.decode(): v.decode() for k, v in scope["headers"] if k in (b"accept",)}
            answer = await client.get(target, headers=accept)
            kept = [(b"content-type", answer.headers.get("content-type", "").encode())]
            await _answer(send, answer.status_code, kept, answer.content)
            return
        data, headers = files.get(path) or files["/index.html"]
        await _answer(send, 200, headers, data)

    return app


def main() -> None:
    """bare HOST PORT CERT KEY PAGE | ohif HOST PORT CERT KEY DIST ORTHANC."""
    kind, host, port, certificate, key, *rest = sys.argv[1:]
    app = bare_app(Path(rest[0]).read_bytes()) if kind == "bare" else ohif_app(Path(rest[0]), rest[1])
    uvicorn.run(
        app,
        host=host,
        port=int(port),
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_keep_alive=180,
        log_level="warning",
        lifespan="off",
    )


if __name__ == "__main__":
    main()
