"""Reading a row that somebody else wrote: what a field says, or why the row is none of what it should be. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

_LONGEST_NAME = 80


class BadRowError(Exception):
    """A row is not what it should be; the reason is the same for all that fail alike, so that it can be counted."""


def text(row: Mapping[str, Any], key: str) -> str:
    """Return a field that must be a text."""
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadRowError(f"no {key}")
    return value


def told(row: Mapping[str, Any], *keys: str) -> str:
    """Return the first of some fields that says something, as text; empty when none does."""
    for key in keys:
        value = row.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return ""


def read_json(value: Any, reason: str) -> Any:
    """Return what a field says that holds JSON, as text or already read."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadRowError(reason) from error


def lines(value: Any) -> str:
    """Return a test's text, which some files keep as a list of lines."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and all(isinstance(one, str) for one in value):
        return "\n".join(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise BadRowError("a test's input or output is no text")


def name(value: str) -> str:
    """Return a short name without what no file and no terminal takes."""
    kept = "".join(letter if letter.isprintable() else " " for letter in clean(value))
    return " ".join(kept.split())[:_LONGEST_NAME]


def clean(value: str) -> str:
    """Replace half characters."""
    return value.encode("utf-8", "replace").decode()


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
