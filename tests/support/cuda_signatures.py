"""Kernels' signatures and structures as the CUDA source declares them: what the launches of the host side are held
against. Reads the pasted text of a unit; understands the subset of C++ that kernels/ is written in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from render.cuda import device

_TYPES: dict[str, Any] = {
    "cf_u8": np.uint8,
    "cf_u16": np.uint16,
    "cf_i16": np.int16,
    "cf_f32": np.float32,
    "float": np.float32,
    "int": np.int32,
    "unsigned int": np.uint32,
}


@dataclass(frozen=True)
class Parameter:
    """``kind``: 'pointer', 'scalar' or 'struct'. ``dtype``: of the elements or of the scalar (None: void)."""

    name: str
    kind: str
    dtype: Any
    struct: str = ""


@dataclass(frozen=True)
class Field:
    """A field of a structure; ``pointer``: an address, ``dtype`` of what is there (None: void)."""

    name: str
    offset: int
    size: int
    pointer: bool
    dtype: Any
    struct: str = ""


@dataclass(frozen=True)
class Struct:
    """Layout as a 64-bit compiler makes it."""

    name: str
    fields: tuple[Field, ...]
    size: int
    align: int


def _plain(text: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)


def _split_type(text: str) -> tuple[str, bool, str]:
    """('const cf_i16* values') -> (type, whether a pointer, the rest)."""
    words = re.sub(r"\b(const|struct|__grid_constant__|__restrict__)\b", " ", text).split()
    joined = " ".join(words)
    found = re.match(r"(unsigned int|void|\w+)\s*(\*?)\s*(.*)$", joined)
    assert found, text
    return found[1], bool(found[2]), found[3]


def _expanded(text: str) -> str:
    """With the macros that declare kernels written out: NAME(a, b) for every use of such a macro."""
    joined = text.replace("\\\n", " ")
    for name, parameters, body in re.findall(r"^#define (\w+)\(([^)]*)\) +(.*)$", joined, flags=re.M):
        if 'extern "C"' not in body:
            continue
        names = [word.strip() for word in parameters.split(",")]
        for use in re.findall(rf"^{name}\(([^)]*)\)$", joined, flags=re.M):
            written = body
            for parameter, value in zip(names, use.split(","), strict=True):
                written = re.sub(rf"\b{parameter}\b", value.strip(), written)
            joined += "\n" + written.replace("##", "") + "\n"
        joined = re.sub(rf"^#define {name}\(.*$", "", joined, flags=re.M)
    return joined


@lru_cache(maxsize=8)
def kernels(unit: str) -> dict[str, tuple[Parameter, ...]]:
    """Every kernel of a unit and its parameters."""
    text = _expanded(_plain(device.source(unit)))
    found: dict[str, tuple[Parameter, ...]] = {}
    for name, inside in re.findall(r'extern "C" __global__ void (\w+)\(([^)]*)\)', text):
        parameters: list[Parameter] = []
        for piece in inside.split(","):
            kind, pointer, rest = _split_type(piece)
            if pointer:
                parameters.append(Parameter(rest, "pointer", None if kind == "void" else np.dtype(_TYPES[kind])))
            elif kind in _TYPES:
                parameters.append(Parameter(rest, "scalar", np.dtype(_TYPES[kind])))
            else:
                parameters.append(Parameter(rest, "struct", None, kind))
        found[name] = tuple(parameters)
    return found


@lru_cache(maxsize=32)
def struct(unit: str, name: str) -> Struct:
    """The layout of a structure of a unit."""
    text = _plain(device.source(unit))
    constants = {word: int(value) for word, value in re.findall(r"^#define (\w+) +(\d+)\s*$", text, flags=re.M)}
    found = re.search(rf"^struct {name} \{{(.*?)\}};", text, flags=re.M | re.S)
    assert found, name
    fields: list[Field] = []
    offset, widest = 0, 1
    for line in (piece.strip() for piece in found[1].split(";")):
        if not line:
            continue
        kind, _, _ = _split_type(line)
        inner = None if kind in _TYPES or kind == "void" else struct(unit, kind)
        rest = re.sub(r"^(const\s+)?(unsigned int|\w+)", "", line).strip()
        for declared in rest.split(","):
            match = re.match(r"\s*(\*?)\s*(\w+)((?:\[\w+\])*)$", declared)
            assert match, line
            counts = [constants[n] if n in constants else int(n) for n in re.findall(r"\[(\w+)\]", match[3])]
            dtype = np.dtype(_TYPES[kind]) if kind in _TYPES else None
            pointer = bool(match[1])
            unit_size = 8 if pointer else inner.size if inner else dtype.itemsize if dtype else 0
            align = 8 if pointer else inner.align if inner else unit_size
            offset = -(-offset // align) * align
            size = unit_size * int(np.prod(counts or [1]))
            fields.append(Field(match[2], offset, size, pointer, dtype, inner.name if inner and not pointer else ""))
            offset += size
            widest = max(widest, align)
    return Struct(name, tuple(fields), -(-offset // widest) * widest, widest)


def pointers(unit: str, name: str, base: int = 0) -> list[Field]:
    """Every address in a structure, those of structures within it included."""
    found: list[Field] = []
    for field in struct(unit, name).fields:
        if field.pointer:
            found.append(Field(field.name, base + field.offset, 8, True, field.dtype))
        elif field.struct:
            found += pointers(unit, field.struct, base + field.offset)
    return found
