"""From the events of one session to its calls and what became of each. Pure.

An event that names a call is about that call, one that names none is about the last call before it. Commits cover the
calls before them. What happened to a branch or a commit may be told in another session of the project: such events are
handed in as `far`.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from flywheel.core.tool_calls import parse_tool_calls
from flywheel.sources.conversations import UnreadableError
from flywheel.sources.json_lines import Line
from flywheel.sources.readings import Refusal
from flywheel.sources.tool_event_labels import Aftermath
from flywheel.sources.tool_event_shapes import Mark, ToolCallEvent, event_of

FAR = frozenset({"branch_merged", "branch_closed", "rollback"})
_ABOUT_A_CALL = frozenset({"domain_validation", "retry", "user_correction", "user_confirmation"})
_SHORTEST_SHA = 7  # what git shows of a commit where it shows least


class JudgedCall(NamedTuple):
    """A call, what became of it, and the first call of the attempts it belongs to."""

    call: ToolCallEvent
    after: Aftermath
    root: int


class Events(NamedTuple):
    """What could be read of a session's file, in order, and what could not."""

    known: tuple[ToolCallEvent | Mark, ...]
    refusals: tuple[Refusal, ...]

    @property
    def far(self) -> tuple[Mark, ...]:
        """Return what it tells of branches and commits by name: other sessions may have worked on them."""
        return tuple(event for event in self.known if isinstance(event, Mark) and event.kind in FAR and not event.call
                     and (event.branch or event.commit))  # fmt: skip

    @property
    def names(self) -> frozenset[str]:
        """Return the branches and commits it worked on."""
        worked = [event for event in self.known if isinstance(event, ToolCallEvent) or event.kind == "commit"]
        commits = {event.commit for event in worked if isinstance(event, Mark)}
        return frozenset({event.branch for event in worked} | commits) - {""}


def read_events(lines: Sequence[Line], name: str) -> Events:
    """Return a file's events; kinds that nobody knows are left alone."""
    known: list[ToolCallEvent | Mark] = []
    refusals: list[Refusal] = []
    for line in lines:
        try:
            event = event_of(line)
        except UnreadableError as error:
            reason = f"{name} line {line.number}: {error.reason}"
            refusals.append(Refusal(row=f"{name}:{line.number}:{error.rule}", rule=error.rule, reason=reason))
        else:
            known += [] if event is None else [event]
    return Events(tuple(known), tuple(refusals))


def judge_session(
    events: Sequence[ToolCallEvent | Mark], far: Iterable[Mark] = ()
) -> tuple[list[JudgedCall], list[Mark]]:
    """Return the calls with what became of each, and the events about calls that are not there."""
    session = _Session()
    for event in events:
        if isinstance(event, ToolCallEvent):
            session.add(event)
        else:
            session.mark(event)
    for mark in far:
        session.reach(mark, len(session.calls))
    return session.judged(), session.lost


def touches(mark: Mark, names: Iterable[str]) -> bool:
    """Tell whether a mark is about one of these branches or commits."""
    return any(name == mark.branch or _same_commit(name, mark.commit) for name in names)


class _Session:
    def __init__(self) -> None:
        self.calls: list[ToolCallEvent] = []
        self.after: list[Aftermath] = []
        self.lost: list[Mark] = []
        self._root: list[int] = []
        self._commits: list[Mark | None] = []
        self._by_id: dict[str, int] = {}
        self._again: tuple[int, str] | None = None

    def add(self, call: ToolCallEvent) -> None:
        again, self._again = self._again, None
        root = len(self.calls) if again is None else self._root[again[0]]
        self._by_id[call.id or f"line {call.line}"] = len(self.calls)
        self.calls.append(call)
        self._root.append(root)
        self._commits.append(None)
        follows = {} if again is None else {again[1]: True}
        self.after.append(Aftermath(success=call.success, quality=call.quality)._replace(**follows))  # type: ignore[arg-type]

    def mark(self, mark: Mark) -> None:
        if mark.kind in _ABOUT_A_CALL:
            index = self._by_id.get(mark.call) if mark.call else len(self.calls) - 1
            if index is None or index < 0:
                self.lost.append(mark)
            else:
                self._about_call(mark, index)
        elif mark.kind == "commit":
            for index, call in enumerate(self.calls):
                if self._commits[index] is None and (not mark.branch or call.branch in {"", mark.branch}):
                    self._commits[index] = mark
                    self._note(index, committed=True)
        else:
            self.reach(mark, len(self.calls))

    def reach(self, mark: Mark, end: int) -> None:
        """Let a merge, a closing or a rollback reach the calls before it that it is about."""
        for index in range(end):
            if not self._is_about(mark, index):
                continue
            if mark.kind == "rollback":
                self._note(index, rolled_back=(*self.after[index].rolled_back, mark.at))
            else:
                self._note(index, **{"merged" if mark.kind == "branch_merged" else "closed": True})

    def judged(self) -> list[JudgedCall]:
        many = _many_tools(self.calls)
        return [
            JudgedCall(call, after._replace(many_tools=index in many), self._root[index])
            for index, (call, after) in enumerate(zip(self.calls, self.after, strict=True))
        ]

    def _about_call(self, mark: Mark, index: int) -> None:
        after = self.after[index]
        if mark.kind == "domain_validation":
            valid = mark.good if mark.good is not None else (mark.quality or 0) >= 0.5  # noqa: PLR2004 - rather good than bad
            qualities = [quality for quality in (after.quality, mark.quality) if quality is not None]
            self._note(index, valid=valid and after.valid is not False, quality=min(qualities, default=None))
        elif mark.kind == "user_confirmation":
            for same in self._turn(index):
                self._note(same, confirmed=True)
        else:
            retried = mark.kind == "retry"
            self._note(index, **{"retried" if retried else "corrected": True})
            self._again = (index, "follows_retry" if retried else "follows_correction")

    def _turn(self, index: int) -> list[int]:
        turn = self.calls[index].turn
        return [same for same, call in enumerate(self.calls) if turn and call.turn == turn] or [index]

    def _is_about(self, mark: Mark, index: int) -> bool:
        commit = self._commits[index]
        if mark.call:
            return self._by_id.get(mark.call) == index
        if mark.commit:
            return commit is not None and _same_commit(commit.commit, mark.commit)
        if mark.branch:
            return mark.branch in {self.calls[index].branch, commit.branch if commit is not None else ""}
        return True

    def _note(self, index: int, **said: object) -> None:
        self.after[index] = self.after[index]._replace(**said)  # type: ignore[arg-type]


def _many_tools(calls: Sequence[ToolCallEvent]) -> frozenset[int]:
    """Return the calls that belong to turns in which several tools worked together."""
    turns: dict[object, list[int]] = {}
    for index, call in enumerate(calls):
        asked = next((message.content for message in reversed(call.messages) if message.role == "user"), "")
        turns.setdefault(call.turn or ("asked", asked), []).append(index)
    found: set[int] = set()
    for turn in turns.values():
        each = [[tool.name for tool in parse_tool_calls(calls[index].response).calls] for index in turn]
        if len({name for names in each for name in names}) > 1 or any(len(names) > 1 for names in each):
            found.update(turn)
    return frozenset(found)


def _same_commit(one: str, other: str) -> bool:
    length = min(len(one), len(other))
    return length >= _SHORTEST_SHA and one[:length].lower() == other[:length].lower()
