"""What happened in a session that tells good work from bad: what was changed, what was checked, how that ended. Pure.

A turn's verdict is the check that followed its last change: in the turn, or else the first one in a later turn before
anything else was changed (an agent's or a person's own). A turn that changed nothing has no verdict.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection
from typing import Literal, NamedTuple

from flywheel.sources.opencode_records import AGENTS, EDITORS, SHELLS, Entry, Session, ToolUse
from flywheel.sources.opencode_turns import Turn, turns_of
from flywheel.sources.shell_checks import Check, check_of

_LATER = 0.1  # a check in a later turn proves a little less: something else may have happened in between


class Event(NamedTuple):
    """A change, an attempt at one, or a check, at a place of the session."""

    place: int
    kind: Literal["work", "tried", "check"]
    check: Check | None = None


class Verdict(NamedTuple):
    """How a turn's work ended; `place` is the check's, -1 when it stands elsewhere."""

    passed: bool
    strength: float
    place: int = -1


class Record:
    """A session with its turns, its events and its turns' verdicts; `working` are the sub-agents that changed files."""

    def __init__(self, session: Session, working: Collection[str] = ()) -> None:
        """Find everything."""
        self.session = session
        self.turns = turns_of(session.entries)
        self.turn_of = {place: index for index, turn in enumerate(self.turns) for place in turn.entries}
        self.events = [event for place, entry in enumerate(session.entries) for event in _events(place, entry, working)]
        self.at: dict[int, list[Event]] = defaultdict(list)
        for event in self.events:
            self.at[event.place].append(event)
        self._places = [event.place for event in self.events]
        answers = ([one for one in turn.entries if session.entries[one].kind == "answer"] for turn in self.turns)
        self.finals = frozenset(places[-1] for places in answers if places)
        self._changed = {(self.turn_of.get(place, -1), tool.path): place for place, entry in enumerate(session.entries)
                         for tool in entry.tools if tool.name in EDITORS and not tool.failed}  # fmt: skip
        self.verdicts = [self._verdict(turn) for turn in self.turns]
        places = [place for place, entry in enumerate(session.entries) if entry.id == session.reverted]
        self.reverted_from = places[0] if session.reverted and places else None

    @property
    def works(self) -> bool:
        """Tell whether the session changed anything."""
        return any(event.kind == "work" for event in self.events)

    def reverted(self, place: int) -> bool:
        """Tell whether what stands there was taken back."""
        return self.reverted_from is not None and place >= self.reverted_from

    def calls(self, child: str) -> int | None:
        """Return where the session called a sub-agent."""
        return next((place for place, entry in enumerate(self.session.entries)
                     for tool in entry.tools if tool.child == child), None)  # fmt: skip

    def checked_next(self, place: int) -> Check | None:
        """Return the check that came after a change and before the next one."""
        following = self._after(place)
        return following.check if following is not None else None

    def has(self, place: int, *kinds: str) -> bool:
        """Tell whether an event of such a kind stands there."""
        return any(event.kind in kinds for event in self.at.get(place, ()))

    def changed_later(self, place: int, path: str) -> bool:
        """Tell whether the file was changed after that place in the same turn."""
        return self._changed.get((self.turn_of[place], path), -1) > place

    def _after(self, place: int) -> Event | None:
        index = bisect_right(self._places, place)
        return self.events[index] if index < len(self.events) else None

    def _verdict(self, turn: Turn) -> Verdict | None:
        inside = self.events[bisect_right(self._places, turn.ask) : bisect_right(self._places, turn.end)]
        changes = [index for index, event in enumerate(inside) if event.kind == "work"]
        checks = [event for event in inside[changes[-1] + 1 if changes else 0 :] if event.check is not None]
        if changes:
            return _said(checks[-1]) if checks else _said_later(self._after(turn.end))
        verdict = _said(checks[-1]) if checks and any(event.kind == "tried" for event in inside) else None
        return verdict if verdict is not None and not verdict.passed else None


def check_in(tool: ToolUse) -> Check | None:
    """Return what a finished command checked."""
    if tool.name not in SHELLS or tool.status != "completed" or not tool.ended:
        return None
    return check_of(tool.command, tool.status_code, tool.output)


def _events(place: int, entry: Entry, working: Collection[str]) -> list[Event]:
    return [event for tool in entry.tools if (event := _event(place, entry, tool, working)) is not None]


def _event(place: int, entry: Entry, tool: ToolUse, working: Collection[str]) -> Event | None:
    if tool.name in EDITORS and tool.status in {"completed", "error"}:
        return Event(place, "work" if tool.status == "completed" else "tried")
    if tool.name in AGENTS and tool.child in working:
        return Event(place, "work")
    check = check_in(tool)
    if check is not None:
        return Event(place, "check", check) if check.passed is not None else None
    if entry.kind == "answer" and tool.name in SHELLS and entry.changed and not _edits(entry):
        return Event(place, "work")  # `sed -i` and the like
    return None


def _edits(entry: Entry) -> bool:
    return any(tool.name in EDITORS for tool in entry.tools)


def _said(event: Event) -> Verdict | None:
    check = event.check
    return Verdict(bool(check.passed), check.strength, event.place) if check is not None else None


def _said_later(following: Event | None) -> Verdict | None:
    verdict = _said(following) if following is not None else None
    return Verdict(verdict.passed, max(verdict.strength - _LATER, 0.0)) if verdict is not None else None
