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
from flywheel.core.ladders import EXECUTION
from flywheel.core.lines import DatasetPlan
from flywheel.core.training import LEARNED_FROM
from flywheel.curate.caps import FLOOR, capped, caps_of, lesson_caps_of
from flywheel.curate.lessons import Lesson, LessonDraft, Lessons, Usable, draft_lessons, items_of, usable_lessons
from flywheel.curate.mixes import Rows, in_order, is_drawn, rows_beside
from flywheel.curate.provenances import provenance_facts
from flywheel.curate.rungs import counting, lessons_counting, rung_facts
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
    """All that a dataset is drawn from; `weak` are the categories measured as weak, and how far from perfect.

    `silent` are examples whose answers show no reasoning, where the technique learns it.
    """

    pool: Sequence[PoolExample]
    parent: Parent | None
    held_before: frozenset[str]
    examined: frozenset[str]
    has_suite: bool
    withdrawn: frozenset[str] = frozenset()
    near: Relations = Relations()
    weak: Mapping[str, float] = MappingProxyType({})
    technique: str = "sft"
    rung: int = EXECUTION
    silent: frozenset[str] = frozenset()
    lessons: Lessons = Lessons()

    @property
    def learns_answers(self) -> bool:
        """Tell whether the technique learns from whole answers, each for itself."""
        return "train" in LEARNED_FROM[self.technique]

    @property
    def taught(self) -> frozenset[str]:
        """Return what taught in the parent."""
        return self.parent.taught if self.parent else frozenset()


class Draft(Frozen):
    """A dataset before it is written: who stands where, who was left out and why, and what it is judged by.

    `rows` are the training rows in the order in which they teach, each with whether it rehearses; `lessons` are the
    pairs or the judgements, `news` is how much no dataset of the line held of what the technique learns from.
    """

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]
    replay: tuple[str, ...]
    rows: tuple[tuple[str, bool], ...] = ()
    left_out: dict[str, int] = Field(default_factory=dict)
    fresh: int = 0
    news: int = 0
    judged_by: dict[str, Value] = Field(default_factory=dict)
    lessons: LessonDraft = LessonDraft()

    @property
    def examples(self) -> int:
        """Return how many examples it holds; rehearsed rows do not count."""
        return len(self.train) + len(self.valid) + len(self.test)


def draft(material: Material, plan: DatasetPlan) -> Draft:
    """Choose, cap, split and mix; the same material gives the same draft."""
    left_out: Counter[str] = Counter()
    allowed = counting(_unexamined(material, left_out), material.rung, material.taught, left_out)
    distinct = _distinct(_reasoned(allowed, material, left_out), material, left_out)
    usable = _drawn(distinct, material, plan, left_out)
    others = usable_lessons(lessons_counting(material.lessons, material.rung), material.pool, material.examined,
                            material.near.examined)  # fmt: skip
    kept, parts = _cut(usable, others, material, plan, left_out)
    by_id = {example.id: example for example in kept}
    train, valid, test = ([by_id[name] for name in part if name in by_id] for part in parts[:3])
    chosen = [*train, *valid, *test]
    lessons = _lessons(parts, (train, valid), others, material, plan)
    fresh = [example for example in chosen if example.id not in material.held_before]
    beside = _beside(train, material, plan)
    rows = in_order(train, beside, curriculum=plan.curriculum)
    judged_by = _judged_by(chosen, fresh, train + valid, material) | _mixed(chosen, beside, len(rows))
    return Draft(
        train=tuple(one.id for one in train),
        valid=tuple(one.id for one in valid),
        test=tuple(one.id for one in test),
        replay=beside.replay,
        rows=tuple(rows),
        left_out={reason: count for reason, count in left_out.items() if count},
        fresh=len(fresh),
        news=_news(fresh, lessons, material),
        judged_by=judged_by | _judged_with(lessons, judged_by, others, material),
        lessons=lessons,
    )


def _beside(train: Sequence[PoolExample], material: Material, plan: DatasetPlan) -> Rows:
    parent = (material.parent.hash, material.parent.train) if material.parent else ("", frozenset[str]())
    if not material.learns_answers:  # they stand by: nothing is trained on them
        plan = plan.model_copy(update={"replay": 0.0, "focus": 0.0})
    return rows_beside(train, parent, material.weak, plan)


def _lessons(
    parts: Parts,
    good: tuple[Sequence[PoolExample], Sequence[PoolExample]],
    others: Usable,
    material: Material,
    plan: DatasetPlan,
) -> LessonDraft:
    if not material.lessons.kind:
        return LessonDraft()
    by_id = {lesson.id: lesson for lesson in others.kept}
    train, valid = ([by_id[name] for name in part if name in by_id] for part in parts[:2])
    judged = material.lessons.kind == "judgement"
    surely, also = ([one for one in several if judged and one.id not in others.unsure] for several in good)
    parent = material.parent.hash if material.parent else ""
    return draft_lessons((train, valid), (surely, also), material.lessons, plan, parent)


def _news(fresh: Sequence[PoolExample], lessons: LessonDraft, material: Material) -> int:
    """Return how much there is that no dataset of the line held, of what the technique learns from."""
    answers = 0 if lessons.kind == "pair" and not material.learns_answers else len(fresh)
    return answers + sum(name not in material.held_before for name in (*lessons.train, *lessons.valid))


