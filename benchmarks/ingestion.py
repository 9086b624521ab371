"""How fast outcomes are ingested, beside a bare loop that reads, parses and inserts the same rows.

The agent's database holds tasks of one to four calls; each call has its messages as JSON: the agent's instructions (the
same in every call, as agents send them) and 1,200 characters of real source code (the standard library's). Both sides
read it read-only and write a fresh SQLite file.

Ingestion is the real room on the real store: row identity, labels, lines, the secret scan, duplicates, counters,
ledger and cursor, all of it.

The bare loop is what nobody who ingests can avoid. In batches of as many rows it reads each call with its task's end,
parses the JSON in it by the standard library, and inserts the very rows that ingestion stored into a table of the same
columns and indexes, by executemany in one transaction a batch, under the same pragmas. It computes nothing: the rows
are held ready beforehand, keys, labels and bodies included. It learns nothing, checks nothing, and could not go on
where it stopped.

The last line is information, not the bar: the same loop, were it to write the JSON of each row's body itself.

Run: python benchmarks/ingestion.py [outcomes] [rounds]
"""

# ruff: noqa: S608 - the columns' names come from our own table

import asyncio
import gc
import json
import random
import sqlite3
import statistics
import sys
import sysconfig
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from flywheel.core.clocks import SystemClock
from flywheel.core.lines import Line, Select
from flywheel.core.secrets import find_secret
from flywheel.sources.looks import ROWS_A_BATCH
from flywheel.sources.run import SourcesRoom
from flywheel.sources.settings import GenericSource
from flywheel.store.stores import PRAGMAS, open_store, sqlite_url

BAR = 0.5
SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE task_runs (task_id TEXT PRIMARY KEY, success INTEGER, created_at TEXT, repo TEXT);
CREATE TABLE llm_calls (id INTEGER PRIMARY KEY, task_id TEXT, call_type TEXT, model TEXT, messages TEXT, response TEXT,
  timestamp TEXT, latency_ms REAL);
CREATE INDEX llm_calls_task ON llm_calls (task_id);
"""
SYSTEM = """You are a careful engineer who works in a repository with tools. Read before you write, change as little as
possible, run the tests after each change, and never touch files that the task does not name.

Tools:
read_file(path, lines): the text of a file, or of some lines of it.
search(pattern, folder): the lines below a folder that match a regular expression, with their files and numbers.
edit(path, search, replace): replace one passage of a file; the passage must be there exactly once.
run(command, seconds): run a command in the sandbox and see its output, cut after 4,000 characters.
finish(summary): say what was done; call it once, when the tests pass.

Answer with a short thought and one tool call, written as a JSON object between <tool_call> and </tool_call>. When a
tool says that something failed, read its output to the end before you try again. Do not guess at names: look them up.
Do not print what you were told to keep to yourself. When two ways are equally good, take the one that a reader
understands sooner. Stop when you are done.
"""
READ = "SELECT c.*, t.success, t.repo FROM llm_calls AS c JOIN task_runs AS t USING (task_id) WHERE c.id > ? LIMIT ?"


def passages(size):
    """Return pieces of real source code, without those that hold what looks like a secret."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    texts = [file.read_text(errors="ignore") for file in sorted(folder.glob("*.py"))]
    cut = [text[start : start + size] for text in texts for start in range(0, len(text) - size, size)]
    return [piece for piece in cut if find_secret(piece) is None]


def write_agent(path, outcomes):
    """Write as many calls as asked for."""
    chance, pieces = random.Random(1), passages(1200)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(SCHEMA)
    connection.execute("BEGIN")
    task = left = 0
    for number in range(outcomes):
        if left == 0:
            task, left = task + 1, chance.randint(1, 4)
            end = (f"t{task}", chance.randint(0, 1), "2026-01-01T10:00:00Z", f"org/repo{task % 40}")
            connection.execute("INSERT INTO task_runs VALUES (?, ?, ?, ?)", end)
        left -= 1
        connection.execute("INSERT INTO llm_calls VALUES (?, ?, ?, ?, ?, ?, ?, ?)", call(number, task, chance, pieces))
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def call(number, task, chance, pieces):
    asked = f"Step {number} of the work: read this file and fix what is wrong.\n\n{chance.choice(pieces)}"
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": asked}]
    answer = {"name": "read_file", "arguments": {"path": f"src/module_{chance.randint(0, 999)}.py", "lines": [1, 80]}}
    said = f"I look at the file first.\n<tool_call>\n{json.dumps(answer)}\n</tool_call>"
    kind = chance.choice(("act", "plan"))
    return number + 1, f"t{task}", kind, "qwen3-4b", json.dumps(messages), said, "2026-01-01T10:00:01Z", 812.5


