"""Which conversation a request belongs to: a header says it, or the first messages do. Pure.

An agent sends the whole conversation with every call, so that its first messages name it for as long as it lasts.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

SESSION_HEADERS = ("x-session-id", "x-session-affinity", "x-task-id")
_PREAMBLE = frozenset({"system", "developer"})


class Session(NamedTuple):
    """A conversation's key and where it was read: a header's name, `conversation`, `prompt` or `body`."""

    key: str
    source: str


def session_of(headers: Mapping[str, str], fields: Mapping[str, Any] | None, raw: bytes) -> Session:
    """Return the session of a request; the same conversation gives the same key on every turn."""
    for name in SESSION_HEADERS:
        value = headers.get(name, "").strip()
        if value:
            return Session(value, name)
    messages = _messages(fields) if fields else None
    if isinstance(messages, list) and messages:
        return Session(_digest(*_opening(messages)), "conversation")
    if fields and "prompt" in fields:
        return Session(_digest(_text(fields["prompt"])), "prompt")
    return Session(hashlib.blake2b(raw, digest_size=16).hexdigest(), "body")


def _messages(fields: Mapping[str, Any]) -> Any:
    """Return the conversation, which /v1/responses calls its input and may begin with instructions."""
    if "messages" in fields or "input" not in fields:
        return fields.get("messages")
    given = fields["input"]
    told = given if isinstance(given, list) else [{"role": "user", "content": given}]
    instructions = fields.get("instructions")
    return [{"role": "system", "content": instructions}, *told] if instructions else told


def _opening(messages: list[Any]) -> Iterator[str]:
    """Yield the messages up to the first that is not a system message: the part that later turns repeat."""
    for message in messages:
        if not isinstance(message, dict):
            yield _text(message)
            return
        role = str(message.get("role"))
        yield role
        yield _text(message.get("content"))
        if role not in _PREAMBLE:
            return


def _text(content: Any) -> str:
    """Return what was said, whether it came as one string or in parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_part(part) for part in content)
    return json.dumps(content, sort_keys=True)


def _part(part: Any) -> str:
    if isinstance(part, dict):
        if isinstance(part.get("text"), str):
            return str(part["text"])
        # A cache mark wanders to the newest message from turn to turn; it is not part of what was said.
        part = {key: value for key, value in part.items() if key != "cache_control"}
    return json.dumps(part, sort_keys=True)


def _digest(*texts: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()
