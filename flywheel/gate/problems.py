"""What a problem expects, by its kind: the shapes of a suite's rows, and what is wrong with one that has none. Pure."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Annotated, Any, Self, get_args

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from flywheel.core.examples import prompt_key
from flywheel.core.frozen import Frozen
from flywheel.core.outcomes import Message
from flywheel.core.verdicts import Problem, ProblemKind
from flywheel.sandbox.programs import Language

KINDS: frozenset[str] = frozenset(get_args(ProblemKind))
_RUN = frozenset({"code_io", "code_calls", "edit"})
DEEPEST = 100  # what nests deeper no metric compares and no sandbox passes on

_ENTRY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class ProblemError(ValueError):
    """A row is no problem; says where and why in one line."""


def _plain(value: Any, depth: int = 0) -> Any:
    """Refuse what JSON cannot say: numbers without end, keys that are no texts, a nest without bottom."""
    if depth > DEEPEST:
        raise ValueError("nests too deep")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("holds a number that is not finite")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("holds a key that is no text")
        return {key: _plain(one, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, depth + 1) for one in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError(f"holds a {type(value).__name__}, which JSON cannot say")


def _below(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith(("/", "~")) or ".." in parts or "\0" in path or "\\" in path:
        raise ValueError("is no path below the folder of the problem")
    return path


def _entry(name: str) -> str:
    if not _ENTRY.fullmatch(name):
        raise ValueError("is no name that can be called")
    return name


Json = Annotated[Any, AfterValidator(_plain)]
FilePath = Annotated[str, AfterValidator(_below)]
Entry = Annotated[str, AfterValidator(_entry)]
Seconds = Annotated[float, Field(gt=0, le=300)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class ExpectedCall(Frozen):
    """A tool call: its name and its arguments, which a few models write as a text."""

    name: str = Field(min_length=1)
    arguments: Any = Field(default_factory=dict)


class IoTest(Frozen):
    """What a program reads and what it must print; `visible` where whoever answers may have seen it."""

    stdin: str
    stdout: str
    visible: bool = False


class CallTest(Frozen):
    """What a function is called with and what it must return; `visible` where whoever answers may have seen it."""

    args: tuple[Json, ...] = ()
    kwargs: dict[str, Json] = Field(default_factory=dict)
    returns: Json
    visible: bool = False


class CodeIo(Frozen):
    """A program judged by what it prints; `tolerance` lets numbers differ by so much."""

    language: Language = "python"
    tests: tuple[IoTest, ...] = Field(min_length=1)
    seconds: Seconds = 5.0
    tolerance: float | None = Field(default=None, ge=0)


class CodeCalls(Frozen):
    """A function judged by what it returns; `entry` may be a method of a class, as in `Solution.add`."""

    language: Language = "python"
    entry: Entry
    tests: tuple[CallTest, ...] = Field(min_length=1)
    seconds: Seconds = 5.0


class Edit(Frozen):
    """Files that an answer's edits must apply to; then a command must succeed, or calls return what they should."""

    files: dict[FilePath, str] = Field(min_length=1)
    command: tuple[str, ...] = ()
    language: Language = "python"
    entry: str = ""
    tests: tuple[CallTest, ...] = ()
    seconds: Seconds = 5.0

    @model_validator(mode="after")
    def _tests_call_something(self) -> Self:
        if self.tests and not self.entry:
            raise ValueError("tests need the entry that they call")
        if self.entry:
            _entry(self.entry)
        return self


def _no_twins(items: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(items)) != len(items):
        raise ValueError("names something twice")
    return items


#: What `expected` must look like, by the kind of problem.
EXPECTED: Mapping[str, TypeAdapter[Any]] = MappingProxyType({
    "tool_call": TypeAdapter(Annotated[list[ExpectedCall], Field(min_length=1)]),
    "exact": TypeAdapter(Text),
    "choice": TypeAdapter(Text),
    "items": TypeAdapter(Annotated[tuple[Text, ...], AfterValidator(_no_twins)]),
    "edit": TypeAdapter(Edit),
    "code_io": TypeAdapter(CodeIo),
    "code_calls": TypeAdapter(CodeCalls),
})  # fmt: skip


MESSAGES: TypeAdapter[tuple[Message, ...]] = TypeAdapter(tuple[Message, ...])


def check_expected(kind: str, expected: Any) -> Any:
    """Return what a problem expects, in the one form suites keep; says what is wrong with what has none."""
    if kind not in EXPECTED:
        raise ProblemError(f"kind: {str(kind)[:60]!r} is none of {', '.join(sorted(KINDS))}")
    try:
        value = EXPECTED[kind].validate_python(expected)
    except ValidationError as error:
        raise ProblemError(_first(error, "expected")) from error
    except RecursionError as error:
        raise ProblemError("expected: nests too deep") from error
    kept = EXPECTED[kind].dump_python(value, exclude_unset=True)
    return _listed(kept)


def problem_of(row: Any) -> Problem:
    """Return the problem that a row of a suite tells; its key is worked out, whatever the row says of it."""
    if not isinstance(row, dict):
        raise ProblemError("is no object")
    try:
        messages = MESSAGES.validate_python(row.get("messages") or ())
    except ValidationError as error:
        raise ProblemError(_first(error, "messages")) from error
    if not any(message.content.strip() for message in messages):
        raise ProblemError("messages: nothing is asked")
    expected = check_expected(row.get("kind", ""), row.get("expected"))
    try:
        return Problem.model_validate({**row, "expected": expected, "prompt_key": prompt_key(messages)})
    except ValidationError as error:
        raise ProblemError(_first(error, "")) from error


def timed(problem: Problem, seconds: float) -> Problem:
    """Return a problem whose tests may each run so long, where it does not say that itself."""
    if problem.kind not in _RUN or not isinstance(problem.expected, dict) or "seconds" in problem.expected:
        return problem
    return problem.model_copy(update={"expected": {**problem.expected, "seconds": seconds}})


def row_of(problem: Problem) -> dict[str, Any]:
    """Return a problem as JSON says it; what it does not say is left out."""
    row = problem.model_dump(exclude={"time", "tools"})
    if problem.time is not None:
        row["time"] = problem.time.isoformat()
    if problem.tools:
        row["tools"] = list(problem.tools)
    return row


def dump(problem: Problem) -> bytes:
    """Return a problem as its line of a suite."""
    # Not sorted: a template writes the schemas of tools in their own order, and is asked as production asks it.
    return json.dumps(row_of(problem)).encode() + b"\n"


def _listed(value: Any) -> Any:
    """Return a value as JSON reads it back: lists for tuples."""
    if isinstance(value, dict):
        return {key: _listed(one) for key, one in value.items()}
    return [_listed(one) for one in value] if isinstance(value, list | tuple) else value


def _first(error: ValidationError, place: str) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join([*([place] if place else []), *(str(part) for part in first["loc"])])
    return f"{where}: {first['msg']}" if where else str(first["msg"])
