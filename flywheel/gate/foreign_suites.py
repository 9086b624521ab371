"""Suites built from files: what an import staged, or a starter that ships. A problem at a time is in memory."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pydantic import Field, ValidationError

from flywheel.core.errors import CorruptError, MisuseError
from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.core.nearness import Likeness
from flywheel.core.sketches import Sketch
from flywheel.core.suites import SuiteOrigin
from flywheel.core.verdicts import Problem
from flywheel.gate.problems import ProblemError, dump, problem_of
from flywheel.gate.sharing import sketch_of
from flywheel.gate.suites import MANIFEST, PROBLEMS, SuiteManifest
from flywheel.proc.files import file_hash, publish_folder, write_json

STARTERS = Path(__file__).parent.parent / "starters"
DOUBLED, NEARLY_DOUBLED, TWIN = "question asked before", "nearly asked before", "id given before"

Shared = Callable[[Mapping[str, Sketch]], Mapping[str, str]]
"""Sketches of questions by their keys in, why some of them may not examine out."""


class Staged(Frozen):
    """What an import read from a file, before it is compared with what the house knows."""

    name: str
    shape: str
    problems: int
    read: int
    rejected: dict[str, int] = Field(default_factory=dict)
    tests_left_out: dict[str, int] = Field(default_factory=dict)
    sha256: str


class Provision(Frozen):
    """Where a suite's problems come from: a file of rows, what it is called, and what was said when it was read."""

    path: Path
    name: str
    origin: SuiteOrigin
    read: int = 0
    rejected: dict[str, int] = Field(default_factory=dict)
    tests_left_out: dict[str, int] = Field(default_factory=dict)


@dataclass
class Chosen:
    """The problems of a file that may examine, by their keys, and how many may not, by reason."""

    sketches: dict[str, Sketch] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    groups: set[str] = field(default_factory=set)
    times: list[str] = field(default_factory=list)
    read: int = 0


def staging(suites: Path) -> Path:
    """Return where imports wait until the daemon takes them in."""
    return suites.with_name("imports")


def read_staged(folder: Path) -> tuple[Staged, Provision]:
    """Return what an import left, checked against the hash it was staged under."""
    try:
        staged = Staged.model_validate_json((folder / MANIFEST).read_bytes())
        whole = file_hash(folder / PROBLEMS) == staged.sha256
    except (OSError, ValidationError) as error:
        raise CorruptError(f"import {folder.name} cannot be read: {error}", "import the file again") from error
    if not whole:
        raise CorruptError(f"the problems of import {folder.name} were changed", "import the file again")
    provision = Provision(
        path=folder / PROBLEMS, name=staged.name, origin="imported", read=staged.read, rejected=staged.rejected,
        tests_left_out=staged.tests_left_out,
    )  # fmt: skip
    return staged, provision


def starter_names(folder: Path = STARTERS) -> list[str]:
    """Return the starters that ship."""
    return sorted(path.stem for path in folder.glob("*.jsonl"))


def starter(name: str, folder: Path = STARTERS) -> Provision:
    """Return a starter that ships."""
    if name not in starter_names(folder):
        told = f"starters: {', '.join(starter_names(folder)) or 'none'}; imported ones: `flywheel suites list`"
        raise MisuseError(f"no suite of the line and no starter is called {name!r}", told)
    return Provision(path=folder / f"{name}.jsonl", name=name, origin="starter")


def choose(provision: Provision, shared: Shared, least: float) -> Chosen:
    """Return which problems of a file may examine: each asks something of its own, and nothing the house knows."""
    chosen, seen = Chosen(), Distinct(1.0 if provision.origin == "starter" else least)
    told: dict[str, Problem] = {}
    for problem in problems_of(provision.path):
        chosen.read += 1
        again = seen.again(problem, drawn := sketch_of(problem.messages))
        if again:
            chosen.left_out[again] += 1
        else:
            chosen.sketches[problem.prompt_key] = drawn
            told[problem.prompt_key] = problem.model_copy(update={"expected": None, "messages": ()})
    why = shared(chosen.sketches)
    chosen.left_out.update(why.values())
    for key, problem in told.items():
        if key in why:
            del chosen.sketches[key]
        else:
            _count(chosen, problem)
    return chosen


