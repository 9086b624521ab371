"""The fleet source: a folder of `run-*.jsonl` files, each the full record of a run that may still go on."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

from flywheel.core.domains import domain_of
from flywheel.core.ids import content_hash
from flywheel.core.outcomes import Labelled, Outcome
from flywheel.core.secrets import find_secret_in
from flywheel.sources.conversations import UnreadableError
from flywheel.sources.fleet_labels import Evidence, label_other, label_program
from flywheel.sources.fleet_runs import CODE, FleetCall, FleetRun, read_runs
from flywheel.sources.folders import Found, WatchedFolder
from flywheel.sources.json_lines import LinesRead, read_lines
from flywheel.sources.readings import Batch, PendingTasks, Refusal, TaskReading
from flywheel.sources.settings import FleetSource

PATTERN = "run-*.jsonl"
FILES_A_BATCH = 200
BYTES_A_BATCH = 16_000_000  # about what one batch may hold in memory


def is_run_file(name: str) -> bool:
    """Tell whether a file of this name, below the folder, is a run's record."""
    return fnmatch(PurePosixPath(name).name, PATTERN)


class FleetReader:
    """Reads one fleet's folder by cursor. See `readings.Reader` for what each method promises."""

    def __init__(self, settings: FleetSource) -> None:
        """Prepare; nothing is opened yet."""
        self.settings = settings
        self._folder = WatchedFolder(settings.path, is_run_file, depth=1)

    @property
    def name(self) -> str:
        """Return the source's name in the settings."""
        return self.settings.name

    def check(self) -> None:
        """Promise nothing more: a folder has no columns to fit."""

    def changed(self) -> bool:
        """Tell whether a run began or went on; costs the folders and the newest files, whatever the number of runs."""
        return self._folder.changed()

    def close(self) -> None:
        """Let the next look begin anew; no file is held open."""
        self._folder.forget()

    def read(self, cursor: Mapping[str, Any], pending: PendingTasks) -> Batch:  # noqa: ARG002 - a file is read whole
        """Return the runs of the next files that changed, each read whole."""
        found = self._folder.news(cursor)
        runs: list[FleetRun] = []
        done: list[Found] = []
        refusals: list[Refusal] = list(self._folder.refusals())
        size = 0
        for file in found[:FILES_A_BATCH]:
            read = read_lines(self.settings.path / file.name, file.name)
            held, refused = self._of(file.name, read)
            runs, refusals = [*runs, *held], [*refusals, *refused]
            done.append(Found(file.name, read.state or file.state))
            size += done[-1].state.size
            if size > BYTES_A_BATCH:
                break
        ahead = self._folder.forward(cursor, found, done)
        return Batch(tasks=tuple(self._readings(runs)), cursor=ahead, more=len(done) < len(found),
                     refusals=tuple(refusals))  # fmt: skip

    def _of(self, name: str, read: LinesRead) -> tuple[list[FleetRun], list[Refusal]]:
        """Return the runs of a file; a copy of another file's run is refused, so that the two never take turns."""
        stem = PurePosixPath(name).stem
        runs, refusals = [], list(read.refusals)
        for run in read_runs(read.lines, name):
            own = PurePosixPath(name).with_name(f"{run.id}.jsonl")
            if run.id != stem and "/" not in run.id and (self.settings.path / own).is_file():
                refusals.append(Refusal(row=name, rule="copy", reason=f"{name} holds a run that has a file of its own"))
            else:
                runs.append(run._replace(whole=run.whole and run.id == stem))
        return runs, refusals

    def _readings(self, runs: Sequence[FleetRun]) -> list[TaskReading]:
        by_id: dict[str, list[FleetRun]] = {}
        for run in runs:
            by_id.setdefault(run.id, []).append(run)
        return [read_run(self.settings.name, held) for held in by_id.values()]


def read_run(source: str, pieces: Sequence[FleetRun]) -> TaskReading:
    """Return a run's outcomes; a run that was begun twice is one task, and each beginning is judged by its own end."""
    outcomes: list[Outcome] = []
    refusals: list[Refusal] = []
    seen: Counter[str] = Counter()
    for run in pieces:
        domain = domain_of(run.tags, f"{run.title}")
        failed = {call.execution.program for call in run.calls if _faulty(call) and call.execution}
        for call in run.calls:
            content = content_hash([call.identity, call.at.isoformat(), _words(call), call.response])
            made = _outcome(source, run, call, _label(run, call, failed), domain)
            key = content_hash([source, run.id, content, seen[content]])
            seen[content] += 1
            if isinstance(made, Outcome):
                outcomes.append(made.model_copy(update={"key": key}))
            else:
                refusals.append(
                    Refusal(row=key, rule=made, reason=f"{run.file} line {call.line}: the record holds a secret")
                )
        refusals += [_refused(run.file, line.number, error) for line, error in run.unreadable]
    return TaskReading(
        task=pieces[0].id,
        first=0,
        settled=all(run.ended for run in pieces),
        has_row=True,
        outcomes=tuple(outcomes),
        refusals=tuple(refusals),
        mirrors=all(run.whole for run in pieces),
    )


def _refused(file: str, line: int, error: UnreadableError) -> Refusal:
    return Refusal(row=f"{file}:{line}:{error.rule}", rule=error.rule, reason=f"{file} line {line}: {error.reason}")


def _outcome(source: str, run: FleetRun, call: FleetCall, labelled: Labelled, domain: str) -> Outcome | str:
    tests = call.execution.tests if call.kind == CODE and call.execution else None
    found = find_secret_in([run.id, run.problem, call.model, call.response, *_words(call), json.dumps(tests)])
    if found is not None:
        return found
    where = f"{source}/{run.id}/{call.kind or 'call'}"
    return Outcome(
        key="",
        source=source,
        task=run.id,
        session=run.id,
        group=run.problem or run.id,  # what is learned of a problem must not be asked in the suite
        call_type=call.kind,
        at=call.at,
        model=call.model,
        messages=call.messages,
        response=call.response,
        labelled=labelled,
        tags=(f"domain:{domain}",),
        chain=f"{where}/{call.step}" if call.step else where,
        extra=call.numbers
        | ({"call_id": call.identity} if call.identity else {})
        | ({"tests": tests} if tests else {}),
    )


def _label(run: FleetRun, call: FleetCall, failed: set[str]) -> Labelled:
    answered = bool(call.response.strip())
    if call.kind != CODE:
        return label_other(answered=answered, failed=call.failed)
    program = call.execution.program if call.execution else ""
    final = run.verdict if call.last and call.execution and call.execution.succeeded else None
    passed = {
        other.execution.program for other in run.calls if other.last and other.execution and other.execution.succeeded
    }
    proven = run.verdict is not None and run.verdict.all_passed
    return label_program(
        Evidence(
            answered=answered,
            failed=call.failed,
            passed_over=call.passed_over,
            tests=call.execution.verdict if call.execution else None,
            succeeded=call.execution is not None and call.execution.succeeded,
            final=final,
            ended_well=run.ended_well and run.whole,
            contradicted=bool(program) and proven and program in failed and program in passed,
        )
    )


def _faulty(call: FleetCall) -> bool:
    return call.execution is not None and call.execution.verdict is not None and call.execution.verdict.faults > 0


def _words(call: FleetCall) -> list[str]:
    return [word for message in call.messages for word in (message.role, message.content)]
