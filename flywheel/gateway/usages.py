"""How many tokens a response says it used. Pure."""

import json
from typing import Any, NamedTuple

_TAIL = 65536  # a stream tells its usage at its end; earlier events need not be looked at
_EVENTS = 8
_LARGEST = 2**53


class Usage(NamedTuple):
    """Tokens read and written; None where the response does not say."""

    prompt: int | None = None
    completion: int | None = None


def usage_of(response: bytes) -> Usage:
    """Return the usage told by a whole response or by the last events of a stream."""
    if b'"usage"' not in response:
        return Usage()
    if response.lstrip()[:1] == b"{":
        return _read(response) or Usage()
    lines = [line for line in response[-_TAIL:].splitlines() if line.startswith(b"data:") and b'"usage"' in line]
    found = (_read(line.removeprefix(b"data:")) for line in reversed(lines[-_EVENTS:]))
    return next((usage for usage in found if usage), Usage())


def _read(data: bytes) -> Usage | None:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return None
    usage = fields.get("usage") if isinstance(fields, dict) else None
    if not isinstance(usage, dict):
        return None
    return Usage(_count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and 0 <= value < _LARGEST else None
