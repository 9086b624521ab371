"""Killed at any moment while an agent writes: nothing lost, nothing doubled, nothing untrue.

100 kills by default, 1,000 in `make soak`.
"""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections import Counter, defaultdict

import pytest

KILLS = 1000 if os.environ.get("FLYWHEEL_SOAK") else 100
LONGEST_LIFE = 0.3  # seconds, and longer on a busy machine: some die before their first look, some after several
PATIENCE = 60
WRITER = """
import random, sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
chance = random.Random(7)
open_tasks = []
for number in range(10_000_000):
    connection.execute("INSERT INTO task_runs (task_id, created_at) VALUES (?, '2026-01-01T10:00')", (f"t{number}",))
    for step in range(chance.randint(1, 4)):
        connection.execute(
            "INSERT INTO llm_calls (task_id, call_type, model, prompt, response, timestamp) VALUES (?,?,?,?,?,?)",
            (f"t{number}", "act", "m", f"question {number} {chance.randint(0, 2)}", f"answer {chance.randint(0, 1)}",
             "2026-01-01T10:00:01Z"))
    open_tasks.append(number)
    if len(open_tasks) > 5:
        ended = open_tasks.pop(chance.randrange(len(open_tasks)))
        connection.execute("UPDATE task_runs SET success = ? WHERE task_id = ?", (chance.randint(0, 1), f"t{ended}"))
    time.sleep(0.002)
"""
READER = """
import asyncio, os, sys
from pathlib import Path
import flywheel.store.migrating
from flywheel.core.clocks import SystemClock
from flywheel.core.lines import Line, Select
from flywheel.sources.run import SourcesRoom
from flywheel.sources.settings import GenericSource
from flywheel.store.stores import open_store, sqlite_url

LINES = {"tool-calling": Line(name="tool-calling", why="w", base="b", select=Select(call_types=("act",)))}

async def main():
    store = open_store(sqlite_url(Path(sys.argv[2])))
    room = SourcesRoom(store, SystemClock(), [GenericSource(name="agent", path=Path(sys.argv[1]))], lambda: LINES)
    print(os.getpid(), flush=True)
    while True:
        for proposal in (await room.propose()).proposals:
            await room.perform(proposal.intent, None)

while True:  # a new process each time, without the price of importing everything again
    child = os.fork()
    if child == 0:
        asyncio.run(main())
    os.waitpid(child, 0)
"""


def start(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


def kill_readers(database, store):
    """Let a reader work for a moment, kill it, and let the next one go on."""
    chance, longest = random.Random(1), LONGEST_LIFE
    with start(READER, database, store) as nursery:
        for number in range(KILLS):
            reader = int(nursery.stdout.readline())
            if number == 0:
                longest = max(longest, seconds_to_the_first_outcome(store))
            else:
                time.sleep(chance.uniform(0, longest))
            os.kill(reader, signal.SIGKILL)
        last = int(nursery.stdout.readline())
        nursery.kill()
        os.kill(last, signal.SIGKILL)


def seconds_to_the_first_outcome(store):
    """Return how long a reader that is left in peace takes, store and all."""
    began = time.monotonic()
    while time.monotonic() < began + PATIENCE:
        with contextlib.suppress(sqlite3.OperationalError):  # its tables are not there yet
            if store.exists() and rows_of(store, "SELECT count(*) FROM outcomes")[0][0]:
                return time.monotonic() - began
        time.sleep(0.01)
    pytest.fail(f"no outcome was stored within {PATIENCE} s")


def rows_of(path, query):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def what_is_true(database):
    """Return the agent's calls with the labels they deserve, told from its own rows alone."""
    ends = dict(rows_of(database, "SELECT task_id, success FROM task_runs"))
    tasks = defaultdict(list)
    for task, prompt, response in rows_of(database, "SELECT task_id, prompt, response FROM llm_calls ORDER BY id"):
        tasks[task].append((prompt, response))
    found = Counter()
    for task, calls in tasks.items():
        for index, (prompt, response) in enumerate(calls):
            asked_again = any(prompt == later for later, _ in calls[index + 1 :])
            is_last = index == len(calls) - 1
            label = "unknown"
            if ends[task] is not None and (is_last or asked_again):
                label = "positive" if is_last and ends[task] else "negative"
            found[task, prompt, response, label] += 1
    return found


def what_we_stored(store):
    """Return our outcomes in the same form."""
    found = Counter()
    for task, label, body in rows_of(store, "SELECT task, label, body FROM outcomes"):
        held = json.loads(body)
        ((role, prompt),) = held["messages"]
        assert role == "user"
        found[task, prompt, held["response"], label] += 1
    return found


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.asyncio
async def test_kills_lose_nothing_and_double_nothing(house, agent, tmp_path):
    """After so many x kill -9 of the reader beside a live writer, store and agent agree to the row and to the label."""
    began = time.monotonic()
    store = tmp_path / "flywheel.db"
    writer = start(WRITER, agent.path)
    try:
        kill_readers(agent.path, store)
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    seconds = time.monotonic() - began
    before = rows_of(store, "SELECT count(*) FROM outcomes")[0][0]
    while (await house.cycle()) and (await house.proposals()):
        pass  # one look without a kill, by the cursor the killed ones left
    truth, stored = what_is_true(agent.path), what_we_stored(store)
    lost, doubled = (truth - stored).total(), (stored - truth).total()
    print(f"{KILLS} kills in {seconds:.0f} s: {before} of {truth.total()} outcomes were stored by readers that were"
          f" killed; in the end {lost} lost or mislabelled, {doubled} doubled or mislabelled")  # fmt: skip
    assert not lost
    assert not doubled
    assert before > KILLS
    assert_counters_agree(house, store, Counter(label for *_, label in stored.elements()))
    assert rows_of(store, "PRAGMA integrity_check") == [("ok",)]
    house.room.ask_full_look()
    (again,) = await house.cycle()
    assert not again.body["new"]
    assert not again.body["changed"]


def assert_counters_agree(house, store, labels):
    """What is counted as it is stored is what is stored."""
    assert house.counters("source:agent") == {"outcomes": labels.total()}
    assert house.counters("line:tool-calling") == {f"outcomes_{label}": labels[label] for label in sorted(labels)}
    told = "SELECT sum(json_extract(body, '$.new')) FROM ledger WHERE kind = 'sources.outcomes_ingested'"
    assert rows_of(store, told) == [(labels.total(),)]
