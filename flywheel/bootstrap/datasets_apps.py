"""APPS and TACO: problems of contests with their tests and solutions as JSON inside texts. Pure."""

import ast
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flywheel.bootstrap.contest_lessons import Contest, lessons_of
from flywheel.bootstrap.dataset_rows import Lesson
from flywheel.core.clocks import parse_time
from flywheel.core.foreign_rows import BadRowError, name, read_json, text, told
from flywheel.core.foreign_tests import Tests, add_pairs
from flywheel.core.problem_places import contest_of_address

_UNITS = {"seconds": 1.0, "second": 1.0, "sec": 1.0, "s": 1.0, "milliseconds": 0.001, "ms": 0.001}
_AN_HOUR = 3600.0
_LONGEST_TAGS = 10_000


class Apps:
    """APPS: `question`, `input_output` and `solutions` as JSON texts, `starter_code`, `difficulty`, `url`."""

    name = "apps"
    licence = "MIT"
    published = datetime(2021, 5, 20, tzinfo=UTC)
    columns: tuple[str, ...] = (
        "id", "problem_id", "question", "solutions", "input_output", "difficulty", "url", "starter_code"
    )  # fmt: skip
    proves = True

    def read(self, row: Mapping[str, Any]) -> tuple[Lesson, ...]:
        """Return the problem's solutions, the plainest first."""
        return lessons_of(_problem(row, ()))


class Taco:
    """TACO: as APPS, with tags and skills as texts of Python lists, a date and limits."""

    name = "taco"
    licence = "Apache-2.0"
    published = datetime(2023, 12, 22, tzinfo=UTC)
    columns: tuple[str, ...] = (
        "question", "solutions", "starter_code", "input_output", "difficulty", "raw_tags", "name", "source", "tags",
        "skill_types", "url", "time_limit", "date",
    )  # fmt: skip
    proves = True

    def read(self, row: Mapping[str, Any]) -> tuple[Lesson, ...]:
        """Return the problem's solutions, the plainest first; its tags say what it is about."""
        tags = [tag for key in ("raw_tags", "tags", "skill_types") for tag in _tags(row.get(key))]
        problem = _problem(row, tags)
        return lessons_of(problem._replace(seconds=_seconds(row.get("time_limit")), at=parse_time(row.get("date"))))


def _problem(row: Mapping[str, Any], tags: "list[str] | tuple[str, ...]") -> Contest:
    question, starter = text(row, "question"), row.get("starter_code")
    tests = Tests()
    starter = starter if isinstance(starter, str) else ""
    entry = add_pairs(row.get("input_output"), starter, tests)
    identity = told(row, "problem_id", "id", "name")
    known = {"problem": identity, "difficulty": told(row, "difficulty")}
    about = {key: name(value) for key, value in known.items() if value}
    return Contest(
        question=question, starter=starter, entry=entry, tests=tests.kept, solutions=_solutions(row.get("solutions")),
        tags=tags, group=contest_of_address(told(row, "url")), about=about,
    )  # fmt: skip


def _solutions(value: Any) -> list[str]:
    found = read_json(value or "[]", "solutions cannot be read")
    if not isinstance(found, list):
        raise BadRowError("solutions are no list")
    return [one for one in found if isinstance(one, str)]


def _tags(value: Any) -> list[str]:
    """Return tags, which stand there as the text of a Python list; what cannot be read has none."""
    if isinstance(value, str):
        if len(value) > _LONGEST_TAGS:
            return []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = ast.literal_eval(value.strip() or "[]")
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return []
    return [tag for tag in value if isinstance(tag, str)] if isinstance(value, list | tuple) else []


def _seconds(value: Any) -> float:
    """Return the limit of a text like `2.0 seconds`; 0 where it says none."""
    words = value.split() if isinstance(value, str) else []
    try:
        number = float(words[0]) * _UNITS[words[1].lower()]
    except (IndexError, ValueError, KeyError):
        return 0.0
    return number if 0 < number < _AN_HOUR else 0.0


APPS = Apps()
TACO = Taco()
