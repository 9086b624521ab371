"""What a task of teachers is: subjects, each worked on in steps. Values only; a task asks nobody and runs nothing.

Working on a subject is a generator. It says what is to be asked or run, is told what came of it, and ends with what is
believed. Told the same it does the same, so that it can be begun anew at any time: after a kill, or to see what it
would ask. `teachings.py` does what it says.
"""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from flywheel.bootstrap.dataset_rows import Proof
from flywheel.bootstrap.questions import Answer, Question
from flywheel.bootstrap.shelves import Shelf
from flywheel.bootstrap.teachers import Role
from flywheel.core.lines import Line
from flywheel.core.makings import Making
from flywheel.core.outcomes import Signal
from flywheel.sandbox.programs import Program, Run
from flywheel.store.stores import Store

Kind = Literal["believed", "waiting", "refused", "left"]


class Ask(NamedTuple):
    """Questions of one round, asked at once.

    What nobody answers now (no budget, no server, a wrong key) leaves the subject for another time. Where nobody has
    the role, the words hold a secret or the answer is cut off, the subject ends; with `optional` it goes on without
    that answer.
    """

    questions: tuple[Question, ...]
    optional: bool = False


class Try(NamedTuple):
    """A program to run in the sandbox; without an executor the subject is left for another time."""

    program: Program


class Prove(NamedTuple):
    """A program to prove by its tests; without an executor the subject is left for another time."""

    proof: Proof


class Told(NamedTuple):
    """What came of a step: the answers in the order of the questions, the runs of the program, or its evidence.

    What was not proved has no evidence, but a fault: one of the reasons of `proofs`.
    """

    answers: tuple[Answer | None, ...] = ()
    runs: tuple[Run, ...] = ()
    evidence: Signal | None = None
    fault: str = ""

    @property
    def answer(self) -> Answer:
        """Return the first answer of a round that was not optional."""
        found = self.answers[0]
        assert found is not None
        return found


class End(NamedTuple):
    """What is believed of a subject, and for which short reason not. Reasons are few: they are counted.

    Whatever the kind, its makings go onto the shelf and what was there of the subject before is replaced: a making that
    waits has no evidence that points anywhere, one that is refused may be a bad example. Only `left` touches nothing.
    """

    kind: Kind
    reason: str = ""
    makings: tuple[Making, ...] = ()


Step = Ask | Try | Prove
Work = Generator[Step, Told, End]


class Subject(NamedTuple):
    """One thing to work on. `digest` changes with whatever it is about: then it is worked on anew.

    Its makings lie under the task's own names on the shelf, or where `place` says.
    """

    key: str
    digest: str
    work: Callable[[], Work]
    place: str = ""


class Material(NamedTuple):
    """What subjects are found in: the line, the shelf, files that were named, the store where there is one.

    `roles` are those for which the line has a teacher.
    """

    line: Line
    home: Path
    shelf: Shelf
    roles: frozenset[Role]
    files: tuple[Path, ...] = ()
    store: Store | None = None


def _any_line(line: Line) -> bool:  # noqa: ARG001 - most tasks suit every line
    return True


class Task(NamedTuple):
    """A kind of work for teachers. `version` changes when the same answers are believed otherwise than before.

    Where nobody names tasks, those are done that suit the line.
    """

    name: str
    why: str
    subjects: Callable[[Material], Iterator[Subject]]
    version: int = 1
    suits: Callable[[Line], bool] = _any_line


def believed(*makings: Making) -> End:
    """Return that these are believed."""
    return End("believed", "", makings)


def waiting(reason: str, *makings: Making) -> End:
    """Return that nothing is believed until somebody judges, or a test can be run."""
    return End("waiting", reason, makings)


def refused(reason: str, *makings: Making) -> End:
    """Return that it is not believed."""
    return End("refused", reason, makings)
