"""Calls that hold a secret lose what was said before they reach the disk; what they cost is kept. Pure.

A text is looked at as a person reads it: JSON undone, and a stream put together, because a token of a model is shorter
than a password.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from flywheel.core.secrets import find_secret_in
from flywheel.gateway.calls import Call

UNREADABLE = "unreadable"  # in the place of a rule, where a call could not be looked through
_ONCE_MORE = frozenset({"logprobs"})  # the words of the answer, each by itself
_OF_EVERY_EVENT = _ONCE_MORE | {"id", "item_id", "object", "model", "created_at", "system_fingerprint"}
_NAMED_UP_TO = 500  # longer values are no passwords: they are looked at without their name, and known again
_LINES_AT_ONCE = 200  # of a stream
_DATA = "data:"
_PICTURE = re.compile(r"data:[\w/+.;=-]{1,100};base64,[A-Za-z0-9+/=]*+")

Path = tuple[str | int, ...]


def quarantined(call: Call) -> Call:
    """Return the call as it may be stored: without its bodies, and under the rule's name, when it holds a secret."""
    rule = secret_in(call)
    if rule is None:
        return call
    if _has_secret_name(call):
        call = call._replace(session=_hidden(call.session), task=None)
    return call._replace(request=b"", response=b"", quarantine=rule)


def secret_in(call: Call) -> str | None:
    """Return the name of the first rule that finds a secret in what was asked, what was said or how it is called."""
    return find_secret_in([*_asked(call.request), *_said(call.response), call.session, call.task or ""])


def _has_secret_name(call: Call) -> bool:
    return find_secret_in([call.session, call.task or ""]) is not None


def _hidden(session: str) -> str:
    """Return a name that keeps the calls of a session together and does not tell it."""
    return hashlib.blake2b(session.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _asked(request: bytes) -> Iterator[str]:
    fields = _json(request)
    if fields is None:
        yield request.decode("utf-8", "replace")
        return
    for path, text in _texts(fields, _ONCE_MORE):
        yield _named(path, text)


def _said(response: bytes) -> Iterator[str]:
    whole = _json(response)
    if isinstance(whole, dict):
        yield from (_named(path, text) for path, text in _texts(whole, _ONCE_MORE))
        return
    pieces: defaultdict[Path, list[str]] = defaultdict(list)
    for event in _events(response.splitlines()):
        for path, text in _texts(event, _OF_EVERY_EVENT):
            pieces[path].append(text)
    for texts in pieces.values():
        yield "".join(texts)


def _events(lines: Sequence[bytes]) -> Iterator[Any]:
    """Yield the JSON values of a stream's lines, and lines that are none as texts."""
    for start in range(0, len(lines), _LINES_AT_ONCE):
        some = [line.removeprefix(b"data:").strip() for line in lines[start : start + _LINES_AT_ONCE]]
        objects = [data for data in some if data.startswith(b"{")]
        values = _json(b"[%b]" % b",".join(objects))  # at one go: much cheaper, and true of every whole stream
        if values is None:
            values = [_text(data) if (one := _json(data)) is None else one for data in objects]
        yield from values
        yield from (_text(data) for data in some if data and not data.startswith(b"{"))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace") + "\n"


def _texts(value: Any, without: frozenset[str]) -> Iterator[tuple[Path, str]]:
    """Yield the texts of a JSON value with where each stands; what is numbered stands at its number."""
    left: list[tuple[Path, Any]] = [((), [value])]
    while left:
        path, holder = left.pop()
        inside = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, held in inside:
            if isinstance(held, str):
                if key not in without and not (held.startswith(_DATA) and _PICTURE.fullmatch(held)):
                    yield (*path, key), held
            elif isinstance(held, dict | list) and key not in without:
                left.append(((*path, key if isinstance(key, str) else _number(held, key)), held))


def _number(value: Any, at: int) -> int:
    index = value.get("index") if isinstance(value, dict) else None
    return index if isinstance(index, int) else at


def _named(path: Path, text: str) -> str:
    """Return a short text behind its key: a value is a password because of its name."""
    key = path[-1]
    return f'{key}: "{text}"' if isinstance(key, str) and len(text) <= _NAMED_UP_TO else text


def _json(data: bytes) -> Any:
    """Return the JSON value, or None for what is not JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
