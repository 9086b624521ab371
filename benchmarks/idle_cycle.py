"""What a cycle with nothing new costs the rooms sources and curate, at 1,000 and at 200,000 outcomes.

Run: python benchmarks/idle_cycle.py [small] [large]
"""

import asyncio
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

from flywheel.core.clocks import SystemClock
from flywheel.core.lines import DatasetPlan, Line, Trigger
from flywheel.curate.run import CurateRoom
from flywheel.sources.run import SourcesRoom
from flywheel.sources.settings import GenericSource
from flywheel.store.stores import open_store, sqlite_url

ROUNDS = 200
SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE task_runs (task_id TEXT PRIMARY KEY, success INTEGER, created_at TEXT);
CREATE TABLE llm_calls (id INTEGER PRIMARY KEY, task_id TEXT, call_type TEXT, model TEXT, prompt TEXT, response TEXT,
  timestamp TEXT);
CREATE INDEX llm_calls_task ON llm_calls (task_id);
"""


def write_agent(path, outcomes):
    answer = "<tool_call>" + json.dumps({"name": "read_file", "arguments": {"path": "a.py"}}) + "</tool_call>"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(SCHEMA)
    connection.execute("BEGIN")
    for number in range(outcomes):
        at = "2026-01-01T10:00:00Z"
        connection.execute("INSERT INTO task_runs VALUES (?, 1, ?)", (f"t{number}", at))
        row = (f"t{number}", "act", "m", f"question {number} " + "context " * 60, answer, at)
        connection.execute(
            "INSERT INTO llm_calls (task_id, call_type, model, prompt, response, timestamp) VALUES (?,?,?,?,?,?)", row
        )
    connection.execute("COMMIT")
    connection.close()


def bare_loop(path, target):
    """Read, parse and insert the same rows with nothing around it: what ingestion is compared with."""
    began = time.perf_counter()
    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    writer = sqlite3.connect(target, isolation_level=None)
    writer.executescript("PRAGMA journal_mode = WAL; CREATE TABLE o (id INTEGER PRIMARY KEY, task TEXT, body JSON);")
    writer.execute("BEGIN")
    query = "SELECT c.*, t.success FROM llm_calls AS c JOIN task_runs AS t USING (task_id)"
    for row in reader.execute(query):
        body = json.dumps({"messages": [["user", row[4]]], "response": row[5], "success": row[7]})
        writer.execute("INSERT INTO o (task, body) VALUES (?, ?)", (row[1], json.dumps(json.loads(body))))
    writer.execute("COMMIT")
    reader.close()
    writer.close()
    return time.perf_counter() - began


async def measure(outcomes):
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_agent(home / "agent.db", outcomes)
        bare = bare_loop(home / "agent.db", home / "bare.db")
        line = Line(name="tool-calling", why="w", base="b", dataset=DatasetPlan(minimum_examples=10**9),
                    trigger=Trigger(fresh_examples=10**9))  # fmt: skip
        lines = {line.name: line}
        with open_store(sqlite_url(home / "flywheel.db")) as store:
            clock = SystemClock()
            source = GenericSource(name="agent", path=home / "agent.db")
            rooms = [SourcesRoom(store, clock, [source], lambda: lines),
                     CurateRoom(store, clock, lambda: lines, home / "datasets")]  # fmt: skip
            spent = [await settle(room) for room in rooms]
            print(
                f"{outcomes:>9,} outcomes: ingested in {spent[0]:.1f} s (bare loop {bare:.1f} s), "
                f"admitted in {spent[1]:.1f} s"
            )
            times = [await idle_cycle(rooms) for _ in range(ROUNDS)]
            rooms[0].close()
        return statistics.median(times)


async def settle(room):
    began = time.perf_counter()
    while proposals := (await room.propose()).proposals:
        for proposal in proposals:
            await room.perform(proposal.intent, proposal.cause)
    return time.perf_counter() - began


async def idle_cycle(rooms):
    began = time.perf_counter()
    for room in rooms:
        plan = await room.propose()
        assert not plan.proposals
    return time.perf_counter() - began


async def main(small, large):
    medians = [await measure(size) for size in (small, large)]
    for size, median in zip((small, large), medians, strict=True):
        print(f"{size:>9,} outcomes: {median * 1000:.2f} ms a cycle with nothing new")
    print(f"ratio {medians[1] / medians[0]:.2f}")


if __name__ == "__main__":
    sizes = [int(argument) for argument in sys.argv[1:]] or [1_000, 200_000]
    asyncio.run(main(*sizes))
