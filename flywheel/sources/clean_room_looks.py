"""One look at a clean-room database: a read transaction that turns a cursor into a batch.

The unit of reading is the root task. New rows make a root dirty; so does a change of what is known about it: the
evidence of the newest roots is worked out at every look, from small rows only, and compared with what it was. Rows
further back that change without a new row beside them are found by the nightly full look.
"""

# ruff: noqa: S608 - tables are named in this room, columns come from the database's own schema; values are bound

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from flywheel.core.ids import content_hash
from flywheel.sources.clean_room_curated import Curated
from flywheel.sources.clean_room_decisions import Indexing, indexing, shown_files
from flywheel.sources.clean_room_evidence import RUNNING, Evidence, accepted_code, weigh
from flywheel.sources.clean_room_indexes import CALLS, TASKS, RowIndex, task_text
from flywheel.sources.clean_room_names import root_of
from flywheel.sources.clean_room_outcomes import CALL_COLUMNS, Root, read_root
from flywheel.sources.clean_room_rows import History, Run
from flywheel.sources.clean_room_runs import RunLoader, fetch
from flywheel.sources.connections import Identity, columns_of, quoted
from flywheel.sources.readings import Batch, PendingTasks, Refusal, TaskReading
from flywheel.sources.rows import success_of
from flywheel.sources.settings import CleanRoomSource

ROOTS_A_BATCH = 50
ROWS_A_BATCH = 2000
BYTES_A_BATCH = 16_000_000  # about what one batch may hold in memory
RECENT_ROOTS = 60  # the evidence of so many of the newest is compared at every look
NEIGHBOURS = 50  # so many runs before and after one can speak for or against it
PENDING_A_LOOK = 400

_NOTHING: Mapping[str, Any] = {"calls": 0, "anchor": "", "recent": {}}


class Kept(NamedTuple):
    """What the reader keeps from look to look: where rows stand, and what never changes."""

    rows: RowIndex
    loader: RunLoader


