"""Multipart answers taken apart, and bodies made, independently of the product's own code."""

from __future__ import annotations

import re
from collections.abc import Sequence

import httpx

BOUNDARY = "test-boundary-5f2c"


def parts(answer: httpx.Response) -> list[tuple[str, bytes]]:
    """(content type, bytes) of every part."""
    found = re.search(r'boundary="?([^";]+)', answer.headers["content-type"])
    assert found is not None, answer.headers["content-type"]
    mark = b"--" + found.group(1).encode()
    pieces = (b"\r\n" + answer.content.lstrip(b"\r\n")).split(b"\r\n" + mark)
    assert pieces[-1].startswith(b"--"), "no closing delimiter"
    result: list[tuple[str, bytes]] = []
    for piece in pieces[1:-1]:
        head, _, data = piece.partition(b"\r\n\r\n")
        kind = re.search(rb"(?im)^content-type:\s*(.+?)\s*$", head)
        result.append((kind.group(1).decode() if kind else "", data))
    return result


def body(objects: Sequence[bytes], part_type: str = "application/dicom") -> tuple[bytes, dict[str, str]]:
    """(bytes, headers) of a STOW request."""
    content = b"".join(
        f"--{BOUNDARY}\r\nContent-Type: {part_type}\r\n\r\n".encode() + data + b"\r\n" for data in objects
    )
    headers = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'}
    return content + f"--{BOUNDARY}--\r\n".encode(), headers
