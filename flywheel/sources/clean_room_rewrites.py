"""Whether what an answer had written lasted: line by line, against what later tasks put in its place. Pure."""

from collections.abc import Sequence
from functools import lru_cache

from flywheel.sources.clean_room_answers import Edit
from flywheel.sources.clean_room_rows import Attempt

_REMEMBERED = 4096  # the same edits are compared at every look
_SHORTEST_LINE = 6  # shorter ones, such as `else:` or `}`, stand in many places


@lru_cache(_REMEMBERED)
def removed_lines(edit: Edit) -> frozenset[str]:
    """Return the lines that an edit takes away."""
    return _lines(edit.search) - _lines(edit.replacement)


@lru_cache(_REMEMBERED)
def added_lines(edit: Edit) -> frozenset[str]:
    """Return the lines that an edit puts in."""
    return _lines(edit.replacement) - _lines(edit.search)


def was_answered_otherwise(attempt: Attempt, later: Sequence[Attempt]) -> bool:
    """Tell whether, in the same place, the last accepted answer of a later task says something else."""
    return any(_ended_otherwise(edit, later) for edit in attempt.edits)


def says_otherwise(attempt: Attempt, other: Attempt) -> bool:
    """Tell whether two answers to one question put in different lines: then one of them at least is wrong."""
    mine, theirs = (frozenset().union(*map(added_lines, one.edits)) for one in (attempt, other))
    return bool(theirs) and mine != theirs


def _ended_otherwise(edit: Edit, later: Sequence[Attempt]) -> bool:
    removed, added = removed_lines(edit), added_lines(edit)
    otherwise = False
    for other in (one for attempt in later for one in attempt.edits if one.file == edit.file):
        taken = removed_lines(other)
        if not added.isdisjoint(taken):
            otherwise = True
        elif not removed.isdisjoint(taken):
            otherwise = added_lines(other) != added
    return otherwise


def _lines(text: str) -> frozenset[str]:
    stripped = (" ".join(line.split()) for line in text.splitlines())
    return frozenset(line for line in stripped if len(line) >= _SHORTEST_LINE)
