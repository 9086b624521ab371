"""How many tokens a response says it used. Pure."""

import json
from typing import Any, NamedTuple

_TAIL = 65536  # a stream tells its usage at its end; earlier events need not be looked at
_EVENTS = 8
_OLLAMA = b'"eval_count"'
_LARGEST = 2**53


class Usage(NamedTuple):
    """Tokens read and written; None where the response does not say."""

    prompt: int | None = None
    completion: int | None = None


def usage_of(response: bytes) -> Usage:
    """Return the usage told by a whole response or by the last events of a stream, in either dialect."""
    if b'"usage"' not in response and _OLLAMA not in response:
        return Usage()
    if response.lstrip()[:1] == b"{" and (whole := _read(response)):
        return whole
    lines = [line for line in response[-_TAIL:].splitlines() if b'"usage"' in line or _OLLAMA in line]
    found = (_read(line.removeprefix(b"data:")) for line in reversed(lines[-_EVENTS:]))
    return next((usage for usage in found if usage), Usage())


def _read(data: bytes) -> Usage | None:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    if "eval_count" in fields:
        return Usage(_count(fields.get("prompt_eval_count")), _count(fields["eval_count"]))
    if isinstance(fields.get("response"), dict):
        fields = fields["response"]  # the last event of a stream of /v1/responses
    usage = fields.get("usage")
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    return Usage(_count(usage.get("input_tokens", prompt)), _count(usage.get("output_tokens", completion)))


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and 0 <= value < _LARGEST else None
