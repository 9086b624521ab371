"""How the problems of the shipped tool-calling suite are told: the tools offered, a question, and the exact calls.

The modules `calls_*.py` here hold the problems; `build_starters.py` makes the suite of them.
"""

import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One question with the calls that answer it, in their order."""

    category: str
    question: str
    calls: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Box:
    """A group: the tools that are offered, and the questions about them."""

    group: str
    tools: tuple[dict[str, Any], ...]
    asked: tuple[Asked, ...]


BOXES: list[Box] = []


def box(group: str, tools: list[dict[str, Any]], *asked: Asked) -> None:
    """Keep a group of problems."""
    BOXES.append(Box(group, tuple(tools), asked))


def ask(category: str, question: str, *calls: dict[str, Any]) -> Asked:
    """Return a question with its calls."""
    return Asked(category, question, calls)


def call(tool_name: str, **arguments: Any) -> dict[str, Any]:
    """Return an expected call."""
    return {"name": tool_name, "arguments": arguments}


def tool(tool_name: str, description: str, **parameters: Any) -> dict[str, Any]:
    """Return a tool's schema; a parameter is `type description`, with `?` behind the type when it may be left out.

    Types are `string`, `integer`, `number`, `boolean`, `strings`, `integers`, `enum(a|b)`; a dict is a schema of its own.
    """
    required = [name for name, told in parameters.items() if isinstance(told, dict) or not _optional(told)]
    schema = {
        "type": "object",
        "properties": {name: told if isinstance(told, dict) else _parameter(told) for name, told in parameters.items()},
        "required": required,
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": tool_name, "description": description, "parameters": schema}}


def thing(**parameters: str) -> dict[str, Any]:
    """Return the schema of an object, told like a tool's parameters."""
    return tool("_", "", **parameters)["function"]["parameters"]


def many(item: dict[str, Any], description: str) -> dict[str, Any]:
    """Return the schema of a list of objects."""
    return {"type": "array", "items": item, "description": description}


_TOLD = re.compile(r"(?P<type>enum\([^)]*\)|\w+)(?P<optional>\??) (?P<what>.+)", re.DOTALL)


def _optional(told: str) -> bool:
    return bool(_TOLD.fullmatch(told)["optional"])


def _parameter(told: str) -> dict[str, Any]:
    found = _TOLD.fullmatch(told)
    kind = found["type"]
    if kind.startswith("enum"):
        return {"type": "string", "enum": kind[5:-1].split("|"), "description": found["what"]}
    if kind in {"strings", "integers"}:
        return {"type": "array", "items": {"type": kind[:-1]}, "description": found["what"]}
    return {"type": kind, "description": found["what"]}
