"""CodeContests: problems with three kinds of tests, and solutions as lists beside lists of language codes. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flywheel.bootstrap.contest_lessons import Contest, lessons_of
from flywheel.bootstrap.dataset_rows import Lesson
from flywheel.core.foreign_rows import BadRowError, lines, name, text, told
from flywheel.core.foreign_tests import Tests

_PYTHON3 = (3, "PYTHON3")  # 1 is Python 2; files that were written anew may have the names
_TESTS = ("public_tests", "private_tests", "generated_tests")
_SOURCES = ("", "codechef", "codeforces.com", "hackerearth", "codejam", "atcoder", "aizu")


class CodeContests:
    """CodeContests: `description`, three columns of tests, `solutions` and `incorrect_solutions`, tags and limits."""

    name = "codecontests"
    licence = "CC-BY-4.0"
    published = datetime(2022, 2, 2, tzinfo=UTC)
    columns: tuple[str, ...] = (
        "name", "description", *_TESTS, "source", "difficulty", "solutions", "incorrect_solutions", "cf_contest_id",
        "cf_tags", "time_limit", "input_file", "output_file",
    )  # fmt: skip
    proves = True

    def read(self, row: Mapping[str, Any]) -> tuple[Lesson, ...]:
        """Return the Python 3 solutions, the plainest first, and wrong ones behind them."""
        if told(row, "input_file") or told(row, "output_file"):
            raise BadRowError("it reads and writes files")
        tests = Tests()
        for key in _TESTS:
            _add(row.get(key), tests)
        tags = row.get("cf_tags")
        identity = name(told(row, "name"))
        return lessons_of(Contest(
            question=text(row, "description"), starter="", entry="", tests=tests.kept,
            solutions=_programs(row.get("solutions")), wrong=_programs(row.get("incorrect_solutions")),
            tags=[tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else [],
            group=_group(row), seconds=_seconds(row.get("time_limit")), about={"problem": identity} if identity else {},
        ))  # fmt: skip


def _add(held: Any, tests: Tests) -> None:
    """Add the tests of one column: two parallel lists, or a list of pairs."""
    if held is None:
        return
    for given, wanted in _pairs(held, "input", "output", "tests are no parallel lists"):
        tests.add({"stdin": lines(given), "stdout": lines(wanted)})


def _programs(held: Any) -> list[str]:
    """Return the programs of a column that are Python 3."""
    if held is None:
        return []
    pairs = _pairs(held, "language", "solution", "solutions are no parallel lists")
    return [code for language, code in pairs if _is_python3(language) and isinstance(code, str)]


def _pairs(held: Any, one: str, other: str, reason: str) -> list[tuple[Any, Any]]:
    """Return pairs of two lists that lie side by side; some files have a list of pairs instead."""
    if isinstance(held, list):
        return [(pair.get(one), pair.get(other)) for pair in held if isinstance(pair, Mapping)]
    first, second = (held.get(key) if isinstance(held, Mapping) else None for key in (one, other))
    if not isinstance(first, list) or not isinstance(second, list) or len(first) != len(second):
        raise BadRowError(reason)
    return list(zip(first, second, strict=True))


def _is_python3(language: Any) -> bool:
    return not isinstance(language, bool) and language in _PYTHON3


def _group(row: Mapping[str, Any]) -> str:
    """Return the contest a problem was set in, as its address would name it."""
    source, contest = row.get("source"), row.get("cf_contest_id")
    known = isinstance(source, int) and not isinstance(source, bool) and 0 < source < len(_SOURCES)
    numbered = isinstance(contest, int) and not isinstance(contest, bool) and contest > 0
    return f"{_SOURCES[source]}/{contest}" if known and numbered and isinstance(source, int) else ""


def _seconds(limit: Any) -> float:
    if not isinstance(limit, Mapping):
        return 0.0
    parts = [limit.get("seconds") or 0, limit.get("nanos") or 0]
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in parts):
        return 0.0
    return max(0.0, parts[0] + parts[1] / 1e9)


CODE_CONTESTS = CodeContests()
