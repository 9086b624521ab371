"""Looking at a file or folder before it is watched: what it is and what would become of it. Writes nothing."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from pydantic import Field

from flywheel.core.errors import SettingsError
from flywheel.core.frozen import Frozen
from flywheel.core.lines import Line
from flywheel.core.outcomes import Outcome
from flywheel.sources.assignments import assign
from flywheel.sources.connections import WatchedDatabase
from flywheel.sources.detections import Detected, detect
from flywheel.sources.looks import shape_of
from flywheel.sources.problems import SourceProblemError
from flywheel.sources.readings import Refusal
from flywheel.sources.registries import SourceSettings, reader_of
from flywheel.sources.settings import (
    CleanRoomSource,
    FleetSource,
    GenericSource,
    OpencodeSource,
    ToolEventsSource,
)
from flywheel.store.source_marks import Mark

SOURCES: Mapping[str, Callable[..., SourceSettings]] = MappingProxyType(
    {
        "generic": GenericSource,
        "clean-room": CleanRoomSource,
        "opencode": OpencodeSource,
        "fleet": FleetSource,
        "tool-events": ToolEventsSource,
    }
)

_MOST_BATCHES = 40  # some thousand tasks tell what the rest is like
_SHOWN_REFUSALS = 20

Counts = dict[str, int]


class ProbeReport(Frozen):
    """What stands at a path: for a person who adds a source."""

    path: str
    readable: bool
    kind: str = "unknown"
    version: str = ""
    source: str = ""
    problem: str = ""
    mend: str = ""
    task_columns: dict[str, str] = Field(default_factory=dict)
    call_columns: dict[str, str] = Field(default_factory=dict)
    tasks: int = 0
    outcomes: int = 0
    labels: Counts = Field(default_factory=dict)
    call_types: Counts = Field(default_factory=dict)
    tags: dict[str, Counts] = Field(default_factory=dict)
    lines: dict[str, Counts] | None = None
    unassigned: Counts = Field(default_factory=dict)
    refused: Counts = Field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()
    newest: datetime | None = None
    whole: bool = True

    @property
    def words(self) -> str:
        """Return the report as a person reads it."""
        if not self.readable:
            return f"{self.path} {self.problem}\n  mend: {self.mend}"
        told = f"{self.kind}, {self.version}" if self.version else self.kind
        lines = [
            f"{self.path} can be read: {told}" + ("" if self.whole else " (the first part of it was looked at)"),
            *([f"  it is          {self.source}"] if self.source != self.path else []),
            f"  {self.tasks} tasks, {self.outcomes} calls, the newest at {self.newest or 'no time'}",
            *([f"  tasks by       {_pairs(self.task_columns)}"] if self.task_columns else []),
            *([f"  calls by       {_pairs(self.call_columns)}"] if self.call_columns else []),
            f"  labels         {_pairs(self.labels)}",
            f"  kinds of call  {_pairs(self.call_types)}",
            *_table("tags", self.tags),
            *(_table("lines", self.lines) if self.lines is not None else []),
            *([f"  of no line     {_pairs(self.unassigned)}"] if self.unassigned else []),
            f"  refused        {_pairs(self.refused)}",
            *[f"    {refusal.rule}: {refusal.reason}" for refusal in self.refusals],
        ]
        return "\n".join(lines)


def probe_source(
    path: Path,
    settings: SourceSettings | None = None,
    *,
    kind: str | None = None,
    lines: Mapping[str, Line] | None = None,
) -> ProbeReport:
    """Read what stands there as a source would be read, and report; never raises for what stands at the path.

    `settings` or `kind` say what it is, else it is found out; with `lines` outcomes are given to those.
    """
    try:
        found = _told(path, settings, kind) or detect(path)
        if found.problem:
            return _unreadable(path, found)
        source = settings or SOURCES[found.kind](name="probe", path=found.path)
        report = _read(source, lines)
        more = {"path": str(path), "version": found.version, "source": str(found.path)}
        return report.model_copy(update=more | (_columns(source) if isinstance(source, GenericSource) else {}))
    except SettingsError as error:
        return _unreadable(path, Detected(kind=kind or "generic", path=path, problem=f"does not fit: {error.message}",
                                          mend=error.mend))  # fmt: skip
    except SourceProblemError as error:
        return _unreadable(path, Detected(kind=kind or "unknown", path=path, problem=error.message, mend=error.mend))


def _told(path: Path, settings: SourceSettings | None, kind: str | None) -> Detected | None:
    """Return what the person says it is; its version is told all the same where it can be."""
    said = settings.kind if settings is not None else kind
    if said is None:
        return None
    try:
        found = detect(path)
    except SourceProblemError:
        return Detected(kind=said, path=path)
    return found if found.kind == said and not found.problem else Detected(kind=said, path=path)


def _columns(source: GenericSource) -> dict[str, dict[str, str]]:
    database = WatchedDatabase(source.path)
    try:
        with database.reading() as connection:
            shape = shape_of(connection, source)
    finally:
        database.close()
    return {"task_columns": shape.tasks, "call_columns": shape.calls}


def _read(source: SourceSettings, lines: Mapping[str, Line] | None) -> ProbeReport:
    reader = reader_of(source)
    outcomes: dict[str, Outcome] = {}
    refusals: dict[str, Refusal] = {}
    tasks: set[str] = set()
    cursor: Mapping[str, object] = {}
    more = True
    try:
        reader.check()
        for _ in range(_MOST_BATCHES):
            batch = reader.read(cursor, _Nothing())
            cursor, more = batch.cursor, batch.more
            tasks |= {task.task for task in batch.tasks}
            outcomes |= {outcome.key: outcome for task in batch.tasks for outcome in task.outcomes}
            found = [*batch.refusals, *(refusal for task in batch.tasks for refusal in task.refusals)]
            refusals |= {refusal.row: refusal for refusal in found}
            if not more:
                break
    finally:
        reader.close()
    report = ProbeReport(
        path=str(source.path),
        readable=True,
        kind=source.kind,
        tasks=len(tasks),
        refused=_counts(refusal.rule for refusal in refusals.values()),
        refusals=tuple(refusals.values())[:_SHOWN_REFUSALS],
        whole=not more,
    )
    return report.model_copy(update=_of_outcomes(list(outcomes.values()), lines))


def _of_outcomes(outcomes: Sequence[Outcome], lines: Mapping[str, Line] | None) -> dict[str, object]:
    tags = [(tag, outcome) for outcome in outcomes for tag in outcome.tags]
    given = assign(outcomes, lines) if lines is not None else []
    return {
        "outcomes": len(outcomes),
        "labels": _counts(outcome.labelled.label.value for outcome in outcomes),
        "call_types": _counts(outcome.call_type for outcome in outcomes),
        "tags": _by_label(tags),
        "lines": None if lines is None else _by_label([(one.line, one) for one in given if one.line is not None]),
        "unassigned": _counts(str(one.extra.get("unassigned", "")) for one in given if one.line is None),
        "newest": max((outcome.at for outcome in outcomes), default=None),
    }


def _unreadable(path: Path, found: Detected) -> ProbeReport:
    return ProbeReport(path=str(path), readable=False, kind=found.kind, version=found.version,
                       source=str(found.path), problem=found.problem, mend=found.mend)  # fmt: skip


def _by_label(named: Sequence[tuple[str, Outcome]]) -> dict[str, Counts]:
    return {
        name: _counts(outcome.labelled.label.value for other, outcome in named if other == name)
        for name in sorted({name for name, _ in named})
    }


def _counts(names: Iterable[str]) -> Counts:
    return dict(sorted(Counter(names).items()))


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name or '(no name)'} {value}" for name, value in values.items()) or "none"


def _table(title: str, rows: Mapping[str, Counts]) -> list[str]:
    return [
        f"  {title if not index else '':<14} {name}: {_pairs(counts)}"
        for index, (name, counts) in enumerate(rows.items())
    ]


class _Nothing:
    """No task is pending for a database that was never read. See `readings.PendingTasks`."""

    def among(self, tasks: Sequence[str]) -> Mapping[str, int]:  # noqa: ARG002 - as the protocol says
        return {}

    def newest(self, limit: int) -> Mapping[str, int]:  # noqa: ARG002 - as the protocol says
        return {}

    def after(self, position: int, limit: int) -> tuple[Mapping[str, int], int]:  # noqa: ARG002 - as the protocol says
        return {}, 0

    def known(self, tasks: Sequence[str]) -> frozenset[str]:
        return frozenset(tasks)

    def marks(self) -> Mapping[str, Mark]:
        return {}