def publish_chosen(provision: Provision, chosen: Chosen, line: str, suites: Path) -> SuiteManifest:
    """Write the chosen problems as a suite under its hash, whole or not at all; doing it twice changes nothing."""
    digest = content_hash([line, provision.origin, provision.name, file_hash(provision.path), sorted(chosen.sketches)])
    with publish_folder(suites / digest) as folder:
        with (folder / PROBLEMS).open("wb") as file:
            file.writelines(_kept(provision.path, chosen.sketches))
        manifest = _manifest(digest, provision, chosen, line, file_hash(folder / PROBLEMS))
        write_json(folder / MANIFEST, manifest.model_dump(mode="json"))
    return manifest


def problems_of(path: Path) -> Iterator[Problem]:
    """Yield the problems of a file of rows; a row that is none is said with its place."""
    try:
        with path.open("rb") as file:
            yield from _problems(file, path.name)
    except OSError as error:
        raise CorruptError(f"{path.name} cannot be read: {error.strerror}") from error


class Distinct:
    """Tells of each question whether it, or nearly it, was asked before."""

    def __init__(self, least: float) -> None:
        """Know no question; from so much likeness on two are the same, and from 1 on only the very same are."""
        self._least = least
        self._named: set[str] = set()
        self._seen: set[str] = set()
        self._alike = Likeness({})

    def again(self, problem: Problem, drawn: Sketch) -> str:
        """Return why a problem is left out, or remember it."""
        if problem.id in self._named:
            return TWIN
        if problem.prompt_key in self._seen:
            return DOUBLED
        if self._least < 1 and self._alike.near(drawn, self._least):
            return NEARLY_DOUBLED
        self._named.add(problem.id)
        self._seen.add(problem.prompt_key)
        self._alike.add(problem.prompt_key, drawn)
        return ""


def _problems(file: BinaryIO, name: str) -> Iterator[Problem]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            yield problem_of(json.loads(line))
        except (ProblemError, ValueError, RecursionError) as error:
            raise CorruptError(f"{name} line {number} is no problem: {error}") from error


def _kept(path: Path, keys: Mapping[str, Sketch]) -> Iterator[bytes]:
    left = set(keys)
    for problem in problems_of(path):
        if problem.prompt_key in left:
            left.remove(problem.prompt_key)
            yield dump(problem)


def _count(chosen: Chosen, problem: Problem) -> None:
    chosen.categories[problem.category] += 1
    chosen.kinds[problem.kind] += 1
    chosen.groups.add(problem.group)
    if problem.time is not None:
        chosen.times.append(problem.time.isoformat())


def _manifest(digest: str, provision: Provision, chosen: Chosen, line: str, sha256: str) -> SuiteManifest:
    left_out = Counter(provision.rejected) + chosen.left_out
    return SuiteManifest(
        hash=digest, line=line, dataset="", metric="+".join(sorted(chosen.kinds)), problems=len(chosen.sketches),
        groups=len(chosen.groups), categories=_ordered(chosen.categories), left_out=_ordered(left_out),
        format=_format(chosen.kinds), sha256=sha256, name=provision.name, origin=provision.origin,
        kinds=_ordered(chosen.kinds), read=provision.read or chosen.read, tests_left_out=provision.tests_left_out,
        times=(min(chosen.times), max(chosen.times)) if chosen.times else None,
    )  # fmt: skip


def _format(kinds: Counter[str]) -> str:
    """Return the format that most answers should be written in; a tool call's is the one with its tags."""
    formats = {"tool_call": "json", "code_io": "code", "code_calls": "code", "choice": "choice", "items": "items"}
    return next((formats.get(kind, "text") for kind, _ in kinds.most_common(1)), "")


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in sorted(counts.items()) if count}
