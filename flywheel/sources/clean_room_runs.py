"""Loads runs with their attempts, validations and commits from a clean-room database, whatever columns it has."""

# ruff: noqa: S608 - tables are named here, columns come from the database's own schema and are quoted; values are bound

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from flywheel.core.clocks import parse_time
from flywheel.sources.clean_room_answers import Edit, edits_of
from flywheel.sources.clean_room_indexes import ATTEMPTS, PASSES, RUNS, TASKS, VALIDATIONS, RowIndex, task_text
from flywheel.sources.clean_room_names import TaskName, parse_task
from flywheel.sources.clean_room_rows import Attempt, Run, Slot, Validation
from flywheel.sources.connections import columns_of, quoted
from flywheel.sources.conversations import UnreadableError, text_of

_RUN = ("task_id", "repo_path", "status", "timestamp", "completed_at", "git_branch", "git_base_ref", "total_parts")
_ATTEMPT = ("task_run_id", "raw_response", "patch_applied", "timestamp")
_VALIDATION = ("attempt_id", "success", "failing_tests", "test_output")
_PASS = ("orchestrator_run_id", "task_run_id", "part_id", "step_id", "sequence_order", "timestamp", "commit_sha")
_AUDIT = "audit_events"
_FAILED_TEST = re.compile(r"^(?:FAILED|FAIL)\s+(\S+)", re.MULTILINE)
_ATTEMPTS_REMEMBERED = 4000
_NAMES_A_QUERY = 400

Values = Mapping[str, Any]


def fetch(connection: Any, table: str, wanted: Sequence[str], ids: Sequence[int]) -> Iterator[tuple[int, Values]]:
    """Yield rows by their number, in order; a column that this database lacks is None."""
    present = set(columns_of(connection, table))
    columns = ", ".join(quoted(name) if name in present else "NULL" for name in wanted)
    for start in range(0, len(ids), _NAMES_A_QUERY):
        chunk = ids[start : start + _NAMES_A_QUERY]
        marks = ", ".join("?" * len(chunk))
        for row, *values in connection.execute(
            f"SELECT rowid, {columns} FROM {table} WHERE rowid IN ({marks}) ORDER BY rowid", chunk
        ):
            yield int(row), dict(zip(wanted, values, strict=True))


class RunLoader:
    """Loads runs inside one read transaction; what an attempt said never changes, so its edits are kept."""

    def __init__(self, index: RowIndex) -> None:
        """Load by this index."""
        self._index = index
        self._edits: dict[int, tuple[Edit, ...]] = {}

    def load(self, connection: Any, ids: Sequence[int]) -> dict[int, Run]:
        """Return runs by their number."""
        has_git = "git_branch" in columns_of(connection, RUNS)
        rows = dict(fetch(connection, RUNS, _RUN, ids))
        roots = {run: root for run, values in rows.items() if (root := task_text(values["task_id"])) is not None}
        names = self._names(connection, list(roots.values()))
        passes = self._passes(connection, list(rows))
        attempts = self._attempts(connection, names, passes)
        rolled_back = _rolled_back(connection, list(roots.values()))
        return {
            run: _run(run, root, rows[run],
                      _Pieces(has_git, _tries(names[root]), passes[run], attempts[root], rolled_back[root]))
            for run, root in roots.items()
        }  # fmt: skip

    def _names(self, connection: Any, roots: Sequence[str]) -> dict[str, dict[int, TaskName]]:
        ids = [row for root in roots for row in self._index.tasks.get(root, ())]
        found: dict[str, dict[int, TaskName]] = defaultdict(dict)
        for row, values in fetch(connection, TASKS, ("task_id",), ids):
            if (task := task_text(values["task_id"])) is not None:
                name = parse_task(task)
                found[name.root][row] = name
        return found

    def _passes(self, connection: Any, runs: Sequence[int]) -> dict[int, list[Values]]:
        ids = [row for run in runs for row in self._index.passes.get(run, ())]
        found: dict[int, list[Values]] = defaultdict(list)
        for _, values in fetch(connection, PASSES, _PASS, ids):
            found[values["orchestrator_run_id"]].append(values)
        return found

    def _attempts(
        self, connection: Any, names: Mapping[str, Mapping[int, TaskName]], passes: Mapping[int, Sequence[Values]]
    ) -> dict[str, list[Attempt]]:
        by_task = {row: name for named in names.values() for row, name in named.items()}
        ids = [attempt for row in by_task for attempt in self._index.attempts.get(row, ())]
        hanging = self._validations(connection, ids)
        commits = _commits_by_task(passes)
        found: dict[str, list[Attempt]] = defaultdict(list)
        for row, values in fetch(connection, ATTEMPTS, _ATTEMPT, sorted(ids)):
            name = by_task[values["task_run_id"]]
            own, before = commits.get(values["task_run_id"], ("", ""))
            found[name.root].append(
                Attempt(row, name, values["patch_applied"] == 1, parse_time(values["timestamp"]),
                        self._edits_of(row, values["raw_response"]), tuple(hanging.get(row, ())), own, before)
            )  # fmt: skip
        return found

    def _edits_of(self, row: int, response: object) -> tuple[Edit, ...]:
        if row not in self._edits:
            if len(self._edits) >= _ATTEMPTS_REMEMBERED:
                self._edits.clear()
            self._edits[row] = edits_of(_words(response)) or ()
        return self._edits[row]

    def _validations(self, connection: Any, attempts: Sequence[int]) -> dict[int, list[Validation]]:
        ids = [row for attempt in attempts for row in self._index.validations.get(attempt, ())]
        found: dict[int, list[Validation]] = defaultdict(list)
        for row, values in fetch(connection, VALIDATIONS, _VALIDATION, sorted(ids)):
            success = {1: True, 0: False}.get(values["success"]) if isinstance(values["success"], int) else None
            failing = None if success else _failing(values["failing_tests"], values["test_output"])
            found[values["attempt_id"]].append(Validation(row, success, failing))
        return found


