"""Suites on disk: built from what a frozen dataset held out, published whole under their hash, never changed."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flywheel.core.errors import CorruptError
from flywheel.core.examples import DatasetManifest, prompt_key
from flywheel.core.frozen import Frozen
from flywheel.core.ids import bytes_hash, content_hash
from flywheel.core.outcomes import Message
from flywheel.core.suites import Provenance
from flywheel.core.verdicts import Problem
from flywheel.gate.metrics.registry import METRICS
from flywheel.proc.files import publish_folder, write_json

PROBLEMS, MANIFEST = "problems.jsonl", "manifest.json"
UNKNOWN = "unknown"


class SuiteManifest(Frozen):
    """What a suite's folder holds; `format` is the one that most held-out answers were written in."""

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


def build(rows: Iterable[HeldOutRow], metric: str, known: Mapping[str, Provenance]) -> Built:
    """Turn held-out rows into problems; rows that cannot be judged, or ask the same again, are counted and left out."""
    problems: dict[str, Problem] = {}
    left_out: Counter[str] = Counter()
    formats: Counter[str] = Counter()
    for row in rows:
        expectation = METRICS[metric].expect(row.messages[-1].content)
        origin = known.get(row.example)
        key = origin.prompt_key if origin else prompt_key(row.messages[:-1])
        if expectation is None:
            left_out["no tool call" if metric == "tool_call" else "no answer"] += 1
        elif key in problems:
            left_out["question asked before"] += 1
        else:
            formats[expectation.format] += 1
            category = expectation.category or (origin.category if origin else UNKNOWN)
            problems[key] = _problem(row, metric, category, key, origin).model_copy(
                update={"expected": expectation.expected}
            )
    return Built(tuple(problems.values()), dict(left_out), formats.most_common(1)[0][0] if formats else "")


def publish(built: Built, line: str, dataset: str, metric: str, suites: Path) -> SuiteManifest:
    """Write a suite under its hash, whole or not at all; doing it twice changes nothing."""
    lines = [problem.model_dump() for problem in built.problems]
    data = b"".join(json.dumps(one, sort_keys=True).encode() + b"\n" for one in lines)
    manifest = SuiteManifest(
        hash=content_hash([line, dataset, metric, lines]), line=line, dataset=dataset, metric=metric,
        problems=len(lines), groups=len({problem.group for problem in built.problems}),
        categories=dict(sorted(Counter(problem.category for problem in built.problems).items())),
        left_out=built.left_out, format=built.format, sha256=bytes_hash([data]),
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


def _problem(row: HeldOutRow, metric: str, category: str, key: str, origin: Provenance | None) -> Problem:
    # A row without known origin joins one group: taken as independent it would make chance look smaller than it is.
    return Problem.model_validate({
        "id": row.example, "kind": metric, "category": category, "group": (origin.group if origin else "") or UNKNOWN,
        "messages": [message.model_dump() for message in row.messages[:-1]], "expected": None, "prompt_key": key,
    })  # fmt: skip