def what_we_stored(path):
    """Return the SQL that makes our outcomes table with its indexes, its columns, and the rows in it."""
    connection = sqlite3.connect(path)
    made = "SELECT sql FROM sqlite_schema WHERE tbl_name = 'outcomes' AND sql IS NOT NULL ORDER BY type DESC"
    statements = [row[0] for row in connection.execute(made)]
    columns = [row[1] for row in connection.execute("PRAGMA table_info(outcomes)")]
    rows = connection.execute(f"SELECT {', '.join(columns)} FROM outcomes ORDER BY seq").fetchall()
    connection.close()
    return statements, columns, rows


def bare_loop(source, target, ours, *, writes=False):
    """Return the seconds that reading, parsing and inserting take with nothing around it."""
    statements, columns, ready = what_we_stored(ours)
    reader = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    writer = sqlite3.connect(target, isolation_level=None)
    for statement in (*PRAGMAS, *statements):
        writer.execute(statement)
    insert = f"INSERT INTO outcomes ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    after = done = 0
    with quiet() as clock:
        while rows := reader.execute(READ, (after, ROWS_A_BATCH)).fetchall():
            parsed = [json.loads(row[4]) for row in rows]
            writer.execute("BEGIN IMMEDIATE")
            values = ready[done : done + len(parsed)]
            writer.executemany(insert, with_bodies(rows, parsed, values, columns.index("body")) if writes else values)
            writer.execute("COMMIT")
            after, done = rows[-1][0], done + len(parsed)
    reader.close()
    writer.close()
    assert done == len(ready)
    return clock[0]


def with_bodies(rows, parsed, ready, at):
    """Return ready rows whose bodies, the values at that place, are written here, of what was just read and parsed."""
    told = [[[message["role"], message["content"]] for message in messages] for messages in parsed]
    bodies = [json.dumps({"messages": asked, "response": row[5]}) for asked, row in zip(told, rows, strict=True)]
    return [(*row[:at], body, *row[at + 1 :]) for body, row in zip(bodies, ready, strict=True)]


@contextmanager
def quiet():
    """Measure seconds; what lives already is none of the garbage collector's business, on either side."""
    gc.collect()
    gc.freeze()
    clock = [time.perf_counter()]
    yield clock
    clock[0] = time.perf_counter() - clock[0]
    gc.unfreeze()


async def ingestion(source, target):
    """Return the seconds that the room takes for everything that is there, and how many outcomes it stored."""
    line = Line(name="tool-calling", why="w", base="b", select=Select(call_types=("act", "plan")))
    with open_store(sqlite_url(target)) as store:
        capture = target.with_name("capture.db")  # asked for, as the daemon asks, though no gateway has written it
        room = SourcesRoom(
            store, SystemClock(), [GenericSource(name="agent", path=source)], lambda: {line.name: line}, capture
        )
        with quiet() as clock:
            while proposals := (await room.propose()).proposals:
                for proposal in proposals:
                    await room.perform(proposal.intent, None)
        room.close()
    return clock[0]


def main(outcomes, rounds):
    with tempfile.TemporaryDirectory(prefix="flywheel-ingestion-") as folder:
        source = Path(folder) / "agent.db"
        write_agent(source, outcomes)
        ours, bare, writing = [], [], []
        for number in range(rounds):
            target, beside = Path(folder) / f"ours{number}.db", Path(folder) / f"bare{number}.db"
            ours.append(asyncio.run(ingestion(source, target)))
            bare.append(bare_loop(source, beside, target))
            beside.unlink()
            writing.append(bare_loop(source, beside, target, writes=True))
            print(f"round {number + 1}: ingested in {ours[-1]:.2f} s, bare loop {bare[-1]:.2f} s, "
                  f"ratio {bare[-1] / ours[-1]:.2f}", flush=True)  # fmt: skip
            target.unlink()
            beside.unlink()
    ratio = statistics.median(b / o for b, o in zip(bare, ours, strict=True))
    more = statistics.median(w / o for w, o in zip(writing, ours, strict=True))
    print(f"{outcomes:,} outcomes: {outcomes / min(ours):,.0f} a second, the bare loop {outcomes / min(bare):,.0f}; "
          f"ratio of the speeds {ratio:.2f} (bar {BAR})")  # fmt: skip
    print(f"for information: beside a bare loop that writes the JSON of the bodies itself, {more:.2f}")


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    main(*(numbers + [50_000, 3][len(numbers) :]))
