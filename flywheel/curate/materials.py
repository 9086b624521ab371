"""Gathers what a dataset is drawn from: the pool, what taught before, what examines, what is nearly the same."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from sqlmodel import Session

from flywheel.core.examples import DatasetManifest, PoolExample
from flywheel.core.lines import Line
from flywheel.curate.mixes import weak_categories
from flywheel.curate.selections import Material, Parent, Relations
from flywheel.store import datasets as rows
from flywheel.store.examples import pool, withdrawn_among
from flywheel.store.kinships import (
    near_examples,
    near_questions,
    near_to,
    questions_held_elsewhere,
    questions_set_aside,
)
from flywheel.store.reports import newest_report
from flywheel.store.suites import live_suite


def material(session: Session, line: Line, parent: DatasetManifest | None) -> Material:
    """Return all that a line's next dataset is drawn from, as it stands now."""
    before = None
    if parent is not None:
        train, valid = (frozenset(rows.members(session, parent.hash, part)) for part in ("train", "valid"))
        before = Parent(parent.hash, train, valid)
    examples = pool(session, line.name)
    examined = rows.examined_questions(session) | questions_set_aside(session, line.name)
    return Material(
        pool=examples,
        parent=before,
        held_before=rows.ever_held(session, line.name),
        examined=examined,
        has_suite=live_suite(session, line.name) is not None,
        withdrawn=withdrawn_among(session, sorted(before.taught)) if before else frozenset(),
        near=relations(session, line, examples, examined),
        weak=_weak(session, line),
    )


def relations(session: Session, line: Line, examples: Iterable[PoolExample], examined: frozenset[str]) -> Relations:
    """Return what is nearly the same among these examples, as a suite's questions, and as what other lines teach."""
    least = line.dataset.near_threshold
    keys = {example.question: example.prompt_key for example in examples}
    pairs = near_questions(session, least)
    elsewhere = questions_held_elsewhere(session, line.name)
    beside = {side for pair in pairs if not elsewhere.isdisjoint(pair) for side in pair}
    return Relations(
        twins=_both_ways(near_examples(session, line.name, least)),
        kin=_both_ways(_kin(pairs, keys)),
        examined=_keys(keys, near_to(session, examined, least)) - examined,
        elsewhere=_keys(keys, elsewhere | beside),
    )


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