class _Pieces(NamedTuple):
    """What the other tables say about one run."""

    has_git: bool
    tries: Mapping[Slot, int]
    passes: Sequence[Values]
    attempts: Sequence[Attempt]
    rolled_back: frozenset[str]


def _run(number: int, root: str, values: Values, pieces: _Pieces) -> Run:
    times = [parse_time(one["timestamp"]) for one in pieces.passes] + [attempt.at for attempt in pieces.attempts]
    return Run(
        id=number,
        root=root,
        repo=_words(values["repo_path"]),
        status=_words(values["status"]).strip().lower(),
        started=parse_time(values["timestamp"]),
        ended=parse_time(values["completed_at"]),
        git=bool(values["git_branch"]) if pieces.has_git else None,
        base=_words(values["git_base_ref"]),
        parts=values["total_parts"] if isinstance(values["total_parts"], int) else None,
        attempts=tuple(pieces.attempts),
        tries=pieces.tries,
        rolled_back=pieces.rolled_back,
        commits=tuple(_commits(pieces.passes)),
        active=_latest(times),
    )


def _latest(times: Sequence[datetime | None]) -> datetime | None:
    return max((at for at in times if at is not None), default=None)


def _tries(names: Mapping[int, TaskName]) -> dict[Slot, int]:
    found: dict[Slot, int] = {}
    for name in names.values():
        found[name.slot] = max(found.get(name.slot, 0), name.attempt)
    return found


def _in_order(passes: Sequence[Values]) -> list[Values]:
    return sorted(passes, key=lambda one: one["sequence_order"] if isinstance(one["sequence_order"], int) else 0)


def _commits(passes: Sequence[Values]) -> list[str]:
    return [commit for one in _in_order(passes) if (commit := _words(one["commit_sha"]))]


def _commits_by_task(passes: Mapping[int, Sequence[Values]]) -> dict[int, tuple[str, str]]:
    """Return each task run's commit and the one before it."""
    found: dict[int, tuple[str, str]] = {}
    for of_run in passes.values():
        before = ""
        for one in _in_order(of_run):
            commit = _words(one["commit_sha"])
            if commit and isinstance(one["task_run_id"], int):
                found[one["task_run_id"]] = (commit, before)
            before = commit or before
    return found


def _rolled_back(connection: Any, roots: Sequence[str]) -> dict[str, frozenset[str]]:
    """Return the parts that the agent says it rolled back; older agents do not say."""
    found: dict[str, set[str]] = defaultdict(set)
    if {"task_id", "event_type", "item_path"} <= set(columns_of(connection, _AUDIT)):
        for start in range(0, len(roots), _NAMES_A_QUERY):
            chunk = roots[start : start + _NAMES_A_QUERY]
            marks = ", ".join("?" * len(chunk))
            query = f"SELECT task_id, item_path FROM {_AUDIT} WHERE event_type = 'part_rolled_back' AND task_id IN"
            for root, part in connection.execute(f"{query} ({marks})", chunk):
                found[_words(root)].add(_words(part))
    return defaultdict(frozenset, {root: frozenset(parts) for root, parts in found.items()})


def _failing(listed: object, output: object) -> tuple[str, ...] | None:
    """Return the tests that failed: as the agent listed them, or as the output names them."""
    try:
        held = json.loads(_words(listed) or "null")
    except (ValueError, RecursionError):
        held = None
    names = [name for name in held if isinstance(name, str) and name.strip("[]")] if isinstance(held, list) else []
    names = names or _FAILED_TEST.findall(_words(output))
    return tuple(dict.fromkeys(names)) or None


def _words(value: object) -> str:
    try:
        return text_of(value, "a value")
    except UnreadableError:
        return ""
