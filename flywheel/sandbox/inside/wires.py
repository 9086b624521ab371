"""The fork server's line to the executor: a length, a JSON object, then the raw bytes that the object announces."""

import json
import os
from typing import Any

_LENGTH = 4


def read(descriptor: int) -> dict[str, Any] | None:
    """Return the next object, or None when the executor is gone."""
    head = _exactly(descriptor, _LENGTH)
    data = _exactly(descriptor, int.from_bytes(head, "big")) if head else b""
    return json.loads(data) if data else None


def write(descriptor: int, word: dict[str, Any], *raw: bytes) -> None:
    """Say an object, with raw bytes whose lengths it announces as `sizes`."""
    data = json.dumps({**word, "sizes": [len(part) for part in raw]}).encode()
    rest = memoryview(b"".join((len(data).to_bytes(_LENGTH, "big"), data, *raw)))
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _exactly(descriptor: int, count: int) -> bytes:
    parts, missing = [], count
    while missing:
        part = os.read(descriptor, min(missing, 1 << 20))
        if not part:
            return b""
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
