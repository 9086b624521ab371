"""The part of Go's templates that a prompt's `template` needs: fields, conditions on them, trimmed spaces. Pure.

An agent that sends its own template wants exactly that text before the model. What goes beyond is refused by name and
never guessed at.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

_FIELD = re.compile(r"\.(\w+)")
_CONDITION = re.compile(r"if\s+\.(\w+)")
_OPEN, _CLOSE = "{{", "}}"
_TRIM_BEFORE, _TRIM_AFTER = frozenset({"- ", "-\n", "-\t"}), frozenset({" -", "\n-", "\t-"})
_ANSWER = "Response"


class TemplateError(ValueError):
    """A template uses something that is not understood here; says what."""


class _Piece(NamedTuple):
    kind: str  # text, field, if, else, end
    value: str = ""


def render(template: str, values: Mapping[str, str]) -> str:
    """Return the text up to the place of the answer; raises TemplateError for what is not understood."""
    pieces = list(_pieces(template))
    if not any(piece == _Piece("field", "Prompt") for piece in pieces):
        raise TemplateError("the template does not use {{ .Prompt }}")
    written: list[str] = []
    open_ifs: list[bool] = []
    for piece in pieces:
        if piece.kind in {"if", "else", "end"}:
            _turn(open_ifs, piece, values)
        elif all(open_ifs):
            if piece == _Piece("field", _ANSWER):
                break
            written.append(piece.value if piece.kind == "text" else _value(values, piece.value))
    else:
        if open_ifs:
            raise TemplateError("the template has an {{ if }} without its {{ end }}")
    return "".join(written)


def _turn(open_ifs: list[bool], piece: _Piece, values: Mapping[str, str]) -> None:
    """Open, turn round or close a condition."""
    if piece.kind == "if":
        open_ifs.append(bool(_value(values, piece.value)))
    elif not open_ifs:
        raise TemplateError(f"the template has an {{{{ {piece.kind} }}}} without its {{{{ if }}}}")
    elif piece.kind == "else":
        open_ifs[-1] = not open_ifs[-1]
    else:
        open_ifs.pop()


def _value(values: Mapping[str, str], name: str) -> str:
    if name == _ANSWER:
        return ""  # before the answer there is none
    if name not in values:
        raise TemplateError(f"the template uses .{name}, which the gateway does not know")
    return values[name]


def _pieces(template: str) -> Iterator[_Piece]:
    """Yield texts and actions in turn; `{{-` and `-}}` take the white space beside them away."""
    place, trimmed = 0, False
    while (start := template.find(_OPEN, place)) >= 0:
        end = template.find(_CLOSE, start)
        if end < 0:
            raise TemplateError("the template has a {{ without its }}")
        text, words = template[place:start], template[start + len(_OPEN) : end]
        text = text.lstrip() if trimmed else text
        yield _Piece("text", text.rstrip() if words[:2] in _TRIM_BEFORE else text)
        trimmed = words[-2:] in _TRIM_AFTER
        yield from _action(words.removeprefix("-").removesuffix("-").strip())
        place = end + len(_CLOSE)
    yield _Piece("text", template[place:].lstrip() if trimmed else template[place:])


def _action(words: str) -> Sequence[_Piece]:
    if words.startswith("/*") and words.endswith("*/"):
        return ()
    if words in {"else", "end"}:
        return (_Piece(words),)
    if match := _FIELD.fullmatch(words):
        return (_Piece("field", match[1]),)
    if match := _CONDITION.fullmatch(words):
        return (_Piece("if", match[1]),)
    raise TemplateError(f"the template uses {{{{ {words} }}}}, which the gateway does not understand")
