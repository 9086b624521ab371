"""Finds what is nearly a question of a suite that no example asks: one that came in a file, or was forgotten since."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlmodel import Session

from flywheel.core.nearness import SCHEME, Likeness
from flywheel.core.sketches import Sketch
from flywheel.store.likenesses import near_numbers
from flywheel.store.sketches import questions_asked
from flywheel.store.suites import suite_sketches


class NearSuites(NamedTuple):
    """Questions that are nearly one of a suite: of examples by their numbers, of lessons by their keys."""

    asked: frozenset[int]
    lessons: frozenset[str]


def near_suites(session: Session, lessons: Mapping[str, Sketch], least: float) -> NearSuites:
    """Return what is nearly a question of any suite of any line; for those that examples ask, `near_to` knows it."""
    drawn = suite_sketches(session, SCHEME)
    known = questions_asked(session, sorted(drawn)) if drawn else {}
    foreign = {key: one for key, one in drawn.items() if key not in known}
    if not foreign:
        return NearSuites(frozenset(), frozenset())
    asked = frozenset(number for numbers in near_numbers(session, foreign, least).values() for number in numbers)
    alike = Likeness(foreign)
    return NearSuites(asked, frozenset(key for key, one in lessons.items() if alike.near(one, least)))
