"""Suites on disk: built from what a frozen dataset held out, published whole under their hash, never changed.

Those that are built from files are in `foreign_suites`; all have the same two files in a folder of their hash.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from flywheel.core.errors import CorruptError
from flywheel.core.examples import DatasetManifest, prompt_key
from flywheel.core.frozen import Frozen
from flywheel.core.ids import bytes_hash, content_hash
from flywheel.core.outcomes import Message
from flywheel.core.suites import Provenance, SuiteOrigin
from flywheel.core.verdicts import Problem
from flywheel.gate.metrics.registry import METRICS
from flywheel.gate.metrics.scores import Expectation
from flywheel.gate.problems import ProblemError, check_expected, dump, row_of
from flywheel.proc.files import publish_folder, write_json

PROBLEMS, MANIFEST = "problems.jsonl", "manifest.json"
UNKNOWN = "unknown"
CODE = frozenset({"code_io", "code_calls"})


class SuiteManifest(Frozen):
    """What a suite's folder holds; `format` is the one that most held-out answers were written in.

    One that came in a file tells, too, what it is called, how many problems were read, and tests that were left out.
    """

    hash: str
    line: str
    dataset: str
    metric: str
    problems: int
    groups: int
    categories: dict[str, int]
    left_out: dict[str, int]
    format: str
    sha256: str
    name: str = ""
    origin: SuiteOrigin = "held_out"
    kinds: dict[str, int] = Field(default_factory=dict)
    read: int = 0
    tests_left_out: dict[str, int] = Field(default_factory=dict)
    times: tuple[str, str] | None = None


@dataclass(frozen=True)
class HeldOutRow:
    """One row of a dataset's test part."""

    example: str
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Built:
    """A suite before it is written: its problems, and why rows were left out."""

    problems: tuple[Problem, ...]
    left_out: dict[str, int]
    format: str


def read_held_out(dataset: Path, manifest: DatasetManifest) -> list[HeldOutRow]:
    """Return the held-out rows of a dataset, checked against the hash they were frozen under."""
    try:
        data = (dataset / "test.jsonl").read_bytes()
        if bytes_hash([data]) != manifest.splits["test"].sha256:
            raise CorruptError(f"test.jsonl of dataset {manifest.hash} is not what was frozen", "freeze a new dataset")
        return [_row(json.loads(line)) for line in data.splitlines() if line.strip()]
    except OSError as error:
        raise CorruptError(
            f"dataset {manifest.hash} cannot be read: {error.strerror}", "freeze a new dataset"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptError(f"test.jsonl of dataset {manifest.hash} holds a row that is none: {error}") from error


def build(
    rows: Iterable[HeldOutRow], metric: str, known: Mapping[str, Provenance], barred: Mapping[str, str] | None = None
) -> Built:
    """Turn held-out rows into problems; rows that cannot be judged, or ask the same again, are counted and left out.

    `barred` says of questions, by their keys, why they may not examine.
    """
    problems: dict[str, Problem] = {}
    left_out: Counter[str] = Counter()
    formats: Counter[str] = Counter()
    for row in rows:
        origin = known.get(row.example)
        key = question_key(row, origin)
        kind, expectation = _expectation(row, metric, origin)
        if expectation is None:
            left_out[_UNFIT.get(metric, "no answer")] += 1
        elif key in problems:
            left_out["question asked before"] += 1
        elif barred and key in barred:
            left_out[barred[key]] += 1
        else:
            formats[expectation.format] += 1
            problems[key] = _problem(row, kind, expectation, key, origin)
    return Built(tuple(problems.values()), dict(left_out), formats.most_common(1)[0][0] if formats else "")


def question_key(row: HeldOutRow, origin: Provenance | None) -> str:
    """Return the identity of a held-out row's question."""
    return origin.prompt_key if origin else prompt_key(row.messages[:-1])


def publish(built: Built, line: str, dataset: str, metric: str, suites: Path) -> SuiteManifest:
    """Write a suite under its hash, whole or not at all; doing it twice changes nothing."""
    data = b"".join(dump(problem) for problem in built.problems)
    manifest = SuiteManifest(
        hash=content_hash([line, dataset, metric, [row_of(problem) for problem in built.problems]]),
        line=line, dataset=dataset, metric=metric, problems=len(built.problems),
        groups=len({problem.group for problem in built.problems}),
        categories=dict(sorted(Counter(problem.category for problem in built.problems).items())),
        kinds=dict(sorted(Counter(problem.kind for problem in built.problems).items())),
        left_out=built.left_out, format=built.format, sha256=bytes_hash([data]), times=_times(built.problems),
    )  # fmt: skip
    with publish_folder(suites / manifest.hash) as folder:
        (folder / PROBLEMS).write_bytes(data)
        write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
    return manifest


def read_manifest(folder: Path) -> SuiteManifest:
    """Return what a suite's folder says it holds."""
    try:
        return SuiteManifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError) as error:
        raise CorruptError(
            f"suite {folder.name} cannot be read: {error}", "restore the folder from a backup"
        ) from error


def read_problems(folder: Path) -> list[Problem]:
    """Return a suite's problems, checked against the hash they were published under."""
    manifest = read_manifest(folder)
    try:
        data = (folder / PROBLEMS).read_bytes()
    except OSError as error:
        raise CorruptError(f"suite {folder.name} lost its problems: {error.strerror}") from error
    if bytes_hash([data]) != manifest.sha256:
        raise CorruptError(f"the problems of suite {folder.name} were changed", "restore the folder from a backup")
    return [Problem.model_validate(json.loads(line)) for line in data.splitlines()]


def _row(value: Any) -> HeldOutRow:
    messages = tuple(Message(role=one["role"], content=one["content"]) for one in value["messages"])
    if len(messages) < 2 or messages[-1].role != "assistant":  # noqa: PLR2004 - a question and an answer
        msg = "a row needs a question and, last, an answer"
        raise ValueError(msg)
    return HeldOutRow(str(value["example"]), messages)


_UNFIT: Mapping[str, str] = {"tool_call": "no tool call", **dict.fromkeys(CODE, "no tests"), "edit": "no tests"}


def _expectation(row: HeldOutRow, metric: str, origin: Provenance | None) -> tuple[str, Expectation | None]:
    """Return what counts as right: as the answer shows, or for programs the tests that the answer passed."""
    if metric not in CODE:
        return metric, METRICS[metric].expect(row.messages[-1].content)
    tests = origin.tests if origin else None
    if tests is None:
        return metric, None
    kind = "code_calls" if "entry" in tests else "code_io"
    try:
        return kind, Expectation(check_expected(kind, tests), format="code")
    except ProblemError:
        return kind, None


def _problem(row: HeldOutRow, kind: str, expectation: Expectation, key: str, origin: Provenance | None) -> Problem:
    # A row without known origin joins one group: taken as independent it would make chance look smaller than it is.
    return Problem.model_validate({
        "id": row.example, "kind": kind, "group": (origin.group if origin else "") or UNKNOWN,
        "category": expectation.category or (origin.category if origin else UNKNOWN),
        "messages": [message.model_dump() for message in row.messages[:-1]], "expected": None, "prompt_key": key,
        "time": origin.at if origin else None, "tools": origin.tools if origin else (),
    }).model_copy(update={"expected": expectation.expected})  # fmt: skip


def _times(problems: Iterable[Problem]) -> tuple[str, str] | None:
    """Return when the oldest and the newest question was asked, where that is known."""
    known = sorted(problem.time.isoformat() for problem in problems if problem.time is not None)
    return (known[0], known[-1]) if known else None
