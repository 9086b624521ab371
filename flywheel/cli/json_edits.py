"""Setting values in a person's JSON file, comments and layout kept: what is not set stays byte for byte. Pure.

The files that opencode reads are JSON with comments and trailing commas. So a value is set by an edit of the text at
the one place it belongs to, never by reading the whole and writing it again.
"""

import json
import re
from typing import Any, NamedTuple

_SKIPPED = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_PLAIN = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
_INDENT = "  "


class Node(NamedTuple):
    """A value in a text: where it stands, what it is, and the members of a table."""

    start: int
    end: int
    value: Any
    members: dict[str, "Node"]
    comma: bool = False


def read(text: str) -> Node:
    """Return the value of a text; raises ValueError where it is not JSON with comments."""
    node = _value(text, _skip(text, 1 if text.startswith("\ufeff") else 0))
    if (rest := _skip(text, node.end)) != len(text):
        raise ValueError(_where(text, rest))
    return node


def set_value(text: str, path: tuple[str, ...], value: Any) -> str:
    """Return the text with a value set; tables on the way that are not there are made.

    Raises ValueError where something on the way is there and is no table.
    """
    node, depth = read(text), 0
    while depth < len(path) and path[depth] in node.members:
        node, depth = node.members[path[depth]], depth + 1
    if depth == len(path):
        return text[: node.start] + _render(value, depth) + text[node.end :]
    if not isinstance(node.value, dict):
        raise ValueError(f"{'.'.join(path[:depth]) or 'the whole'} is there and is no table")  # noqa: TRY004 - the text's
    for name in reversed(path[depth + 1 :]):
        value = {name: value}
    return _insert(text, node, depth, f"{json.dumps(path[depth])}: {_render(value, depth + 1)}")


def _insert(text: str, table: Node, depth: int, member: str) -> str:
    """Add a member behind the last one and whatever is said there."""
    inside = _INDENT * (depth + 1)
    last = max((node.end for node in table.members.values()), default=table.start + 1)
    comma = "," if table.members and not table.comma else ""
    said = text[last : table.end - 1].rstrip()
    return f"{text[:last]}{comma}{said}\n{inside}{member}\n{_INDENT * depth}{text[table.end - 1 :]}"


def _render(value: Any, depth: int) -> str:
    return json.dumps(value, indent=_INDENT, ensure_ascii=False).replace("\n", "\n" + _INDENT * depth)


def _value(text: str, at: int) -> Node:
    if text[at : at + 1] == "{":
        return _table(text, at)
    if text[at : at + 1] == "[":
        return _list(text, at)
    found = _STRING.match(text, at) or _PLAIN.match(text, at)
    if found is None:
        raise ValueError(_where(text, at))
    return Node(at, found.end(), json.loads(found.group()), {})


def _table(text: str, start: int) -> Node:
    members: dict[str, Node] = {}
    at, comma = _skip(text, start + 1), False
    while text[at : at + 1] != "}":
        name = _STRING.match(text, at)
        colon = _skip(text, name.end()) if name else at
        if name is None or text[colon : colon + 1] != ":" or (members and not comma):
            raise ValueError(_where(text, at))
        node = _value(text, _skip(text, colon + 1))
        members[json.loads(name.group())] = node
        at, comma = _comma(text, node.end, "}")
    return Node(start, at + 1, {name: node.value for name, node in members.items()}, members, comma)


def _list(text: str, start: int) -> Node:
    values: list[Any] = []
    at, comma = _skip(text, start + 1), True
    while text[at : at + 1] != "]":
        if not comma:
            raise ValueError(_where(text, at))
        node = _value(text, at)
        values.append(node.value)
        at, comma = _comma(text, node.end, "]")
    return Node(start, at + 1, values, {})


def _comma(text: str, at: int, closing: str) -> tuple[int, bool]:
    """Return where the next member or the end stands, and whether a comma stood before it."""
    at = _skip(text, at)
    if text[at : at + 1] == ",":
        return _skip(text, at + 1), True
    if text[at : at + 1] != closing:
        raise ValueError(_where(text, at))
    return at, False


def _skip(text: str, at: int) -> int:
    found = _SKIPPED.match(text, at)
    return found.end() if found else at


def _where(text: str, at: int) -> str:
    what = repr(text[at : at + 12]) if at < len(text) else "its end"
    return f"line {text.count(chr(10), 0, at) + 1} is not JSON at {what}"
