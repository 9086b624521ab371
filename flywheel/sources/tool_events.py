"""The tool-events source: a folder of `{project}/{session}.jsonl`, each the events of a session that may go on."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from flywheel.core.ids import content_hash
from flywheel.core.outcomes import Outcome
from flywheel.core.secrets import find_secret_in
from flywheel.core.tool_calls import parse_tool_calls
from flywheel.sources.folders import Found, WatchedFolder, is_text
from flywheel.sources.json_lines import LinesRead, read_lines
from flywheel.sources.readings import Batch, PendingTasks, Refusal, TaskReading
from flywheel.sources.settings import ToolEventsSource
from flywheel.sources.tool_event_labels import label_call, weight_of
from flywheel.sources.tool_event_sessions import Events, JudgedCall, judge_session, read_events, touches
from flywheel.sources.tool_event_shapes import TOOL_CALL, Mark

FILES_A_BATCH = 200
BYTES_A_BATCH = 16_000_000  # about what one batch may hold in memory
SIBLINGS_A_FILE = 200  # so many sessions of the branch hear at once what became of it; the rest at the full look


def is_session_file(name: str) -> bool:
    """Tell whether a file of this name, below the folder, is a session's record."""
    return name.endswith(".jsonl")


class _Told(NamedTuple):
    """What is remembered of a session's file: what it tells of branches, and which it worked on."""

    far: tuple[Mark, ...]
    names: frozenset[str]


class ToolEventsReader:
    """Reads one tool-calling agent's events by cursor. See `readings.Reader` for what each method promises."""

    def __init__(self, settings: ToolEventsSource) -> None:
        """Prepare; nothing is opened yet."""
        self.settings = settings
        self._folder = WatchedFolder(settings.path, is_session_file, depth=3)
        self._told: dict[str, dict[str, _Told]] = {}  # by project

    @property
    def name(self) -> str:
        """Return the source's name in the settings."""
        return self.settings.name

    def check(self) -> None:
        """Promise nothing more: a folder has no columns to fit."""

    def changed(self) -> bool:
        """Tell whether a session began or went on; costs the folders and the newest files, not the number of files."""
        return self._folder.changed()

    def close(self) -> None:
        """Let the next look begin anew; no file is held open."""
        self._folder.forget()
        self._told.clear()

    def read(self, cursor: Mapping[str, Any], pending: PendingTasks) -> Batch:  # noqa: ARG002 - a file is read whole
        """Return the sessions of the next files that changed, and those whose branch they tell of, each read whole."""
        found = self._folder.news(cursor)
        coming = {file.name for file in found}
        done: list[Found] = []
        sessions: dict[str, Events] = {}
        refusals: list[Refusal] = list(self._folder.refusals())
        size = 0
        for project in {_project(file.name) for file in found[:FILES_A_BATCH]}:
            self._learn(project, coming)
        for file in found[:FILES_A_BATCH]:
            read, sessions[file.name], hearing = self._follow(file.name)
            refusals += read.refusals
            sessions |= {name: self._events(name)[1] for name in hearing if name not in sessions and name not in coming}
            done.append(Found(file.name, read.state or file.state))
            size += done[-1].state.size
            if size > BYTES_A_BATCH:
                break
        ahead = self._folder.forward(cursor, found, done)
        return Batch(tasks=tuple(self._readings(sessions)), cursor=ahead, more=len(done) < len(found),
                     refusals=tuple(refusals))  # fmt: skip

    def _follow(self, name: str) -> tuple[LinesRead, Events, list[str]]:
        """Read a file; also return the sessions that must hear what it newly tells of branches."""
        told = self._told[_project(name)]
        known = told.get(name)
        read, events = self._events(name)
        if not events.far or (known is not None and known.far == events.far):
            return read, events, []
        hearing = [other for other, one in told.items() if other != name
                   and any(touches(mark, one.names) for mark in events.far)]  # fmt: skip
        return read, events, hearing[-SIBLINGS_A_FILE:]

    def _learn(self, project: str, coming: Collection[str]) -> None:
        """Know what every other session of a project tells and worked on; after a restart that is read once more."""
        told = self._told.setdefault(project, {})
        try:
            files = sorted(entry.name for entry in (self.settings.path / project).iterdir())
        except OSError:
            return
        for file in files:
            name = f"{project}/{file}" if project else file
            if is_session_file(file) and is_text(file) and name not in told and name not in coming:
                self._events(name)

    def _events(self, name: str) -> tuple[LinesRead, Events]:
        read = read_lines(self.settings.path / name, name)
        events = read_events(read.lines, name)
        self._told.setdefault(_project(name), {})[name] = _Told(events.far, events.names)
        return read, events

    def _readings(self, sessions: Mapping[str, Events]) -> list[TaskReading]:
        far = {
            project: [(name, mark) for name, told in self._told[project].items() for mark in told.far]
            for project in {_project(name) for name in sessions}
        }
        return [
            self._reading(name, events, [mark for other, mark in far[_project(name)] if other != name])
            for name, events in sessions.items()
            if events.known or events.refusals
        ]

    def _reading(self, name: str, events: Events, far: Sequence[Mark]) -> TaskReading:
        judged, lost = judge_session(events.known, far)
        frame = _Frame(self.settings, name)
        outcomes: list[Outcome] = []
        refusals = [*events.refusals, *(_lost(name, mark) for mark in lost)]
        seen: Counter[str] = Counter()
        for one in judged:
            content = content_hash([one.call.id, one.call.at.isoformat(), _words(one), one.call.response])
            key = content_hash([self.settings.name, frame.task, content, seen[content]])
            seen[content] += 1
            made = frame.outcome(one, key)
            if isinstance(made, Outcome):
                outcomes.append(made)
            else:
                reason = f"{name} line {one.call.line}: the record holds a secret"
                refusals.append(Refusal(row=key, rule=made, reason=reason))
        return TaskReading(task=frame.task, first=0, settled=True, has_row=True, outcomes=tuple(outcomes),
                           refusals=tuple(refusals), mirrors=True)  # fmt: skip