class Look:
    """One read transaction on a source."""

    def __init__(self, settings: CleanRoomSource, connection: Any, kept: Kept, curated: Curated, now: datetime) -> None:
        """Take a connection inside a transaction, and an index that reaches to its end."""
        self._settings = settings
        self._connection = connection
        self._index = kept.rows
        self._loader = kept.loader
        self._curated = curated
        self._now = now
        self._indexing: Indexing = indexing(connection)

    def batch(self, cursor: Mapping[str, Any], identity: Identity | None, pending: PendingTasks) -> Batch:
        """Find the dirty roots, read them whole, and say how far that got."""
        at = self._begin(cursor, identity)
        arrived, refusals, more = self._arrived(at["calls"])
        recent_names = self._index.roots[-RECENT_ROOTS:]
        ended = self._ended(pending)
        known = at["recent"]
        evidence = self._evidence([*dict.fromkeys([*arrived.values(), *recent_names, *ended])])
        prints = {root: self._print(root, evidence.get(root)) for root in recent_names}
        changed = [root for root in recent_names if root in known and known[root] != prints[root]]
        dirty = list(dict.fromkeys([*arrived.values(), *changed, *ended]))
        readings = self._read(dirty, evidence)
        done = {reading.task for reading in readings}
        whole = len(done) == len(dirty)
        end = _reached(at["calls"], arrived, done) if not whole else max([at["calls"], *arrived, *refusals])
        end = self._past(end, done)
        forward = {
            "calls": end,
            "anchor": self._anchor(end),
            "recent": prints if whole else known | {root: mark for root, mark in prints.items() if root in done},
        }
        return Batch(
            tasks=tuple(readings),
            cursor=at | forward,
            more=not whole or (more and end < self._index.end(CALLS)),
            restarted=at["calls"] == 0,
            refusals=tuple(refusal for row, refusal in refusals.items() if row <= end),
        )

    def _begin(self, cursor: Mapping[str, Any], identity: Identity | None) -> dict[str, Any]:
        """Return the cursor to go on from: the one given, or the beginning when it means nothing any more."""
        same = cursor.get("identity") == list(identity or ())
        if same and cursor.get("anchor") == self._anchor(int(cursor.get("calls", 0))):
            return dict(cursor)
        return {"identity": list(identity or ()), **_NOTHING}

    def _anchor(self, row: int) -> str:
        """Return what identifies the last row that was read; another value means that its number was reused."""
        if row == 0:
            return ""
        when = "timestamp" if "timestamp" in columns_of(self._connection, CALLS) else "NULL"
        found = self._connection.execute(f"SELECT hex(task_id), hex({when}) FROM {CALLS} WHERE rowid = ?", (row,))
        return content_hash(list(found.fetchone() or ["gone"]))

    def _arrived(self, after: int) -> tuple[dict[int, str], dict[int, Refusal], bool]:
        """Return the roots of the call rows after a row, those that name no task, and whether there are more."""
        query = f"SELECT rowid, task_id FROM {CALLS} WHERE rowid > ? ORDER BY rowid LIMIT ?"
        rows = self._connection.execute(query, (after, ROWS_A_BATCH)).fetchall()
        found: dict[int, str] = {}
        nameless: dict[int, Refusal] = {}
        seen: set[str] = set()
        for row, owner in rows:
            task = task_text(owner)
            if task is None:
                nameless[int(row)] = Refusal(
                    row=f"{CALLS}/{row}", rule="no-task", reason=f"row {row}: it names no task"
                )
                continue
            if root_of(task) not in seen and len(seen) == ROOTS_A_BATCH:
                return found, nameless, True
            seen.add(root_of(task))
            found[int(row)] = root_of(task)
        return found, nameless, len(rows) == ROWS_A_BATCH

    def _past(self, row: int, done: set[str]) -> int:
        """Return the last row of an unbroken stretch whose roots were just read whole: they need no second reading."""
        query = f"SELECT rowid, task_id FROM {CALLS} WHERE rowid > ? ORDER BY rowid"
        for following, owner in self._connection.execute(query, (row,)):
            task = task_text(owner)
            if task is None or root_of(task) not in done:
                break
            row = int(following)
        return row

    def _ended(self, pending: PendingTasks) -> list[str]:
        """Return the roots that were still at work when they were read, and are not any more."""
        names = [root for root in pending.newest(PENDING_A_LOOK) if root in self._index.run_of]
        runs = self._loader.load(self._connection, [self._index.run_of[root] for root in names])
        return [run.root for run in runs.values() if self._is_settled(run)]

    def _is_settled(self, run: Run | None) -> bool:
        """Tell whether nothing more is to be expected: it ended, or has been silent for too long to be alive."""
        if run is None or run.status != RUNNING:
            return True
        silent = run.active or run.started
        return silent is None or self._now - silent > timedelta(minutes=self._settings.crash_minutes)

    def _evidence(self, roots: Iterable[str]) -> dict[str, tuple[Evidence, Run]]:
        """Weigh the runs of these roots, each against its neighbours in the same repo."""
        wanted = {root: self._index.run_of[root] for root in roots if root in self._index.run_of}
        near = {root: self._index.near(run, NEIGHBOURS) for root, run in wanted.items()}
        runs = self._loader.load(self._connection, sorted({one for ids in near.values() for one in ids}))
        last = [run.commits[-1] for run in runs.values() if run.commits]
        crashed = [commit for run in runs.values() if run.status == RUNNING for commit in run.commits]
        history = History(self._curated.seen([*last, *crashed]), self._indexing.at)
        accepted = {number: accepted_code(run) for number, run in runs.items()}
        found: dict[str, tuple[Evidence, Run]] = {}
        for root, number in wanted.items():
            if (run := runs.get(number)) is not None:
                around = [runs[one] for one in near[root] if one in runs and runs[one].repo == run.repo]
                found[root] = (weigh(run, around, history, accepted), run)
        return found

    def _print(self, root: str, evidence: tuple[Evidence, Run] | None) -> str:
        """Return a short mark of all that is known of a root beside its calls."""
        return content_hash(
            [
                _plain(evidence[0]) if evidence else None,
                self._index.decisions.get(root),
                sorted(self._successes(root).items()) if self._settings.trust_task_success else None,
            ]
        )[:16]

    def _successes(self, root: str) -> dict[str, bool | None]:
        rows = fetch(self._connection, TASKS, ("task_id", "success"), self._index.tasks.get(root, ()))
        return {
            task: success_of(values["success"])
            for _, values in rows
            if (task := task_text(values["task_id"])) is not None
        }

    def _read(self, dirty: Sequence[str], evidence: Mapping[str, tuple[Evidence, Run]]) -> list[TaskReading]:
        """Read roots whole, in order, until all are read or enough is in memory."""
        readings: list[TaskReading] = []
        size = 0
        for root in dirty:
            rows = self._calls_of(root)
            readings.append(read_root(self._settings, self._root(root, evidence.get(root)), rows))
            size += sum(len(value) for _, values in rows for value in values.values() if isinstance(value, str | bytes))
            if size > BYTES_A_BATCH:
                break
        return readings

    def _calls_of(self, root: str) -> list[tuple[int, Mapping[str, Any]]]:
        if root not in self._index.calls:
            return []
        present = set(columns_of(self._connection, CALLS))
        columns = ", ".join(quoted(name) if name in present else "NULL" for name in CALL_COLUMNS)
        query = f"SELECT rowid, {columns} FROM {CALLS} WHERE rowid BETWEEN ? AND ?"
        mine = "(task_id = ? OR (task_id >= ? AND task_id < ?))"
        bounds = (*self._index.calls[root], root, f"{root}:", f"{root};")
        rows = self._connection.execute(f"{query} AND {mine} ORDER BY rowid", bounds)
        return [(int(row), dict(zip(CALL_COLUMNS, values, strict=True))) for row, *values in rows]

    def _root(self, name: str, evidence: tuple[Evidence, Run] | None) -> Root:
        run = evidence[1] if evidence else None
        return Root(
            name=name,
            repo=run.repo if run else self._repo(name),
            evidence=evidence[0] if evidence else Evidence(),
            found=shown_files(self._connection, self._index, name, self._curated, self._indexing.anew),
            success=self._successes(name),
            settled=self._is_settled(run),
            known=run is not None or name in self._index.tasks or (root_of(name) == name and ":" in name),
        )

    def _repo(self, root: str) -> str:
        rows = fetch(self._connection, TASKS, ("repo_path",), self._index.tasks.get(root, ())[:1])
        return next((task_text(values["repo_path"]) or "" for _, values in rows), "")


def _reached(after: int, arrived: Mapping[int, str], done: set[str]) -> int:
    """Return the last row before which every root was read."""
    for row, root in arrived.items():
        if root not in done:
            return after
        after = row
    return after


def _plain(evidence: Evidence) -> list[Any]:
    findings = sorted(
        (list(name), finding.fate.value, list(finding.doubts)) for name, finding in evidence.findings.items()
    )
    return [evidence.status, findings, sorted(evidence.passed_parts), sorted(evidence.validated_parts), evidence.whole]
