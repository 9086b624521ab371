"""What a pair or a single judgement in a dataset must be: any JSON value in, what is wrong with it out. Pure.

An answer is text, or a list with one message of the assistant. A bad answer may be bad in any way, so that of its tool
calls nothing is wanted.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from flywheel.core.ids import content_hash
from flywheel.curate.row_rules import Found, Row, inspect_row, secrets_of

_ITS_OWN = frozenset({"secret"})  # told once, of the whole row
_OF_BAD = frozenset({"tool-call", "not-offered"})


class LessonRow(NamedTuple):
    """A row of this kind, its label if it has one, and the key of what would say the opposite."""

    row: Row
    kind: str
    label: bool | None = None
    opposite: str | None = None


def kind_of_row(value: Any) -> str:
    """Return what a row is by its keys: a pair, a judgement, or a conversation."""
    if not isinstance(value, Mapping):
        return "conversation"
    if "chosen" in value or "rejected" in value:
        return "pair"
    return "judgement" if "completion" in value and "label" in value else "conversation"


def inspect_lesson(value: Mapping[str, Any]) -> LessonRow:
    """Return what is wrong with a pair or a judgement, and the keys of one that can be read."""
    return _pair(value) if kind_of_row(value) == "pair" else _judgement(value)


def _pair(value: Mapping[str, Any]) -> LessonRow:
    chosen, rejected = (_text(value.get(name)) for name in ("chosen", "rejected"))
    found = [*_missing(value, "chosen", "rejected"), *secrets_of(value)]
    if chosen is None or rejected is None or not isinstance(value.get("prompt"), list):
        return LessonRow(Row(tuple(found)), "pair")
    good, bad = _conversation(value, chosen), _conversation(value, rejected)
    found += [*_of_row(good), *(one for one in _of_row(bad, _OF_BAD) if one not in good.problems)]
    if _fold(chosen) == _fold(rejected):
        found.append(("same-answer", "both answers are the same"))
    if good.question is None:
        return LessonRow(Row(tuple(found)), "pair")
    keys = [content_hash([good.question, *map(_fold, said)]) for said in ((chosen, rejected), (rejected, chosen))]
    whole = Row(tuple(found), good.calls_tools, good.question, keys[0])
    return LessonRow(whole, "pair", None, keys[1] if keys[1] != keys[0] else None)


def _judgement(value: Mapping[str, Any]) -> LessonRow:
    said, label = _text(value.get("completion")), value.get("label")
    found = [*_missing(value, "completion"), *secrets_of(value)]
    if not isinstance(label, bool):
        found.append(("label", "the label is neither true nor false"))
    if said is None or not isinstance(value.get("prompt"), list):
        return LessonRow(Row(tuple(found)), "judgement")
    read = _conversation(value, said)
    found += _of_row(read, frozenset() if label is True else _OF_BAD)
    if read.question is None or not isinstance(label, bool):
        return LessonRow(Row(tuple(found)), "judgement")
    keys = [content_hash([read.question, _fold(said), truth]) for truth in (label, not label)]
    return LessonRow(Row(tuple(found), read.calls_tools, read.question, keys[0]), "judgement", label, keys[1])


def _missing(value: Mapping[str, Any], *answers: str) -> Iterator[Found]:
    if not isinstance(value.get("prompt"), list):
        yield "wrong-type", "the prompt is no list of messages"
    for name in answers:
        if _text(value.get(name)) is None:
            yield "wrong-type", f"{name} is neither text nor one message of the assistant"


def _conversation(value: Mapping[str, Any], answer: str) -> Row:
    told = {"messages": [*value["prompt"], {"role": "assistant", "content": answer}]}
    return inspect_row({**told, **({"tools": value["tools"]} if "tools" in value else {})})


def _of_row(row: Row, but: frozenset[str] = frozenset()) -> list[Found]:
    return [one for one in row.problems if one[0] not in but | _ITS_OWN]


def _text(answer: Any) -> str | None:
    if isinstance(answer, str):
        return answer
    one = answer[0] if isinstance(answer, list) and len(answer) == 1 else None
    if not isinstance(one, Mapping) or one.get("role") != "assistant" or not isinstance(one.get("content"), str):
        return None
    return str(one["content"])


def _fold(text: str) -> str:
    return " ".join(text.split())
