"""Whether two answers to one question say the same. Pure; never raises.

Three-valued: what cannot be compared without understanding it is left to a judge. Two programs may differ and both be
right, so that only equal ones agree.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from flywheel.bootstrap.prompts import Prompt
from flywheel.core.edits import EditError, apply_edits, parse_edits
from flywheel.core.json_values import equal, read_json
from flywheel.core.thoughts import after_thoughts
from flywheel.core.tool_calls import parse_tool_calls

_SHOWN = re.compile(r'<file path="([^"\n]+)">\n(.*?)\n</file>', re.DOTALL)
_FENCED = re.compile(r"\s*```(?:json)?[ \t]*\n(.*)\n[ \t]*```\s*", re.DOTALL)
_WORD = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)
_SAYS, _UNSAYS = re.compile(r"\byes\b"), re.compile(r"\b(?:no|not)\b")
_BOXED = re.compile(r"\\boxed\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?")


def agree(prompt: Prompt, first: str, second: str) -> bool | None:
    """Tell whether two answers say the same; None where that takes a judge."""
    one, other = after_thoughts(first), after_thoughts(second)
    if _plain(one) == _plain(other):
        return True
    for compare in (_calls, _words, _objects, _finals):
        if (told := compare(one, other)) is not None:
            return told
    return True if _same_edits(prompt, one, other) else None


def yes_or_no(text: str) -> bool | None:
    """Return what a short answer says; None where it does not begin with it, or says both."""
    found = _WORD.match(text)
    if found is None:
        return None
    rest = text[found.end() :].partition("\n")[0].lower()
    says = found[1].lower() == "yes"
    unsays = _UNSAYS if says else _SAYS
    return None if unsays.search(rest) else says


def object_in(text: str) -> dict[str, Any] | None:
    """Return the JSON object that an answer is, bare or in one fence; None where it is none."""
    fenced = _FENCED.fullmatch(text)
    readable, value = read_json((fenced[1] if fenced else text).strip())
    return value if readable and isinstance(value, dict) else None


def final_of(text: str) -> str | None:
    """Return the number or term that an answer ends in: in a box, or alone behind the last equals sign or colon."""
    if boxed := _BOXED.findall(text):
        return re.sub(r"[\s$]|\\[,;!]", "", boxed[-1])
    last = next((line for line in reversed(text.splitlines()) if line.strip()), "")
    found = _NUMBER.fullmatch(re.split(r"[=:]|\bis\b", last)[-1].strip(" *$.`"))
    return found[0].replace(",", "") if found else None


def _plain(text: str) -> str:
    return " ".join(text.split())


def _calls(one: str, other: str) -> bool | None:
    calls = [[(call.name, call.arguments) for call in parse_tool_calls(text).calls] for text in (one, other)]
    return calls[0] == calls[1] if any(calls) else None


def _words(one: str, other: str) -> bool | None:
    said = yes_or_no(one), yes_or_no(other)
    return said[0] == said[1] if None not in said else None


def _objects(one: str, other: str) -> bool | None:
    first, second = object_in(one), object_in(other)
    if first is None or second is None:
        return None if first is second else False
    if equal(first, second):
        return True
    if "parts" in first and "parts" in second:
        return planned_files(first) == planned_files(second)
    return None if _decides(first) == _decides(second) else False


def planned_files(plan: Mapping[str, Any]) -> frozenset[str]:
    """Return the files that a plan names; odd ones are none."""
    parts = plan.get("parts")
    lists = [part.get("affected_files") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return frozenset(name for names in lists if isinstance(names, list) for name in names if isinstance(name, str))


def _decides(value: Mapping[str, Any]) -> str:
    """Return what an object decides: its fields and their values, but for texts, which may be worded otherwise."""
    told = {key: None if isinstance(item, str | dict | list) else item for key, item in value.items()}
    return json.dumps(told, sort_keys=True)


def _finals(one: str, other: str) -> bool | None:
    said = final_of(one), final_of(other)
    return said[0] == said[1] if None not in said else None


def _same_edits(prompt: Prompt, one: str, other: str) -> bool:
    results = [edited(prompt, text) for text in (one, other)]
    if results[0] is None or results[1] is None:
        return False
    return [_plain(text) for _, text in sorted(results[0].items())] == [
        _plain(text) for _, text in sorted(results[1].items())
    ] and results[0].keys() == results[1].keys()


def shown_files(prompt: Prompt) -> dict[str, str]:
    """Return the files that a question shows whole."""
    return {path: text for message in prompt.messages for path, text in _SHOWN.findall(message.content)}


def edited(prompt: Prompt, answer: str) -> dict[str, str] | None:
    """Return a question's files after an answer's edits; None where it has none, or they do not fit."""
    try:
        edits = parse_edits(answer)
        return apply_edits(shown_files(prompt), edits) if edits else None
    except EditError:
        return None
