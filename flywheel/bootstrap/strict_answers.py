"""A teacher's answer in JSON, read strictly: what is not wholly in its form is no answer. Pure.

Allowed around the one object are white space and one fence. Nothing is mended or guessed: a key that is there twice,
that is unknown or that is missing, a number for a text, NaN, half a character or a zero byte make it no answer.
"""

import json
import re
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError

from flywheel.core.frozen import Frozen

LONGEST = 200_000  # characters
_FENCED = re.compile(r"```(?:json)?[ \t]*\n(?P<body>.*)\n[ \t]*```", re.DOTALL)
_HALF = re.compile("[\ud800-\udfff\0]")

Form = TypeVar("Form", bound=Frozen)


class AnswerError(ValueError):
    """An answer is not in its form; the message says why, and holds nothing of the answer."""


def read_answer(text: str, form: type[Form]) -> Form:
    """Return an answer in its form; raises AnswerError."""
    if len(text) > LONGEST:
        raise AnswerError("it is too long")
    body = _body(text)
    _check(body)
    try:
        found = form.model_validate_json(body, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = first["loc"][0] if first["loc"] and first["loc"][0] in form.model_fields else "a key"
        raise AnswerError(f"{field}: {first['type'].replace('_', ' ')}") from None
    if _HALF.search("".join(_texts(found.model_dump()))):
        raise AnswerError("a text holds what is no character")
    return found


def _body(text: str) -> str:
    stripped = text.strip()
    fenced = _FENCED.fullmatch(stripped)
    return fenced["body"].strip() if fenced else stripped


def _check(body: str) -> None:
    """Raise AnswerError unless it is one object in which no key stands twice."""
    if not body.startswith("{"):
        raise AnswerError("it is no JSON object")
    try:
        json.loads(body, object_pairs_hook=_once, parse_constant=_no_number)
    except AnswerError:
        raise
    except (ValueError, RecursionError):
        raise AnswerError("it is no JSON") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise AnswerError("a key stands twice")
    return found


def _no_number(name: str) -> NoReturn:  # noqa: ARG001 - the signature is json's
    raise AnswerError("it holds what is no number")


def _texts(held: Any) -> list[str]:
    if isinstance(held, str):
        return [held]
    inner = held.values() if isinstance(held, dict) else held if isinstance(held, (list, tuple)) else ()
    return [text for one in inner for text in _texts(one)]
