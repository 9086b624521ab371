"""Gathers what a dataset is drawn from: the pool, what taught before, what examines, what is nearly the same."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlmodel import Session

from flywheel.core.examples import DatasetManifest, PoolExample
from flywheel.core.lines import Line
from flywheel.core.reasonings import shows_reasoning
from flywheel.core.training import REASONED
from flywheel.curate.comparisons import place_questions
from flywheel.curate.examinations import near_suites
from flywheel.curate.lesson_readings import Reading, questions_elsewhere, read_lessons
from flywheel.curate.mixes import weak_categories
from flywheel.curate.selections import Material, Parent, Relations
from flywheel.store import datasets as rows
from flywheel.store.examples import examples_by_id, pool, withdrawn_among
from flywheel.store.kinships import (
    near_examples,
    near_questions,
    near_to,
    questions_held_elsewhere,
    questions_set_aside,
)
from flywheel.store.reports import newest_report
from flywheel.store.sketches import questions_asked
from flywheel.store.suites import holds_out

_WORDS_AT_ONCE = 200


def material(session: Session, line: Line, parent: DatasetManifest | None) -> Material:
    """Return all that a line's next dataset is drawn from, as it stands now."""
    before = None
    if parent is not None:
        train, valid = (frozenset(rows.members(session, parent.hash, part)) for part in ("train", "valid"))
        before = Parent(parent.hash, train, valid)
    examples = pool(session, line.name)
    examined = rows.examined_questions(session) | questions_set_aside(session, line.name)
    read = read_lessons(session, line, parent.hash if parent else None)
    return Material(
        pool=examples,
        parent=before,
        held_before=rows.ever_held(session, line.name),
        examined=examined,
        has_suite=not holds_out(session, line.name),
        withdrawn=withdrawn_among(session, sorted(before.taught)) if before else frozenset(),
        near=relations(session, line, examples, examined, read),
        weak=_weak(session, line),
        technique=line.train.technique,
        rung=line.rung,
        silent=_silent(session, examples) if line.train.technique in REASONED else frozenset(),
        lessons=read.lessons,
    )


def relations(
    session: Session, line: Line, examples: Iterable[PoolExample], examined: frozenset[str], read: Reading
) -> Relations:
    """Return what is nearly the same among examples and lessons, as a suite's questions, and as what others teach."""
    least = line.dataset.near_threshold
    taught, asked = questions_elsewhere(session, line) if holds_out(session, line.name) else ({}, frozenset())
    placed, found = place_questions(session, {**taught, **read.sketches})
    near = near_suites(session, read.sketches, least)
    keys = {example.question: example.prompt_key for example in examples}
    keys |= {number: key for key, number in questions_asked(session, sorted(read.asked)).items()}
    keys |= {number: key for key, number in placed.items() if key in read.sketches}
    new = [(pair.newer, pair.older) for pair in found if pair.similarity >= least]
    pairs = near_questions(session, least) + new
    in_suites = frozenset(questions_asked(session, sorted(examined)).values())
    elsewhere = questions_held_elsewhere(session, line.name) | frozenset(placed[key] for key in taught)
    elsewhere |= frozenset(questions_asked(session, sorted(asked)).values())
    return Relations(
        twins=_both_ways(near_examples(session, line.name, least)),
        kin=_both_ways(_kin(pairs, keys)),
        examined=(_keys(keys, near_to(session, examined, least) | _beside(new, in_suites) | near.asked) | near.lessons)
        - examined,
        elsewhere=_keys(keys, elsewhere | _beside(pairs, elsewhere)),
    )


def _beside(pairs: Iterable[tuple[int, int]], numbers: frozenset[int]) -> frozenset[int]:
    """Return both sides of every pair of which one is among these."""
    return frozenset(side for pair in pairs if not numbers.isdisjoint(pair) for side in pair)


def _silent(session: Session, examples: Sequence[PoolExample]) -> frozenset[str]:
    """Return the examples whose answers show no reasoning: the line did not ask for it when they came."""
    names = [example.id for example in examples]
    found: set[str] = set()
    for start in range(0, len(names), _WORDS_AT_ONCE):
        several = examples_by_id(session, names[start : start + _WORDS_AT_ONCE])
        found |= {name for name, example in several.items() if not shows_reasoning(example.answer)}
    return frozenset(found)


def _keys(keys: Mapping[int, str], numbers: Iterable[int]) -> frozenset[str]:
    return frozenset(keys[number] for number in numbers if number in keys)


def _kin(pairs: Iterable[tuple[int, int]], keys: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    return ((keys[newer], keys[older]) for newer, older in pairs if newer in keys and older in keys)


def _both_ways(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for one, other in pairs:
        found[one].add(other)
        found[other].add(one)
    return {name: frozenset(others) for name, others in found.items()}


def _weak(session: Session, line: Line) -> dict[str, float]:
    """Return the categories that the newest report of the line found weak, where the line wants to work on them."""
    newest = newest_report(session, line.name) if line.dataset.focus else None
    return weak_categories(newest.report.categories) if newest else {}
