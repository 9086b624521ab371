"""The marked sections of an answer: `<think>` … `</think>`, `[REASONING]` and `[PLAN]`. Pure, standard library only.

A bracketed section reaches from its mark to its own end mark, to the next mark, or to where the code begins; so what
is done is never part of the plan for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MARK = re.compile(r"\[(?P<name>REASONING|PLAN)\]")
#: Some templates open the thought in the prompt, so an answer may begin inside one.
_THOUGHT = re.compile(r"(?:<think>|\A(?=(?:(?!<think>).)*</think>))(?P<body>.*?)</think>", re.DOTALL)
#: What ends a section, beside its own end mark: another mark, alone on its line, or code.
_END = re.compile(
    r"\[(?:REASONING|PLAN)\]|\[/[A-Z]+\]|^\[[A-Z]+\][ \t]*$"
    r"|<edit\b|<tool_call>|<function=|^```|^diff --git |^--- |^\*\*\* Begin Patch",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Section:
    """One section with its marks, in characters of the answer."""

    name: str
    start: int
    end: int
    body: str


def sections(answer: str) -> list[Section]:
    """Return the sections of an answer in their order; none overlaps another."""
    thoughts = [Section("THINK", one.start(), one.end(), one["body"].strip()) for one in _THOUGHT.finditer(answer)]
    inside = [(one.start, one.end) for one in thoughts]
    marked = [
        _section(answer, mark)
        for mark in _MARK.finditer(answer)
        if not any(start <= mark.start() < end for start, end in inside)
    ]
    return sorted([*thoughts, *marked], key=lambda one: one.start)


def _section(answer: str, mark: re.Match[str]) -> Section:
    name = mark["name"]
    end = _END.search(answer, mark.end())
    body = answer[mark.end() : end.start() if end else len(answer)]
    reach = mark.end() + len(body)
    if end and end[0] == f"[/{name}]":
        reach = end.end()
    return Section(name, mark.start(), reach, body.strip())


def reasons(answer: str) -> bool:
    """Tell whether an answer shows its reasoning."""
    return any(one.body for one in sections(answer))


def keeps(rendered: str, recorded: str) -> bool:
    """Tell whether a rendered answer still holds every section of the recorded one."""
    left = [(one.name, one.body) for one in sections(rendered)]
    return all((one.name, one.body) in left for one in sections(recorded))
