"""Names that say what they name: content hashes and short readable ids."""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

SHORT = 8

_SERVED_NAME = re.compile(r"(.+)@(0|[1-9][0-9]{0,17})", re.DOTALL)  # one spelling a number: `line@07` is none of ours


def canonical(value: Any) -> bytes:
    """Return the one JSON form of a value: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


def content_hash(value: Any) -> str:
    """Return the sha256 of a value's canonical form: equal values, equal hash, on every machine."""
    return hashlib.sha256(canonical(value)).hexdigest()


def texts_hash(texts: Iterable[str], without: bytes = b"") -> str:
    """Return the sha256 of texts in order, without some ASCII characters; where one ends and the next begins counts."""
    whole = b"\xff".join([text.encode("utf-8", "surrogatepass") for text in texts])  # no text holds that byte
    return hashlib.sha256(whole.translate(None, without) if without else whole).hexdigest()


def bytes_hash(chunks: Iterable[bytes]) -> str:
    """Return the sha256 of a stream of bytes."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()


def short(digest: str) -> str:
    """Return the first eight characters of a hash: enough for people, never for identity."""
    return digest[:SHORT]


def served_name(line: str, number: int) -> str:
    """Return the immutable name under which an adapter is loaded: `tool-calling@7`."""
    return f"{line}@{number}"


def split_served_name(name: str) -> tuple[str, int] | None:
    """Return line and number of a served name, or None when it is not one of ours."""
    found = _SERVED_NAME.fullmatch(name)
    return (found[1], int(found[2])) if found else None
