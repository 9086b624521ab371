"""Answers that earlier measurements drew, and which of them may serve again.

A measurement is its own cache: its folder says whom it measured on what, by which sampling, and holds the answers and
runs. What is the same by hash (the model behind a role, the suite, the sampling) is not asked again: a second
measurement of an adapter takes everything from the first, and the adapter that is active now is known from the day
when it was the candidate. Another suite, another sampling or another version of the server finds nothing.

An attempt that failed is gone on with by the next.

Times of two measurements never meet. Where latency is judged, base and candidate come from one and the same
measurement or both are asked; where it is not, a base that is known serves its scores, and no times.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from flywheel.core.frozen import Frozen
from flywheel.core.verdicts import Problem
from flywheel.gate.answers import ANSWERS, AnswerLog, read_answers
from flywheel.gate.evidence import Answer, Role
from flywheel.gate.results import is_done
from flywheel.gate.runs import RUNS, RunLog, programs_of, read_runs
from flywheel.gate.specs import MeasureSpec
from flywheel.gate.triggers import is_planted, samples_of
from flywheel.proc.files import write_json

SUBJECTS = "subjects.json"
_TIMED: tuple[Role, ...] = ("base", "candidate")


class Subjects(Frozen):
    """Whom a measurement measured on what and how: what stands in its folder from its beginning on."""

    run: str
    suite: str
    sampling: dict[str, Any]
    engines: tuple[str, ...] = ()
    who: dict[Role, str] = Field(default_factory=dict)


class Source(Frozen):
    """Where the answers of a role may be taken from: a finished measurement, and who it was there."""

    folder: Path
    run: str
    role: Role


def subjects_of(spec: MeasureSpec, engines: tuple[str, ...]) -> Subjects:
    """Return what a spec measures at these engines, by what makes it the same as another."""
    return Subjects(
        run=Path(spec.out).parent.name, suite=spec.suite, sampling=spec.gate.sampling.model_dump(mode="json"),
        engines=engines, who=spec.who,
    )  # fmt: skip


def remembers(spec: MeasureSpec) -> bool:
    """Tell whether a measurement may know answers from before, and may be known by later ones."""
    return bool(spec.earlier and any(spec.who.values()))


def adopt(
    spec: MeasureSpec, engines: tuple[str, ...], problems: Sequence[Problem], answers: AnswerLog, runs: RunLog
) -> None:
    """Take over the answers, and what their programs did, that need not be asked again; doing it twice is the same.

    What is measured stands in the folder from then on, for those that come later.
    """
    ours = subjects_of(spec, engines)
    write_json(Path(spec.out) / SUBJECTS, ours.model_dump(mode="json"))
    known = _known(Path(spec.earlier), ours)
    whole = _whole(spec, problems, choose(spec, [one for one in known if is_done(one[0])]))
    for folder, taken in [*whole, *_interrupted(spec, known)]:
        for answer in taken:
            answers.append(answer)
        wanted = programs_of(problems, taken)
        for ran in read_runs(folder / RUNS):
            if ran.program in wanted:
                runs.append(ran)


def choose(spec: MeasureSpec, known: Sequence[tuple[Path, Subjects]]) -> dict[Role, Source]:
    """Return the roles that need not be asked, each with the source of its answers; the newest source is taken."""
    found: dict[Role, list[Source]] = {
        role: [source for folder, there in known if (source := _source(folder, there, spec.who.get(role, "")))]
        for role in spec.models
    }
    both = {source.folder for source in found["base"]} & {source.folder for source in found["candidate"]}
    for role in _TIMED:
        together = [source for source in found[role] if source.folder in both]
        found[role] = together or ([] if spec.gate.judge_latency else found[role])
    return {role: sources[-1] for role, sources in found.items() if sources}


def _whole(
    spec: MeasureSpec, problems: Sequence[Problem], sources: Mapping[Role, Source]
) -> list[tuple[Path, list[Answer]]]:
    """Return the answers of those roles that were asked everything; times only where they were taken side by side.

    A gate may plant other strings than the one before: what is missing of those is asked.
    """
    samples = spec.gate.sampling.samples
    asked = {(problem.id, n) for problem in problems for n in range(samples_of(problem, samples))}
    needed = {question for question in asked if not is_planted(question[0])}
    found = {role: [one for one in _as_role(source, role) if one.question in asked]
             for role, source in sources.items()}  # fmt: skip
    found = {role: taken for role, taken in found.items() if needed <= {one.question for one in taken}}
    drawn = [{one.question: one.run for one in found.get(role, []) if one.question in needed} for role in _TIMED]
    if spec.gate.judge_latency and drawn[0] != drawn[1]:
        found = {role: taken for role, taken in found.items() if role == "active"}
    return [(sources[role].folder, taken) for role, taken in found.items()]


def _interrupted(spec: MeasureSpec, known: Sequence[tuple[Path, Subjects]]) -> list[tuple[Path, list[Answer]]]:
    """Return what an attempt at this very measurement drew before it failed: the next one goes on from there."""
    same = [(folder, there) for folder, there in known if there.who == spec.who and not is_done(folder)]
    return [
        (folder, [one.model_copy(update={"run": one.run or there.run}) for one in read_answers(folder / ANSWERS)
                  if not one.error])
        for folder, there in reversed(same)
    ]  # fmt: skip


def _known(earlier: Path, ours: Subjects) -> list[tuple[Path, Subjects]]:
    """Return the measurements that were begun on the same suite, by the same sampling and engines, the oldest first."""
    found = []
    for path in earlier.glob(f"*/*/{SUBJECTS}"):
        there = _read(path)
        if there and there.run != ours.run and _question(there) == _question(ours):
            found.append((path.stat().st_mtime, path.parent, there))
    return [(folder, there) for _, folder, there in sorted(found, key=lambda one: one[:2])]


def _question(subjects: Subjects) -> dict[str, Any]:
    return subjects.model_dump(include={"suite", "sampling", "engines"})


def _source(folder: Path, there: Subjects, who: str) -> Source | None:
    role = next((role for role, one in there.who.items() if who and one == who), None)
    return Source(folder=folder, run=there.run, role=role) if role else None


def _as_role(source: Source, role: Role) -> list[Answer]:
    """Return the answers of a source; those that it had taken over itself keep the name of where they were drawn."""
    return [
        answer.model_copy(update={"role": role, "run": answer.run or source.run})
        for answer in read_answers(source.folder / ANSWERS)
        if answer.role == source.role
    ]


def _read(path: Path) -> Subjects | None:
    try:
        return Subjects.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
