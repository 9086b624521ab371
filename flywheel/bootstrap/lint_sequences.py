"""LintSeq: finished code taken apart and told again as the edits that a person could have made. Pure.

Statements are drawn and deleted, and whatever the linter then finds wrong goes with them, until nothing is left. Read
backwards, that is a way to write the file in which every state passes the linter.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from random import Random
from typing import NamedTuple

from flywheel.bootstrap.linters import faults, smallest_around, statements

MOST_LINES = 2000


class NotSequencedError(Exception):
    """A file of which no sequence can be made; says why."""


class Insertion(NamedTuple):
    """Lines that come in front of line `at` (from 0) of the state that is edited."""

    at: int
    lines: tuple[str, ...]


Edit = tuple[Insertion, ...]


def lint_sequence(text: str, seed: int, most: int = 24) -> tuple[Edit, ...]:
    """Return at most so many edits that write the text, the same for the same seed; raises NotSequencedError."""
    lines = text.split("\n")
    if len(lines) > MOST_LINES or "\r" in text or "\0" in text:
        raise NotSequencedError(
            f"is longer than {MOST_LINES} lines" if len(lines) > MOST_LINES else "has odd line ends"
        )
    try:
        states = _states(lines, Random(seed))  # noqa: S311 - dice, not secrets
    except (ValueError, RecursionError, MemoryError) as error:
        raise NotSequencedError("nests too deep, or is no text") from error
    chosen = _thinned(states, most)
    return tuple(_edit(before, after, lines) for before, after in pairwise(chosen))


def apply(state: Sequence[str], edit: Edit) -> list[str]:
    """Return the lines after an edit."""
    found: list[str] = []
    done = 0
    for insertion in edit:
        found += [*state[done : insertion.at], *insertion.lines]
        done = insertion.at
    return [*found, *state[done:]]


def replay(edits: Iterable[Edit]) -> list[str]:
    """Return the text after each edit, beginning with nothing."""
    state: list[str] = []
    texts = []
    for edit in edits:
        state = apply(state, edit)
        texts.append("\n".join(state))
    return texts


def as_diff(edit: Edit) -> str:
    """Return an edit as a diff without context, as models write it."""
    told, shift = [], 0
    for at, lines in edit:
        told += [f"@@ -{at},0 +{at + shift + 1},{len(lines)} @@", *(f"+{line}" for line in lines)]
        shift += len(lines)
    return "\n".join(told)


def _states(lines: Sequence[str], dice: Random) -> list[list[int]]:
    """Return the numbers of the lines that each state holds, from none to all."""
    kept = list(range(len(lines)))
    if faults("\n".join(lines)):
        raise NotSequencedError("does not pass the linter as it is")
    states = [kept]
    while kept:
        kept = _smaller(lines, kept, dice)
        states.append(kept)
    return states[::-1]


def _smaller(lines: Sequence[str], kept: list[int], dice: Random) -> list[int]:
    """Return a state without one of its statements, and without all that does not hold without it."""
    spans = statements("\n".join(lines[number] for number in kept))
    if not spans:
        return []  # comments and blank lines are written with the first code
    kept = _without(kept, dice.choice(spans))
    while kept:
        text = "\n".join(lines[number] for number in kept)
        wrong = faults(text)
        if not wrong:
            break
        kept = _without(kept, _around(text, min(max(wrong), len(kept))))
    return kept


def _around(text: str, line: int) -> tuple[int, int]:
    """Return what has to go with a line that is wrong: its statement; the line alone where nothing parses."""
    try:
        return smallest_around(statements(text), line)
    except SyntaxError:
        return line, line


def _without(kept: list[int], span: tuple[int, int]) -> list[int]:
    return kept[: span[0] - 1] + kept[span[1] :]


def _thinned(states: Sequence[list[int]], most: int) -> list[list[int]]:
    """Return first, last, and at most so many steps, evenly taken."""
    steps = len(states) - 1
    if steps <= most:
        return list(states)
    return [states[round(number * steps / most)] for number in range(most + 1)]


def _edit(before: Sequence[int], after: Sequence[int], lines: Sequence[str]) -> Edit:
    known, found = set(before), []
    at = 0
    waiting: list[str] = []
    for number in after:
        if number not in known:
            waiting.append(lines[number])
            continue
        if waiting:
            found.append(Insertion(at, tuple(waiting)))
            waiting = []
        at += 1
    if waiting:
        found.append(Insertion(at, tuple(waiting)))
    return tuple(found)
