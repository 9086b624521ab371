"""How much of a dataset a session, a repo, a kind of call or a domain may be. Pure."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from flywheel.core.examples import PoolExample
from flywheel.core.lines import DatasetPlan

FLOOR = 8  # so many may always come from one place: a hundredth of a small set would be nothing


class Named(Protocol):
    """An example, a pair or a judgement: all that capping needs is its name."""

    @property
    def id(self) -> str:
        """Return its name."""
        ...


T = TypeVar("T", bound=Named)


class Cap(NamedTuple):
    """A share that no bucket may exceed, but for so many as are always let in; what has no bucket is not counted."""

    reason: str
    share: float
    buckets: Callable[[Any], Collection[str]]
    floor: int = FLOOR


class Capped(NamedTuple, Generic[T]):
    """What was kept, in the order it came, and why the others were not."""

    kept: list[T]
    left_out: Counter[str]


def caps_of(plan: DatasetPlan) -> list[Cap]:
    """Return the caps of a line that can hold anything back."""
    every = [
        Cap("session has its share", plan.session_cap, lambda one: [one.session]),
        Cap("repo has its share", plan.repo_cap, lambda one: [one.group]),
        # Without a floor: it is there against poison, and the guardrail beside it makes no exception either.
        Cap("foreign repo has its share", plan.foreign_repo_cap, lambda one: [one.group] * one.foreign, floor=0),
        Cap("category has its share", plan.category_cap, lambda one: [one.category]),
        Cap("domain has its share", plan.domain_cap, lambda one: [one.domain]),
        Cap("mined domain has its share", plan.mined_domain_cap, _mined_domain, floor=0),  # as its guardrail, too
    ]
    return [cap for cap in every if cap.share < 1]


def _mined_domain(example: PoolExample) -> list[str]:
    """Return the domain of a mined repository not the person's own; of all whose domain is not known it is one."""
    return [example.made.domain or "unknown"] if example.made and example.made.mined else []


def lesson_caps_of(plan: DatasetPlan) -> list[Cap]:
    """Return the caps of pairs and judgements: those of answers that are about places. Both sides of a pair count."""
    every = [
        Cap("session has its share", plan.session_cap, lambda one: {side.session for side in one.sides}),
        Cap("repo has its share", plan.repo_cap, lambda one: {side.repo for side in one.sides}),
        Cap(
            "foreign repo has its share",
            plan.foreign_repo_cap,
            lambda one: {side.repo for side in one.sides if side.foreign},
            floor=0,
        ),
    ]
    return [cap for cap in every if cap.share < 1]


def capped(examples: Sequence[T], taught: frozenset[str], caps: Sequence[Cap], total: int) -> Capped[T]:
    """Keep what fits into the caps of a set of `total`; what taught before comes first and is never dropped."""
    limits = [max(cap.floor, int(cap.share * total)) for cap in caps]
    seen: Counter[tuple[int, str]] = Counter()
    for example in examples:
        if example.id in taught:
            seen.update(_buckets(example, caps))
    kept, left_out = [], Counter[str]()
    for example in examples:
        buckets = [] if example.id in taught else _buckets(example, caps)
        full = [number for number, bucket in buckets if seen[number, bucket] >= limits[number]]
        if full:
            left_out[caps[full[0]].reason] += 1
        else:
            seen.update(buckets)
            kept.append(example)
    return Capped(kept, left_out)


def _buckets(example: Named, caps: Sequence[Cap]) -> list[tuple[int, str]]:
    return [(number, bucket) for number, cap in enumerate(caps) for bucket in cap.buckets(example) if bucket]