class _Frame:
    """What all calls of a session share."""

    def __init__(self, settings: ToolEventsSource, name: str) -> None:
        self._settings = settings
        self.task = name.removesuffix(".jsonl")
        self._project = _project(name) or settings.path.name or settings.name
        self._session = PurePosixPath(self.task).name

    def outcome(self, judged: JudgedCall, key: str) -> Outcome | str:
        """Return the outcome, or the rule that found a secret in it."""
        call, settings = judged.call, self._settings
        found = find_secret_in([self.task, call.model, call.response, *_words(judged)])
        if found is not None:
            return found
        own = settings.own_repos
        foreign = {"foreign": True} if own is not None and self._project not in own else {}
        return Outcome(
            key=key,
            source=settings.name,
            task=self.task,
            session=self._session,
            group=self._project,
            call_type=TOOL_CALL if parse_tool_calls(call.response).calls else "text",
            at=call.at,
            model=call.model,
            messages=call.messages,
            response=call.response,
            labelled=label_call(call.at, judged.after, settings.rollback_days, settings.minimum_quality),
            weight=weight_of(judged.after),
            tools=call.tools,
            chain=f"{settings.name}/{self.task}/{judged.root}",
            extra=foreign | ({"call_id": call.id} if call.id else {}),
        )


def _project(name: str) -> str:
    return name.rpartition("/")[0]


def _lost(name: str, mark: Mark) -> Refusal:
    reason = f"{name} line {mark.line}: {mark.kind} is about a call that is not there"
    return Refusal(row=f"{name}:{mark.line}:no-call", rule="no-call", reason=reason)


def _words(judged: JudgedCall) -> Sequence[str]:
    return [word for message in judged.call.messages for word in (message.role, message.content)]
