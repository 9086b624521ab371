"""The words of the executor's socket: a length of four bytes, then so many bytes of one JSON object."""

import asyncio
import json
from typing import Any, Protocol

from flywheel.core.errors import CorruptError

#: No frame is longer, in either direction; who announces more is not read.
LARGEST_FRAME = 64 * 1024 * 1024
_LENGTH = 4
_BODY_SECONDS = 60.0


class ByteReader(Protocol):
    """What frames are read from: `asyncio.StreamReader`, or a test's own."""

    async def readexactly(self, n: int) -> bytes:
        """Return exactly so many bytes, or raise IncompleteReadError."""
        ...


def encode(value: dict[str, Any]) -> bytes:
    """Return a frame; raises CorruptError when it would be longer than anybody reads."""
    try:
        data = json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise CorruptError(f"a message cannot be said as JSON: {error}") from error
    if len(data) > LARGEST_FRAME:
        raise CorruptError(f"a message of {len(data)} bytes is over {LARGEST_FRAME}", "send less in one program")
    return len(data).to_bytes(_LENGTH, "big") + data


async def read_frame(reader: ByteReader, largest: int = LARGEST_FRAME) -> dict[str, Any] | None:
    """Return the next frame's object, None where the stream ends between frames; raises CorruptError for the rest."""
    try:
        head = await reader.readexactly(_LENGTH)
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise CorruptError("the stream ends inside a length") from error
    length = int.from_bytes(head, "big")
    if length > largest:
        raise CorruptError(f"a message of {length} bytes is over {largest}")
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            data = await reader.readexactly(length)
    except TimeoutError as error:
        raise CorruptError(f"the rest of a message did not come in {_BODY_SECONDS:g} s") from error
    except asyncio.IncompleteReadError as error:
        raise CorruptError(f"the stream ends after {len(error.partial)} of {length} bytes") from error
    return decode(data)


def decode(data: bytes) -> dict[str, Any]:
    """Return the object that a frame's bytes say; raises CorruptError when they say none."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CorruptError(f"a message is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise CorruptError("a message is not an object")
    return value
