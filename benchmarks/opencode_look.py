# ruff: noqa: D102, D107 - the double's methods say what they do by name
"""How long a look at a large opencode database takes when one session was changed. Builds the file, deletes it after.

    python benchmarks/opencode_look.py [--gigabytes 1] [--sessions 10000]

Half of the bytes are in `event`, half in `part`, as in a file that has been in use for long. Every session but the one
that is changed has been read before. What is timed is the whole of `OpencodeReader.read`: finding what changed, reading
the session, labels and the search for secrets. The bar is 50 ms.
"""

import argparse
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flywheel.core.clocks import ManualClock
from flywheel.sources.opencodes import OpencodeReader
from flywheel.sources.settings import OpencodeSource
from flywheel.store.source_marks import Mark

SCHEMA = Path(__file__).parent.parent / "tests" / "data" / "opencode" / "schema-1.18.33.sql"
BAR = 0.050
LOOKS = 20
START = 1_800_000_000_000
ANSWERS = 12  # a session: so many answers, each with one call


class Stored:
    """What the store would remember: how every session looked when it was read. See `readings.PendingTasks`."""

    def __init__(self) -> None:
        self.held: dict[str, Mark] = {}

    def among(self, tasks: Sequence[str]) -> Mapping[str, int]:  # noqa: ARG002 - as the protocol says
        return {}

    def newest(self, limit: int) -> Mapping[str, int]:  # noqa: ARG002 - as the protocol says
        return {}

    def after(self, position: int, limit: int) -> tuple[Mapping[str, int], int]:  # noqa: ARG002 - as the protocol says
        return {}, 0

    def known(self, tasks: Sequence[str]) -> frozenset[str]:
        return frozenset(tasks)

    def marks(self) -> Mapping[str, Mark]:
        return self.held


def build(path: Path, gigabytes: float, sessions: int) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;" + SCHEMA.read_text())
    connection.execute("INSERT INTO project (id, worktree, time_created, time_updated, sandboxes)"
                       " VALUES ('p', '/r', 0, 0, '[]')")  # fmt: skip
    words = [f"word{number}" for number in range(5000)]
    text = " ".join(random.Random(0).choices(words, k=200_000))
    size = int(gigabytes * 1e9 / 2 / sessions / ANSWERS)
    for number in range(sessions):
        connection.execute("BEGIN")
        fill(connection, f"ses_{number:06}", START + number * 60_000, text, size)
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def fill(connection: sqlite3.Connection, name: str, at: int, text: str, size: int) -> None:
    connection.execute(
        "INSERT INTO session (id, project_id, slug, directory, title, version, time_created, time_updated)"
        " VALUES (?, 'p', 's', '/r', 't', '1.18.33', ?, ?)",
        (name, at, at + 50_000),
    )
    connection.execute("INSERT INTO event_sequence (aggregate_id, seq) VALUES (?, ?)", (name, ANSWERS))
    said(connection, name, f"msg_{name}_00", at, {"role": "user"}, {"type": "text", "text": "fix the function"})
    for number in range(1, ANSWERS + 1):
        start = (number * 7919 * len(name)) % (len(text) - size)
        state = {
            "status": "completed",
            "input": {"filePath": f"src/a{number}.rs"},
            "output": text[start : start + size],
        }
        data = {"role": "assistant", "agent": "build", "modelID": "m", "finish": "tool-calls"}
        part = {"type": "tool", "tool": "read", "state": state}
        said(connection, name, f"msg_{name}_{number:02}", at + number * 1000, data, part)
        connection.execute("INSERT INTO event VALUES (?, ?, ?, 'message.part.updated.1', ?)",
                           (f"evt_{name}_{number}", name, number, json.dumps(part)))  # fmt: skip


def said(connection: sqlite3.Connection, session: str, name: str, at: int, data: dict, part: dict) -> None:
    held = {**data, "time": {"created": at, "completed": at + 500}}
    connection.execute("INSERT INTO message VALUES (?, ?, ?, ?, ?)", (name, session, at, at, json.dumps(held)))
    connection.execute("INSERT INTO part VALUES (?, ?, ?, ?, ?, ?)",
                       (f"prt_{name}", name, session, at, at, json.dumps(part)))  # fmt: skip


def remembered(path: Path, *, events: bool) -> dict[str, Mark]:
    connection = sqlite3.connect(path)
    depth = ("(SELECT count(*) || '.' || max(time_updated) FROM message WHERE session_id = s.id) || '/' ||"
             " (SELECT count(*) || '.' || max(time_updated) FROM part WHERE session_id = s.id)")  # fmt: skip
    deep = "NULL" if events else depth
    rows = connection.execute(f"SELECT id, time_updated, seq, {deep} FROM session s"  # noqa: S608 - all of it is ours
                              " LEFT JOIN event_sequence ON aggregate_id = id").fetchall()  # fmt: skip
    connection.close()
    return {name: Mark(root=name, text=f"|session.{'-' if seq is None else seq}.{updated}|{deep or ''}")
            for name, updated, seq, deep in rows}  # fmt: skip


def timed(path: Path, sessions: int, *, events: bool) -> list[float]:
    """Change a session and look, again and again."""
    stored = Stored()
    stored.held = remembered(path, events=events)
    clock = ManualClock(datetime.fromtimestamp(START / 1000, UTC) + timedelta(days=60))
    reader = OpencodeReader(OpencodeSource(name="oc", path=path), clock)
    cursor: dict[str, object] = {"generation": 1}
    more = True
    while more:  # the first look counts the rows of every session that has no event sequence
        batch = reader.read(cursor, stored)
        cursor, more = batch.cursor, batch.more
        assert not batch.tasks
    writer = sqlite3.connect(path, isolation_level=None)
    took = []
    for number in range(LOOKS):
        name = f"ses_{(number * 997) % sessions:06}"
        at = START + 100_000_000_000 + number
        said(
            writer,
            name,
            f"msg_{name}_9{events:d}_{number}",
            at,
            {"role": "assistant", "finish": "stop"},
            {"type": "text", "text": "ok"},
        )
        if events:
            writer.execute("UPDATE event_sequence SET seq = seq + 1 WHERE aggregate_id = ?", (name,))
        else:
            writer.execute("UPDATE session SET time_updated = ? WHERE id = ?", (at, name))
        assert reader.changed()
        began = time.perf_counter()
        batch = reader.read(cursor, stored)
        took.append(time.perf_counter() - began)
        cursor = batch.cursor
        assert [task.task for task in batch.tasks] == [name]
        assert len(batch.tasks[0].outcomes) >= ANSWERS
    writer.close()
    reader.close()
    return took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--sessions", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "opencode.db"
        build(path, given.gigabytes, given.sessions)
        print(f"{path.stat().st_size / 1e9:.2f} GB, {given.sessions} sessions")
        worst = 0.0
        for name, events in (("event sequence", True), ("rows counted", False)):
            if not events:
                with sqlite3.connect(path) as connection:
                    connection.execute("DELETE FROM event_sequence")
                connection.close()
            took = sorted(timed(path, given.sessions, events=events))
            middle = statistics.median(took)
            worst = max(worst, middle)
            print(
                f"look, one session changed ({name}): median {middle * 1000:.1f} ms, longest {took[-1] * 1000:.1f} ms"
            )
    print(f"bar {BAR * 1000:.0f} ms: {'kept' if worst <= BAR else 'MISSED'}")
    return 0 if worst <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
