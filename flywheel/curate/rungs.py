"""What may teach on a line's rung of the ladder, and what a dataset says of it. Pure.

A dataset may hold an answer that asks for a higher rung only where it taught before: nothing is ever taken back.
"""

from collections import Counter
from collections.abc import Collection, Sequence

from flywheel.core.examples import PoolExample
from flywheel.core.facts import Value
from flywheel.core.ladders import MIXED, OWN, rung_asked
from flywheel.curate.lessons import Lesson, Lessons

REASON = "asks for a higher rung than the line's"


def counting(
    examples: Sequence[PoolExample], rung: int, taught: Collection[str], left_out: Counter[str]
) -> list[PoolExample]:
    """Return the examples that may teach on a rung, and count the others."""
    kept = [example for example in examples if not _is_above(example, rung, taught)]
    left_out[REASON] += len(examples) - len(kept)
    return kept


def lessons_counting(lessons: Lessons, rung: int) -> Lessons:
    """Return the pairs and judgements that may teach on a rung: below the mixed one none of the line's own answers."""
    if rung >= MIXED:
        return lessons
    kept = [lesson for lesson in lessons.every if lesson.id in lessons.taught or not _is_own(lesson)]
    reasons = {**lessons.left_out, REASON: len(lessons.every) - len(kept)}
    return lessons._replace(every=kept, left_out=reasons)


def rung_facts(chosen: Sequence[PoolExample], rung: int, taught: Collection[str]) -> dict[str, Value]:
    """Return what guardrails judge by: what stands too high, and how much of it others made."""
    others = sum(example.origin not in OWN for example in chosen)
    return {
        "above_rung": sum(_is_above(example, rung, taught) for example in chosen),
        "others_share": round(others / len(chosen), 4) if chosen else 0.0,
    }


def _is_above(example: PoolExample, rung: int, taught: Collection[str]) -> bool:
    return rung_asked(example.origin) > rung and example.id not in taught


def _is_own(lesson: Lesson) -> bool:
    return any(side.own for side in lesson.sides)
