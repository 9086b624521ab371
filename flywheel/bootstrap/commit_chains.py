"""Which commits go on with what an earlier one began: by the same person, soon, in one of its files of code. Pure.

A chain is told by what stands before a commit, never by what comes after: a history that grows changes nothing.
"""

from collections.abc import Sequence
from datetime import timedelta

from flywheel.bootstrap.histories import Told
from flywheel.bootstrap.outlines import language_of

LOOK_BACK = 8  # commits
SOON = timedelta(hours=48)
CHAIN = 3  # commits: from here on it is one
CONTEXT = (CHAIN - 1) * LOOK_BACK  # commits before one that decide whether it is the end of a chain
_SINGLE, _MULTI, _CHAIN = range(3)


def chain_lengths(history: Sequence[Told]) -> list[int]:
    """Return of each commit, oldest first, how many it is the last of; 1 where it begins something."""
    lengths: list[int] = []
    for place, told in enumerate(history):
        before = range(place - 1, max(place - 1 - LOOK_BACK, -1), -1)
        lengths.append(next((lengths[other] + 1 for other in before if _goes_on(told, history[other])), 1))
    return lengths


def level_of_change(paths: Sequence[str], length: int) -> int:
    """Return where in a curriculum a commit stands: one file of code, several, or a chain of commits."""
    if length >= CHAIN:
        return _CHAIN
    return _MULTI if sum(language_of(path) is not None for path in paths) > 1 else _SINGLE


def _goes_on(later: Told, earlier: Told) -> bool:
    if later.commit.email.casefold() != earlier.commit.email.casefold() or not later.commit.email:
        return False
    return abs(later.at - earlier.at) <= SOON and not _files(later).isdisjoint(_files(earlier))


def _files(told: Told) -> frozenset[str]:
    return frozenset(change.path for change in told.commit.changes if language_of(change.path) is not None)
