"""From what pydantic says about a file to what a person can mend: the key, its meaning, the right word. Pure."""

import re
from collections.abc import Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flywheel.core.frozen import Frozen
from flywheel.policy.conditions import CONDITIONS
from flywheel.policy.meanings import meaning_of
from flywheel.policy.problems import Problem
from flywheel.policy.words import hint, listed, nearest, quoted

_PLAINER = (
    ("Input should", "must"),
    ("greater than or equal to", "at least"),
    ("less than or equal to", "at most"),
    ("greater than", "above"),
    ("less than", "below"),
    ("a valid boolean", "true or false"),
    ("a valid integer", "a whole number"),
    ("a valid number", "a number"),
    ("a valid string", "a text"),
    ("a valid array", "a list"),
)
_NAMED_BY_FILE = {"Guardrail", "Line", "Gate", "RolloutPlan", "Remedy"}
_FIXED = {"missing": "is missing", "too_short": "must not be empty", "string_too_short": "must not be empty"}
_TABLE = {"model_type", "model_attributes_type", "dict_type"}


class Place(Frozen):
    """Where an error is: the key as written, its meaning, and the type that owns the keys there."""

    key: str
    meaning: str
    owner: type[BaseModel]


def problems_of(error: ValidationError, file: str, model: type[BaseModel]) -> list[Problem]:
    """Return one problem for each key that is wrong; the members of a union speak with one voice."""
    told = error.errors(include_url=False)
    found: dict[str, Problem] = {}
    for details in (each for each in told if not _echoes(each, told, model)):
        problem = _problem(details, file, model)
        found.setdefault(problem.key, problem)
    return list(found.values())


def _echoes(details: ErrorDetails, told: Sequence[ErrorDetails], model: type[BaseModel]) -> bool:
    """Tell whether an error only follows from another: a key that was misspelt, a list whose items are wrong."""
    loc = details["loc"]
    if details["type"] == "missing":
        return any(each["type"] == "extra_forbidden" and _meant(each, model) == loc for each in told)
    within = (each["loc"] for each in told if len(each["loc"]) > len(loc))
    return details["type"] == "too_short" and any(inner[: len(loc)] == loc for inner in within)


def _meant(details: ErrorDetails, model: type[BaseModel]) -> tuple[int | str, ...]:
    *above, key = details["loc"]
    return (*above, nearest(str(key), _right_keys(_place(model, above).owner)) or "")


def _right_keys(owner: type[BaseModel]) -> set[str]:
    return set(owner.model_fields) - ({"name"} if owner.__name__ in _NAMED_BY_FILE else set())


def _problem(details: ErrorDetails, file: str, model: type[BaseModel]) -> Problem:
    if details["type"] == "extra_forbidden":
        return _unknown_key(details["loc"], file, model)
    place = _place(model, details["loc"])
    return Problem(file=file, key=place.key, meaning=place.meaning, wrong=_wrong(details))


def _unknown_key(loc: Sequence[int | str], file: str, model: type[BaseModel]) -> Problem:
    place, key = _place(model, loc[:-1]), str(loc[-1])
    right = _right_keys(place.owner)
    close = nearest(key, right)
    meaning = f" ({meaning_of(place.owner, close)})" if close else ""
    return Problem(
        file=file, key=f"{place.key}.{key}".lstrip("."), wrong=f"there is no such key{hint(key, right)}{meaning}"
    )


def _place(model: type[BaseModel], loc: Sequence[int | str]) -> Place:
    """Walk down to the innermost key that exists; the tags of unions are no keys and are left out."""
    key, meaning, owner, free = "", "", model, False
    for part in loc:
        if isinstance(part, int):
            key = f"{key}[{part + 1}]"
        elif free and part != "[key]":
            key, free = f"{key}.{part}", False
        elif part in owner.model_fields:
            key, meaning = f"{key}.{part}".lstrip("."), meaning_of(owner, part)
            free = get_origin(owner.model_fields[part].annotation) is dict
            owner = _table(owner.model_fields[part].annotation) or owner
        elif part in CONDITIONS:
            owner = CONDITIONS[part]
    return Place(key=key, meaning=meaning, owner=owner)


def _table(annotation: Any) -> type[BaseModel] | None:
    kinds = (annotation, *get_args(annotation)[:1])
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _wrong(details: ErrorDetails) -> str:
    kind, context, given = details["type"], details.get("ctx", {}), details["input"]
    if kind in _FIXED:
        return _FIXED[kind]
    if kind in _TABLE:
        return f"must be a table, is {quoted(given)}"
    if kind == "value_error":
        return details["msg"].removeprefix("Value error, ")
    if kind == "literal_error":
        return _wrong_choice(given, re.findall(r"'([^']*)'", context["expected"]))
    if kind.startswith("union_tag"):
        return _wrong_kind(context)
    return f"{_plain(details['msg'])}, is {quoted(given)}"


def _wrong_choice(given: Any, choices: list[str]) -> str:
    close = nearest(given, choices) if isinstance(given, str) else None
    asked = f", did you mean '{close}'?" if close else ""
    return f"must be {listed(quoted(choice) for choice in choices)}, is {quoted(given)}{asked}"


def _wrong_kind(context: dict[str, Any]) -> str:
    if "tag" not in context:
        return f"has no 'kind': known are {listed(CONDITIONS, 'and')}"
    return f"no condition kind is called '{context['tag']}'{hint(str(context['tag']), CONDITIONS)}"


def _plain(message: str) -> str:
    for technical, plain in _PLAINER:
        message = message.replace(technical, plain)
    return message
