"""The rows that teach: how often each example does, what is rehearsed, what is repeated because it is weak. Pure.

The trainer knows no weight of a single row, so a weight is a number of rows: an example of weight 1.5 brings one row,
and every second such example brings another; of those of weight 0.5 every second one is drawn at all. What is drawn
depends on the example alone: the same pool gives the same rows, and what was drawn once is drawn again.
"""

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flywheel.core.examples import PoolExample
from flywheel.core.ids import content_hash
from flywheel.core.lines import DatasetPlan
from flywheel.curate.complexities import level_of

MOST_ROWS = 4  # of one example, rehearsal aside: what stands there more often is learned by heart


class Rows(NamedTuple):
    """Rows beside each example's first: further ones by weight, rehearsed ones, and those of weak categories."""

    further: tuple[str, ...] = ()
    replay: tuple[str, ...] = ()
    focus: tuple[str, ...] = ()


def is_drawn(example: PoolExample, plan: DatasetPlan) -> bool:
    """Tell whether an example whose weight is below one is among those that are drawn."""
    return _lot(example.id) < weight_of(example, plan)


def rows_beside(
    train: Sequence[PoolExample], parent: tuple[str, frozenset[str]], weak: Mapping[str, float], plan: DatasetPlan
) -> Rows:
    """Return what teaches beside one row for each of these examples; `parent` is its hash and what taught in it."""
    further = [one.id for one in train for _ in range(_further(one, plan))]
    chance = random.Random(content_hash([parent[0], [one.id for one in train]]))  # noqa: S311 - a repeatable draw
    source = [one.id for one in train if one.id in parent[1]]
    replay = plan.replay if source else 0.0
    total = (len(train) + len(further)) / (1 - replay - plan.focus)
    focus = _focused(train, weak, round(total * plan.focus), chance) if plan.focus else []
    wanted = round((len(train) + len(further) + len(focus)) * replay / (1 - replay))
    return Rows(tuple(further), tuple(rounds(source, wanted, chance)), tuple(focus))


def in_order(train: Sequence[PoolExample], rows: Rows, *, curriculum: bool) -> list[tuple[str, bool]]:
    """Return every row, and whether it rehearses: by difficulty where there is a curriculum, else as they came."""
    made = [(one.id, False) for one in train]
    made += [(name, False) for name in (*rows.further, *rows.focus)]
    made += [(name, True) for name in rows.replay]
    if not curriculum:
        return made
    hard = {one.id: (_level(one), one.files + one.steps, one.words, one.seq) for one in train}
    return sorted(made, key=lambda row: hard[row[0]])


def _level(example: PoolExample) -> int:
    """Return the rung of the curriculum: as a history tells it, for a yes or no shows nothing; else by the answer."""
    return level_of(example.files, example.steps) if example.level is None else example.level


def weak_categories(measured: Mapping[str, Mapping[str, float | None]]) -> dict[str, float]:
    """Return how far the categories of a report that score below its mean are from perfect."""
    scores = {name: (one.get("candidate"), one.get("problems") or 0.0) for name, one in measured.items()}
    known = {name: (score, problems) for name, (score, problems) in scores.items() if score is not None}
    total = sum(problems for _, problems in known.values())
    mean = sum(score * problems for score, problems in known.values()) / total if total else 0.0
    return {name: 1 - score for name, (score, _) in known.items() if score < mean}


def weight_of(example: PoolExample, plan: DatasetPlan) -> float:
    """Return an example's own weight times that of its origin."""
    return float(getattr(plan.weights, example.origin)) * example.weight


def row_count(name: str, weight: float) -> int:
    """Return how many rows something of a weight brings; which of many brings one more depends on its name alone."""
    return min(MOST_ROWS, int(weight) + (_lot(name) < weight % 1))


def rounds(source: list[str], wanted: int, chance: random.Random) -> list[str]:
    """Draw so many: everything once before anything twice."""
    drawn: list[str] = []
    while source and len(drawn) < wanted:
        chance.shuffle(source)
        drawn += source[: wanted - len(drawn)]
    return drawn


def _further(example: PoolExample, plan: DatasetPlan) -> int:
    return max(0, row_count(example.id, weight_of(example, plan)) - 1)


def _lot(name: str) -> float:
    """Return a number from 0 to below 1 that belongs to an example."""
    return int(content_hash(["lot", name])[:8], 16) / 2**32


def _focused(train: Sequence[PoolExample], weak: Mapping[str, float], wanted: int, chance: random.Random) -> list[str]:
    """Draw rows of weak categories, the weaker the more, as far as their examples go."""
    held = {name: [one.id for one in train if one.category == name] for name in sorted(weak)}
    present = {name: weak[name] for name, ids in held.items() if ids}
    total = sum(present.values())
    found: list[str] = []
    for name, weakness in present.items():
        amount = min(round(wanted * weakness / total), len(held[name]) * (MOST_ROWS - 1))
        found += rounds(held[name], amount, chance)
    return found
