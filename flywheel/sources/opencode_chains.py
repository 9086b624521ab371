"""Which answers of a session are attempts at the same thing. Pure.

A call that failed, and the next ones of the same tool on the same file (or of the same program) in the turn, until one
succeeds. And the first answers of turns that follow the same answer: what a person took back and asked for anew.
"""

from collections.abc import Iterator, Mapping, Sequence

from flywheel.sources.opencode_records import INVALID, SHELLS, Session, ToolUse
from flywheel.sources.opencode_turns import Turn
from flywheel.sources.shell_words import words_of

Aim = tuple[str, str]


def chains_of(source: str, session: Session, turns: Sequence[Turn]) -> Mapping[int, str]:
    """Return the chain of each answer that stands in one, by its place."""
    found: dict[int, str] = {}
    before = "start"
    for turn in turns:
        answers = [place for place in turn.entries if session.entries[place].answered]
        if answers:
            found[answers[0]] = f"{source}/{session.id}/after/{before}"
            before = session.entries[answers[-1]].id
        for place, first in _retries(session, answers):
            found[place] = f"{source}/{session.id}/retry/{session.entries[first].id}"
    return found


def _retries(session: Session, answers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield each attempt with the first of its kind, where there was more than one."""
    failing: dict[Aim, list[int]] = {}
    for place in answers:
        for tool in session.entries[place].tools:
            attempts = failing.setdefault(_aim(tool), [])
            attempts.append(place)
            if not _failed(tool):
                failing.pop(_aim(tool))
                if attempts[0] != place:
                    yield from ((attempt, attempts[0]) for attempt in attempts)
    for attempts in failing.values():
        if attempts[0] != attempts[-1]:
            yield from ((attempt, attempts[0]) for attempt in attempts)


def _aim(tool: ToolUse) -> Aim:
    if tool.name == INVALID:
        return str(tool.arguments.get("tool")), ""
    if tool.name in SHELLS:
        words = words_of(tool.command)
        return "shell", " ".join(words[-1][:2]) if words else ""
    return tool.name, tool.path


def _failed(tool: ToolUse) -> bool:
    return tool.failed or (tool.name in SHELLS and tool.status_code not in {None, 0})
