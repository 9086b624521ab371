"""What a dataset is made of: the parent's examples, the fresh ones, and rows that rehearse. Pure.

Accumulation: every example that taught in the parent teaches again, unless it was withdrawn or its question stands in
a suite by now. Rehearsal comes on top: a share of the training rows repeats examples that taught in the parent, so
that what was learned earlier is not drowned by what is new.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from pydantic import Field

from flywheel.core.examples import PoolExample
from flywheel.core.facts import Value
from flywheel.core.frozen import Frozen
from flywheel.core.lines import DatasetPlan
from flywheel.curate.caps import FLOOR, capped, caps_of
from flywheel.curate.mixes import Rows, in_order, is_drawn, rows_beside
from flywheel.curate.splits import Item, Kin, Parts, Shares, split

SESSION_FLOOR = FLOOR


class Parent(NamedTuple):
    """The dataset before: its hash, and what taught in it."""

    hash: str
    train: frozenset[str]
    valid: frozenset[str]

    @property
    def taught(self) -> frozenset[str]:
        """Return everything that has to teach again."""
        return self.train | self.valid


class Relations(NamedTuple):
    """What is nearly the same: examples by their ids, questions by their keys, told of both sides.

    `examined` are questions nearly the same as one of a suite; `elsewhere` are those that other lines' datasets hold,
    or nearly: they must not come into a suite.
    """

    twins: Mapping[str, frozenset[str]] = MappingProxyType({})
    kin: Kin = MappingProxyType({})
    examined: frozenset[str] = frozenset()
    elsewhere: frozenset[str] = frozenset()


class Material(NamedTuple):
    """All that a dataset is drawn from; `weak` are the categories measured as weak, and how far from perfect."""

    pool: Sequence[PoolExample]
    parent: Parent | None
    held_before: frozenset[str]
    examined: frozenset[str]
    has_suite: bool
    withdrawn: frozenset[str] = frozenset()
    near: Relations = Relations()
    weak: Mapping[str, float] = MappingProxyType({})

    @property
    def taught(self) -> frozenset[str]:
        """Return what taught in the parent."""
        return self.parent.taught if self.parent else frozenset()


class Draft(Frozen):
    """A dataset before it is written: who stands where, who was left out and why, and what it is judged by.

    `rows` are the training rows in the order in which they teach, each with whether it rehearses.
    """

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]
    replay: tuple[str, ...]
    rows: tuple[tuple[str, bool], ...] = ()
    left_out: dict[str, int] = Field(default_factory=dict)
    fresh: int = 0
    judged_by: dict[str, Value] = Field(default_factory=dict)

    @property
    def examples(self) -> int:
        """Return how many examples it holds; rehearsed rows do not count."""
        return len(self.train) + len(self.valid) + len(self.test)


def draft(material: Material, plan: DatasetPlan) -> Draft:
    """Choose, cap, split and mix; the same material gives the same draft."""
    left_out: Counter[str] = Counter()
    usable = _drawn(_distinct(_unexamined(material, left_out), material, left_out), material, plan, left_out)
    kept, parts = _cut(usable, material, plan, left_out)
    by_id = {example.id: example for example in kept}
    chosen = [by_id[name] for name in (*parts.train, *parts.valid, *parts.test)]
    fresh = [example for example in chosen if example.id not in material.held_before]
    train = [by_id[name] for name in parts.train]
    parent = (material.parent.hash, material.parent.train) if material.parent else ("", frozenset[str]())
    beside = rows_beside(train, parent, material.weak, plan)
    rows = in_order(train, beside, curriculum=plan.curriculum)
    return Draft(
        train=tuple(parts.train),
        valid=tuple(parts.valid),
        test=tuple(parts.test),
        replay=beside.replay,
        rows=tuple(rows),
        left_out={reason: count for reason, count in left_out.items() if count},
        fresh=len(fresh),
        judged_by=_judged_by(chosen, fresh, parts, material) | _mixed(chosen, beside, len(rows)),
    )


def _unexamined(material: Material, left_out: Counter[str]) -> list[PoolExample]:
    usable = []
    for example in material.pool:
        if example.prompt_key in material.examined:
            left_out["question stands in a suite"] += 1
        elif example.prompt_key in material.near.examined:
            left_out["question is nearly one of a suite"] += 1
        else:
            usable.append(example)
    return usable


def _distinct(examples: Sequence[PoolExample], material: Material, left_out: Counter[str]) -> list[PoolExample]:
    """Of examples that are nearly the same keep the oldest, and whatever taught before."""
    kept: set[str] = set()
    for example in sorted(examples, key=lambda one: (one.id not in material.taught, one.seq)):
        if example.id in material.taught or not kept & material.near.twins.get(example.id, frozenset()):
            kept.add(example.id)
    left_out["near duplicate"] += len(examples) - len(kept)
    return [example for example in examples if example.id in kept]


def _drawn(
    examples: Sequence[PoolExample], material: Material, plan: DatasetPlan, left_out: Counter[str]
) -> list[PoolExample]:
    kept = [example for example in examples if example.id in material.taught or is_drawn(example, plan)]
    left_out["not drawn, for its weight"] += len(examples) - len(kept)
    return kept


def _cut(
    usable: Sequence[PoolExample], material: Material, plan: DatasetPlan, left_out: Counter[str]
) -> tuple[list[PoolExample], Parts]:
    """Cap and split; a smaller set has smaller caps, so until nothing more falls out."""
    total, caps = len(usable), caps_of(plan)
    while True:
        found = capped(usable, material.taught, caps, total)
        count = len(found.kept)
        if count >= total:
            parts = split(_items(found.kept, material, plan), _shares(plan, material), material.near.kin)
            count -= len(parts.doubled)
            if count >= total:
                left_out.update(found.left_out)
                left_out["question stands in the test part"] += len(parts.doubled)
                return found.kept, parts
        total = count


def _items(kept: Sequence[PoolExample], material: Material, plan: DatasetPlan) -> list[Item]:
    taught, elsewhere = material.taught, material.near.elsewhere
    return [
        Item(
            id=one.id,
            task=one.task,
            question=one.prompt_key,
            at=one.at,
            seq=one.seq,
            pinned=one.id in taught or one.prompt_key in elsewhere,
            session=one.session,
            repo=one.group if plan.split_by == "repo" else "",
        )
        for one in kept
    ]


def _shares(plan: DatasetPlan, material: Material) -> Shares:
    return Shares(0.0 if material.has_suite else plan.holdout, plan.valid, plan.suite_limit)


def _judged_by(
    chosen: Sequence[PoolExample], fresh: Sequence[PoolExample], parts: Parts, material: Material
) -> dict[str, Value]:
    """Return what guardrails judge the dataset by, under the names of the facts `dataset.…`."""
    known_groups = {example.group for example in material.pool if example.id in material.held_before}
    examined = material.examined | material.near.examined
    return {
        "largest_session_share": _largest(Counter(example.session for example in chosen), len(chosen)),
        "largest_foreign_repo_share": _largest(Counter(one.group for one in chosen if one.foreign), len(chosen)),
        "lost_examples": len(_lost(parts, material)),
        "new_group_share": _share(sum(example.group not in known_groups for example in fresh), len(fresh)),
        "shares_with_suites": sum(example.prompt_key in examined for example in chosen),
        "teacher_share": _share(sum(example.origin == "teacher" for example in chosen), len(chosen)),
    }


def _mixed(chosen: Sequence[PoolExample], beside: Rows, rows: int) -> dict[str, Value]:
    """Return the other shares that the manifest tells."""
    origins = Counter(example.origin for example in chosen)
    return {
        "largest_repo_share": _largest(Counter(example.group for example in chosen), len(chosen)),
        "largest_category_share": _largest(Counter(example.category for example in chosen), len(chosen)),
        "focus_share": _share(len(beside.focus), rows),
        "repeated_share": _share(len(beside.further), rows),
        **{f"{origin}_share": _share(count, len(chosen)) for origin, count in sorted(origins.items())},
    }


def _lost(parts: Parts, material: Material) -> frozenset[str]:
    if material.parent is None:
        return frozenset()
    keys = material.examined | material.near.examined
    examined = frozenset(example.id for example in material.pool if example.prompt_key in keys)
    return material.parent.taught - material.withdrawn - examined - frozenset(parts.train) - frozenset(parts.valid)


def _largest(counts: Counter[str], total: int) -> float:
    return _share(max(counts.values(), default=0), total)


def _share(part: int, total: int) -> float:
    return round(part / total, 4) if total else 0.0
