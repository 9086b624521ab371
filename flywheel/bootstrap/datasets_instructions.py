"""Datasets of questions with written answers: OpenCodeInstruct, CodeFeedback, OSS-Instruct, Evol-Instruct, OpenCoder.

The answers were written by models. Where a row brings tests, they are run here before anything is believed; where it
brings none, only its publishers speak for it.
"""

from datetime import UTC, datetime
from typing import Any

from flywheel.bootstrap.dataset_answers import (
    Row,
    RowReader,
    about,
    asserts_of,
    language_name,
    language_of_blocks,
    tags_of,
    tests_of,
    whole_answer,
    words,
)
from flywheel.bootstrap.dataset_rows import PUBLISHED, Lesson, Proof, asked
from flywheel.core.code_blocks import code_in
from flywheel.core.foreign_rows import BadRowError, read_json, told
from flywheel.core.outcomes import Signal

_FAILED = "a test failed where it was published"
_DOUBTED = Signal(
    name="published_judge", points=-1, strength=0.3, note="its publishers' judge gave two points of five or fewer"
)
_POOR, _BEST = 2, 5


def _instruct(row: Row) -> tuple[Lesson, ...]:
    """Read OpenCodeInstruct: what failed where it was published is not tried here."""
    question, answer = words(row, "input").strip(), whole_answer(words(row, "output"), "python")
    tests = tests_of(row.get("unit_tests"))
    _check_results(row, len(tests))
    judged = _judged(row.get("llm_judgement"))
    signals = (PUBLISHED, _DOUBTED) if judged is not None and judged <= _POOR else (PUBLISHED,)
    made = about(row, "id", "domain", "generation_algorithm") | ({} if judged is None else {"judged": judged})
    return (_proved(question, answer, asserts_of(tests), signals, made),)


def _check_results(row: Row, tests: int) -> None:
    score = row.get("average_test_score")
    if score is not None and score != "" and not _number(score) >= 1:
        raise BadRowError(_FAILED)
    results = read_json(row.get("tests_execution_status") or None, "test results cannot be read")
    if results is None:
        return
    if not isinstance(results, list):
        raise BadRowError("test results cannot be read")
    if len(results) != tests:
        raise BadRowError("as many results as tests are needed")
    if any(one != "pass" for one in results):
        raise BadRowError(_FAILED)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadRowError("a test score is no number") from error


def _judged(value: Any) -> float | None:
    """Return the lowest mark of the publishers' judge; one that cannot be read says nothing."""
    try:
        held = read_json(value, "")
    except BadRowError:
        return None
    marks = held.values() if isinstance(held, dict) else ()
    scores = [mark.get("score") for mark in marks if isinstance(mark, dict)]
    numbers = [score for score in scores if isinstance(score, int | float) and 0 <= score <= _BEST]
    return min(numbers, default=None)


def _feedback(row: Row) -> tuple[Lesson, ...]:
    question, answer = words(row, "query").strip(), words(row, "answer")
    language = language_name(told(row, "lang")) or language_of_blocks(answer)
    return (_written(question, whole_answer(answer, language), language, about(row, "resource")),)


def _oss(row: Row) -> tuple[Lesson, ...]:
    """Read Magicoder's OSS-Instruct: problems made of the same file stay together."""
    question, answer = words(row, "problem").strip(), words(row, "solution")
    language = language_name(told(row, "lang")) or language_of_blocks(answer)
    seed = about(row, "raw_index")
    lesson = _written(question, whole_answer(answer, language), language, seed)
    group = f"oss-instruct/{seed['raw_index']}" if seed else ""
    return (lesson.model_copy(update={"group": group, "model": "gpt-3.5-turbo-1106"}),)


def _evolved(row: Row) -> tuple[Lesson, ...]:
    """Read Evol-Instruct-Code, and its kin that call the answer `response`."""
    question, answer = _with_input(row), words(row, "output", "response")
    language = language_of_blocks(answer)
    return (_written(question, whole_answer(answer, language), language, {}),)


def _with_input(row: Row) -> str:
    given = row.get("input")
    behind = f"\n\n{words(row, 'input').strip()}" if isinstance(given, str) and given.strip() else ""
    return words(row, "instruction").strip() + behind


def _opencoder(row: Row) -> tuple[Lesson, ...]:
    """Read OpenCoder's second stage; of its four subsets `educational_instruct` alone brings tests."""
    question, answer = words(row, "instruction").strip(), words(row, "output")
    made = about(row, "seq_id", "tag")
    if row.get("testcase") is None and row.get("entry_point") is None:
        language = language_name(told(row, "lang", "language")) or language_of_blocks(answer)
        return (_written(question, whole_answer(answer, language), language, made),)
    tests, entry = asserts_of(tests_of(row.get("testcase"))), told(row, "entry_point")
    if entry and code_in(answer, entry=entry) is None:
        raise BadRowError("the answer does not define what is tested")
    return (_proved(question, whole_answer(answer, "python"), tests, (PUBLISHED,), made, entry),)


def _written(question: str, answer: str, language: str, made: dict[str, Any]) -> Lesson:
    return Lesson(
        call_type="code", messages=asked(question), response=answer, signals=(PUBLISHED,), origin="teacher",
        tags=tags_of(language, question), about=made,
    )  # fmt: skip


def _proved(
    question: str,
    answer: str,
    tests: tuple[str, ...],
    signals: tuple[Signal, ...],
    made: dict[str, Any],
    entry: str = "",
) -> Lesson:
    program = code_in(answer, entry=entry) or ""
    algorithmic = ("algorithms",) if made.get("domain") == "algorithmic" else ()
    return Lesson(
        call_type="code", messages=asked(question), response=answer, signals=signals, origin="teacher",
        proof=Proof(program=program, asserts=tests), tags=tags_of("python", question, algorithmic), about=made,
    )  # fmt: skip


OPENCODEINSTRUCT = RowReader(
    "opencodeinstruct", "CC-BY-4.0", datetime(2025, 4, 5, tzinfo=UTC),
    ("id", "input", "output", "domain", "generation_algorithm", "llm_judgement", "unit_tests",
     "tests_execution_status", "average_test_score"), _instruct, proves=True,
)  # fmt: skip
CODEFEEDBACK = RowReader(
    "codefeedback", "Apache-2.0", datetime(2024, 2, 26, tzinfo=UTC), ("query", "answer", "resource", "lang"), _feedback
)
OSS_INSTRUCT = RowReader(
    "oss-instruct", "MIT", datetime(2023, 12, 4, tzinfo=UTC), ("lang", "raw_index", "problem", "solution"), _oss
)
EVOL_INSTRUCT_CODE = RowReader(
    "evol-instruct-code", "CC-BY-NC-SA-4.0", datetime(2023, 7, 11, tzinfo=UTC),
    ("instruction", "input", "output", "response"), _evolved,
)  # fmt: skip
OPENCODER_STAGE2 = RowReader(
    "opencoder-stage2", "MIT", datetime(2024, 11, 24, tzinfo=UTC),
    ("seq_id", "instruction", "output", "code", "entry_point", "testcase", "tag", "lang", "language"), _opencoder,
    proves=True,
)  # fmt: skip
