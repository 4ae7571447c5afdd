"""Encryption at rest of personal fields, and keyed blind indexes to find them.

Envelope: a data key per purpose and version is derived from the master key (HKDF-SHA256, RFC 5869); values are
sealed with AES-256-GCM (NIST SP 800-38D) under a context as additional data, so that a sealed name cannot be moved to
another row's field. Losing the master key loses the names.
"""

from __future__ import annotations

import hmac
import os
import re
import struct
import unicodedata
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dicomnet.errors import DicomnetError
from dicomnet.secret_file import read_or_create

_VERSION = 1
_NONCE_LENGTH = 12
_LONGEST_PREFIX = 8
_IDEOGRAPH = re.compile(r"[\u3400-\u9fff\U00020000-\U0003134f]")
# Surnames that are read otherwise than the character alone; two characters stand before one.
_SURNAMES = {
    "单": "shan",
    "解": "xie",
    "仇": "qiu",
    "曾": "zeng",
    "查": "zha",
    "区": "ou",
    "朴": "piao",
    "盖": "ge",
    "乐": "yue",
    "覃": "qin",
    "缪": "miao",
    "翟": "zhai",
    "黑": "he",
    "种": "chong",
    "秘": "bi",
    "召": "shao",
    "折": "she",
    "员": "yun",
    "洗": "xian",
    "隗": "wei",
    "繁": "po",
    "佴": "nai",
}


class KeyringError(DicomnetError):
    """A sealed value cannot be opened (other key, other context, changed bytes), or the key file is no key."""

    code = "keyring.cannot_open"
    message = {"zh": "密钥不匹配，无法解密", "en": "The key does not open this value"}


class Keyring:
    """Holds the master key in memory; derives the rest on demand."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != 32:
            raise KeyringError(what="master key length")
        self._master_key = master_key
        self._cipher = AESGCM(self._derive("seal"))
        self._index_key = self._derive("blind-index")

    @classmethod
    def load_or_create(cls, path: Path) -> Keyring:
        """Read the master key (32 bytes, hex), creating it at first start with mode 0600. Raises KeyringError."""
        try:
            return cls(bytes.fromhex(read_or_create(path, lambda: os.urandom(32).hex())))
        except ValueError:
            raise KeyringError(what="master key file") from None

    def _derive(self, purpose: str) -> bytes:
        return HKDF(SHA256(), 32, None, f"cloudfilm/{_VERSION}/{purpose}".encode()).derive(self._master_key)

    def seal(self, text: str, context: bytes) -> bytes:
        """``version (1) | nonce (12) | ciphertext and tag``; an empty text seals too."""
        nonce = os.urandom(_NONCE_LENGTH)
        return bytes([_VERSION]) + nonce + self._cipher.encrypt(nonce, text.encode(), context)

    def open(self, sealed: bytes, context: bytes) -> str:
        """The text again. Raises KeyringError."""
        if len(sealed) < 1 + _NONCE_LENGTH or sealed[0] != _VERSION:
            raise KeyringError(what="version")
        nonce, body = sealed[1 : 1 + _NONCE_LENGTH], sealed[1 + _NONCE_LENGTH :]
        try:
            return self._cipher.decrypt(nonce, body, context).decode()
        except InvalidTag:
            raise KeyringError(what="tag") from None

    def hmac(self, purpose: str, data: bytes) -> bytes:
        """HMAC-SHA256 under a key of its own for each purpose."""
        return hmac.new(self._derive(purpose), data, sha256).digest()

    def _token(self, kind: str, value: str) -> int:
        """A blind token: the first 8 bytes of an HMAC as a signed integer (PostgreSQL bigint)."""
        digest = hmac.new(self._index_key, f"{kind}\0{value}".encode(), sha256).digest()
        return int(struct.unpack(">q", digest[:8])[0])

    def blind_tokens_for_name(self, name: str) -> list[int]:
        """Tokens under which a person name (PS3.5 6.2.1, groups by ``=``) is found: whole, prefixes, pieces."""
        tokens: set[int] = set()
        for form in name_forms(name):
            tokens.add(self._token("whole", form))
            tokens.update(self._token("prefix", form[:n]) for n in range(1, min(len(form), _LONGEST_PREFIX) + 1))
            tokens.update(self._token("piece", piece) for piece in _pieces(form))
        return sorted(tokens)

    def blind_query(self, pattern: str) -> list[int]:
        """Tokens that a name matching ``pattern`` (``*`` and ``?`` wildcards) must all have; [] = no constraint.

        A superset may match (long prefixes, several pieces): the caller compares opened names with ``name_matches``.
        """
        folded = fold_name(pattern)
        if "*" not in folded and "?" not in folded:
            return [self._token("whole", folded)] if folded else []
        tokens: set[int] = set()
        literals = re.split(r"[*?]+", folded)
        if literals[0]:
            tokens.add(self._token("prefix", literals[0][:_LONGEST_PREFIX]))
        for literal in literals:
            if len(literal) == 1:
                tokens.add(self._token("piece", literal))
            tokens.update(self._token("piece", literal[i : i + 2]) for i in range(len(literal) - 1))
        return sorted(tokens)


def _pieces(form: str) -> set[str]:
    return set(form) | {form[i : i + 2] for i in range(len(form) - 1)}


def fold_name(text: str) -> str:
    """Width, case, and separators folded: ``Ｚhang^Ming`` -> ``zhangming`` (NFKC, casefold)."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\s^=,.·']+", "", text)


def _pinyin_forms(name: str) -> set[str]:
    """Pinyin and initials in each way the name may be typed: the surname's own reading, and ü as v, u or yu."""
    # Here, since its dictionaries take a fifth of a process's start, and most processes never read a name.
    from pypinyin import Style, lazy_pinyin

    syllables = lazy_pinyin(name)
    initials = lazy_pinyin(name, style=Style.FIRST_LETTER)
    forms = {"".join(syllables), "".join(initials)}
    surname = next((s for s in _SURNAMES if name.startswith(s)), None)
    if surname is not None:
        reading = _SURNAMES[surname].split()
        forms.add("".join([*reading, *syllables[len(surname) :]]))
        forms.add("".join([*(syllable[0] for syllable in reading), *initials[len(surname) :]]))
    return forms | {form.replace("v", spelling) for form in forms if "v" in form for spelling in ("u", "yu")}


def prepare_names() -> None:
    """Load the dictionaries now, for a process in which the first name must not wait for them."""
    _pinyin_forms("名")


@lru_cache(maxsize=4096)
def name_forms(name: str) -> tuple[str, ...]:
    """Every form a name is searched by: each component group whole and, for ideographs, pinyin and its initials."""
    forms: set[str] = set()
    for group in name.split("="):
        folded = fold_name(group)
        if not folded:
            continue
        forms.add(folded)
        parts = [fold_name(part) for part in group.split("^") if fold_name(part)]
        if len(parts) > 1:
            forms.add("".join(reversed(parts[:2])))
        if _IDEOGRAPH.search(folded):
            forms.update(_pinyin_forms(folded))
    return tuple(sorted(forms))


def name_matches(name: str, pattern: str) -> bool:
    """Whether any form of ``name`` matches ``pattern`` as DICOM wildcard matching does (PS3.4, C.2.2.2.4)."""
    folded = fold_name(pattern)
    if not folded:
        return True
    expression = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in folded)
    return any(re.fullmatch(expression, form) for form in name_forms(name))
