"""Pairs and single judgements on their way into a dataset: which may teach, where they stand, how many rows. Pure.

A pair is one lesson, a bad answer is one; a good answer is an example and is judged as such. Lessons are cut with the
examples (`splits`), so that what one touches stands on its side; what is told of accumulation and rehearsal there
holds for them as well.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NamedTuple

from flywheel.core.examples import PoolExample
from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.core.lines import DatasetPlan
from flywheel.core.training import LEARNED_FROM
from flywheel.curate.mixes import rounds, row_count, weight_of
from flywheel.curate.splits import Item

Kind = Literal["", "pair", "judgement"]

#: The files of each kind: what teaches, what validates.
FILES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"pair": ("pairs", "pairs_valid"), "judgement": ("judged", "judged_valid")}
)


def kind_of(technique: str) -> Kind:
    """Return what a technique learns from beside answers, or instead of them."""
    learned = LEARNED_FROM[technique]
    return "pair" if "pairs" in learned else "judgement" if "judged" in learned else ""


class Side(NamedTuple):
    """An answer of a lesson by the places it comes from; a question may be known by more than one key."""

    questions: tuple[str, ...]
    task: str
    session: str
    repo: str
    foreign: bool = False
    private: bool = False
    own: bool = False


class Lesson(NamedTuple):
    """A pair or a bad answer without its words; `words` are their hashes: the question, then answers, the best first.

    `twin` is the example that has the very words of a bad answer, if there is one.
    """

    id: str
    at: datetime
    seq: int
    sides: tuple[Side, ...]
    words: tuple[str, ...]
    outcomes: tuple[str, ...]
    weight: float = 1.0
    twin: str = ""

    @property
    def questions(self) -> Iterator[str]:
        """Yield every question it touches."""
        return (question for side in self.sides for question in side.questions)


class HeldOut(NamedTuple):
    """The tasks and sessions of what datasets of the line ever held out."""

    tasks: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()


class Lessons(NamedTuple):
    """All lessons of a line: those that stand, what taught in the parent, what cannot be read as lessons, and why.

    `until` is the last one that could have come in; `rehearsed` taught in the parent's training part.
    """

    kind: Kind = ""
    every: Sequence[Lesson] = ()
    taught: frozenset[str] = frozenset()
    rehearsed: frozenset[str] = frozenset()
    held_out: HeldOut = HeldOut()
    left_out: Mapping[str, int] = MappingProxyType({})
    until: int = 0


class Usable(NamedTuple):
    """Lessons that may teach, why others may not, and the examples that are judged both ways."""

    kept: list[Lesson]
    left_out: Counter[str]
    unsure: frozenset[str] = frozenset()


class LessonDraft(Frozen):
    """What a dataset holds of lessons; `rows` and `valid_rows` are those of its files, good answers among them."""

    kind: Kind = ""
    train: tuple[str, ...] = ()
    valid: tuple[str, ...] = ()
    rows: tuple[tuple[str, bool], ...] = ()
    valid_rows: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    good: frozenset[str] = frozenset()

    @property
    def count(self) -> int:
        """Return how many pairs or judgements there are; rehearsed rows do not count."""
        return len({name for name, _ in self.rows} | set(self.valid_rows))

    @property
    def replayed(self) -> int:
        """Return how many rows rehearse."""
        return sum(replay for _, replay in self.rows)

    @property
    def good_share(self) -> float:
        """Return which part of the judgements that teach is of good answers, row by row."""
        return sum(name in self.good for name, _ in self.rows) / len(self.rows) if self.rows else 0.0

    @property
    def has_both(self) -> bool:
        """Tell whether good and bad answers teach."""
        return len({name in self.good for name, _ in self.rows}) > 1


def usable_lessons(
    lessons: Lessons, pool: Sequence[PoolExample], exact: frozenset[str], near: frozenset[str]
) -> Usable:
    """Return the lessons that may teach: none about what examines, none twice, none that another contradicts."""
    left_out = Counter(lessons.left_out)
    kept: list[Lesson] = []
    for lesson in sorted(lessons.every, key=lambda one: (one.id not in lessons.taught, one.seq)):
        reason = _examines(lesson, lessons.held_out, exact, near)
        if reason is None:
            kept.append(lesson)
        else:
            left_out[reason] += 1
    said = {lesson.words for lesson in lessons.every}
    standing = {example.id for example in pool}
    unsure = frozenset(one.twin for one in lessons.every if one.twin) & standing
    once = {lesson.words: lesson.id for lesson in reversed(kept)}
    clear = [one for one in kept if (*one.words[:1], *one.words[:0:-1]) not in said or len(one.words) < _A_PAIR]
    clear = [one for one in clear if one.twin not in unsure]
    single = [one for one in clear if once[one.words] == one.id]
    left_out["says the opposite of another"] += len(kept) - len(clear)
    left_out["says the same as another"] += len(clear) - len(single)
    told = Counter({f"{lessons.kind}: {reason}": count for reason, count in left_out.items() if count})
    return Usable(sorted(single, key=lambda one: one.seq), told, unsure)


_A_PAIR = 3  # hashes: of the question and of both answers


def items_of(lessons: Sequence[Lesson], taught: frozenset[str], *, by_repo: bool) -> list[Item]:
    """Return lessons as splitting sees them."""
    return [
        Item(
            id=one.id,
            task=side.task,
            question=question,
            at=one.at,
            seq=one.seq,
            pinned=one.id in taught,
            session=side.session,
            repo=side.repo if by_repo else "",
            lesson=True,
        )
        for one in lessons
        for side in one.sides
        for question in side.questions
    ]


def draft_lessons(
    parts: tuple[Sequence[Lesson], Sequence[Lesson]],
    good: tuple[Sequence[PoolExample], Sequence[PoolExample]],
    lessons: Lessons,
    plan: DatasetPlan,
    parent: str,
) -> LessonDraft:
    """Return the rows of lessons: of what teaches and of what validates; `good` are the good answers judged there."""
    train, valid = parts
    teaching, validating = _in_time(train, good[0]), _in_time(valid, good[1])
    counts = _rows_of(train, good[0], lessons, plan)
    rows = [name for name in teaching for _ in range(counts[name])]
    source = [name for name in teaching if name in lessons.rehearsed and counts[name]]
    chance = random.Random(content_hash([parent, lessons.kind, rows]))  # noqa: S311 - a repeatable draw
    wanted = round(len(rows) * plan.replay / (1 - plan.replay)) if source else 0
    return LessonDraft(
        kind=lessons.kind,
        train=tuple(one.id for one in train if counts[one.id]),
        valid=tuple(one.id for one in valid),
        rows=tuple([(name, False) for name in rows] + [(name, True) for name in rounds(source, wanted, chance)]),
        valid_rows=tuple(validating),
        outcomes=tuple(sorted({key for one in (*train, *valid) for key in one.outcomes})),
        good=frozenset(one.id for several in good for one in several),
    )


def _examines(lesson: Lesson, held_out: HeldOut, exact: frozenset[str], near: frozenset[str]) -> str | None:
    if any(question in exact for question in lesson.questions):
        return "question stands in a suite"
    if any(question in near for question in lesson.questions):
        return "question is nearly one of a suite"
    if any(side.task in held_out.tasks or side.session in held_out.sessions for side in lesson.sides):
        return "its task or session examines"
    return None


def _in_time(lessons: Sequence[Lesson], good: Sequence[PoolExample]) -> list[str]:
    times = [(one.at, one.id) for one in lessons] + [(one.at, one.id) for one in good]
    return [name for _, name in sorted(times)]


def _rows_of(bad: Sequence[Lesson], good: Sequence[PoolExample], lessons: Lessons, plan: DatasetPlan) -> dict[str, int]:
    """Return how many rows each brings: a pair one, a judgement by its weight, but one or more if it taught before."""
    if lessons.kind == "pair":
        return {one.id: 1 for one in bad}
    labels = plan.label_weights
    weights = {one.id: one.weight * labels.negative for one in bad}
    weights |= {one.id: weight_of(one, plan) * labels.positive for one in good}
    before = lessons.taught | lessons.rehearsed
    return {name: max(row_count(name, weight), int(name in before)) for name, weight in weights.items()}
