"""What a dataset is made of: the parent's examples, the fresh ones, and rows that rehearse. Pure.

Accumulation: every example that taught in the parent teaches again, unless it was withdrawn or its question stands in
a suite by now. Rehearsal comes on top: a share of the training rows repeats examples that taught in the parent, so
that what was learned earlier is not drowned by what is new.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pydantic import Field

from flywheel.core.examples import PoolExample
from flywheel.core.facts import Value
from flywheel.core.frozen import Frozen
from flywheel.core.ids import content_hash
from flywheel.core.lines import DatasetPlan
from flywheel.curate.splits import Item, Parts, Shares, split

SESSION_FLOOR = 8  # a session may always bring so many: a hundredth of a small set would be nothing


class Parent(NamedTuple):
    """The dataset before: its hash, and what taught in it."""

    hash: str
    train: frozenset[str]
    valid: frozenset[str]

    @property
    def taught(self) -> frozenset[str]:
        """Return everything that has to teach again."""
        return self.train | self.valid


class Material(NamedTuple):
    """All that a dataset is drawn from."""

    pool: Sequence[PoolExample]
    parent: Parent | None
    held_before: frozenset[str]
    examined: frozenset[str]
    has_suite: bool
    withdrawn: frozenset[str] = frozenset()


class Draft(Frozen):
    """A dataset before it is written: who stands where, who was left out and why, and what it is judged by."""

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]
    replay: tuple[str, ...]
    left_out: dict[str, int] = Field(default_factory=dict)
    fresh: int = 0
    judged_by: dict[str, Value] = Field(default_factory=dict)

    @property
    def examples(self) -> int:
        """Return how many examples it holds; rehearsed rows do not count."""
        return len(self.train) + len(self.valid) + len(self.test)


def draft(material: Material, plan: DatasetPlan) -> Draft:
    """Choose, cap, split and rehearse; the same material gives the same draft."""
    usable = [example for example in material.pool if example.prompt_key not in material.examined]
    total = len(usable)
    while True:  # a smaller set has a smaller cap: ends, as the total only falls
        kept = _capped(usable, material, max(SESSION_FLOOR, int(plan.session_cap * total)))
        parts = split(_items(kept, material), _shares(plan, material))
        count = len(parts.train) + len(parts.valid) + len(parts.test)
        if count >= total:
            break
        total = count
    left_out = {
        "question stands in a suite": len(material.pool) - len(usable),
        "session has its share": len(usable) - len(kept),
        "question stands in the test part": len(parts.doubled),
    }
    replay = _replayed(parts, material.parent, plan.replay)
    chosen = _by_id(kept, [*parts.train, *parts.valid, *parts.test])
    fresh = [example for example in chosen if example.id not in material.held_before]
    return Draft(
        train=tuple(parts.train),
        valid=tuple(parts.valid),
        test=tuple(parts.test),
        replay=tuple(replay),
        left_out={reason: count for reason, count in left_out.items() if count},
        fresh=len(fresh),
        judged_by=_judged_by(chosen, fresh, parts, material),
    )


def _capped(usable: Sequence[PoolExample], material: Material, cap: int) -> list[PoolExample]:
    """Keep at most so many examples a session; those that taught before come first and are never dropped."""
    taught = material.parent.taught if material.parent else frozenset()
    seen = Counter(example.session for example in usable if example.id in taught)
    kept: set[str] = set()
    for example in usable:
        if example.id in taught or seen[example.session] < cap:
            seen[example.session] += example.id not in taught
            kept.add(example.id)
    return [example for example in usable if example.id in kept]


def _items(kept: Sequence[PoolExample], material: Material) -> list[Item]:
    taught = material.parent.taught if material.parent else frozenset()
    return [Item(one.id, one.task, one.prompt_key, one.at, one.seq, one.id in taught) for one in kept]


def _shares(plan: DatasetPlan, material: Material) -> Shares:
    return Shares(0.0 if material.has_suite else plan.holdout, plan.valid, plan.suite_limit)


def _replayed(parts: Parts, parent: Parent | None, share: float) -> list[str]:
    """Draw rows to rehearse, so many that they are the given share of all training rows; small parents go round."""
    source = [one for one in parts.train if parent is not None and one in parent.train]
    wanted = round(len(parts.train) * share / (1 - share)) if source else 0
    chance = random.Random(content_hash([parent.hash if parent else "", parts.train]))  # noqa: S311 - a repeatable draw
    drawn: list[str] = []
    while len(drawn) < wanted:
        chance.shuffle(source)
        drawn += source[: wanted - len(drawn)]
    return drawn


def _judged_by(
    chosen: Sequence[PoolExample], fresh: Sequence[PoolExample], parts: Parts, material: Material
) -> dict[str, Value]:
    """Return what guardrails judge the dataset by, under the names of the facts `dataset.…`."""
    known_groups = {example.group for example in material.pool if example.id in material.held_before}
    return {
        "largest_session_share": _largest(Counter(example.session for example in chosen), len(chosen)),
        "largest_foreign_repo_share": _largest(Counter(one.group for one in chosen if one.foreign), len(chosen)),
        "lost_examples": len(_lost(parts, material)),
        "new_group_share": _share(sum(example.group not in known_groups for example in fresh), len(fresh)),
        "shares_with_suites": sum(example.prompt_key in material.examined for example in chosen),
        "teacher_share": _share(sum(example.origin == "teacher" for example in chosen), len(chosen)),
    }


def _lost(parts: Parts, material: Material) -> frozenset[str]:
    if material.parent is None:
        return frozenset()
    examined = frozenset(example.id for example in material.pool if example.prompt_key in material.examined)
    return material.parent.taught - material.withdrawn - examined - frozenset(parts.train) - frozenset(parts.valid)


def _by_id(examples: Sequence[PoolExample], ids: Sequence[str]) -> list[PoolExample]:
    known: Mapping[str, PoolExample] = {example.id: example for example in examples}
    return [known[name] for name in ids]


def _largest(counts: Counter[str], total: int) -> float:
    return _share(max(counts.values(), default=0), total)


def _share(part: int, total: int) -> float:
    return round(part / total, 4) if total else 0.0
