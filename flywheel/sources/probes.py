"""Looking at a database before it is watched: what it holds, what would become of it. Writes nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from pydantic import Field

from flywheel.core.errors import SettingsError
from flywheel.core.frozen import Frozen
from flywheel.core.outcomes import Outcome
from flywheel.sources.connections import WatchedDatabase
from flywheel.sources.generics import GenericReader
from flywheel.sources.looks import shape_of
from flywheel.sources.problems import SourceProblemError
from flywheel.sources.readings import Refusal
from flywheel.sources.settings import GenericSource

_MOST_BATCHES = 20  # some thousand tasks tell what the rest is like


class ProbeReport(Frozen):
    """What stands at a path: for a person who adds a source."""

    path: str
    readable: bool
    problem: str = ""
    mend: str = ""
    task_columns: dict[str, str] = Field(default_factory=dict)
    call_columns: dict[str, str] = Field(default_factory=dict)
    tasks: int = 0
    outcomes: int = 0
    labels: dict[str, int] = Field(default_factory=dict)
    call_types: dict[str, int] = Field(default_factory=dict)
    refused: dict[str, int] = Field(default_factory=dict)
    newest: datetime | None = None
    whole: bool = True

    @property
    def words(self) -> str:
        """Return the report as a person reads it."""
        if not self.readable:
            return f"{self.path} {self.problem}\n  mend: {self.mend}"
        lines = [
            f"{self.path} can be read" + ("" if self.whole else " (the first part of it was looked at)"),
            f"  {self.tasks} tasks, {self.outcomes} calls, the newest at {self.newest or 'no time'}",
            f"  tasks by      {_pairs(self.task_columns)}",
            f"  calls by      {_pairs(self.call_columns)}",
            f"  labels        {_pairs(self.labels)}",
            f"  kinds of call {_pairs(self.call_types)}",
            f"  refused       {_pairs(self.refused)}",
        ]
        return "\n".join(lines)


def probe_source(path: Path, settings: GenericSource | None = None) -> ProbeReport:
    """Read a database as a source would be read, and report; never raises for what stands at the path."""
    source = settings or GenericSource(name="probe", path=path)
    database = WatchedDatabase(source.path)
    try:
        with database.reading() as connection:
            shape = shape_of(connection, source)
        return _report(source).model_copy(update={"task_columns": shape.tasks, "call_columns": shape.calls})
    except SettingsError as error:
        return _unreadable(source, f"does not fit: {error.message}", error.mend)
    except SourceProblemError as error:
        return _unreadable(source, error.message, error.mend)
    finally:
        database.close()


def _report(source: GenericSource) -> ProbeReport:
    reader = GenericReader(source)
    outcomes: list[Outcome] = []
    refusals: list[Refusal] = []
    tasks: set[str] = set()
    cursor: Mapping[str, object] = {}
    more = True
    try:
        for _ in range(_MOST_BATCHES):
            batch = reader.read(cursor, _Nothing())
            cursor, more = batch.cursor, batch.more
            tasks |= {task.task for task in batch.tasks}
            outcomes += [outcome for task in batch.tasks for outcome in task.outcomes]
            refusals += [*batch.refusals, *(refusal for task in batch.tasks for refusal in task.refusals)]
            if not more:
                break
    finally:
        reader.close()
    unique = {outcome.key: outcome for outcome in outcomes}.values()
    return ProbeReport(
        path=str(source.path),
        readable=True,
        tasks=len(tasks),
        outcomes=len(unique),
        labels=_counts([outcome.labelled.label.value for outcome in unique]),
        call_types=_counts([outcome.call_type for outcome in unique]),
        refused=_counts([refusal.rule for refusal in {one.row: one for one in refusals}.values()]),
        newest=max((outcome.at for outcome in unique), default=None),
        whole=not more,
    )


def _unreadable(source: GenericSource, problem: str, mend: str) -> ProbeReport:
    return ProbeReport(path=str(source.path), readable=False, problem=problem, mend=mend)


def _counts(names: Sequence[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "none"


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
