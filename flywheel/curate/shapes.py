"""The shapes in which other trainers take conversations: a row of ours in, a row of theirs out. Pure.

What a shape cannot hold is not bent into it: the row is left out, and the reason is told.
"""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from flywheel.core.pairs import Preference

Record = dict[str, Any]


class MisfitError(ValueError):
    """A row does not fit a shape; says why in a few words."""


def messages(row: Record) -> Record:
    """Return the conversation as a list of messages, with the tools that were offered."""
    return {"messages": row["messages"], **_tools(row)}


def prompt_completion(row: Record) -> Record:
    """Return what was asked and what was answered, each as messages."""
    return {"prompt": row["messages"][:-1], "completion": row["messages"][-1:], **_tools(row)}


def plain(row: Record) -> Record:
    """Return a single question and its answer as text; the chat template is the user's to add."""
    roles = [message["role"] for message in row["messages"]]
    if row.get("tools"):
        raise MisfitError("tools cannot be offered in plain text")
    if roles not in (["user", "assistant"], ["system", "user", "assistant"]):
        raise MisfitError("a conversation of several turns has no plain text without a chat template")
    *asked, answer = (message["content"] for message in row["messages"])
    return {"prompt": "\n\n".join(asked), "completion": answer}


def alpaca(row: Record) -> Record:
    """Return instruction, input and output; a system message and earlier turns as `system` and `history`."""
    if row.get("tools"):
        raise MisfitError("alpaca has no place for tools")
    system, turns = _system(row["messages"])
    if len(turns) % 2 or any(one["role"] != ("user", "assistant")[place % 2] for place, one in enumerate(turns)):
        raise MisfitError("alpaca takes turns of user and assistant only")
    texts = [one["content"] for one in turns]
    history = [list(pair) for pair in zip(texts[:-2:2], texts[1:-2:2], strict=True)]
    return {
        "instruction": texts[-2],
        "input": "",
        "output": texts[-1],
        **({"system": system} if system else {}),
        **({"history": history} if history else {}),
    }


def table(row: Record) -> Record:
    """Return the conversation as a row of a table, whose columns have one type each: tools are JSON text, or null."""
    tools = row.get("tools")
    return {"messages": row["messages"], "tools": json.dumps(tools, ensure_ascii=False) if tools else None}


def preference(pair: Preference) -> Record:
    """Return a question with the better and the worse answer, each as messages."""
    said = {name: [{"role": "assistant", "content": getattr(pair, name)}] for name in ("chosen", "rejected")}
    prompt = [{"role": message.role, "content": message.content} for message in pair.prompt]
    return {"prompt": prompt, **said, **({"tools": list(pair.tools)} if pair.tools else {})}


def frozen_preference(row: Record) -> Record:
    """Return a frozen pair as TRL takes preferences: the prompt, and each answer, as messages."""
    return {"prompt": row["prompt"], **{name: _said(row[name]) for name in ("chosen", "rejected")}, **_tools(row)}


def unpaired(row: Record) -> Record:
    """Return a frozen judgement as TRL takes unpaired preferences: prompt, completion, and whether it was good."""
    return {"prompt": row["prompt"], "completion": _said(row["completion"]), "label": row["label"], **_tools(row)}


#: How `datasets export --to` names them; preferences are made of pairs and judgements, not of conversations.
SHAPES: Mapping[str, Callable[[Record], Record]] = MappingProxyType(
    {"messages": messages, "prompt-completion": prompt_completion, "alpaca": alpaca, "hf": table}
)
PREFERENCE, UNPAIRED = "preference", "unpaired-preference"
LESSON_SHAPES: Mapping[str, Callable[[Record], Record]] = MappingProxyType(
    {PREFERENCE: frozen_preference, UNPAIRED: unpaired}
)


def _said(answer: str) -> list[Record]:
    return [{"role": "assistant", "content": answer}]


def _tools(row: Record) -> Record:
    return {"tools": row["tools"]} if row.get("tools") else {}


def _system(told: list[Record]) -> tuple[str, list[Record]]:
    first = told[0]
    return (first["content"], told[1:]) if first["role"] == "system" else ("", told)