def _reasoned(examples: Sequence[PoolExample], material: Material, left_out: Counter[str]) -> list[PoolExample]:
    left_out["answer shows no reasoning"] += sum(example.id in material.silent for example in examples)
    return [example for example in examples if example.id not in material.silent]


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
    usable: Sequence[PoolExample], others: Usable, material: Material, plan: DatasetPlan, left_out: Counter[str]
) -> tuple[list[PoolExample], Parts]:
    """Cap and split; a smaller set has smaller caps, so until nothing more falls out."""
    totals, before = (len(usable), len(others.kept)), material.lessons.taught
    while True:
        found = capped(usable, material.taught, caps_of(plan), totals[0])
        beside = capped(others.kept, before, lesson_caps_of(plan), totals[1])
        counts = len(found.kept), len(beside.kept)
        if all(count >= total for count, total in zip(counts, totals, strict=True)):
            items = _items(found.kept, material, plan) + _lesson_items(beside.kept, material, plan)
            parts = split(items, _shares(plan, material), material.near.kin)
            counts = counts[0] - len(parts.doubled), counts[1] - len(parts.aside)
            if all(count >= total for count, total in zip(counts, totals, strict=True)):
                left_out.update(found.left_out)
                left_out["question stands in the test part"] += len(parts.doubled)
                _tell_lessons(others, beside.left_out, len(parts.aside), material.lessons.kind, left_out)
                return found.kept, parts
        totals = min(counts[0], totals[0]), min(counts[1], totals[1])


def _lesson_items(lessons: Sequence[Lesson], material: Material, plan: DatasetPlan) -> list[Item]:
    return items_of(lessons, material.lessons.taught, by_repo=plan.split_by == "repo")


def _tell_lessons(others: Usable, capped_out: Counter[str], aside: int, kind: str, left_out: Counter[str]) -> None:
    left_out.update(others.left_out)
    left_out.update({f"{kind}: {reason}": count for reason, count in capped_out.items()})
    left_out[f"{kind}: its group examines"] += aside


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
    chosen: Sequence[PoolExample], fresh: Sequence[PoolExample], taught: Sequence[PoolExample], material: Material
) -> dict[str, Value]:
    """Return what guardrails judge the dataset by, under the names of the facts `dataset.…`."""
    known_groups = {example.group for example in material.pool if example.id in material.held_before}
    examined = material.examined | material.near.examined
    return {
        "largest_session_share": _largest(Counter(example.session for example in chosen), len(chosen)),
        "largest_foreign_repo_share": _largest(Counter(one.group for one in chosen if one.foreign), len(chosen)),
        "lost_examples": len(_lost(taught, material)),
        "new_group_share": _share(sum(example.group not in known_groups for example in fresh), len(fresh)),
        "shares_with_suites": sum(example.prompt_key in examined for example in chosen),
        **provenance_facts(chosen),
        **rung_facts(chosen, material.rung, material.taught),
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


def _judged_with(
    lessons: LessonDraft, answers: Mapping[str, Value], others: Usable, material: Material
) -> dict[str, Value]:
    """Return what lessons add: their number, and shares that are the larger of both; nothing where there are none."""
    if not lessons.kind:
        return {}
    kept = frozenset({*lessons.train, *lessons.valid})
    sides = [{(side.session, side.repo, side.foreign) for side in one.sides} for one in others.kept if one.id in kept]
    sessions = Counter(name for places in sides for name in {session for session, _, _ in places})
    repos = Counter(name for places in sides for name in {repo for _, repo, foreign in places if foreign})
    examined = material.examined | material.near.examined
    lost = [one.id for one in others.kept if one.id in material.lessons.taught - kept]
    private = sum(any(side.private for side in one.sides) for one in others.kept if one.id in kept)
    found = {
        "largest_session_share": _largest(sessions, len(sides)),
        "largest_foreign_repo_share": _largest(repos, len(sides)),
    }
    judged = {"judged_good_share": round(lessons.good_share, 4)} if lessons.kind == "judgement" else {}
    taught_of_suites = sum(not examined.isdisjoint(one.questions) for one in others.kept if one.id in kept)
    return {
        f"{lessons.kind}s": lessons.count,
        **{name: max(share, float(answers[name] or 0)) for name, share in found.items()},
        "lost_examples": int(answers["lost_examples"] or 0) + len(lost),
        "private_examples": int(answers["private_examples"] or 0) + private,
        "shares_with_suites": int(answers["shares_with_suites"] or 0) + taught_of_suites,
        **judged,
    }


def _lost(taught: Sequence[PoolExample], material: Material) -> frozenset[str]:
    if material.parent is None:
        return frozenset()
    keys = material.examined | material.near.examined
    examined = frozenset(example.id for example in material.pool if example.prompt_key in keys)
    gone = material.withdrawn | material.silent | examined
    return material.parent.taught - gone - frozenset(example.id for example in taught)


def _largest(counts: Counter[str], total: int) -> float:
    return _share(max(counts.values(), default=0), total)


def _share(part: int, total: int) -> float:
    return round(part / total, 4) if total else 0.0
